"""The outer product of the kinds' vectors, weighed by a tensor of low rank."""

import torch
from torch import nn

from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Deepen, KindMaps, Pooling


class LowRank(nn.Module):
    """Each kind pooled; ``h = sum_i prod_k (W_k^(i) [x_k; 1])`` over ranks ``i``, channel by channel.

    It equals the map of the outer product of all ``[x_k; 1]`` by a tensor of that rank, and never makes the product.
    A lacking kind is left out of ``prod_k``: ``[0; 1]`` would not be neutral, since it leaves the last column of
    ``W_k``. Node states stay as they are.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: One for the product, the others refine its result.
        rank: How many products are added.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: LMF, Liu et al. 2018, "Efficient low-rank multimodal fusion with modality-specific factors", sections 3.2
    and 3.3. Departure: the last columns begin alike and above zero, so that a product of many kinds does not vanish.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, rank: int = 4):
        super().__init__()
        if rank < 1:
            raise InputError(f"low_rank: rank is {rank}; it needs at least 1.")
        kinds = len(schema.all_kinds)
        self.rank = rank
        self.pooling = Pooling(dim)
        self.factors = KindMaps(kinds, dim, rank * dim)  # its bias is the last column
        self.bias = nn.Parameter(torch.zeros(dim))
        self.deep = Deepen(dim, layers)
        nn.init.constant_(self.factors.bias, rank ** (-1 / kinds))  # the sum over ranks of such products is one

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)
        factor = self.factors(pooled).unflatten(2, (self.rank, -1))  # [B, K, r, d]
        factor = factor.masked_fill(~present[..., None, None], 1.0)
        return Fused(graph, self.deep(factor.prod(1).sum(1) + self.bias))
