"""The outer product of the kinds' vectors."""

from __future__ import annotations

import torch
from torch import nn

from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Deepen, KindMaps, Pooling

USUAL, MOST = 4_096, 65_536
"""How many numbers a sample the product has if no width is asked for, and how many it may have."""


class TensorFusion(nn.Module):
    """Each kind pooled and projected to a small width; the outer product of all ``[z_k; 1]``, mapped to a vector.

    The product holds every term ``z_1[i] z_2[j] .. z_K[l]``, and through the ones also those of each subset of kinds.
    A lacking kind has ``[0; 1]``, whatever its map: every term that it is part of is left out, and the product is that
    of the kinds at hand. Node states stay as they are.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: One for the product, the others refine its result.
        width: Of each ``z_k``. The product has ``(width + 1) ** K`` numbers a sample, at most 65,536. If left out, as
            wide as 4,096 allow, and 32 at most: 32 for two kinds, 15 for three, 7 for four, 4 for five, 3 for six.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: TFN, Zadeh et al. 2017, "Tensor fusion network for multimodal sentiment analysis", section 4.2. Departure:
    the embedding networks are a linear map and tanh, which keeps products of many kinds bounded.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, width: int | None = None):
        super().__init__()
        kinds = len(schema.all_kinds)
        width = _widest(kinds, USUAL, 32) if width is None else width
        size = (width + 1) ** kinds
        if width < 1 or size > MOST:
            raise InputError(f"tensor: the product of {kinds} kinds of width {width} has {size:,} numbers a sample; "
                             f"choose a width of 1 or more that gives at most {MOST:,}, or low_rank.")  # fmt: skip
        self.pooling = Pooling(dim)
        self.embed = KindMaps(kinds, dim, width)
        self.join = nn.Linear(size, dim)
        self.deep = Deepen(dim, layers)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)
        z = self.embed(pooled).tanh() * present[..., None]  # [B, K, w]
        z = torch.cat([z, z.new_ones(*z.shape[:2], 1)], 2)
        product = z[:, 0]
        for k in range(1, z.shape[1]):
            product = (product[:, :, None] * z[:, None, k]).flatten(1)  # [B, (w + 1) ** (k + 1)]
        return Fused(graph, self.deep(self.join(product)))


def _widest(kinds: int, size: int, most: int) -> int:
    return max((width for width in range(1, most + 1) if (width + 1) ** kinds <= size), default=1)
