"""Queries, keys and values at their places in the blocks of :mod:`graphfuse.core.buckets`, and answers back at nodes.

A row of a table counts as one for each head; all blocks of a plan lie end to end, so that each table is read at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.buckets import Ints, Places, Plan
from graphfuse.core.small import Shape
from graphfuse.core.table import Move, Table, moved


def taken(plan: Plan, query: Table, key: Table, value: Table, heads: int) -> tuple[list[Tensor], list[int]]:
    """What stands in all blocks: ``[m, c]`` of each table, and in which order queries (0), keys (1), values (2) come.

    Of each of the three, bucket after bucket, ``[n, H, m]`` rows of a block.
    """
    wanted = [(query, plan.query), (key, plan.source), (value, plan.source)]
    rows: list[Tensor] = []
    order: list[int] = []
    for one in {id(table.rows): table.rows for table, _ in wanted}.values():
        own = [i for i, (table, _) in enumerate(wanted) if table.rows is one]
        learns = torch.is_grad_enabled() and one.requires_grad and not torch.compiler.is_compiling()
        name = (len(one), heads, *((i, wanted[i][0].first, wanted[i][0].step) for i in own))
        if name not in plan.known or (learns and not plan.known[name][1]):
            plan.known[name] = _move(plan, [wanted[i] for i in own], len(one), heads, learns), learns
        rows.append(moved(one.reshape(len(one) * heads, -1), plan.known[name][0]))
        order += own
    return rows, order


def parted(plan: Plan, rows: Sequence[Tensor], order: Sequence[int], heads: int) -> list[list[Tensor]]:
    """Queries, keys and values of each bucket, ``[n, H, m, c]``, of what :func:`taken` gives."""
    found: list[list[Tensor]] = [[] for _ in order]
    left = list(order)
    for one in rows:
        own: list[int] = []
        while sum(_count(plan, i, heads) for i in own) < len(one):
            own.append(left.pop(0))
        parts = iter(one.split([size * heads for i in own for size in _sizes(plan, i)]))
        for i in own:
            found[i] = [next(parts).view(b.blocks, heads, -1, one.shape[1]) for b in plan.buckets]
    return found


def shapes(plan: Plan, order: Sequence[int], heads: int) -> list[Shape]:
    """Where the blocks of each bucket stand, all tables end to end."""
    begin, first = [0] * 3, 0
    for i in order:
        begin[i], first = first, first + _count(plan, i, heads)
    found = []
    for bucket in plan.buckets:
        found.append(Shape(bucket.blocks * heads, bucket.queries, bucket.sources, *begin))
        begin = [at + bucket.blocks * heads * m for at, m in zip(begin, (bucket.queries, *[bucket.sources] * 2))]
    return found


def put(plan: Plan, blocks: Tensor, heads: int) -> Tensor:
    """What target nodes have of blocks, ``[m, c]``, which stand as queries do: ``[t, H, c]``."""
    name = ("put", heads)
    if name not in plan.known:
        device, total = plan.back.device, len(plan.back) * heads
        place, head = (torch.from_numpy(each).to(device) for each in _by_head(plan, plan.query.sizes, heads))
        every = (torch.cat(plan.answer)[place] * heads + head).clamp(max=total)
        back = torch.full((total + 1,), len(every), device=device)
        back[every] = torch.arange(len(every), device=device)
        plan.known[name] = Move.between(back[:-1], every)
    return moved(blocks, plan.known[name]).unflatten(0, (-1, heads))


def _move(plan: Plan, wanted: Sequence[tuple[Table, Places]], count: int, heads: int, learns: bool) -> Move:
    """How a table of ``count`` rows goes to its places, and, where something learns, its gradient back."""
    rows, real = list[Ints](), []
    for table, places in wanted:
        place, head = _by_head(plan, places.sizes, heads)
        rows.append(places.rows(table.first, table.step)[place] * heads + head)
        real.append(places.real[place])
    every, total, device = np.concatenate(rows), count * heads, plan.back.device
    slots = [slot for table, _ in wanted for slot in zip(table.first, table.step)]
    where = torch.from_numpy(every).to(device, non_blocking=True)
    if not learns or len(set(slots)) < len(slots):  # or a row may stand at several places
        return Move(where)
    back = np.full(total + 1, len(every))
    back[np.where(np.concatenate(real), every, total)] = np.arange(len(every))
    return Move.between(where, torch.from_numpy(back[:-1]).to(device, non_blocking=True))


def _by_head(plan: Plan, sizes: tuple[int, ...], heads: int) -> tuple[Ints, Ints]:
    """What stands in blocks ``[n, m]``, bucket after bucket, as ``[n, heads, m]``: the place of each, and its head.

    ``sizes``: ``n * m`` of each bucket.
    """
    name = ("by head", sizes, heads)
    if name not in plan.known:
        shapes = [(bucket.blocks, heads, size // bucket.blocks) for bucket, size in zip(plan.buckets, sizes)]
        own = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        place = [np.broadcast_to(each.reshape(n, 1, m), (n, h, m)).ravel() for each, (n, h, m) in zip(own, shapes)]
        head = [np.broadcast_to(np.arange(heads)[:, None], shape).ravel() for shape in shapes]
        plan.known[name] = np.concatenate(place), np.concatenate(head)
    found: tuple[Ints, Ints] = plan.known[name]
    return found


def _sizes(plan: Plan, i: int) -> tuple[int, ...]:
    """Places of each bucket: of queries (0), keys (1) or values (2)."""
    return plan.source.sizes if i else plan.query.sizes


def _count(plan: Plan, i: int, heads: int) -> int:
    return sum(_sizes(plan, i)) * heads
