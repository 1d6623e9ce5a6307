"""Means over the pairs of each relation of what a function makes of the two nodes, in memory that pairs do not fill."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from graphfuse.core.graph import FusionGraph
from graphfuse.core.layout import Given, layout, rows_of, table_of
from graphfuse.core.message import gated, segment
from graphfuse.core.places import put
from graphfuse.core.table import Move, moved

CHUNK = 1 << 18
"""Numbers of pairs that are held at once, so that they stay in the cache of a core."""


def chunks(blocks: int, queries: int, line: int) -> Iterator[tuple[slice, slice]]:
    """Blocks, and target nodes within them, of at most ``CHUNK`` numbers together, or of one node.

    ``line`` is how many numbers a target node has with all its sources.
    """
    rows = min(queries, max(1, CHUNK // line))
    many = max(1, CHUNK // (line * queries))
    for first in range(0, blocks, many):
        for row in range(0, queries, rows):
            yield slice(first, first + many), slice(row, row + rows)


def mean_over_pairs(
    graph: FusionGraph, target: Given, source: Given, make: Callable[[Tensor, Tensor], Tensor]
) -> list[Tensor]:
    """For each relation of a graph, the mean over a node's in-edges of what is made of it and the source.

    Args:
        graph: Where the relations are laid.
        target: ``[N, w]``, or one ``[N_target, w]`` a relation, also as a table.
        source: ``[N, d]``, or one ``[N_source, d]`` a relation, also as a table.
        make: ``target [.., w], source [.., d] -> [.., d]``; called again in the backward pass.

    Returns:
        ``[N_target, d]`` a relation, zeros where no edge ends.
    """
    relations = graph.relations
    if not relations:
        return []
    sources, targets = ([laid.relation[end] for laid in relations] for end in (0, 2))
    ask, tell = table_of(graph, target, targets), table_of(graph, source, sources)
    where = layout(graph, relations, tuple((kind, (r,)) for r, kind in enumerate(targets)))
    total = None
    if where.alone:
        plan, one = where.alone, [bucket.blocks for bucket in where.alone.buckets]
        rows = [
            moved(table.rows, Move(torch.from_numpy(at.rows(table.first, table.step)).to(graph.x.device)))
            for table, at in ((ask, plan.query), (tell, plan.source))
        ]
        here, there = (
            [part.unflatten(0, (n, -1)) for part, n in zip(each.split(at.sizes), one)]
            for each, at in zip(rows, (plan.query, plan.source))
        )
        means = []
        for q, s, bucket in zip(here, there, plan.buckets):
            real = (
                q.new_ones(q.shape[0], 1, s.shape[1]) if bucket.real is None else bucket.real[:, 0].to(q.dtype)
            )  # [n, 1, S]
            share = real / real.sum(2, keepdim=True)
            parts = [
                checkpoint(_weighed, make, q[part, own], s[part], share[part], use_reentrant=False)
                for part, own in chunks(q.shape[0], q.shape[1], s.shape[1] * s.shape[2])
            ]
            means.append(torch.cat([part.flatten(0, 1) for part in parts]))
        total = put(plan, torch.cat(means), 1)[:, 0]
    if where.listed:
        edges = where.listed
        made = make(rows_of(ask, edges.asks, edges.asked), rows_of(tell, edges.tells, edges.told))
        mean = segment(gated(made, edges.joined([laid.gate for laid in relations])), edges.index, edges.rows, "mean")
        total = mean if total is None else total + mean
    sizes = [len(graph.owner(kind)) for kind in targets]
    if total is None:
        total = graph.x.new_zeros(sum(sizes), tell.rows.shape[1])
    return list(total.split(sizes))


def _weighed(make: Callable[[Tensor, Tensor], Tensor], target: Tensor, source: Tensor, share: Tensor) -> Tensor:
    """``target [n, q, w], source [n, S, d], share [n, 1, S] -> [n, q, d]``."""
    return (make(target[:, :, None], source[:, None]) * share[..., None]).sum(2)
