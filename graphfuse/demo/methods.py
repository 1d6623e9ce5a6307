"""The methods that the demo compares: what each sees, and how it is made. One budget for all that are trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from graphfuse.core.sample import Sample
from graphfuse.core.schema import Schema
from graphfuse.demo.atlas import PICTURES, Case
from graphfuse.demo.build import SPLITS, Atlas
from graphfuse.heads import Choose, Classify
from graphfuse.model import FusionModel

DIM, DROPOUT = 64, 0.3
LAYERS = {"cross_transformer": 1, "hgt": 2}
"""Three where not said. A layer of the transformer has twelve crossings; two of hgt reach from a country to any answer,
for its nodes know how well they match the pictures; the other three also pool or ground in their first."""
BUDGET = {"batch_size": 32, "learning_rate": 2e-3}
EPOCHS = {"full": 3, "quick": 3, "tiny": 1}

PLAIN = "relation_gate"
"""The fusion that is compared with rules and without."""
RULES = Path(__file__).with_name("atlas.rules")
AFTER = f"{PLAIN} + rules, answers only"
"""The model trained without rules, which answers under them: it is not trained."""
EXACT, LOSS, REFINE = (f"{PLAIN} + rules, {mode}" for mode in ("exact", "loss", "refine"))
MODES = {EXACT: "exact", LOSS: "loss", REFINE: "refine"}
METHODS = ("majority", "text", "image", "concat", "attention", "cross_transformer", "pipeline", "no_messages", "hgt",
           PLAIN, AFTER, *MODES)  # fmt: skip
FULL = tuple(method for method in METHODS if method not in (LOSS, REFINE))
"""What the demo compares; of the ways to train with rules one, as each takes as long as the longest of the others."""
QUICK = tuple(method for method in FULL if method not in ("attention", "cross_transformer", "hgt"))
"""What ``--quick`` compares: the slow ones are left out."""
GROUPS = {
    "majority": "no features", "text": "one modality", "image": "one modality", "concat": "no graph",
    "attention": "no graph", "cross_transformer": "no graph", "pipeline": "hard link, then graph",
    "no_messages": "no graph", "hgt": "graph", PLAIN: "graph",
    **dict.fromkeys((AFTER, *MODES), "graph and rules"),
}  # fmt: skip
GRAPH = ("hgt", PLAIN)


@dataclass(frozen=True)
class View:
    """What a method sees of the atlas: an untrained model, and samples by split."""

    make: Callable[[], FusionModel]
    samples: dict[str, list[Sample]]


def view_of(method: str, atlas: Atlas) -> View:
    """The view of a trained method; ``majority`` and ``AFTER`` have none."""
    if method in ("text", "image"):
        kinds = ("text",) if method == "text" else PICTURES
        return _one_modality(atlas, kinds)
    schema = atlas.schema if method != "no_messages" else Schema(atlas.schema.kinds)
    fusion = PLAIN if method in ("pipeline", "no_messages", *MODES) else method
    rules: dict[str, Any] = {"rules": RULES, "rule_mode": MODES[method]} if method in MODES else {}
    cases = {split: atlas.hard(split) if method == "pipeline" else atlas.cases[split] for split in SPLITS}
    samples = {split: [case.sample for case in own] for split, own in cases.items()}
    if method == "no_messages":
        samples = {split: [replace(s, links={}, weights={}) for s in own] for split, own in samples.items()}
    layers = LAYERS.get(method, 3)
    make = partial(FusionModel, schema, Choose("entity"), fusion, dim=DIM, layers=layers, dropout=DROPOUT, **rules)
    return View(make, samples)


def vocabulary(cases: Sequence[Case]) -> tuple[str, ...]:
    """Every right answer of some cases, sorted."""
    return tuple(sorted({answer for case in cases for answer in case.question.answers}))


def majority(atlas: Atlas, split: str = "test") -> dict[str, float]:
    """Sample of a split -> 1 where the most frequent training answer of the question's type is right."""
    counts: dict[str, Counter[str]] = {}
    for case in atlas.cases["train"]:
        counts.setdefault(case.question.type, Counter()).update(case.question.answers)
    best = {kind: min(own, key=lambda name: (-own[name], name)) for kind, own in counts.items()}
    return {c.question.name: float(best.get(c.question.type) in c.question.answers) for c in atlas.cases[split]}


def unanswered(atlas: Atlas, method: str) -> dict[str, float]:
    """Test samples of which a one-modality method sees nothing: it gives the most frequent training answer of all."""
    counts = Counter(answer for case in atlas.cases["train"] for answer in case.question.answers)
    best = min(counts, key=lambda name: (-counts[name], name))
    seen = {sample.name for sample in view_of(method, atlas).samples["test"]}
    return {
        case.question.name: float(best in case.question.answers)
        for case in atlas.cases["test"]
        if case.question.name not in seen
    }


def _one_modality(atlas: Atlas, kinds: Sequence[str]) -> View:
    """A classifier over all answers of the training questions; answers never seen there cannot be given."""
    labels = vocabulary(atlas.cases["train"])
    known = set(labels)
    schema = Schema({kind: atlas.schema.kinds[kind] for kind in kinds})
    samples = {
        split: [
            Sample(case.sample.name, own, target=tuple(a for a in case.question.answers if a in known))
            for case in atlas.cases[split]
            if (own := {kind: case.sample.nodes[kind] for kind in kinds if kind in case.sample.nodes})
        ]
        for split in SPLITS
    }
    make = partial(FusionModel, schema, Classify(labels), "attention", dim=DIM, layers=3, dropout=DROPOUT)
    return View(make, samples)
