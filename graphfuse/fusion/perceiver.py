"""A few latents that read all nodes."""

import torch
from torch import nn

from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.block import TransformerBlock


class Perceiver(nn.Module):
    """In each layer a sample's latents attend to all of its nodes, of whatever kind, and then to each other.

    A learned vector a kind is added to its nodes, as the paper's modality encoding. A lacking kind has no node to
    attend to, so that it has no part in any softmax. Node states stay as they are.

    Args:
        dim: Width of the states and latents.
        schema: Order of kinds and relations.
        layers: How many, each with weights of its own.
        heads: Divides ``dim``.
        latents: How many a sample has.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``; the vector is the mean of the latents.
    Source: Jaegle et al. 2021, "Perceiver: general perception with iterative attention", section 3.1 and figure 1.
    Departures: nodes have no positions; one self-attention a layer; layers share no weights.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, heads: int = 4, latents: int = 8):
        super().__init__()
        if layers < 1 or latents < 1:
            raise InputError(f"perceiver: layers is {layers} and latents is {latents}; each needs at least 1.")
        self.latents = nn.Parameter(torch.randn(latents, dim) * dim**-0.5)
        self.kind = nn.Embedding(len(schema.all_kinds), dim)
        self.told = nn.ModuleList(nn.LayerNorm(dim) for _ in range(layers))
        self.read = nn.ModuleList(TransformerBlock("perceiver", dim, heads) for _ in range(layers))
        self.think = nn.ModuleList(TransformerBlock("perceiver", dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        sizes = torch.tensor(graph.kind_sizes, device=graph.x.device)
        x = graph.x + self.kind.weight.repeat_interleave(sizes, 0, output_size=len(graph.x))
        place = graph.blocks(*graph.schema.all_kinds)
        block, latents = place.spread(x), self.latents.expand(len(graph), -1, -1)  # [B, M, d], [B, L, d]
        for told, read, think in zip(self.told, self.read, self.think):
            latents = think(read(latents, told(block), place.real))
        return Fused(graph, self.norm(latents).mean(1))
