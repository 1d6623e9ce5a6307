"""Accuracy of every method of the demo on the atlas, each seed with its own countries, questions, pictures, weights.

``accuracy`` is that on test questions about unseen countries (Hits@1); ``accuracy: SLICE`` are parts of the test. The
epoch is chosen on validation. The demo was designed with seed 0, whose test figures were seen; later seeds are clean.
"""

from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev

from benchmarks.rows import row
from graphfuse.demo.show import COLUMNS, demo
from graphfuse.report import Story


def run(
    name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, jobs: int = 1
) -> list[dict[str, object]]:
    seeds = list(seeds)
    comparison = demo(out, "quick" if quick else "full", "en", seeds, jobs)
    parts = Story.open(out).slices
    scores = comparison.scores()
    found = []
    for method, own in scores.groupby("method", sort=False):
        runs = [r for r in comparison.runs if r.method == method]
        for column, (dimension, part) in COLUMNS.items():
            names = set(parts[dimension][part])
            values = [own[(own["seed"] == s) & own["name"].isin(names)]["value"].mean() for s in seeds]
            found.append(row(
                task="atlas", method=method, metric="accuracy" if column == "unseen" else f"accuracy: {column}",
                mean=round(mean(values), 4), std=round(stdev(values), 4) if len(values) > 1 else 0.0, seeds=seeds,
                split="test", tuned_on="nothing" if method == "majority" else "validation",
                seconds=round(mean(r.seconds for r in runs), 1), parameters=runs[0].parameters, command=command,
            ))  # fmt: skip
    return found
