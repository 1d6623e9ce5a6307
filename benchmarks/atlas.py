"""Accuracy of every method of the demo on the atlas, each seed with its own countries, questions, pictures, weights.

``accuracy`` is that on test questions about unseen countries (Hits@1); ``accuracy: SLICE`` are parts of the test. The
epoch is chosen on validation. The demo was designed with seed 0, whose test figures were seen; later seeds are clean.
``gain`` is of accuracy over the same fusion without rules, in the same runs; ``benchmarks.atlas_rules`` has the rest of
what is measured of rules. Of each part the rows can be measured anew, others stay as they were.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.atlas_rules import each_rule, few_labels
from benchmarks.rows import read, row
from benchmarks.run import ATLAS
from graphfuse.demo.methods import AFTER, EXACT, METHODS, MODES, PLAIN
from graphfuse.demo.run import run_seed
from graphfuse.demo.show import COLUMNS
from graphfuse.demo.story import slices
from graphfuse.training import Comparison

UNSEEN = COLUMNS["unseen"]
LABELS = " of labels"


def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, jobs: int = 1,
        parts: Sequence[str] = ATLAS) -> list[dict[str, Any]]:  # fmt: skip
    seeds, size = list(seeds), "quick" if quick else "full"
    methods = [method for method in METHODS if method == PLAIN or part_of(method) in parts]
    comparison, values = Comparison(()), defaultdict[tuple[str, str], list[float]](list)
    unseen = list[str]()
    for seed in seeds:
        own = run_seed(out, seed, size, "en", _say, methods, jobs)
        comparison += own.found
        told = slices({seed: own.atlas})
        unseen += told[UNSEEN[0]][UNSEEN[1]]
        plain = 0.0
        for each in own.found.runs:
            for column, (dimension, part) in COLUMNS.items():
                mean = fmean(each.scores[one] for one in told[dimension][part])
                values[each.method, "accuracy" if column == "unseen" else f"accuracy: {column}"].append(mean)
                plain = mean if (each.method, column) == (PLAIN, "unseen") else plain
                if (each.method in MODES or each.method == AFTER) and column == "unseen":
                    values[each.method, "gain"].append(mean - plain)
        for broken in own.broken:
            whose = PLAIN if broken["method"] == AFTER else broken["method"]
            side = "before" if whose in (PLAIN, EXACT) else "after"
            values[whose, f"broken: {broken['rule']}"].append(broken[side])
        if "rules" in parts:
            _add(values, each_rule(out, own.atlas, seed))
        if "labels" in parts:
            _add(values, few_labels(out, own.atlas, seed, size))
    for method in methods:
        if len(seeds) > 1 and (method, "gain") in values:
            values[method, "p of the gain"] = [comparison.paired(method, PLAIN, unseen)[1]]
    runs = {run.method: [other for other in comparison.runs if other.method == run.method] for run in comparison.runs}
    made = [row(
        task="atlas", method=method, metric=metric, mean=round(fmean(each), 4),
        std=round(stdev(each), 4) if len(each) > 1 else 0.0, seeds=seeds, split="test",
        tuned_on="nothing" if method == "majority" else "validation",
        seconds=round(fmean(r.seconds for r in runs[method]), 1) if method in runs else 0.0,
        parameters=runs[method][0].parameters if method in runs else 0, command=command,
    ) for (method, metric), each in values.items() if part_of(method, metric) in parts]  # fmt: skip
    stay = [] if quick else [each for each in read(name) if part_of(each["method"], each["metric"]) not in parts]
    order = [*METHODS, ""]
    return sorted(made + stay, key=lambda each: order.index(each["method"] if each["method"] in order else ""))


def part_of(method: str, metric: str = "accuracy") -> str:
    """Which part measures a method, or one of its metrics."""
    if metric.endswith(LABELS):
        return "labels"
    if method in MODES and method != EXACT:
        return "modes"
    return "rules" if method in (PLAIN, AFTER, EXACT) or method not in METHODS else "plain"


def _add(values: dict[tuple[str, str], list[float]], found: Iterable[tuple[str, str, float]]) -> None:
    for method, metric, value in found:
        values[method, metric].append(value)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
