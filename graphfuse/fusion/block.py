"""A transformer's layer over blocks of nodes that stand side by side."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from graphfuse.core.errors import InputError
from graphfuse.fusion.parts import feed_forward


class TransformerBlock(nn.Module):
    """Pre-norm attention of many heads, then a feed-forward network, each added to what came in.

    Args:
        name: Of the fusion, for its error message.
        dim: Width of the states.
        heads: Divides ``dim``.

    Shape: ``x [B, T, d] -> [B, T, d]``.
    Source: ViT, Dosovitskiy et al. 2021, "An image is worth 16x16 words", eq. 2-3.
    """

    def __init__(self, name: str, dim: int, heads: int):
        super().__init__()
        if heads < 1 or dim % heads:
            raise InputError(f"{name}: width {dim} is not divisible by {heads} heads; choose heads that divide it.")
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.query, self.key_value, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.deep = feed_forward(dim)

    def forward(self, x: Tensor, source: Tensor | None = None, real: Tensor | None = None) -> Tensor:
        """Attends to ``source [B, M, d]``, already normed, or to itself; only where ``real bool [B, M]``, if given."""
        here = self.norms[0](x)
        key, value = self.key_value(here if source is None else source).chunk(2, -1)
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (self.query(here), key, value)
        )  # [B, H, ., c]
        mask = None if real is None else real[:, None, None]
        got = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = x + self.out(got.transpose(1, 2).flatten(2))
        return x + self.deep(self.norms[1](x))
