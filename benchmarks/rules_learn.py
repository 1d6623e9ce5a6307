"""What rules add to a small network: trained for what it will be asked, or with its answers made to agree afterwards.

Each seed trains two networks under one budget: without rules, by cross entropy; and with them, by cross entropy plus the
logarithm of how probable it is that all hold, which is the likelihood given the rules. Width, dropout, rate and epochs
are those that were best on validation for the network without rules (``python -m benchmarks.rules_tune``); both are then
trained on all training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import graphfuse as gf
from benchmarks import rules_data as data
from benchmarks.rules_net import Loss, Setting, cross_entropy, exact_match, logits_of, parameters_of, train
from benchmarks.rules_peers import AbsentError, shield
from benchmarks.rules_rows import OURS, Found, found
from benchmarks.rules_sets import satisfied
from benchmarks.rules_structured import GRID, SUSHI, grid_holds, grid_path, known, sushi_clauses
from graphfuse.core.jobs import side_by_side
from graphfuse.training.comparison import Comparison, Run

RAW, AFTER, SHIELD = "without rules", "without rules, then MAP", "without rules, then PiShield"
METRIC = "share with all labels right"


@dataclass(frozen=True)
class Task:
    """A set, its rules, and the setting for both networks.

    Attributes:
        told: From logits ``[B, L]`` and features to the logits that rules speak of, evidence among them.
        holds: Whether answers, with what is told, satisfy the rules.
        train_parts: The parts that train in the end.
        further: Shares beside that of rows which satisfy the rules.
    """

    read: Callable[[], data.Split]
    rules: Callable[[], gf.RuleSet]
    setting: Setting
    holds: Callable[[np.ndarray], np.ndarray]
    told: Callable[[Tensor, Tensor], Tensor] = lambda logits, x: logits
    clauses: Sequence[data.Clause] | None = None
    further: Callable[[np.ndarray], np.ndarray] | None = None


SETTINGS = {
    "yeast": Setting(width=512, dropout=0.7, rate=3e-4, epochs=51, hidden=2),
    "enron": Setting(width=128, dropout=0.2, rate=1e-3, epochs=36),
    "sushi": Setting(width=128, dropout=0.2, rate=1e-3, epochs=36),
    "grid": Setting(width=128, dropout=0.2, rate=1e-3, epochs=36),
}


def task(name: str) -> Task:
    """``yeast``, ``enron``, ``sushi`` or ``grid``."""
    if name == "grid":
        read, rules = partial(data.structured, name), partial(gf.RuleSet.parse, *GRID)
        return Task(read, rules, SETTINGS[name], grid_holds, known, further=grid_path)
    if name == "sushi":
        clauses, rules = sushi_clauses(), partial(gf.RuleSet.parse, *SUSHI)
        return Task(partial(data.structured, name), rules, SETTINGS[name], partial(satisfied, clauses), clauses=clauses)
    clauses = data.heads_clauses(data.rule_folder() / "ccn" / f"{name}_rules.txt")
    read, rules = partial(data.ccn, name), partial(data.ccn_rules, name)
    return Task(read, rules, SETTINGS[name], partial(satisfied, clauses), clauses=clauses)


def given_rules(rules: gf.RuleSet, told: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """The negative log likelihood of labels given that the rules hold, the mean over rows."""

    def loss(logits: Tensor, y: Tensor, x: Tensor) -> Tensor:
        z = told(logits, x)
        free, y = z.isfinite(), torch.nn.functional.pad(y, (0, z.shape[1] - y.shape[1]))
        each = binary_cross_entropy_with_logits(z.masked_fill(~free, 0), y, reduction="none")
        return (each.masked_fill(~free, 0).sum(1) + rules.log_partition(z)).mean()

    return loss


def measures(seeds: Sequence[int], quick: bool, jobs: int) -> Iterator[Found]:
    """All measures of this module."""
    for name in SETTINGS:
        work = [(f"{name}, seed {seed}", partial(once, name, seed, 2 if quick else None)) for seed in seeds]
        yield from told_of(name, list(side_by_side(work, jobs)), seeds)


def once(name: str, seed: int, epochs: int | None = None) -> dict[str, dict[str, Any]]:
    """Both networks of a seed and what is answered by them: by method the test rows that are right, and shares."""
    from dataclasses import replace

    own = task(name)
    split, rules, setting = (
        own.read(),
        own.rules(),
        own.setting if epochs is None else replace(own.setting, epochs=epochs),
    )
    x, y = split.rows(0)
    test, truth = split.rows(2)
    with one_thread():
        raw, plain_seconds = train(x, y, setting, seed, cross_entropy)
        exact, seconds = train(x, y, setting, seed, given_rules(rules, own.told))
        logits, wanted = logits_of(raw, test), logits_of(exact, test)
    features, count = torch.from_numpy(test), truth.shape[1]
    told = own.told(logits, features)
    answers = {
        OURS: (rules.answer(own.told(wanted, features)), seconds),
        RAW: (torch.cat([logits, told[:, count:]], 1) > 0, plain_seconds),
        AFTER: (rules.answer(told), plain_seconds),
    }
    if own.clauses is not None:
        try:
            answers[SHIELD] = shield(own.clauses, count, "labels in order")(logits.sigmoid()) > 0.5, plain_seconds
        except AbsentError:
            pass  # the measures of violations say why
    return {
        who: {"right": exact_match(each[:, :count].numpy(), truth), "seconds": took, "parameters": parameters_of(raw),
              "valid": float(own.holds(each.numpy()).mean()),
              "further": None if own.further is None else float(own.further(each.numpy()).mean())}
        for who, (each, took) in answers.items()
    }  # fmt: skip


def told_of(name: str, runs: Sequence[dict[str, dict[str, Any]]], seeds: Sequence[int]) -> Iterator[Found]:
    """Rows of what all seeds found, with a paired test over the test rows, each the mean over seeds."""
    for who, own in runs[0].items():
        each = [run[who] for run in runs]
        more = {"split": "test", "tuned_on": "validation, without rules", "parameters": own["parameters"],
                "seconds": round(fmean(e["seconds"] for e in each), 2)}  # fmt: skip
        yield found(name, who, f"{METRIC}", [e["right"].mean() for e in each], seeds, **more)
        yield found(name, who, "share that satisfies the rules", [e["valid"] for e in each], seeds, **more)
        if own["further"] is not None:
            yield found(name, who, "share that is one path", [e["further"] for e in each], seeds, **more)
        if who == OURS:
            gains = [run[OURS]["right"].mean() - run[RAW]["right"].mean() for run in runs]
            yield found(name, who, "gain in the share with all labels right", gains, seeds, **more)
            yield found(name, who, "p of the gain", paired(runs, seeds), seeds, **more)
            cost = [run[OURS]["seconds"] / run[RAW]["seconds"] for run in runs]
            yield found(name, who, "times the seconds of training", median(cost), seeds, **more)


def paired(runs: Sequence[dict[str, dict[str, Any]]], seeds: Sequence[int]) -> float:
    """The p-value of a two-sided paired t-test, as a comparison makes it."""
    made = [
        Run(who, seed, METRIC, "max", {}, {str(row): float(v) for row, v in enumerate(run[who]["right"])})
        for seed, run in zip(seeds, runs) for who in (OURS, RAW)
    ]  # fmt: skip
    return Comparison(tuple(made)).paired(OURS, RAW)[1]


class one_thread:  # noqa: N801 - used as a function
    """Small networks gain nothing from a second thread; what is shared with others loses much."""

    def __enter__(self) -> None:
        self.before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)
