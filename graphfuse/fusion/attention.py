"""Attention over all nodes of a sample."""

import torch
from torch import nn

from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import segment, segment_softmax
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import feed_forward


class Attention(nn.Module):
    """A learned query attends over all nodes of a sample, whatever their kind, and is refined layer by layer.

    Node states stay as they are: nodes do not see each other, only the query sees them.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: pooling by multi-head attention, Lee et al. 2019, "Set transformer", eq. 11, with one seed vector.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, heads: int = 4):
        super().__init__()
        if dim % heads:
            raise InputError(f"attention: width {dim} is not divisible by {heads} heads; choose heads that divide it.")
        self.heads = heads
        self.seed = nn.Parameter(torch.randn(dim) * dim**-0.5)
        self.kind = nn.Embedding(len(schema.all_kinds), dim)
        self.norm = nn.LayerNorm(dim)
        self.query = nn.ModuleList(nn.Linear(dim, dim) for _ in range(layers))
        self.key_value = nn.ModuleList(nn.Linear(dim, 2 * dim) for _ in range(layers))
        self.deep = nn.ModuleList(feed_forward(dim) for _ in range(layers))

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        sizes = torch.tensor(graph.starts, device=graph.x.device).diff()
        owner = graph.owners
        x = self.norm(graph.x + self.kind.weight.repeat_interleave(sizes, 0, output_size=len(owner)))
        width = x.shape[1] // self.heads
        vector = self.seed.expand(len(graph), -1)
        for ask, tell, block in zip(self.query, self.key_value, self.deep):
            key, value = tell(x).view(len(x), 2, self.heads, width).unbind(1)  # [N, H, c]
            query = ask(vector).view(len(graph), self.heads, width).index_select(0, owner)
            share = segment_softmax((query * key).sum(-1) * key.shape[-1] ** -0.5, owner, len(graph))
            vector = vector + segment(share[..., None] * value, owner, len(graph)).flatten(1)
            vector = vector + block(vector)
        return Fused(graph, vector)
