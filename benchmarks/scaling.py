"""Peak memory of layers, and how time and memory grow with the nodes of a sample; each in a process of its own."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import NamedTuple

from benchmarks import batching
from benchmarks.apart import apart
from benchmarks.clock import in_turn, peak_of
from benchmarks.stock import bare, pair, run_stock
from benchmarks.workload import parameters_of, samples_of, step, workload

SCALES, FEW, MEGABYTE = (0.5, 1, 2, 4), 8, 1e6
"""``FEW`` samples a batch, so that PyG can be followed to twice the nodes."""
PER_EDGE, MOST = 5000, 3e9
"""Bytes that two of PyG's HGT layers take an edge, as seen, and how many they may take before they are left out."""


class Cost(NamedTuple):
    """Of one side, forward and backward."""

    bytes: int
    seconds: float
    parameters: int


def cost(name: str, ours: bool, seed: int, quick: bool, device: str, scale: float = 1, many: int | None = None,
         repeats: int = 0) -> Cost:  # fmt: skip
    """Peak memory of the first run, and median seconds of ``repeats`` more. Call it in a process of its own."""
    way = batching.WAYS["complete"]

    def made(samples: list) -> partial:
        work = workload(samples, way, device, listed=not ours)
        layers = bare(name, work, seed) if ours else pair(name, work, seed)[1]
        weights.append(parameters_of(layers))
        return partial(step, partial(work.ours, layers) if ours else run_stock(name, work, layers), work.leaf())

    weights: list[int] = []
    made(samples_of(seed, True, many=2))()  # what is loaded at first use is not memory of the run
    run = made(samples_of(seed, quick, scale, many))
    most = peak_of(run, device)
    seconds = median(in_turn([run], repeats, device)[0]) if repeats else 0.0
    return Cost(most, seconds, weights[-1])


def memory(name: str, seed: int, quick: bool, device: str) -> dict[str, float]:
    """Peak memory of our layers against PyG's."""
    ours, stock = (apart(cost, name, own, seed, quick, device) for own in (True, False))
    return {"share of stock's peak memory": ours.bytes / stock.bytes, "megabytes, ours": ours.bytes / MEGABYTE,
            "megabytes, stock": stock.bytes / MEGABYTE, "parameters": ours.parameters}  # fmt: skip


def growth(name: str, seed: int, quick: bool, device: str) -> dict[str, float]:
    """Peak memory of our layers on samples with twice the nodes, against those with once."""
    once, twice = (apart(cost, name, True, seed, quick, device, scale) for scale in (1, 2))
    return {"times the peak memory": twice.bytes / once.bytes, "parameters": once.parameters}


def at(scale: float, seed: int, quick: bool, device: str) -> dict[str, float]:
    """Time and peak memory of HGT over complete relations on few samples with ``scale`` times the nodes."""
    sizes = [sum(map(len, sample.nodes.values())) for sample in samples_of(seed, quick, scale, FEW)]
    found = {"nodes a sample": sum(sizes) / FEW}
    sides = {"ours": True} | ({"stock": False} if PER_EDGE * sum(n * n for n in sizes) < MOST else {})
    for side, ours in sides.items():
        seen = apart(cost, "hgt", ours, seed, quick, device, scale, FEW, 1 if quick else 3)
        found |= {f"milliseconds, {side}": 1000 * seen.seconds, f"megabytes, {side}": seen.bytes / MEGABYTE}
        found.setdefault("parameters", seen.parameters)
    return found
