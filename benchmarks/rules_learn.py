"""What rules add to a small network: trained for what it will be asked, or with its answers made to agree afterwards.

Each seed trains two networks under one budget: without rules, by cross entropy; and with them, by cross entropy plus
the logarithm of how probable it is that all hold, which is the likelihood given the rules. Settings are those that were
best on validation for the network without rules, or each network's own best; then the one without rules is trained at
the setting of the other too. All are trained on all training rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from statistics import fmean, median
from typing import Any

import torch

from benchmarks.rules_net import cross_entropy, exact_match, logits_of, one_thread, parameters_of, train
from benchmarks.rules_peers import AbsentError, shield
from benchmarks.rules_rows import OURS, RAW, Found, found
from benchmarks.rules_tasks import SETTINGS, given_rules, task, tuned_on
from graphfuse.core.jobs import side_by_side
from graphfuse.training.comparison import Comparison, Run

SAME, AFTER, SHIELD = "without rules, set as with them", "without rules, then MAP", "without rules, then PiShield"
METRIC = "share with all labels right"


def measures(seeds: Sequence[int], quick: bool, jobs: int) -> Iterator[Found]:
    """All measures of this module."""
    for name in ("yeast", "grid") if quick else SETTINGS:
        work = [(f"{name}, seed {seed}", partial(once, name, seed, 2 if quick else None)) for seed in seeds]
        yield from told_of(name, list(side_by_side(work, jobs)), seeds)


def once(name: str, seed: int, epochs: int | None = None) -> dict[str, dict[str, Any]]:
    """The networks of a seed and what is answered by them: by method the test rows that are right, and shares."""
    own = task(name)
    split, rules = own.read(), own.rules()
    settings = {SAME: own.settings[OURS], **own.settings}
    if epochs is not None:
        settings = {who: replace(setting, epochs=epochs) for who, setting in settings.items()}
    losses = {RAW: cross_entropy, OURS: given_rules(rules, own.told)}
    if settings[SAME] != settings[RAW]:
        losses[SAME] = cross_entropy
    (x, y), (test, truth) = split.rows(0), split.rows(2)
    features, count = torch.from_numpy(test), truth.shape[1]
    with one_thread():
        trained = {who: train(x, y, settings[who], seed, loss) for who, loss in losses.items()}
        told = {who: own.told(logits_of(model, test), features) for who, (model, _) in trained.items()}
    answers = {
        OURS: rules.answer(told[OURS]), **{who: each > 0 for who, each in told.items() if who != OURS},
        AFTER: rules.answer(told[RAW]),
    }  # fmt: skip
    if own.clauses is not None:
        with suppress(AbsentError):  # the measures of violations say why
            answers[SHIELD] = shield(own.clauses, count, "labels in order")(told[RAW].sigmoid()) > 0.5
    return {
        who: {"right": exact_match(each[:, :count].numpy(), truth), "seconds": trained.get(who, trained[RAW])[1],
              "parameters": parameters_of(trained.get(who, trained[RAW])[0]),
              "valid": float(own.holds(each.numpy()).mean()),
              "path": None if own.path is None else float(own.path(each.numpy()).mean())}
        for who, each in answers.items()
    }  # fmt: skip


def told_of(name: str, runs: Sequence[dict[str, dict[str, Any]]], seeds: Sequence[int]) -> Iterator[Found]:
    """Rows of what all seeds found, with a paired test over the test rows, each the mean over seeds."""
    for who, own in runs[0].items():
        each = [run[who] for run in runs]
        more = {"split": "test", "tuned_on": tuned_on(name), "parameters": own["parameters"],
                "seconds": round(fmean(e["seconds"] for e in each), 2)}  # fmt: skip
        yield found(name, who, f"{METRIC}", [e["right"].mean() for e in each], seeds, **more)
        yield found(name, who, "share that satisfies the rules", [e["valid"] for e in each], seeds, **more)
        if own["path"] is not None:
            yield found(name, who, "share that is one path", [e["path"] for e in each], seeds, **more)
        if who == OURS:
            for other, against in ((RAW, ""), (SAME, " over the same setting")):
                if other in runs[0]:
                    gains = [run[OURS]["right"].mean() - run[other]["right"].mean() for run in runs]
                    yield found(name, who, f"gain in the share with all labels right{against}", gains, seeds, **more)
                    yield found(name, who, f"p of the gain{against}", paired(runs, seeds, other), seeds, **more)
            cost = [run[OURS]["seconds"] / run.get(SAME, run[RAW])["seconds"] for run in runs]
            yield found(name, who, "times the seconds of training", median(cost), seeds, **more)


def paired(runs: Sequence[dict[str, dict[str, Any]]], seeds: Sequence[int], other: str = RAW) -> float:
    """The p-value of a two-sided paired t-test, as a comparison makes it."""
    made = [
        Run(who, seed, METRIC, "max", {}, {str(row): float(v) for row, v in enumerate(run[who]["right"])})
        for seed, run in zip(seeds, runs) for who in (OURS, other)
    ]  # fmt: skip
    return Comparison(tuple(made)).paired(OURS, other)[1]
