"""Graph attention network over each relation."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from graphfuse.core.attention import attend_each
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.core.table import Table, map_spans
from graphfuse.fusion.parts import PerRelation, by_kind, check_heads, summed

SLOPE = 0.2
"""Of the leaky ReLU that scores pass, as in the paper."""


class GAT(nn.Module):
    """One layer: for each relation, a node's mean of its neighbours by an additive score of the two states.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Velickovic et al. 2018, "Graph attention networks", eq. 1-4, as ``torch_geometric.nn.HeteroConv`` of
    bipartite ``GATConv`` without self-loops, ``aggr="sum"``: of relation ``r``, ``lin_src`` is ``value.weight[r, 0]``,
    ``lin_dst`` is ``asks[r]``, ``att_src`` and ``att_dst`` are ``att[r, 0]`` and ``att[r, 1]``; ``bias[kind]`` is the
    sum of the biases of the relations that end at the kind.
    """

    def __init__(self, dim: int, schema: Schema, heads: int = 4, dropout: float = 0.0):
        super().__init__()
        check_heads("gat", dim, heads)
        relations = len(schema.relations)
        self.heads, self.dropout = heads, dropout
        self.value = PerRelation(dim, dim, schema, "source", bias=False)
        self.asks = nn.Parameter(torch.empty(relations, dim, dim))
        self.att = nn.Parameter(torch.empty(relations, 2, heads, dim // heads))
        self.bias = nn.Parameter(torch.zeros(len(schema.all_kinds), dim))
        for weight in (self.asks, self.att):
            nn.init.uniform_(weight, -(weight.shape[-1] ** -0.5), weight.shape[-1] ** -0.5)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        bias = by_kind(graph, self.bias)
        if not graph.relations:
            return graph.replace(x=bias)
        (value,) = self.value(graph)
        tell, ask = (self._scores(graph, end) for end in (0, 2))
        got = attend_each(graph, ask, tell, value, heads=self.heads, score=_score,
                          dropout=self.dropout if self.training else 0.0)  # fmt: skip
        return graph.replace(x=bias + summed(graph, got, bias.shape[1]))

    def _scores(self, graph: FusionGraph, end: int) -> Table:
        """Each node's part of the score, one number a head: the vector of a head is folded into the map before it."""
        weight = (self.value.weight[:, 0] if end == 0 else self.asks).unflatten(1, (self.heads, -1))  # [R, H, c, d]
        folded = torch.einsum("rhcd,rhc->rhd", weight, self.att[:, end // 2]).unbind()
        spans = [graph.rows(laid.relation[end]) for laid in graph.relations]
        rows = map_spans(graph.x, spans, [folded[laid.index] for laid in graph.relations]).view(-1, self.heads)
        return (
            Table.joined(rows.split([span.stop - span.start for span in spans]))
            if len(spans) > 1
            else Table(rows, (0,), (1,))
        )


def _score(query: Tensor, key: Tensor, relation: Tensor) -> Tensor:
    return leaky_relu(query + key, SLOPE)[..., 0]
