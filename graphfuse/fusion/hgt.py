"""Heterogeneous graph transformer."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid, Schema
from graphfuse.core.message import attend
from graphfuse.fusion.parts import PerKind


class HGT(nn.Module):
    """One layer in which a node attends over all its in-edges, with keys and values transformed by each relation.

    A kind at which no relation ends keeps its states.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Hu et al. 2020, "Heterogeneous graph transformer", eq. 3-5, as ``torch_geometric.nn.HGTConv``: its
    ``kqv_lin`` of a kind is ``project.maps[kind]``, ``out_lin`` is ``out.maps[kind]``, ``k_rel.weight[h * R + r]`` is
    ``key[r, h]``, ``v_rel`` likewise ``value``, ``p_rel`` is ``prior`` and ``skip`` is ``skip``.
    """

    def __init__(self, dim: int, schema: Schema, heads: int = 4):
        super().__init__()
        if dim % heads:
            raise InputError(f"hgt: width {dim} is not divisible by {heads} heads; choose heads that divide it.")
        relations, width = len(schema.relations), dim // heads
        self.heads = heads
        self.project = PerKind(dim, 3 * dim, schema)
        self.out = PerKind(dim, dim, schema)
        self.key = nn.Parameter(torch.empty(relations, heads, width, width))
        self.value = nn.Parameter(torch.empty(relations, heads, width, width))
        self.prior = nn.Parameter(torch.ones(relations, heads))
        self.skip = nn.Parameter(torch.ones(len(schema.all_kinds)))
        targets = {relation[2] for relation in schema.relations}
        self.reached = [kind in targets for kind in schema.all_kinds]
        for weight in (self.key, self.value):
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        query, laid, sent = self._project(graph)
        keys, values = zip(*(own.chunk(2, 1) for own in sent)) if sent else ((), ())
        got = attend(graph, query, keys, values, laid, heads=self.heads)
        got = self.out(graph, torch.nn.functional.gelu(got))
        keep = torch.stack([s.sigmoid() if reached else s.new_zeros(()) for s, reached in zip(self.skip, self.reached)])
        share = keep.repeat_interleave(torch.tensor(graph.starts, device=keep.device).diff(), output_size=len(got))
        return graph.replace(x=share[:, None] * got + (1 - share)[:, None] * graph.x)

    def _project(self, graph: FusionGraph) -> tuple[Tensor, list[Laid], list[Tensor]]:
        """Queries ``[N, d]``, and the relations with the keys and values that each sends, ``[N_source, 2d]``.

        A relation's transforms are folded into the projection of its source kind, and where it is sparse only nodes at
        which an edge begins are projected.
        """
        turns = torch.stack([self.key * self.prior[..., None, None], self.value], 1)  # [R, 2, H, c, c]
        query, laid, sent = [], list[Laid](), list[Tensor]()
        for kind, project in zip(graph.schema.all_kinds, self.project.maps):
            (key, ask, value), (key_bias, ask_bias, value_bias) = (x.chunk(3) for x in project.parameters())
            query.append(linear(graph.of(kind), ask, ask_bias))
            own = torch.stack([torch.cat([key, key_bias[:, None]], 1), torch.cat([value, value_bias[:, None]], 1)])
            own = own.unflatten(1, (self.heads, -1))  # [2, H, c, d + 1]
            for relation in (relation for relation in graph.relations if relation.relation[0] == kind):
                weight = torch.einsum("khcd,khci->khdi", turns[relation.index], own).flatten(0, 2)  # [2d, d + 1]
                x, counted = _begins(graph, relation)
                laid.append(counted)
                sent.append(linear(x, weight[:, :-1], weight[:, -1]))
        return torch.cat(query), laid, sent


def _begins(graph: FusionGraph, laid: Laid) -> tuple[Tensor, Laid]:
    """States ``[n, d]`` of the nodes at which a relation's edges begin, and the relation as if there were no others."""
    rows = graph.rows(laid.relation[0])
    x = graph.x[rows]
    if laid.pairs is None:
        return x, laid
    source, target = laid.pairs
    begins = torch.zeros(len(x), dtype=torch.bool, device=x.device).index_fill_(0, source - rows.start, True)
    place = begins.cumsum(0) - 1 + rows.start
    pairs = torch.stack([place[source - rows.start], target])
    return x.index_select(0, begins.nonzero()[:, 0]), replace(laid, pairs=pairs)
