"""Graph attention whose score is a function of both states together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu

from graphfuse.core.attention import attend_each
from graphfuse.core.graph import FusionGraph
from graphfuse.core.pairs import chunks
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import PerRelation, by_kind, check_heads, summed

SLOPE = 0.2
"""Of the leaky ReLU that the sum of the states passes, as in the paper."""


class GATv2(nn.Module):
    """One layer: for each relation, a node's mean of its neighbours by a score of both states through a leaky ReLU.

    Every pair has a vector of its own, so time grows with the pairs, but memory does not: pairs are taken in chunks,
    and again in the backward pass.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Brody et al. 2022, "How attentive are graph attention networks?", eq. 7, as
    ``torch_geometric.nn.HeteroConv`` of bipartite ``GATv2Conv`` without self-loops, ``aggr="sum"``: of relation ``r``,
    ``lin_l`` is ``tell.weight[r, 0]``, ``lin_r`` is ``ask.weight[r, 0]``, biases likewise, ``att`` is ``att[r]``;
    ``bias[kind]`` is the sum of the biases of the relations that end at the kind.
    """

    def __init__(self, dim: int, schema: Schema, heads: int = 4, dropout: float = 0.0):
        super().__init__()
        check_heads("gatv2", dim, heads)
        self.heads, self.dropout = heads, dropout
        self.tell = PerRelation(dim, dim, schema, "source")
        self.ask = PerRelation(dim, dim, schema, "target")
        self.att = nn.Parameter(torch.empty(len(schema.relations), heads, dim // heads))
        self.bias = nn.Parameter(torch.zeros(len(schema.all_kinds), dim))
        nn.init.uniform_(self.att, -(self.att.shape[-1] ** -0.5), self.att.shape[-1] ** -0.5)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        bias = by_kind(graph, self.bias)
        if not graph.relations:
            return graph.replace(x=bias)
        (tell,), (ask,) = self.tell(graph), self.ask(graph)
        got = attend_each(graph, ask, tell, tell, heads=self.heads, score=self._score(graph), worth=1.5,
                          dropout=self.dropout if self.training else 0.0)  # fmt: skip
        return graph.replace(x=bias + summed(graph, got, bias.shape[1]))

    def _score(self, graph: FusionGraph) -> Any:
        att = self.att[[laid.index for laid in graph.relations]]

        def score(query: Tensor, key: Tensor, relation: Tensor) -> Tensor:
            own = att.index_select(0, relation)  # [n, H, c]
            if query.ndim == 3:  # edges
                return (leaky_relu(query + key, SLOPE) * own).sum(-1)
            return _Scores.apply(query, key, own)

        return score


class _Scores(torch.autograd.Function):
    """``query [n, Q, 1, H, c], key [n, 1, S, H, c], att [n, H, c] -> [n, Q, S, H]``, a chunk of pairs at a time."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, att: Tensor) -> Tensor:
        ctx.save_for_backward(query, key, att)
        out = query.new_empty(query.shape[0], query.shape[1], key.shape[2], query.shape[3])
        for part, rows in chunks(query.shape[0], query.shape[1], key[0].numel()):
            z = query[part, rows] + key[part]
            torch.sum(torch.nn.functional.leaky_relu_(z, SLOPE).mul_(att[part, None, None]), -1, out=out[part, rows])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, att = ctx.saved_tensors
        ask, tell, own = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(att)
        for part, rows in chunks(query.shape[0], query.shape[1], key[0].numel()):
            g = grad[part, rows][..., None]  # [m, q, S, H, 1]
            z = query[part, rows] + key[part]
            own[part] += (leaky_relu(z, SLOPE) * g).sum((1, 2))
            dz = torch.ops.aten.leaky_relu_backward(g * att[part, None, None], z, SLOPE, False)
            ask[part, rows] += dz.sum(2, keepdim=True)
            tell[part] += dz.sum(1, keepdim=True)
        return ask, tell, own
