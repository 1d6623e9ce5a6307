"""Papers that cite each other share a topic: the rule refines a network that sees the words of a paper alone.

The protocol of KENN on its own citeseer, transductive: all citations are seen, the labels of the training papers alone;
training ends where validation papers do not get better for ten epochs, and the best epoch answers. The draws are those
of the data page. The rate is the one of .001 and .01 that was best on validation without rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from statistics import fmean
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import graphfuse as gf
from benchmarks.rules_data import rule_folder
from benchmarks.rules_net import one_thread, parameters_of
from benchmarks.rules_rows import OURS, RAW, Found, found
from benchmarks.table_files import read_arrays
from graphfuse.core.jobs import side_by_side

SHARES = (10, 50)
WIDTH, DROPOUT, RATE, EPOCHS, PATIENCE, LEAST = 50, 0.5, 0.01, 300, 10, 0.001
LAYERS = 3
RULE = "soft learn cite[t in labels]: forall x, y. cites(x, y) & t(x) -> t(y)"
ACCURACY = "accuracy"


@dataclass(frozen=True)
class Papers:
    """Words ``[n, w]`` (sparse), topics ``[n]``, the part of each paper in each draw, citations, and the rule."""

    words: Tensor
    topics: Tensor
    parts: Tensor
    facts: gf.rules.Facts
    rules: gf.RuleSet


def measures(seeds: Sequence[int], quick: bool, jobs: int) -> Iterator[Found]:
    """All measures of this module; a seed is a draw, of which there are ten."""
    draws = [seed % 10 for seed in seeds]
    for share in SHARES[:1] if quick else SHARES:
        work = [(f"citeseer {share} %, draw {draw}", partial(once, share, draw, 2 if quick else EPOCHS))
                for draw in draws]  # fmt: skip
        runs = list(side_by_side(work, jobs))
        for who in (OURS, RAW):
            each = [run[who] for run in runs]
            more = {"split": "test", "tuned_on": "validation, without rules", "parameters": each[0]["parameters"],
                    "seconds": round(fmean(e["seconds"] for e in each), 1)}  # fmt: skip
            yield found(f"citeseer, {share} % of the papers", who, ACCURACY, [e["test"] for e in each], seeds, **more)
            yield found(f"citeseer, {share} % of the papers", who, "share of citations that the answers agree with",
                        [e["agrees"] for e in each], seeds, **more)  # fmt: skip


def once(share: int, draw: int, epochs: int) -> dict[str, dict[str, Any]]:
    """Both networks of a draw, and what they reach on its test papers."""
    with one_thread():
        return {who: _trained(read(), share, draw, epochs, who == OURS) for who in (OURS, RAW)}


@cache
def read() -> Papers:
    """The set as its page says."""
    z = read_arrays(rule_folder() / "citeseer" / "citeseer.npz")
    count, width = z["x_shape"].tolist()
    row = torch.arange(count).repeat_interleave(torch.from_numpy(z["x_indptr"]).diff())
    places = torch.stack([row, torch.from_numpy(z["x_indices"]).long()])
    words = torch.sparse_coo_tensor(places, torch.ones(places.shape[1]), (count, width)).coalesce()
    rules = gf.RuleSet.parse(RULE, [str(name) for name in z["class_names"]], relations=["cites"])
    facts = gf.rules.Facts({"cites": torch.from_numpy(z["edges"].T.astype("int64").copy())})
    return Papers(words, torch.from_numpy(z["y"]).long(), torch.from_numpy(z["splits"]), facts, rules)


class _Network(nn.Module):
    """Three hidden layers over sparse words, and what refines their scores."""

    def __init__(self, papers: Papers, refined: bool):
        super().__init__()
        labels = len(papers.rules.labels)
        self.words = nn.Parameter(nn.Linear(papers.words.shape[1], WIDTH).weight.detach().t().contiguous())
        rest = [nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT)]
        self.rest = nn.Sequential(nn.ReLU(), nn.Dropout(DROPOUT), *rest, nn.Linear(WIDTH, WIDTH), nn.ReLU(),
                                  nn.Dropout(DROPOUT), nn.Linear(WIDTH, labels))  # fmt: skip
        self.refine = gf.rules.Refine(papers.rules, LAYERS) if refined else None

    def forward(self, papers: Papers) -> Tensor:
        logits: Tensor = self.rest(torch.sparse.mm(papers.words, self.words))
        return logits if self.refine is None else self.refine(logits, papers.facts)


def _trained(papers: Papers, share: int, draw: int, epochs: int, refined: bool) -> dict[str, Any]:
    torch.manual_seed(draw)
    part = papers.parts[{10: 0, 25: 1, 50: 2, 75: 3, 90: 4}[share], draw]
    train, valid, test = (part == which for which in range(3))
    network = _Network(papers, refined)
    step, start = torch.optim.Adam(network.parameters(), RATE), process_time()
    best, waited, kept = float("inf"), 0, {}
    for _ in range(epochs):
        network.train()
        step.zero_grad()
        cross_entropy(network(papers)[train], papers.topics[train]).backward()
        step.step()
        with torch.no_grad():
            own = float(cross_entropy(network.eval()(papers)[valid], papers.topics[valid]))
        if own < best - LEAST:
            best, waited, kept = own, 0, {name: x.clone() for name, x in network.state_dict().items()}
        else:
            waited += 1
            if waited == PATIENCE:
                break
    network.load_state_dict(kept)
    with torch.no_grad():
        said = network.eval()(papers).argmax(1)
    cited, citing = papers.facts.relations["cites"]
    right, agrees = (said == papers.topics)[test], said[cited] == said[citing]
    return {"test": float(right.float().mean()), "agrees": float(agrees.float().mean()),
            "seconds": process_time() - start, "parameters": parameters_of(network)}  # fmt: skip
