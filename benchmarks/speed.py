"""Speed and memory of our layers, of building batches and of training, against what a user would take from stock.

32 samples with kinds of 20, 49, 30 and 10 nodes (half more or less), width 128, 4 heads, 2 layers, 2 threads. Measures
are in ``benchmarks.measures``. They run apart from this process, which keeps freed memory as the command does: with the
allocator as a user's own script has it, and some once more with freed memory kept.
"""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

from benchmarks.apart import fresh
from benchmarks.rows import row
from graphfuse.core.errors import InputError

WORKER = "benchmarks.speed_worker"
LAYER, BUILT, KEPT = (
    "hgt, complete, forward + backward",
    ("complete", "listed", "nearest", "overlap"),
    ", freed memory kept",
)
AGAIN = (LAYER, *(f"building, {name}, batch after batch" for name in BUILT))
"""What is measured with freed memory kept too."""


def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, device: str) -> list[dict[str, object]]:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device is cuda, and torch finds no such device here; leave it out.")
    asked = {"seeds": list(seeds), "quick": quick, "device": device}
    found = fresh(WORKER, {**asked, "methods": None})
    if device == "cpu":
        again = fresh(WORKER, {**asked, "methods": AGAIN}, kept=True)
        found |= {f"{method}{KEPT}": each for method, each in again.items()}
    return rows_of(found, asked["seeds"], name if device == "cpu" else f"{name}_{device}", command)


def rows_of(found: dict[str, list[dict[str, float]]], seeds: list[int], task: str, command: str) -> list[dict]:
    """One row a measure and metric, from what each seed found."""
    rows = []
    for method, each in found.items():
        parameters, seconds = (int(each[0].get("parameters", 0)), sum(one["seconds"] for one in each))
        for metric in each[0]:
            if metric in ("parameters", "seconds"):
                continue
            values = [one[metric] for one in each if metric in one]
            rows.append(row(
                task=task, method=method, metric=metric, mean=rounded(fmean(values)),
                std=rounded(stdev(values)) if len(values) > 1 else 0.0,
                seeds=[seed for seed, one in zip(seeds, each) if metric in one], split="generated",
                tuned_on="nothing", seconds=round(seconds, 1), parameters=parameters, command=command,
            ))  # fmt: skip
    return rows


def rounded(value: float) -> float:
    """To four digits: more are noise."""
    return float(f"{value:.4g}")
