"""The demo itself: builds the atlas, trains every method under one budget, measures, and writes the folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from graphfuse.demo.atlas import HIDEABLE, cases_of
from graphfuse.demo.build import SPLITS, Atlas, build
from graphfuse.demo.methods import BUDGET, EPOCHS, METHODS, majority, unanswered, view_of
from graphfuse.model import FusionModel
from graphfuse.training import Comparison, compare, measure
from graphfuse.training.comparison import Run

SHOWN_HIDDEN = ("concat", "hgt", "relation_gate")
"""Methods for which the report says what each hidden modality costs."""

LEVEL = 1.5
"""How badly pictures are degraded; see ``pictures.py``."""

Say = Callable[[str], None]


def run_seed(
    out: Path, seed: int, size: str, language: str, say: Say, methods: Sequence[str] = METHODS
) -> tuple[Atlas, Comparison]:
    """Builds the atlas of a seed and compares the methods on it; finished runs in ``out`` are not trained again."""
    start = time.perf_counter()
    atlas = build(seed, size, language, LEVEL)
    counts = ", ".join(f"{len(atlas.cases[split]):,} {split}" for split in SPLITS)
    say(f"seed {seed}: {counts} questions over {len(atlas.kg):,} entities and {len(atlas.kg.heads):,} facts "
        f"({time.perf_counter() - start:.0f} s)")  # fmt: skip
    comparison = Comparison(())
    for method in methods:
        runs = _majority(atlas, seed) if method == "majority" else _trained(out, atlas, method, seed, size)
        comparison += runs
        own = runs.runs[0]
        mean = sum(own.scores.values()) / len(own.scores)
        cost = f"{own.seconds:5.0f} s   {own.parameters:>9,} parameters"
        say(f"  {method:<18} {100 * mean:5.1f} % of all test questions   {cost}")
    comparison.save(out / f"atlas-{seed}")
    return atlas, comparison


def model_folder(out: Path, seed: int, method: str) -> Path:
    """Where the model of a method and a seed lies."""
    return out / f"atlas-{seed}" / method / f"seed-{seed}"


def hidden_scores(out: Path, atlas: Atlas, seed: int, found: Comparison) -> list[dict[str, str | float]]:
    """Test accuracy with one modality hidden: rows ``method, hidden, seed, mean, drop`` against what was ``found``.

    The questions are read anew without it, so that retrieval lacks it as well; where nothing is left to go by, the
    question counts as not answered.
    """
    folders = {method: model_folder(out, seed, method) for method in SHOWN_HIDDEN}
    models = {method: FusionModel.from_pretrained(own) for method, own in folders.items() if own.is_dir()}
    whole = {run.method: fmean(run.scores.values()) for run in found.runs}
    rows: list[dict[str, str | float]] = []
    for hidden in HIDEABLE:
        readings = [reading.without(hidden) for reading in atlas.readings["test"]]
        left = [r for r in readings if r.seen or (len(r.words) and atlas.kg.link(r.question.text))]
        cases = cases_of(left, atlas.facts, atlas.kg, atlas.readers)
        for method, model in models.items():
            right = float(measure(model, [case.sample for case in cases])["accuracy"].sum()) / len(readings)
            rows.append({"method": method, "hidden": hidden, "seed": seed, "mean": right,
                         "drop": whole[method] - right})  # fmt: skip
    return rows


def _majority(atlas: Atlas, seed: int) -> Comparison:
    valid = majority(atlas, "valid")
    mean = sum(valid.values()) / len(valid)
    return Comparison((Run("majority", seed, "accuracy", "max", {"accuracy": mean}, _named(majority(atlas), seed)),))


def _trained(out: Path, atlas: Atlas, method: str, seed: int, size: str) -> Comparison:
    view = view_of(method, atlas)
    train, valid, test = (view.samples[split] for split in SPLITS)
    folder = out / f"atlas-{seed}"
    found = compare({method: view.make}, train, valid, test, [seed], folder, epochs=EPOCHS[size], **BUDGET)
    missing = unanswered(atlas, method) if method in ("text", "image") else {}
    return Comparison(tuple(replace(r, scores=_named({**r.scores, **missing}, seed)) for r in found.runs))


def _named(scores: dict[str, float], seed: int) -> dict[str, float]:
    """Names that are unique over seeds, since every seed draws its own questions."""
    return {f"{seed}/{name}": value for name, value in scores.items()}
