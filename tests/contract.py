"""One tiny instance of each catalogued part, for the suites that hold for every part.

The samples, schema and graphs are those on which ``gf.testing`` checks fusions. A new fusion is picked up by itself,
with its default options. A new edge builder needs a line in ``BUILDERS`` and a new head a line in ``TARGETS`` and
``HEADS``, or several; tests say so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import graphfuse as gf
from graphfuse.testing.cases import (
    KINDS,
    LABELS,
    LACKING,
    MENTIONS,
    NEXT,
    RESEMBLES,
    graph_of,
    sample,
    samples,
    schema,
)
from graphfuse.testing.subject import perturbed

__all__ = ["KINDS", "LABELS", "LACKING", "MENTIONS", "NEXT", "RESEMBLES", "graph_of", "perturbed", "sample", "samples",
           "schema"]  # fmt: skip

# Edge builders by their name in the catalog, each called with a direction.
BUILDERS = {
    "all_pairs": lambda **way: gf.AllPairs("text", "image", **way),
    "nearest": lambda **way: gf.Nearest("image", "entity", k=2, **way),
    "window": lambda **way: gf.Window("text", 2, **way),
    "overlap": lambda **way: gf.Overlap("text", "image", **way),
    "linked": lambda **way: gf.Linked(*RESEMBLES, weighted=True, **way),
    "learned": lambda **way: gf.Learned("image", "entity", k=2, **way),
    "hub": lambda **way: gf.Hub("text", **way),
}

# Options of heads by their name in the catalog, and what else tells two of one name apart.
HEADS: dict[str, dict[str, Any]] = {
    "classify": {"labels": LABELS},
    "multilabel": {"labels": LABELS},
    "regress": {"mean": 2.0, "scale": 3.0},
    "choose": {"kind": "entity"},
    "tag": {"of": "entity", "each": {"head": "classify", "labels": LABELS}},
    "tag:links": {"of": list(MENTIONS), "each": {"head": "multilabel", "labels": LABELS}},
    "multitask": {"parts": {
        "entities": {"head": "tag", "of": "entity", "each": {"head": "classify", "labels": LABELS}},
        "one": {"head": "choose", "kind": "entity"},
        "topic": {"head": "classify", "labels": LABELS},
        "signs": {"head": "multilabel", "labels": LABELS},
    }, "weights": {"topic": 2.0}, "metric": "topic: accuracy"},
    "multitask:numbers": {"parts": {"size": {"head": "regress", "mean": 2.0, "scale": 3.0},
                                    "topic": {"head": "classify", "labels": LABELS}}},
}  # fmt: skip

# A target of each head for sample number ``i``, which has ``n`` rows: links for ``tag:links``, and else entities.
TARGETS: dict[str, Callable[[int, int], Any]] = {
    "classify": lambda i, n: LABELS[i % 3] if i % 4 else (LABELS[0], LABELS[2]),
    "multilabel": lambda i, n: LABELS[: i % 4],
    "regress": lambda i, n: 0.5 * i - 1.0,
    "choose": lambda i, n: torch.arange(n)[i % 3 :: 2],
    "tag": lambda i, n: tuple(None if (i + row) % 3 == 1 else LABELS[(i + row) % 3] for row in range(n)),
    "tag:links": lambda i, n: tuple(None if (i + row) % 4 == 1 else LABELS[: (i + row) % 4] for row in range(n)),
    "multitask": lambda i, n: {"entities": TARGETS["tag"](i, n), "one": TARGETS["choose"](i, n) if i % 3 else None,
                               "topic": TARGETS["classify"](i, n)} | ({"signs": LABELS[: i % 4]} if i % 2 else {}),
    "multitask:numbers": lambda i, n: {"size": 0.5 * i - 1.0} | ({"topic": LABELS[i % 3]} if i % 3 else {}),
}  # fmt: skip

# Layers of torch-geometric with which the fusion ``pyg`` is tried, beside its default.
CONVS: tuple[dict[str, Any], ...] = (
    {}, {"conv": "SAGEConv"}, {"conv": "RGCNConv"}, {"conv": "GATv2Conv", "heads": 1}, {"conv": "GCNConv"},
    {"conv": "HGTConv", "heads": 2},
)  # fmt: skip

# Checks of ``gf.testing`` that a layer of torch-geometric does not pass, and why.
SKIPPED: dict[str, tuple[str, ...]] = {
    "pyg:RGCNConv": ("without_relations",),  # takes the maximum of the relations' numbers
    "pyg:HGTConv": ("without_relations",),  # joins the messages of all relations
}


def fusion_cases() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every fusion of the catalog with options, by a name for the report."""
    cases: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in gf.FUSIONS:
        for options in CONVS if name == "pyg" else ({},):
            cases[":".join([name, *map(str, options.values())][:2])] = name, dict(options)
    return cases


FUSION_CASES = fusion_cases()


def head_of(case: str) -> Any:
    """A head by its line in ``HEADS``."""
    return gf.HEADS[case.split(":")[0]](**HEADS[case])


def taught(head: str, made: Sequence[gf.Sample]) -> list[gf.Sample]:
    """The same samples with targets of a head."""
    rows = [s.links.get(MENTIONS, torch.zeros(2, 0)).shape[1] if head == "tag:links" else len(s.nodes.get("entity", ()))
            for s in made]  # fmt: skip
    return [replace(s, target=TARGETS[head](i, n)) for i, (s, n) in enumerate(zip(made, rows))]


def targeted(head: str, count: int = 8) -> list[gf.Sample]:
    """Samples with targets of a head; of one that tags those alone of which something is known."""
    made = taught(head, samples(count))
    return [s for s in made if any(row is not None for row in s.target)] if head.startswith("tag") else made


def fusion_of(case: str, plan: gf.Schema, dim: int = 8, layers: int = 2) -> nn.Module:
    """A perturbed fusion; every call gives the same weights."""
    name, options = FUSION_CASES[case]
    with gf.seeded(3):
        return perturbed(gf.FUSIONS[name](dim, plan, layers=layers, **options))


def model_of(case: str, plan: gf.Schema, head: Any = None, **settings: Any) -> gf.FusionModel:
    """A perturbed model; every call gives the same weights."""
    name, options = FUSION_CASES[case]
    head = gf.heads.Classify(LABELS) if head is None else head
    with gf.seeded(3):
        return perturbed(gf.FusionModel(plan, head, name, **{"dim": 8, "layers": 2, **options, **settings}))


def row_numbers(made: Sequence[gf.Sample], plan: gf.Schema) -> dict[tuple[str, int, int], int]:
    """The row of each node of a laid graph, by kind, place of the sample and row within it, counted one by one."""
    rows: dict[tuple[str, int, int], int] = {}
    for kind in plan.all_kinds:
        for place, one in enumerate(made):
            for row in range(1 if kind in plan.hubs else len(one.nodes.get(kind, ()))):
                rows[kind, place, row] = len(rows)
    return rows


def same_samples(left: Sequence[gf.Sample], right: Sequence[gf.Sample]) -> bool:
    """Whether samples are equal in every field, empty kinds and relations aside."""

    def filled(values: Mapping[Any, Tensor]) -> dict[Any, list]:
        return {key: x.tolist() for key, x in values.items() if x.numel()}

    def told(s: gf.Sample) -> tuple:
        target = s.target.tolist() if isinstance(s.target, Tensor) else s.target
        return s.name, filled(s.nodes), filled(s.links), filled(s.spans), filled(s.weights), target

    return [told(s) for s in left] == [told(s) for s in right]
