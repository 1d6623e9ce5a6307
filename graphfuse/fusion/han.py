"""Heterogeneous graph attention network: attention by relation, then among relations."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from graphfuse.core.attention import attend_each
from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import segment
from graphfuse.core.schema import Schema
from graphfuse.core.table import Table
from graphfuse.fusion.parts import PerKind, check_heads

SLOPE = 0.2
"""Of the leaky ReLU that scores pass, as in the paper."""


class HAN(nn.Module):
    """One layer: a node's mean of its neighbours by each relation, then of the relations by how telling each is.

    How telling a relation is, is found for each sample by the mean over its nodes; PyG takes the mean over all nodes of
    a batch, by which a sample's result would depend on its company. On one sample the two are equal.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``; zeros for a kind at which no relation ends.
    Source: Wang et al. 2019, "Heterogeneous graph attention network", eq. 1-9, as ``torch_geometric.nn.HANConv``: its
    ``proj`` of a kind is ``project.maps[kind]``, ``lin_src`` and ``lin_dst`` of relation ``r`` are ``att[r, 0]`` and
    ``att[r, 1]``; ``k_lin`` and ``q`` are its own.
    """

    def __init__(self, dim: int, schema: Schema, heads: int = 4, dropout: float = 0.0):
        super().__init__()
        check_heads("han", dim, heads)
        self.heads, self.dropout = heads, dropout
        self.project = PerKind(dim, dim, schema)
        self.att = nn.Parameter(torch.empty(len(schema.relations), 2, heads, dim // heads))
        self.k_lin = nn.Linear(dim, dim)
        self.q = nn.Parameter(torch.empty(1, dim))
        for weight in (self.att, self.q):
            nn.init.uniform_(weight, -(weight.shape[-1] ** -0.5), weight.shape[-1] ** -0.5)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        x = self.project(graph, graph.x)
        if not graph.relations:
            return graph.replace(x=torch.zeros_like(x))
        tell, ask = (self._scores(graph, x, end) for end in (0, 2))
        got = attend_each(graph, ask, tell, x, heads=self.heads, score=_score,
                          dropout=self.dropout if self.training else 0.0)  # fmt: skip
        parts = []
        for kind, size in zip(graph.schema.all_kinds, graph.kind_sizes):
            own = [part.relu() for part, laid in zip(got, graph.relations) if laid.relation[2] == kind]
            parts.append(self._joined(graph, kind, torch.stack(own)) if own else x.new_zeros(size, x.shape[1]))
        return graph.replace(x=torch.cat(parts))

    def _joined(self, graph: FusionGraph, kind: str, own: Tensor) -> Tensor:
        """Relations ``[M, N_kind, d]`` weighed by sample, ``[N_kind, d]``."""
        owner = graph.owner(kind)
        telling = (self.k_lin(own).tanh() @ self.q[0]).t()  # [N_kind, M]
        share = segment(telling, owner, len(graph), "mean").softmax(1)  # [B, M]
        return (own * share.index_select(0, owner).t()[..., None]).sum(0)

    def _scores(self, graph: FusionGraph, x: Tensor, end: int) -> Table:
        """Each node's part of the score of each relation, one number a head."""
        ends = [graph.rows(laid.relation[end]) for laid in graph.relations]
        vectors = self.att[[laid.index for laid in graph.relations], end // 2]  # [R, H, c]
        return Table.joined([
            (x[rows].unflatten(1, (self.heads, -1)) * own).sum(-1) for rows, own in zip(ends, vectors)
        ])  # fmt: skip


def _score(query: Tensor, key: Tensor, relation: Tensor) -> Tensor:
    return leaky_relu(query + key, SLOPE)[..., 0]
