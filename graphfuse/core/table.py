"""Rows moved between tables and blocks, and maps of rows, with backward passes that fill nothing twice.

torch's own backward of a slice or a look-up makes zeros as large as what it was taken from, once a slice; here each
table gets its gradient in one buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True, eq=False)
class Table:
    """One row for each node of several groups: row ``i`` of group ``g`` is ``rows[first[g] + step[g] * i]``.

    What a kind sends over many relations lies side by side, as one product of matrices leaves it.
    """

    rows: Tensor
    first: tuple[int, ...]
    step: tuple[int, ...]

    @staticmethod
    def joined(parts: Sequence[Tensor]) -> Table:
        """Group after group."""
        first = tuple(accumulate((len(part) for part in parts), initial=0))[:-1]
        return Table(torch.cat(list(parts)) if len(parts) != 1 else parts[0], first, (1,) * len(parts))


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, into: Sequence[Tensor], whole: bool, blocks: Sequence[int], *rows: Tensor
                ) -> tuple[Tensor, ...]:  # fmt: skip
        ctx.save_for_backward(*(into or rows))
        ctx.once, ctx.whole, ctx.shape = bool(into), whole, table.shape
        return tuple(table.index_select(0, each).view(n, -1, table.shape[1]) for each, n in zip(rows, blocks))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        count, width = ctx.shape
        total = (grads[0].new_empty if ctx.whole else grads[0].new_zeros)(count + 1, width)
        for rows, grad in zip(ctx.saved_tensors, grads):
            if ctx.once:
                total.index_copy_(0, rows, grad.flatten(0, 1))
            else:
                total.index_add_(0, rows, grad.flatten(0, 1))
        return (total[:-1], *[None] * (3 + len(grads)))


def take(
    table: Tensor, rows: Sequence[Tensor], blocks: Sequence[int], into: Sequence[Tensor] = (), whole: bool = False
) -> tuple[Tensor, ...]:
    """Rows of a table in blocks: ``[n, m, d]`` by each ``int64 [n * m]``.

    Args:
        table: ``[t, d]``.
        rows: Which.
        blocks: How many each is parted into.
        into: Where the gradient of each goes: as ``rows``, but ``t`` where a place pads. Left out where a row may be
            taken twice.
        whole: Whether every row of the table is in ``into``.
    """
    return _Take.apply(table, tuple(into), whole, blocks, *rows)


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, back: Tensor, answer: Sequence[Tensor], *blocks: Tensor) -> Tensor:
        ctx.save_for_backward(*answer)
        ctx.shapes = [block.shape for block in blocks]
        flat = [block.flatten(0, 1) for block in blocks]
        return torch.cat([*flat, flat[0].new_zeros(1, flat[0].shape[1])]).index_select(0, back)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        padded = torch.cat([grad, grad.new_zeros(1, grad.shape[1])])
        got = (padded.index_select(0, rows).view(shape) for rows, shape in zip(ctx.saved_tensors, ctx.shapes))
        return (None, None, *got)


def put(blocks: Sequence[Tensor], back: Tensor, answer: Sequence[Tensor]) -> Tensor:
    """Rows out of blocks, ``[n, m, d]`` each, as ``[t, d]``.

    Args:
        blocks: At least one.
        back: Where each row stands among the places of all blocks, or the number after the last for zeros.
        answer: Which row stands at each place of each block, or ``t`` where one pads.
    """
    return _Put.apply(back, answer, *blocks)


class _MapSpans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, spans: tuple[slice, ...], *maps: Tensor) -> Tensor:
        ctx.spans, ctx.width = spans, x.shape[1]
        if maps[0].shape[1] > ctx.width:  # a bias as one more column: no pass of its own, forward or backward
            x = torch.nn.functional.pad(x, (0, 1), value=1.0)
        ctx.save_for_backward(x, *maps)
        out = x.new_empty(sum((own.stop - own.start) * len(w) for own, w in zip(spans, maps)))
        for part, own, w in zip(_parts(out, spans, maps), spans, maps):
            torch.mm(x[own], w.t(), out=part)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *maps = ctx.saved_tensors
        parts = _parts(grad, ctx.spans, maps)
        below = x.new_zeros(len(x), ctx.width)
        for own, part, w in zip(ctx.spans, parts, maps):
            below[own].addmm_(part, w[:, : ctx.width])
        return (below, None, *(part.t() @ x[own] for part, own in zip(parts, ctx.spans)))


def _parts(flat: Tensor, spans: Sequence[slice], maps: Sequence[Tensor]) -> list[Tensor]:
    wide = [(own.stop - own.start) * len(w) for own, w in zip(spans, maps)]
    return [part.view(-1, len(w)) for part, w in zip(flat.split(wide), maps)]


def map_spans(x: Tensor, spans: Sequence[slice], maps: Sequence[Tensor]) -> Tensor:
    """Spans of rows, each by a linear map of its own, all results end to end in one flat tensor.

    Args:
        x: ``[N, d]``.
        spans: Which rows; a row may be in several.
        maps: ``[out, d]`` a span, or ``[out, d + 1]`` with a bias as the last column; ``out`` may differ.

    Returns:
        ``[sum of rows * out]``; what comes of a span lies row after row.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, maps = x.to(dtype), [w.to(dtype) for w in maps]
    return _MapSpans.apply(x, tuple(spans), *maps)
