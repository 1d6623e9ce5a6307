"""Hierarchies of labels: conditioned on exactly, against C-HMCNN's loss, in one network under one budget.

The published protocol but for batches: trained on train and valid for a number of epochs chosen on validation for the
network without rules; micro-averaged average precision over the labels that count. What lacks is the mean of train and
valid (the published figures fill in means of the test rows too).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

import graphfuse as gf
from benchmarks.rules_data import hierarchy, hierarchy_rules, hmc, said
from benchmarks.rules_learn import RAW
from benchmarks.rules_net import Loss, Setting, area, cross_entropy, logits_of, one_thread, parameters_of, train
from benchmarks.rules_rows import OURS, Found, found
from benchmarks.rules_tasks import given_rules
from graphfuse.core.errors import InputError
from graphfuse.core.jobs import side_by_side

SETTINGS = {
    "eisen_FUN": Setting(width=500, dropout=0.7, rate=1e-3, epochs=53, hidden=2, batch=64),
    "cellcycle_FUN": Setting(width=500, dropout=0.7, rate=1e-3, epochs=53, hidden=2, batch=64),
}
"""The published network; epochs are those of ``python -m benchmarks.rules_tune eisen_FUN 60``, for want of time of both
sets."""
MAX_LOSS, CLOSED, SUMMED = "C-HMCNN's loss", "without rules, then closed", "without rules, then marginals"
AREA, VALID = "area under precision and recall", "share that satisfies the rules"


def max_loss(edges: Tensor, counted: Tensor) -> Loss:
    """C-HMCNN's: of a label that is right what its own right descendants say, of any other what any descendant says.

    Source: Giunchiglia & Lukasiewicz 2020, "Coherent hierarchical multi-label classification networks", equation 3.
    """

    def loss(logits: Tensor, y: Tensor, x: Tensor) -> Tensor:
        said = logits.sigmoid()
        right = gf.rules.max_constraint(said * y, edges)
        agreed = (1 - y) * gf.rules.max_constraint(said, edges) + y * right
        return binary_cross_entropy(agreed[:, counted], y[:, counted], reduction="none").sum(1).mean()

    return loss


def measures(seeds: Sequence[int], quick: bool, jobs: int) -> Iterator[Found]:
    """All measures of this module."""
    for name in list(SETTINGS)[: 1 if quick else None]:
        work = [(f"{name}, seed {seed}", partial(once, name, seed, 1 if quick else None)) for seed in seeds]
        try:
            runs = list(side_by_side(work, jobs))
        except InputError as error:
            yield found(name, OURS, f"measures without it ({said(error)})", 1)
            continue
        for who, own in runs[0].items():
            each = [run[who] for run in runs]
            more = {"split": "test", "tuned_on": "validation, without rules", "parameters": own["parameters"],
                    "seconds": round(fmean(e["seconds"] for e in each), 1)}  # fmt: skip
            yield found(name, who, AREA, [e["area"] for e in each], seeds, **more)
            yield found(name, who, VALID, [e["valid"] for e in each], seeds, **more)


def once(name: str, seed: int, epochs: int | None = None) -> dict[str, dict[str, Any]]:
    """Three networks of a seed, and what their scores on the test rows reach."""
    setting = SETTINGS[name] if epochs is None else replace(SETTINGS[name], epochs=epochs)
    split, rules, edges = hmc(name), hierarchy_rules(name), torch.from_numpy(hierarchy(name)[1].T.astype("int64"))
    (x, y), (test, truth), counted = split.rows(0, 1), split.rows(2), split.evaluated
    losses = {OURS: given_rules(rules), RAW: cross_entropy,
              MAX_LOSS: max_loss(edges, torch.from_numpy(counted))}  # fmt: skip
    with one_thread():
        trained = {who: train(x, y, setting, seed, loss) for who, loss in losses.items()}
        logits = {who: logits_of(model, test) for who, (model, _) in trained.items()}
        scores = {
            OURS: rules.marginals(logits[OURS]), RAW: logits[RAW].sigmoid(),
            MAX_LOSS: gf.rules.max_constraint(logits[MAX_LOSS].sigmoid(), edges),
            CLOSED: gf.rules.max_constraint(logits[RAW].sigmoid(), edges), SUMMED: rules.marginals(logits[RAW]),
        }  # fmt: skip
    child, parent = edges
    return {
        who: {"area": area(each[:, counted].numpy(), truth[:, counted]), "parameters": parameters_of(trained[RAW][0]),
              "valid": float((each[:, child] <= each[:, parent] + 1e-6).all(1).double().mean()),
              "seconds": trained.get(who, trained[RAW])[1]}
        for who, each in scores.items()
    }  # fmt: skip
