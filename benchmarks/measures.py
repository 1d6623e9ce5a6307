"""What ``python -m benchmarks.run speed`` measures within one process: ours and the stock way in turn, numbers checked.

A measure is ``(seed, quick, device) -> {metric: value}``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise
from statistics import median

import torch

import graphfuse as gf
from benchmarks import batching, epoch, padded, scaling, share
from benchmarks.clock import compared, in_turn
from benchmarks.stock import STOCK, bare, pair, run_stock
from benchmarks.workload import check_close, check_same, drawn, forward, parameters_of, samples_of, step, workload

COMPLETE, NEAREST = batching.WAYS["complete"], batching.WAYS["nearest"]


def layers(name: str, way: batching.Way, backward: bool, seed: int, quick: bool, device: str) -> dict[str, float]:
    """Our layers of a name against PyG's with the same weights, on the same edges."""
    work = workload(samples_of(seed, quick), way, device)
    ours, theirs = pair(name, work, seed)
    mine, stock = partial(work.ours, ours), run_stock(name, work, theirs)
    x = work.leaf()
    check_same(name, mine, stock, x)
    ways = [partial(step if backward else forward, run, x) for run in (mine, stock)]
    repeats = 3 if name == "hgt" else 7  # PyG's HGT takes seconds
    return compared(in_turn(ways, 1 if quick else repeats, device), parameters_of(ours))


def building(name: str, before: int, seed: int, quick: bool, device: str) -> dict[str, float]:
    """Building a batch with its edges; on the processor, whatever the device. ``before``: see ``clock.in_turn``."""
    return compared(batching.measured(samples_of(seed, quick), batching.WAYS[name], 1 if quick else 9, before))


def growth(name: str, seed: int, quick: bool, device: str) -> dict[str, float]:
    """Our layers on samples with twice the nodes, against those with once."""
    works = [workload(samples_of(seed, quick, scale), COMPLETE, device, listed=False) for scale in (1, 2)]
    ours = bare(name, works[0], seed)
    once, twice = in_turn(
        [partial(step, partial(work.ours, ours), work.leaf()) for work in works], 1 if quick else 7, device
    )
    return {"times the milliseconds": median(twice) / median(once), "parameters": parameters_of(ours)}


def spread(seed: int, quick: bool, device: str) -> dict[str, float]:
    """One large sample among small ones, against the large one and the small ones apart."""
    samples = drawn(seed, [counts(20)] * 31 + [counts(400 if quick else 2000)])
    works = [workload(some, COMPLETE, device, listed=False) for some in (samples, samples[:-1], samples[-1:])]
    ours = bare("hgt", works[0], seed)
    together, few, one = (forward(partial(work.ours, ours), work.graph.x) for work in works)
    parts = zip(works[1].graph.split(few), works[2].graph.split(one))
    check_close("spread, states", together, torch.cat([x for part in parts for x in part]))
    ways = [partial(step, partial(work.ours, ours), work.leaf()) for work in works]
    together, few, one = (median(own) for own in in_turn(ways, 1 if quick else 5, device))
    return {"times the milliseconds apart": together / (few + one), "milliseconds, ours": 1000 * together,
            "parameters": parameters_of(ours)}  # fmt: skip


def counts(nodes: int) -> dict[str, int]:
    """Nodes of each kind, in the usual shares, together ``nodes``."""
    upto = [0, *accumulate(batching.SIZES.values())]
    return {kind: round(nodes * b / upto[-1]) - round(nodes * a / upto[-1])
            for kind, (a, b) in zip(batching.SIZES, pairwise(upto))}  # fmt: skip


Measure = Callable[[int, bool, str], dict[str, float]]
MEASURES: dict[str, Measure] = {
    "hgt, complete, forward + backward": partial(layers, "hgt", COMPLETE, True),
    "hgt, complete, forward": partial(layers, "hgt", COMPLETE, False),
    "hgt, 8 nearest, forward + backward": partial(layers, "hgt", NEAREST, True),
    **{
        f"{name}, complete, forward + backward": partial(layers, name, COMPLETE, True)
        for name in ("sage", "rgcn", "gcn", "graph_transformer", "gatv2")
    },
    **{f"{name}, complete, peak memory": partial(scaling.memory, name) for name in ("hgt", "gatv2")},
    **{f"building, {name}": partial(building, name, 0) for name in batching.WAYS},
    **{f"building, {name}, batch after batch": partial(building, name, 3) for name in batching.WAYS},
    "one epoch, end to end": epoch.measured,
    "hgt blocks and padding": padded.measured,
    "sage, twice the nodes": partial(growth, "sage"),
    "rgcn, twice the nodes": partial(growth, "rgcn"),
    "hgt, twice the nodes": partial(scaling.growth, "hgt"),
    "one large sample among small ones": spread,
    "hgt and one matrix product": share.measured,
    **{f"hgt, {scale:g} times the nodes, 8 samples": partial(scaling.at, scale) for scale in scaling.SCALES},
}


def known(method: str) -> bool:
    """Whether the layer of a measure is in the catalog yet."""
    name = method.split(",")[0]
    return name not in STOCK or name in gf.FUSIONS
