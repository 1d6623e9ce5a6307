"""Graph transformer: attention by scaled products over each relation, with edge features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphfuse.core.attention import attend_each
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import PerKind, PerRelation, check_heads, summed


class GraphTransformer(nn.Module):
    """One layer: a node's own map plus, for each relation, attention to its neighbours by that relation.

    The number that a weighted link bears is its edge feature: mapped, it is added to key and value.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Shi et al. 2021, "Masked label prediction: unified message passing model for semi-supervised
    classification", eq. 1-3, as ``torch_geometric.nn.HeteroConv`` of ``TransformerConv`` (``edge_dim=1`` for weighted
    relations) with ``aggr="sum"``: of relation ``r``, ``lin_query`` is ``query.weight[r, 0]``, ``lin_key`` and
    ``lin_value`` are ``tell.weight[r, 0]`` and ``[r, 1]``, biases likewise, ``lin_edge`` is ``edge[r]``;
    ``own.maps[kind]`` is the sum of the ``lin_skip`` of the relations that end at the kind.
    """

    def __init__(self, dim: int, schema: Schema, heads: int = 4, dropout: float = 0.0):
        super().__init__()
        check_heads("graph_transformer", dim, heads)
        self.heads, self.dropout, self.weighted = heads, dropout, set(schema.weighted)
        self.own = PerKind(dim, dim, schema)
        self.query = PerRelation(dim, dim, schema, "target")
        self.tell = PerRelation(dim, dim, schema, "source", maps=2)
        self.edge = nn.Parameter(torch.empty(len(schema.relations), dim))
        nn.init.uniform_(self.edge, -1, 1)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        own = self.own(graph, graph.x)
        if not graph.relations:
            return graph.replace(x=own)
        (query,), (key, value) = self.query(graph), self.tell(graph)
        got = attend_each(
            graph, query, key, value, heads=self.heads, dropout=self.dropout if self.training else 0.0,
            edge=[self._feature(laid) for laid in graph.relations],
        )  # fmt: skip
        return graph.replace(x=own + summed(graph, got, own.shape[1]))

    def _feature(self, laid: Laid) -> Tensor | None:
        """A row an edge of a weighted relation, ``[E, d]``."""
        return None if laid.weight is None else laid.weight[:, None].to(self.edge.dtype) * self.edge[laid.index]
