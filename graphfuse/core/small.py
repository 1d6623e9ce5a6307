"""Attention in small blocks on a processor: few large calls, and all scores kept for the backward pass.

torch's fused kernel makes them anew there, block by block, which blocks of some dozen nodes cost more time than memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout as drop


class _Small(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, dropout: float) -> Tensor:
        ctx.scale = q.shape[-1] ** -0.5
        ctx.each = added is not None and added.shape[1] > 1
        start, beta = (q.new_zeros(1, 1, 1), 0) if added is None else (added, 1)
        share = torch.baddbmm(start, q, k.transpose(1, 2), beta=beta, alpha=ctx.scale).softmax(-1)
        kept = drop(torch.ones_like(share), dropout) > 0 if dropout else None  # a byte a score
        ctx.times = 1 / (1 - dropout) if dropout < 1 else 0.0
        ctx.save_for_backward(q, k, v, share, kept)
        return torch.bmm(_dropped(share, kept, ctx.times), v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, share, kept = ctx.saved_tensors
        below = torch.bmm(grad, v.transpose(1, 2))
        dv = torch.bmm(_dropped(share, kept, ctx.times).transpose(1, 2), grad)
        below = _dropped(below, kept, ctx.times)
        below = torch._softmax_backward_data(below, share, -1, share.dtype)
        bias = (below if ctx.each else below.sum(1, keepdim=True)) if ctx.needs_input_grad[3] else None
        below = below * ctx.scale
        return torch.bmm(below, k), torch.bmm(below.transpose(1, 2), q), dv, bias, None


def _dropped(x: Tensor, kept: Tensor | None, times: float) -> Tensor:
    return x if kept is None else x * kept * times


def small(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Softmax means of values, as ``scaled_dot_product_attention``.

    Args:
        q: ``[n, Q, c]``, of one dtype with ``k`` and ``v``.
        k: ``[n, S, c]``.
        v: ``[n, S, e]``.
        added: To the scores, ``[n, Q or 1, S]``.
        dropout: Of the softmax.

    Returns:
        ``[n, Q, e]``.
    """
    out: Tensor = _Small.apply(q, k, v, added, dropout)
    return out
