"""Sparse relations in blocks, where edges are so many that to go through all pairs costs less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.buckets import Plan
from graphfuse.core.graph import FusionGraph, Laid


def masked(
    graph: FusionGraph, relations: Sequence[Laid], plan: Plan, into: Sequence[tuple[str, Sequence[int]]]
) -> Plan:
    """The plan with only those pairs that meet by a relation; an edge that comes ``m`` times counts ``m`` times.

    Args:
        graph: Where the relations are laid.
        relations: Of the graph; the numbers of the plan's sources are places in them.
        plan: Blocks of all nodes at the ends of the relations.
        into: The plan's groups: a kind, and the places of its relations.
    """
    device, samples = graph.x.device, len(graph)
    origin, width, total = _blocks(plan, len(into) * samples)
    counts = torch.zeros(total, dtype=torch.long, device=device)
    begin = np.concatenate([np.zeros((len(graph.counts), 1), np.int64), graph.counts.cumsum(1)], 1)
    for group, (kind, own) in enumerate(into):
        blocks = slice(group * samples, (group + 1) * samples)
        before = np.zeros(samples, np.int64)  # of the sources in a block, those of earlier relations
        for place in own:
            laid = relations[place]
            source, target = (graph.place(end) for end in (laid.relation[0], kind))
            if laid.pairs is not None:
                first = origin[blocks] + before - begin[source, :-1] - begin[target, :-1] * width[blocks]
                at, step = (torch.from_numpy(each).to(device) for each in (first, width[blocks].copy()))
                owner = graph.owners[laid.pairs[1]]
                start = graph.rows(laid.relation[0]).start, graph.rows(kind).start
                spot = at[owner] + (laid.pairs[1] - start[1]) * step[owner] + laid.pairs[0] - start[0]
                counts += torch.bincount(spot, minlength=total)
            before = before + graph.counts[source]
    always = torch.from_numpy(np.isin(plan.source.group, [r for r, laid in enumerate(relations) if laid.dense]))
    dense = always & torch.from_numpy(plan.source.real)
    return _with(plan, counts, dense.to(device))


def _blocks(plan: Plan, count: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Of each block of each group where its pairs begin and how many sources a row of them has; and all pairs."""
    origin, width, total, done = np.zeros(count, np.int64), np.zeros(count, np.int64), 0, 0
    for bucket in plan.buckets:
        own = plan.blocks[done : done + bucket.blocks]
        pairs = bucket.queries * bucket.sources
        origin[own], width[own] = total + pairs * np.arange(bucket.blocks), bucket.sources
        total, done = total + pairs * bucket.blocks, done + bucket.blocks
    return origin, width, total


def _with(plan: Plan, counts: Tensor, dense: Tensor) -> Plan:
    """The plan with masks made of how often each pair of each block meets, and which sources always do."""
    buckets, answer, lost = [], [], []
    many = int(counts.max()) > 1 if len(counts) else False
    parts = counts.split([b.blocks * b.queries * b.sources for b in plan.buckets])
    total = len(plan.back)
    for bucket, part, always, rows in zip(plan.buckets, parts, dense.split(plan.source.sizes), plan.answer):
        meets = part.view(bucket.blocks, 1, bucket.queries, bucket.sources)
        every = always.view(bucket.blocks, 1, 1, bucket.sources)
        mask = (meets > 0) | every
        none = ~mask.any(3, keepdim=True)  # a node that nothing reaches attends to all, and its result is dropped
        lost.append(none.flatten())
        answer.append(rows.masked_fill(none.flatten(), total))
        if many:
            own = torch.where(every | none, 0.0, meets.double().log())
            buckets.append(bucket._replace(real=own))
        else:
            buckets.append(bucket._replace(real=mask | none))
    gone = torch.cat([*lost, lost[0].new_ones(1)])[plan.back]
    back = plan.back.masked_fill(gone, sum(plan.query.sizes))
    return replace(plan, buckets=tuple(buckets), answer=tuple(answer), back=back, reached=~gone, known={})
