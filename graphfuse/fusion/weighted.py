"""A weighted sum of the kinds' vectors."""

import torch
from torch import nn

from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Pooling, feed_forward


class Weighted(nn.Module):
    """Each kind pooled to one vector and mapped; their mean by learned weights, over the kinds that a sample has.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: weighted (late) fusion with learned weights, Baltrusaitis et al. 2019, section 6.1; the weights are a
    softmax, so that those of the kinds at hand always add to one.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2):
        super().__init__()
        kinds = len(schema.all_kinds)
        self.pooling = Pooling(dim)
        self.maps = nn.Parameter(torch.empty(kinds, dim, dim))
        self.logit = nn.Parameter(torch.zeros(kinds))
        self.deep = nn.ModuleList(feed_forward(dim) for _ in range(layers - 1))
        for weight in self.maps:
            nn.init.xavier_uniform_(weight)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)  # [B, K, d], [B, K]
        share = self.logit.expand(len(graph), -1).masked_fill(~present, -torch.inf).softmax(1)
        vector = torch.einsum("bk,bkd,kde->be", share, pooled, self.maps)
        for block in self.deep:
            vector = vector + block(vector)
        return Fused(graph, vector)
