"""Accuracy of every method of the demo on the atlas, each seed with its own countries, questions, pictures, weights.

``accuracy`` is that on test questions about unseen countries (Hits@1); ``accuracy: SLICE`` are parts of the test. The
epoch is chosen on validation. The demo was designed with seed 0, whose test figures were seen; later seeds are clean.
``gain`` is of accuracy over the same fusion without rules, in the same runs; ``benchmarks.atlas_rules`` has the rest of
what is measured of rules. Of each part the rows can be measured anew, others stay as they were.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.atlas_rules import SAME, each_rule, few_labels
from benchmarks.rows import read, row, write
from benchmarks.run import ATLAS
from graphfuse.demo.methods import AFTER, EXACT, METHODS, MODES, PLAIN
from graphfuse.demo.run import Seed, run_seed
from graphfuse.demo.show import COLUMNS
from graphfuse.demo.story import slices
from graphfuse.training import Comparison

UNSEEN = COLUMNS["unseen"]
LABELS = " of labels"
Values = defaultdict[tuple[str, str], list[float]]


def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, jobs: int = 1,
        parts: Sequence[str] = ATLAS) -> list[dict[str, Any]]:  # fmt: skip
    seeds, size = list(seeds), "quick" if quick else "full"
    methods = [method for method in METHODS if method == PLAIN or part_of(method) in parts]
    comparison, values, unseen = Comparison(()), Values(list), list[str]()
    stay = [] if quick else [each for each in read(name) if part_of(each["method"], each["metric"]) not in parts]
    made = list[dict[str, Any]]()
    for place, seed in enumerate(seeds):
        own = run_seed(out, seed, size, "en", _say, methods, jobs)
        comparison += own.found
        told = slices({seed: own.atlas})
        unseen += told[UNSEEN[0]][UNSEEN[1]]
        _add(values, _measures(own, told))
        if "rules" in parts:
            _add(values, each_rule(out, own.atlas, seed))
        if "labels" in parts:
            _add(values, few_labels(out, own.atlas, seed, size))
        for method in [method for method, metric in values if metric == "gain" and place]:
            values[method, "p of the gain"] = [comparison.paired(method, PLAIN, unseen)[1]]
        made = [
            _row(key, each, seeds[: place + 1], comparison, command)
            for key, each in values.items() if part_of(*key) in parts
        ]  # fmt: skip
        write(name, made, out)  # as it goes: the whole of it takes long
    order = {method: place for place, method in enumerate(METHODS)}
    return sorted(made + stay, key=lambda each: order.get(each["method"], len(order)))


def _measures(own: Seed, told: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[tuple[str, str, float]]:
    """Method, metric and value of one seed: accuracy on each part of the test, its gain, and how often rules break."""
    means = {
        (run.method, column): fmean(run.scores[name] for name in told[dimension][part])
        for run in own.found.runs for column, (dimension, part) in COLUMNS.items()
    }  # fmt: skip
    for (method, column), mean in means.items():
        yield method, "accuracy" if column == "unseen" else f"accuracy: {column}", mean
        if (method in MODES or method == AFTER) and column == "unseen":
            yield method, "gain", mean - means[PLAIN, "unseen"]
        if (method, column) == (PLAIN, "unseen"):
            yield method, SAME, mean
    for broken in own.broken:
        method = PLAIN if broken["method"] == AFTER else broken["method"]
        yield method, f"broken: {broken['rule']}", broken["before" if method in (PLAIN, EXACT) else "after"]


def _row(key: tuple[str, str], values: Sequence[float], seeds: Sequence[int], comparison: Comparison, command: str
         ) -> dict[str, Any]:  # fmt: skip
    method, metric = key
    runs = [run for run in comparison.runs if run.method == method]
    return row(
        task="atlas", method=method, metric=metric, mean=round(fmean(values), 4),
        std=round(stdev(values), 4) if len(values) > 1 else 0.0, seeds=list(seeds), split="test",
        tuned_on="nothing" if method == "majority" else "validation",
        seconds=round(fmean(run.seconds for run in runs), 1) if runs else 0.0,
        parameters=runs[0].parameters if runs else 0, command=command,
    )  # fmt: skip


def part_of(method: str, metric: str = "accuracy") -> str:
    """Which part measures a method, or one of its metrics."""
    if metric.endswith(LABELS):
        return "labels"
    if method in MODES and method != EXACT:
        return "modes"
    if method == PLAIN:
        return "plain" if metric.split(":")[0] == "accuracy" else "rules"
    return "rules" if method in (AFTER, EXACT) or method not in METHODS else "plain"


def _add(values: Values, found: Iterable[tuple[str, str, float]]) -> None:
    for method, metric, value in found:
        values[method, metric].append(value)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
