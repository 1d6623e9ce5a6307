"""How near HGT comes to the rate of one large matrix product on the same machine, measured in turn with it."""

from __future__ import annotations

from functools import partial
from statistics import median

import torch

from benchmarks import batching
from benchmarks.clock import in_turn
from benchmarks.stock import bare
from benchmarks.workload import HEADS, Workload, forward, parameters_of, samples_of, workload

SQUARE = 2048
"""Rows and columns of the matrices, float32."""


def measured(seed: int, quick: bool, device: str) -> dict[str, float]:
    """Forward over complete relations, by the multiply-adds that it needs at least."""
    work = workload(samples_of(seed, quick), batching.WAYS["complete"], device, listed=False)
    ours = bare("hgt", work, seed)
    square = torch.randn(SQUARE, SQUARE, device=device)
    ways = [partial(forward, partial(work.ours, ours), work.graph.x), lambda: square @ square]
    mine, peak = (median(own) for own in in_turn(ways, 1 if quick else 15, device))
    rate = len(ours) * multiply_adds(work) / mine
    return {"share of the matrix-product peak": rate / (SQUARE**3 / peak), "parameters": parameters_of(ours),
            "billion multiply-adds a second": rate / 1e9, "milliseconds, ours": 1000 * mine}  # fmt: skip


def multiply_adds(work: Workload) -> int:
    """Of one HGT layer over complete relations."""
    graph, (nodes, dim) = work.graph, work.graph.x.shape
    sizes = dict(zip(graph.schema.all_kinds, graph.kind_sizes))
    told = sum(sizes[relation[0]] for relation in graph.schema.relations) * dim * 2 * dim  # keys and values
    folded = len(graph.schema.relations) * 2 * (dim // HEADS) * dim * (dim + 1)  # transforms times projections
    attended = 2 * dim * int((graph.counts.sum(0) ** 2).sum())  # query times key, share times value
    return nodes * dim * dim + told + folded + attended + nodes * dim * dim
