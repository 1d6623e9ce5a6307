"""A weighted sum of the kinds' vectors."""

import torch
from torch import nn

from graphfuse.core.catalog import look_up
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Deepen, Pooling


class Weighted(nn.Module):
    """Each kind pooled to one vector and mapped; their mean by learned weights, over the kinds that a sample has.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: One for the mean, the others refine it.
        by: What a kind's weight follows: ``"learned"``, one number a kind; ``"input"``, also the kind's own vector.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: weighted (late) fusion with learned weights, Baltrusaitis et al. 2019, section 6.1; the weights are a
    softmax, so that those of the kinds at hand always add to one. By input: attention over
    the kinds' vectors, Ilse et al. 2018, eq. 7-8, with a linear score of each kind's own.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, by: str = "learned"):
        super().__init__()
        asks = look_up({"learned": False, "input": True}, by, "way to weigh kinds")
        kinds = len(schema.all_kinds)
        self.pooling = Pooling(dim)
        self.maps = nn.Parameter(torch.empty(kinds, dim, dim))
        self.logit = nn.Parameter(torch.zeros(kinds))
        self.ask = nn.Parameter(torch.zeros(kinds, dim)) if asks else None  # starts as one number a kind
        self.deep = Deepen(dim, layers)
        for weight in self.maps:
            nn.init.xavier_uniform_(weight)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)  # [B, K, d], [B, K]
        logit = self.logit if self.ask is None else self.logit + (pooled * self.ask).sum(2)
        share = logit.expand(len(graph), -1).masked_fill(~present, -torch.inf).softmax(1)
        vector = torch.einsum("bk,bkd,kde->be", share, pooled, self.maps)
        return Fused(graph, self.deep(vector))
