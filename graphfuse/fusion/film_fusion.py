"""One kind scales and shifts the features of the others."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from graphfuse.core.catalog import look_up
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import KindMaps, PerKind, Pooling, Readout


class FilmFusion(nn.Module):
    """The pooled vector of one kind, the query, modulates the nodes of all others, feature by feature, in each layer.

    A layer is ``h = relu(W x)``, then ``h + relu(gamma * norm(V h) + beta)``; ``gamma - 1`` and ``beta`` are linear in
    the query's vector, with weights of their own for each layer and modulated kind. In a sample that lacks the query
    nothing is modulated (``gamma = 1, beta = 0``). The query's own nodes pass the layers unmodulated.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: How many, each with weights of its own.
        query: The kind that modulates; the first of the schema if left out.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: FiLM, Perez et al. 2018, "FiLM: visual reasoning with a general conditioning layer", eq. 1-2 and the block
    of figure 3. Departures: maps a kind for convolutions, layer norm for batch norm, so that no sample depends on
    another; and the vector is the mean over all kinds at hand, the query among them, so that a sample that has nothing
    else has one too.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, query: str | None = None):
        super().__init__()
        kinds = schema.all_kinds
        self.query = 0 if query is None else look_up({kind: i for i, kind in enumerate(kinds)}, query, "kind")
        self.pooling = Pooling(dim)
        self.layers = nn.ModuleList(_Layer(dim, schema) for _ in range(layers))
        self.readout = Readout(dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)
        asked, there = pooled[:, self.query], present[:, self.query, None, None]  # [B, d], [B, 1, 1]
        for layer in self.layers:
            graph = graph.replace(x=layer(graph, asked, there, self.query))
        return Fused(graph, self.readout(graph))


class _Layer(nn.Module):
    def __init__(self, dim: int, schema: Schema):
        super().__init__()
        self.film = KindMaps(len(schema.all_kinds) - 1, dim, 2 * dim)
        self.first, self.second = PerKind(dim, dim, schema), PerKind(dim, dim, schema)
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)  # FiLM is the affine part

    def forward(self, graph: FusionGraph, asked: Tensor, there: Tensor, query: int) -> Tensor:
        film = self.film(asked[:, None].expand(-1, len(graph.offsets) - 1, -1)) * there  # [B, K - 1, 2d]
        own = film.new_zeros(len(graph), 1, film.shape[2])
        film = torch.cat([film[:, :query], own, film[:, query:]], 1)  # gamma - 1 and beta of each sample and kind
        scale, shift = film.flatten(0, 1).index_select(0, graph.cells).chunk(2, 1)  # [N, d]
        x = relu(self.first(graph, graph.x))
        return x + relu((1 + scale) * self.norm(self.second(graph, x)) + shift)
