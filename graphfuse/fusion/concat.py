"""Joining the kinds' vectors end to end."""

from torch import nn

from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Pooling, feed_forward


class Concat(nn.Module):
    """Each kind pooled to one vector, all joined end to end and mapped by a network; node states stay as they are.

    A lacking kind gives zeros, in training and in use alike.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: early fusion by concatenation, Baltrusaitis et al. 2019, "Multimodal machine learning", section 6.1.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2):
        super().__init__()
        self.pooling = Pooling(dim)
        self.join = nn.Linear(len(schema.all_kinds) * dim, dim)
        self.deep = nn.ModuleList(feed_forward(dim) for _ in range(layers - 1))

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, _ = self.pooling(graph, graph.x)  # [B, K, d]
        vector = self.join(pooled.flatten(1))
        for block in self.deep:
            vector = vector + block(vector)
        return Fused(graph, vector)
