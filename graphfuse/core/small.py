"""Attention in small blocks on a processor: few large calls, and all scores kept for the backward pass.

torch's fused kernel makes them anew there, block by block, which blocks of some dozen nodes cost more time than memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout as drop


class Shape(NamedTuple):
    """Where the rows of some blocks stand: ``n`` blocks of ``queries`` and ``sources`` rows each, end to end.

    Attributes:
        blocks: ``n``.
        queries: Rows that ask.
        sources: Keys, and as many values.
        query: The first row that asks.
        key: The first key.
        value: The first value.
    """

    blocks: int
    queries: int
    sources: int
    query: int
    key: int
    value: int

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries ``[n, Q, c]``, keys and values ``[n, S, c]`` among ``rows [m, c]``."""
        begins = (self.query, self.queries), (self.key, self.sources), (self.value, self.sources)
        q, k, v = (rows[at : at + self.blocks * m].view(self.blocks, m, rows.shape[1]) for at, m in begins)
        return q, k, v


class _Small(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, shapes: Sequence[Shape], dropout: float, *added: Tensor | None) -> Tensor:
        ctx.shapes, ctx.scale, ctx.times = shapes, rows.shape[1] ** -0.5, 1 / (1 - dropout) if dropout < 1 else 0.0
        ctx.each = [more is not None and more.shape[1] > 1 for more in added]
        out = rows.new_empty(sum(shape.blocks * shape.queries for shape in shapes), rows.shape[1])
        shares, kept = [], []
        for shape, more, got in zip(shapes, added, _answers(out, shapes)):
            q, k, v = shape.of(rows)
            start, beta = (q.new_zeros(1, 1, 1), 0) if more is None else (more, 1)
            shares.append(torch.baddbmm(start, q, k.transpose(1, 2), beta=beta, alpha=ctx.scale).softmax(-1))
            kept.append(drop(torch.ones_like(shares[-1]), dropout) > 0 if dropout else None)  # a byte a score
            torch.bmm(_dropped(shares[-1], kept[-1], ctx.times), v, out=got)
        ctx.save_for_backward(rows, *shares, *kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, *saved = ctx.saved_tensors
        total, biases = torch.empty_like(rows), []
        grads = _answers(grad.contiguous(), ctx.shapes)
        for at, (shape, g) in enumerate(zip(ctx.shapes, grads)):
            share, kept = saved[at], saved[at + len(ctx.shapes)]
            (q, k, v), (dq, dk, dv) = shape.of(rows), shape.of(total)
            torch.bmm(_dropped(share, kept, ctx.times).transpose(1, 2), g, out=dv)
            below = _dropped(torch.bmm(g, v.transpose(1, 2)), kept, ctx.times)
            below = torch._softmax_backward_data(below, share, -1, share.dtype)
            dq.baddbmm_(below, k, beta=0, alpha=ctx.scale)
            dk.baddbmm_(below.transpose(1, 2), q, beta=0, alpha=ctx.scale)
            learns = ctx.needs_input_grad[3 + at]
            biases.append((below if ctx.each[at] else below.sum(1, keepdim=True)) if learns else None)
        return (total, None, None, *biases)


def _answers(out: Tensor, shapes: Sequence[Shape]) -> Iterator[Tensor]:
    """What stands for each shape in the answers, ``[n, Q, c]`` each."""
    parts = out.split([shape.blocks * shape.queries for shape in shapes])
    return (part.view(shape.blocks, shape.queries, out.shape[1]) for part, shape in zip(parts, shapes))


def _dropped(x: Tensor, kept: Tensor | None, times: float) -> Tensor:
    return x if kept is None else x * kept * times


def small(
    rows: Tensor, shapes: Sequence[Shape], added: Sequence[Tensor | None] | None = None, dropout: float = 0.0
) -> Tensor:
    """Softmax means of values, as ``scaled_dot_product_attention``, of blocks of several shapes.

    Args:
        rows: Queries, keys and values, ``[m, c]``, each in a shape once.
        shapes: Where the blocks of each shape stand in them.
        added: To the scores of each shape, ``[n, Q or 1, S]`` or ``None``.
        dropout: Of the softmax.

    Returns:
        ``[sum of n * Q, c]``, shape after shape.
    """
    out: Tensor = _Small.apply(rows, tuple(shapes), dropout, *(added or [None] * len(shapes)))
    return out
