"""Queries, keys and values at their places in the blocks of :mod:`graphfuse.core.buckets`, and answers back at nodes.

A row of a table counts as one for each head; all blocks of a plan lie end to end, so that each table is read at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.buckets import Bucket, Ints, Places, Plan
from graphfuse.core.small import Shape
from graphfuse.core.table import Move, Table, moved


class Taken(NamedTuple):
    """Queries (0), keys (1) and values (2) at their places: ``[m, c]`` of each table, and which of the three it has.

    What a table has lies bucket after bucket, and within a bucket one of the three after the other.
    """

    rows: tuple[Tensor, ...]
    has: tuple[tuple[int, ...], ...]

    def joined(self) -> Tensor:
        """All tables end to end."""
        return self.rows[0] if len(self.rows) == 1 else torch.cat(self.rows)

    def apart(self, plan: Plan, heads: int) -> list[Taken]:
        """Of each bucket."""
        each = (rows.split(_counts(plan, has, heads)) for rows, has in zip(self.rows, self.has))
        return [Taken(rows, self.has) for rows in zip(*each)]

    def parts(self, bucket: Bucket, heads: int) -> list[Tensor]:
        """Queries, keys and values of one bucket, ``[n, H, m, c]``, where no other stands in the rows."""
        found = [self.rows[0]] * 3
        for rows, has in zip(self.rows, self.has):
            split = rows.split([bucket.blocks * heads * _width(bucket, i) for i in has])
            for i, part in zip(has, split):
                found[i] = part.view(bucket.blocks, heads, -1, rows.shape[1])
        return found


def taken(plan: Plan, query: Table, key: Table, value: Table, heads: int) -> Taken:
    """What stands in all blocks."""
    tables, has, moves = _moves(plan, query, key, value, heads)
    return Taken(tuple(moved(rows, move) for rows, move in zip(tables, moves)), has)


def taken_apart(plan: Plan, query: Table, key: Table, value: Table, heads: int) -> Iterator[Taken]:
    """What stands in the blocks of each bucket, one bucket at a time: for where no gradient comes back."""
    tables, has, moves = _moves(plan, query, key, value, heads)
    each = (move.rows.split(_counts(plan, own, heads)) for own, move in zip(has, moves))
    for rows in zip(*each):
        yield Taken(tuple(table.index_select(0, own) for table, own in zip(tables, rows)), has)


def shapes(buckets: Sequence[Bucket], has: Sequence[tuple[int, ...]], heads: int) -> list[Shape]:
    """Where the blocks of each bucket stand, all tables end to end."""
    begin, first = [[0] * 3 for _ in buckets], 0
    for own in has:
        for at, bucket in enumerate(buckets):
            for i in own:
                begin[at][i] = first
                first += bucket.blocks * heads * _width(bucket, i)
    return [Shape(b.blocks * heads, b.queries, b.sources, *at) for b, at in zip(buckets, begin)]


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


def _moves(
    plan: Plan, query: Table, key: Table, value: Table, heads: int
) -> tuple[list[Tensor], tuple[tuple[int, ...], ...], list[Move]]:
    """The tables, a row a head; which of queries (0), keys (1) and values (2) each has, and how it goes to its places.

    Found once for all tables of one size, and anew where something learns for the first time.
    """
    wanted = [(query, plan.query), (key, plan.source), (value, plan.source)]
    tables, every, moves = [], [], []
    for one in {id(table.rows): table.rows for table, _ in wanted}.values():
        has = tuple(i for i, (table, _) in enumerate(wanted) if table.rows is one)
        learns = torch.is_grad_enabled() and one.requires_grad and not torch.compiler.is_compiling()
        name = (len(one), heads, *((i, wanted[i][0].first, wanted[i][0].step) for i in has))
        if name not in plan.known or (learns and not plan.known[name][1]):
            plan.known[name] = _move(plan, [wanted[i] for i in has], len(one), heads, learns), learns
        tables.append(one.reshape(len(one) * heads, -1))
        every.append(has)
        moves.append(plan.known[name][0])
    return tables, tuple(every), moves


def _move(plan: Plan, wanted: Sequence[tuple[Table, Places]], count: int, heads: int, learns: bool) -> Move:
    """How a table of ``count`` rows goes to its places, and, where something learns, its gradient back."""
    rows, real = [], []
    for table, places in wanted:
        place, head = _by_head(plan, places.sizes, heads)
        ends = np.cumsum([size * heads for size in places.sizes])[:-1]
        rows.append(np.split(places.rows(table.first, table.step)[place] * heads + head, ends))
        real.append(np.split(places.real[place], ends))
    by_bucket = [part for each in zip(*rows) for part in each]
    every, total, device = np.concatenate(by_bucket), count * heads, plan.back.device
    slots = [slot for table, _ in wanted for slot in zip(table.first, table.step)]
    where = torch.from_numpy(every).to(device, non_blocking=True)
    if not learns or len(set(slots)) < len(slots):  # or a row may stand at several places
        return Move(where)
    back = np.full(total + 1, len(every))
    back[np.where(np.concatenate([part for each in zip(*real) for part in each]), every, total)] = np.arange(len(every))
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


def _width(bucket: Bucket, i: int) -> int:
    """Places of a block: of queries (0), keys (1) or values (2)."""
    return bucket.sources if i else bucket.queries


def _counts(plan: Plan, has: Sequence[int], heads: int) -> list[int]:
    """Rows that a table has in each bucket."""
    return [bucket.blocks * heads * sum(_width(bucket, i) for i in has) for bucket in plan.buckets]
