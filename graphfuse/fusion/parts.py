"""What several fusions are made of: one linear map a kind, pooling of nodes to one vector a sample, deeper vectors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import segment, segment_softmax
from graphfuse.core.schema import Schema
from graphfuse.core.table import Table, map_spans


class PerKind(nn.Module):
    """A linear map of its own for each kind: ``x [N, dim] -> [N, out]``, rows as in the graph."""

    def __init__(self, dim: int, out: int, schema: Schema, bias: bool = True):
        super().__init__()
        self.biased = bias
        self.maps = nn.ModuleList(nn.Linear(dim, out, bias=bias) for _ in schema.all_kinds)

    def forward(self, graph: FusionGraph, x: Tensor) -> Tensor:
        """Maps each kind's rows by its own map."""
        spans = [graph.rows(kind) for kind in graph.schema.all_kinds]
        return map_spans(x, spans, self.weights()).view(len(x), -1)

    def weights(self) -> list[Tensor]:
        """The maps ``[out, dim]``, with the bias as a last column where there is one."""
        maps = [cast(nn.Linear, own) for own in self.maps]
        return [torch.cat([own.weight, own.bias[:, None]], 1) if self.biased else own.weight for own in maps]


class PerRelation(nn.Module):
    """Linear maps of the nodes at one end of each relation, one or several a relation: ``x [N, dim]`` to a table.

    Args:
        dim: Width of the states.
        out: Width of each map's result.
        schema: Order of kinds and relations.
        end: ``"source"`` or ``"target"``: whose rows are mapped.
        maps: How many maps a relation has; all are one product.
        bias: Whether a number is added to each.

    Weights are ``weight [R, maps, out, dim]`` and ``bias [R, maps, out]``, by the index of a relation.
    """

    def __init__(self, dim: int, out: int, schema: Schema, end: str, maps: int = 1, bias: bool = True):
        super().__init__()
        self.end, self.out, self.many = 0 if end == "source" else 2, out, maps
        self.weight = nn.Parameter(torch.empty(len(schema.relations), maps, out, dim))
        self.bias = nn.Parameter(torch.zeros(len(schema.relations), maps, out)) if bias else None
        nn.init.uniform_(self.weight, -(dim**-0.5), dim**-0.5)

    def forward(self, graph: FusionGraph) -> tuple[Table, ...]:
        """One table a map, its groups the relations of the graph."""
        weight = self.weight if self.bias is None else torch.cat([self.weight, self.bias[..., None]], 3)
        maps = weight.flatten(1, 2).unbind()
        spans = [graph.rows(laid.relation[self.end]) for laid in graph.relations]
        rows = map_spans(graph.x, spans, [maps[laid.index] for laid in graph.relations]).view(-1, self.out)
        sizes = [self.many * (span.stop - span.start) for span in spans]
        first = tuple(accumulate(sizes, initial=0))[:-1]
        step = (self.many,) * len(spans)
        return tuple(Table(rows, tuple(f + n for f in first), step) for n in range(self.many))


def summed(graph: FusionGraph, parts: Sequence[Tensor], width: int) -> Tensor:
    """What each relation of a graph brings to its target kind, ``[N_target, d]`` each, added up: ``[N, d]``."""
    total: dict[str, Tensor] = {}
    for laid, part in zip(graph.relations, parts):
        kind = laid.relation[2]
        total[kind] = total[kind] + part if kind in total else part
    none = graph.x.new_zeros(0, width) if not parts else parts[0].new_zeros(0, width)
    kinds = zip(graph.schema.all_kinds, graph.kind_sizes)
    return torch.cat([total[kind] if kind in total else none.new_zeros(size, width) for kind, size in kinds])


def by_kind(graph: FusionGraph, values: Tensor) -> Tensor:
    """A kind's own values for each of its nodes: ``[K, d] -> [N, d]``."""
    return torch.cat([own.expand(size, -1) for own, size in zip(values, graph.kind_sizes)])


def check_heads(name: str, dim: int, heads: int) -> None:
    """Refuses heads that do not divide the width."""
    if heads < 1 or dim % heads:
        raise InputError(f"{name}: width {dim} is not divisible by {heads} heads; choose heads that divide it.")


class Pooling(nn.Module):
    """One vector a sample and kind: the mean of its nodes, weighted by a softmax of a learned score of each.

    Shape: ``x [N, d] -> pooled [B, K, d], present bool [B, K]``; zeros where the kind lacks.
    Source: attention pooling, Ilse et al. 2018, "Attention-based deep multiple instance learning", eq. 7-8.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.score = nn.Linear(dim, 1)
        nn.init.zeros_(self.score.weight)  # starts as the plain mean

    def forward(self, graph: FusionGraph, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pools each kind of each sample."""
        size = len(graph) * len(graph.offsets)
        share = segment_softmax(self.score(x), graph.cells, size)
        pooled = segment(share * x, graph.cells, size)
        return pooled.view(len(graph), len(graph.offsets), -1), graph.offsets.diff(dim=1).t() > 0


class KindMaps(nn.Module):
    """A linear map of its own for each kind's vector: ``[B, K, dim] -> [B, K, out]``."""

    def __init__(self, kinds: int, dim: int, out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kinds, dim, out))
        self.bias = nn.Parameter(torch.zeros(kinds, out))
        for weight in self.weight:
            nn.init.xavier_uniform_(weight)

    def forward(self, vectors: Tensor) -> Tensor:
        """Maps each kind's vectors by its own map."""
        return torch.einsum("bkd,kde->bke", vectors, self.weight) + self.bias


class Deepen(nn.ModuleList):
    """``layers - 1`` times ``vector + f(vector)``, ``[n, dim] -> [n, dim]``: what follows a join of kinds."""

    def __init__(self, dim: int, layers: int):
        super().__init__(feed_forward(dim) for _ in range(layers - 1))

    def forward(self, vector: Tensor) -> Tensor:
        """Refines a vector a row."""
        for block in self:
            vector = vector + block(vector)
        return vector


class Readout(nn.Module):
    """One vector a sample from fused nodes: the mean over the kinds that it has of their pooled nodes.

    A kind with many nodes does not drown the others, and one that lacks does not count.
    Shape: ``graph.x [N, d] -> [B, d]``.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.pooling = Pooling(dim)

    def forward(self, graph: FusionGraph) -> Tensor:
        """Reads the graph's states."""
        pooled, present = self.pooling(graph, graph.x)
        return pooled.sum(1) / present.sum(1, keepdim=True).clamp(min=1).to(pooled.dtype)


def feed_forward(dim: int) -> nn.Sequential:
    """Linear to twice the width, GELU, linear back: ``[n, dim] -> [n, dim]``."""
    return nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
