"""The demo itself: builds the atlas, trains every method under one budget, measures, and writes the folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from graphfuse.demo import asks
from graphfuse.demo.atlas import HIDEABLE, cases_of
from graphfuse.demo.build import SPLITS, Atlas, build
from graphfuse.demo.methods import AFTER, BUDGET, EPOCHS, METHODS, PLAIN, RULES, majority, unanswered, view_of
from graphfuse.model import FusionModel, Ruled
from graphfuse.rules import RuleWarning
from graphfuse.training import Comparison, Measured, Run, measure, scored
from graphfuse.training.compare import folder_of, run_all, run_name, run_of
from graphfuse.training.told import Told

SHOWN_HIDDEN = ("concat", "hgt", "relation_gate")
"""Methods for which the report says what each hidden modality costs."""

LEVEL = 1.5
"""How badly pictures are degraded; see ``pictures.py``."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Seed:
    """What one seed gave: its atlas, the runs of the methods, and how often answers break each rule, as rows."""

    atlas: Atlas
    found: Comparison
    broken: tuple[dict[str, Any], ...]


def run_seed(
    out: Path, seed: int, size: str, language: str, say: Say, methods: Sequence[str] = METHODS, jobs: int = 1
) -> Seed:
    """Builds the atlas of a seed and compares the methods on it, ``jobs`` at a time; finished runs in ``out`` are not
    trained again."""
    start = time.perf_counter()
    atlas = build(seed, size, language, LEVEL, model_folder(out, seed, asks.FOLDER))
    counts = ", ".join(f"{len(atlas.cases[split]):,} {split}" for split in SPLITS)
    say(f"seed {seed}: {counts} questions over {len(atlas.kg):,} entities and {len(atlas.kg.heads):,} facts "
        f"({time.perf_counter() - start:.0f} s)")  # fmt: skip
    known, right = asks.right(atlas.readings["test"])
    say(f"  what is asked is told from the words of {100 * known:.1f} % of the test questions, and of these "
        f"{100 * right:.1f} % are told right")  # fmt: skip
    trained = [method for method in reversed(methods) if method != AFTER]  # the costly first, so that no core waits
    work = [(run_name(each, seed), partial(run_method, out, atlas, each, seed, EPOCHS[size])) for each in trained]
    runs, broken = dict[str, Run](), list[dict[str, Any]]()
    for own, rules in run_all(work, jobs):
        runs[own.method] = _said(own, say)
        broken += rules
    if AFTER in methods:
        own, rules = under_rules(out, atlas, runs[PLAIN])
        runs[AFTER] = _said(own, say)
        broken += rules
    return Seed(atlas, Comparison(tuple(runs[method] for method in methods)), tuple(broken))


def _said(run: Run, say: Say) -> Run:
    mean, cost = sum(run.scores.values()) / len(run.scores), f"{run.seconds:5.0f} s   {run.parameters:>9,} parameters"
    say(f"  {run.method:<35} {100 * mean:5.1f} % of all test questions   {cost}")
    return run


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


def run_method(out: Path, atlas: Atlas, method: str, seed: int, epochs: int) -> tuple[Run, Sequence[dict[str, Any]]]:
    """Trains a method, or counts for ``majority``, and answers the test; how often that breaks each rule, if any."""
    if method == "majority":
        checked = majority(atlas, "valid")
        mean = sum(checked.values()) / len(checked)
        return Run(method, seed, "accuracy", "max", {"accuracy": mean}, _named(majority(atlas), seed)), ()
    view, folder = view_of(method, atlas), model_folder(out, seed, method)
    train, valid, test = (view.samples[split] for split in SPLITS)
    with warnings.catch_warnings(action="ignore", category=RuleWarning):
        # What is asked may be told wrong; then rules forbid the right answer, and the table says what that costs.
        budget = {"epochs": epochs, "allow_broken_labels": True, **BUDGET}
        run, told = run_of(method, view.make, (train, valid, test), seed, folder, budget)
    missing = unanswered(atlas, method) if method in ("text", "image") else {}
    return replace(run, scores=_named({**run.scores, **missing}, seed)), told.rules


def under_rules(out: Path, atlas: Atlas, plain: Run) -> tuple[Run, Sequence[dict[str, Any]]]:
    """The trained model of a run without rules, answering under them; and how often that breaks each rule."""
    model, seed = FusionModel.from_pretrained(model_folder(out, plain.seed, plain.method)), plain.seed
    head = Ruled.of(model.head, RULES)
    valid, test = (Measured(head, scored(model, atlas.samples(split)).scored) for split in ("valid", "test"))
    names = [sample.name for sample in atlas.samples("test")]
    scores = _named(dict(zip(names, test.values[plain.metric].tolist())), seed)
    run = replace(plain, method=AFTER, valid=valid.metrics, scores=scores, history=())
    return run, Told.of(run, test, atlas.samples("test")).rules


def _named(scores: dict[str, float], seed: int) -> dict[str, float]:
    """Names that are unique over seeds, since every seed draws its own questions."""
    return {f"{seed}/{name}": value for name, value in scores.items()}
