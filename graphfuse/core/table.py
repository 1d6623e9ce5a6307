"""Rows moved between tables and blocks, and maps of rows, with backward passes that fill nothing twice.

torch's own backward of a slice or a look-up makes zeros as large as what it was taken from, once a slice; here each
table gets its gradient in one buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

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


class Move(NamedTuple):
    """Where rows go: row ``i`` of what comes out is row ``rows[i]`` of ``t`` that go in.

    Attributes:
        rows: ``int64 [m]``.
        empty: Places of what comes out that are zeros, ``int64 [z]``; ``None`` if there is none.
        back: Of each row that goes in the place that its gradient comes from, ``int64 [t]``. ``None`` where a row may
            stand at several places that bear gradients: then these are added.
        unused: Rows that go in and whose gradient is zero, ``int64 [u]``; ``None`` if there is none.
    """

    rows: Tensor
    empty: Tensor | None = None
    back: Tensor | None = None
    unused: Tensor | None = None

    @staticmethod
    def between(rows: Tensor, back: Tensor) -> Move:
        """From where each place is filled and where each row goes, either out of range where there is no such."""
        ends = []
        for here, there in ((rows, back), (back, rows)):
            lacks = here >= len(there)
            ends.append((here.masked_fill(lacks, 0), lacks.nonzero()[:, 0] if bool(lacks.any()) else None))
        return Move(*ends[0], *ends[1])


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, move: Move) -> Tensor:
        ctx.save_for_backward(*move)
        ctx.count = len(x)
        return _filled(x.index_select(0, move.rows), move.empty)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None]:
        move = Move(*ctx.saved_tensors)
        if move.back is not None:  # rows read where they stand: twice as quick as to write them there one by one
            return _filled(grad.index_select(0, move.back), move.unused), None
        told = grad if move.empty is None else grad.index_fill(0, move.empty, 0)
        return told.new_zeros(ctx.count, told.shape[1]).index_add_(0, move.rows, told), None


def _filled(x: Tensor, empty: Tensor | None) -> Tensor:
    return x if empty is None else x.index_fill_(0, empty, 0)


def moved(x: Tensor, move: Move) -> Tensor:
    """Rows ``[t, d]`` at their places, ``[m, d]``."""
    out: Tensor = _Move.apply(x, move)
    return out


class _MapSpans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, spans: tuple[slice, ...], *maps: Tensor) -> Tensor:
        ctx.spans, ctx.width = spans, x.shape[1]
        ctx.save_for_backward(x, *maps)
        if maps[0].shape[1] > ctx.width:  # a bias as one more column: no pass of its own
            x = torch.nn.functional.pad(x, (0, 1), value=1.0)
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
        grads = [part.t() @ x[own] for part, own in zip(parts, ctx.spans)]
        if maps[0].shape[1] > ctx.width:
            grads = [torch.cat([w, part.sum(0)[:, None]], 1) for w, part in zip(grads, parts)]
        return (below, None, *grads)


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
