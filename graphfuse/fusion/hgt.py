"""Heterogeneous graph transformer."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from graphfuse.core.attention import attend
from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.schema import Schema
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
        query, relations, keys, values = self._project(graph)
        got = attend(graph, query, keys, values, relations, heads=self.heads)
        got = self.out(graph, torch.nn.functional.gelu(got))
        keep = torch.stack([s.sigmoid() if reached else s.new_zeros(()) for s, reached in zip(self.skip, self.reached)])
        share = keep.repeat_interleave(torch.tensor(graph.starts, device=keep.device).diff(), output_size=len(got))
        return graph.replace(x=share[:, None] * got + (1 - share)[:, None] * graph.x)

    def _project(self, graph: FusionGraph) -> tuple[Tensor, list[Laid], list[Tensor], list[Tensor]]:
        """Queries ``[N, d]``, and the relations with the keys and the values that each sends, ``[N_source, d]``.

        A relation's transforms are folded into the projection of its source kind: one product gives the queries of a
        kind and all that it sends over dense relations. Over a sparse one only nodes at which an edge begins send.
        """
        turns = torch.stack([self.key * self.prior[..., None, None], self.value], 1)  # [R, 2, H, c, c]
        query, relations, sent = [], list[Laid](), list[Sequence[Tensor]]()
        for kind, project, states in zip(graph.schema.all_kinds, self.project.maps, graph.split(graph.x)):
            weight, bias = project.parameters()
            key, ask, value = torch.cat([weight, bias[:, None]], 1).chunk(3)  # [d, d + 1]
            own = torch.stack([key, value]).unflatten(1, (self.heads, -1))  # [2, H, c, d + 1]
            begin = [laid for laid in graph.relations if laid.relation[0] == kind]
            turned = torch.einsum("rkhcd,khci->rkhdi", turns[[laid.index for laid in begin]], own).flatten(1, 3)
            dense = [place for place, laid in enumerate(begin) if laid.dense]
            whole = torch.cat([ask, *(turned[place] for place in dense)])  # [d + 2d * R_dense, d + 1]
            asked, *told = linear(states, whole[:, :-1], whole[:, -1]).split(len(ask), 1)
            query.append(asked)
            relations += [begin[place] for place in dense]
            sent += zip(told[::2], told[1::2])
            for laid, weight in zip(begin, turned):
                if not laid.dense:
                    x, counted = _begins(graph, laid, states)
                    relations.append(counted)
                    sent.append(linear(x, weight[:, :-1], weight[:, -1]).chunk(2, 1))
        return torch.cat(query), relations, [key for key, _ in sent], [value for _, value in sent]


def _begins(graph: FusionGraph, laid: Laid, x: Tensor) -> tuple[Tensor, Laid]:
    """States ``[n, d]`` of the nodes at which a relation's edges begin, and the relation as if there were no others."""
    (source, target), start = graph.edges(laid), graph.rows(laid.relation[0]).start
    begins = torch.zeros(len(x), dtype=torch.bool, device=x.device).index_fill_(0, source - start, True)
    pairs = torch.stack([start + (begins.cumsum(0) - 1)[source - start], target])
    return x.index_select(0, begins.nonzero()[:, 0]), replace(laid, pairs=pairs)
