"""The demo itself: builds the atlas, trains every method under one budget, measures, and writes the folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

from graphfuse.demo.atlas import HIDEABLE, cases_of
from graphfuse.demo.build import SPLITS, Atlas, build
from graphfuse.demo.methods import BUDGET, EPOCHS, METHODS, majority, unanswered, view_of
from graphfuse.model import FusionModel
from graphfuse.training import Comparison, Run, measure
from graphfuse.training.compare import folder_of, run_all, run_name, run_of

SHOWN_HIDDEN = ("concat", "hgt", "relation_gate")
"""Methods for which the report says what each hidden modality costs."""

LEVEL = 1.5
"""How badly pictures are degraded; see ``pictures.py``."""

Say = Callable[[str], None]


def run_seed(
    out: Path, seed: int, size: str, language: str, say: Say, methods: Sequence[str] = METHODS, jobs: int = 1
) -> tuple[Atlas, Comparison]:
    """Builds the atlas of a seed and compares the methods on it, ``jobs`` at a time; finished runs in ``out`` are not
    trained again."""
    start = time.perf_counter()
    atlas = build(seed, size, language, LEVEL)
    counts = ", ".join(f"{len(atlas.cases[split]):,} {split}" for split in SPLITS)
    say(f"seed {seed}: {counts} questions over {len(atlas.kg):,} entities and {len(atlas.kg.heads):,} facts "
        f"({time.perf_counter() - start:.0f} s)")  # fmt: skip
    runs = list[Run]()
    costly_first = tuple(reversed(methods))  # so that no core waits at the end
    work = [(run_name(method, seed), partial(_run, out, atlas, method, seed, size)) for method in costly_first]
    for own in run_all(work, jobs):
        runs.append(own)
        mean = sum(own.scores.values()) / len(own.scores)
        cost = f"{own.seconds:5.0f} s   {own.parameters:>9,} parameters"
        say(f"  {own.method:<18} {100 * mean:5.1f} % of all test questions   {cost}")
    return atlas, Comparison(tuple(reversed(runs)))


def model_folder(out: Path, seed: int, method: str) -> Path:
    """Where the model of a method and a seed lies."""
    return folder_of(out / f"atlas-{seed}", method, seed)


def hidden_scores(out: Path, atlas: Atlas, seed: int, found: Comparison, jobs: int = 1) -> list[dict[str, str | float]]:
    """Test accuracy with one modality hidden: rows ``method, hidden, seed, mean, drop`` against what was ``found``.

    The questions are read anew without it, so that retrieval lacks it as well; where nothing is left to go by, the
    question counts as not answered.
    """
    methods = [method for method in SHOWN_HIDDEN if model_folder(out, seed, method).is_dir()]
    work = [(f"without {hidden}", partial(_hidden, out, atlas, seed, hidden, methods)) for hidden in HIDEABLE]
    whole = {run.method: fmean(run.scores.values()) for run in found.runs}
    return [
        {"method": method, "hidden": hidden, "seed": seed, "mean": right, "drop": whole[method] - right}
        for hidden, own in zip(HIDEABLE, run_all(work, jobs))
        for method, right in own.items()
    ]


def _hidden(out: Path, atlas: Atlas, seed: int, hidden: str, methods: Sequence[str]) -> dict[str, float]:
    """Method -> test accuracy with one modality hidden."""
    readings = [reading.without(hidden) for reading in atlas.readings["test"]]
    left = [r for r in readings if r.seen or (len(r.words) and atlas.kg.link(r.question.text))]
    samples = [case.sample for case in cases_of(left, atlas.facts, atlas.kg, atlas.readers)]
    models = {method: FusionModel.from_pretrained(model_folder(out, seed, method)) for method in methods}
    right = {method: measure(model, samples)["accuracy"].sum() for method, model in models.items()}
    return {method: float(count) / len(readings) for method, count in right.items()}


def _run(out: Path, atlas: Atlas, method: str, seed: int, size: str) -> Run:
    if method == "majority":
        checked = majority(atlas, "valid")
        mean = sum(checked.values()) / len(checked)
        return Run(method, seed, "accuracy", "max", {"accuracy": mean}, _named(majority(atlas), seed))
    view, folder, budget = view_of(method, atlas), model_folder(out, seed, method), {"epochs": EPOCHS[size], **BUDGET}
    train, valid, test = (view.samples[split] for split in SPLITS)
    run, _ = run_of(method, view.make, (train, valid, test), seed, folder, budget)
    missing = unanswered(atlas, method) if method in ("text", "image") else {}
    return replace(run, scores=_named({**run.scores, **missing}, seed))


def _named(scores: dict[str, float], seed: int) -> dict[str, float]:
    """Names that are unique over seeds, since every seed draws its own questions."""
    return {f"{seed}/{name}": value for name, value in scores.items()}
