"""Heterogeneous graph transformer."""

import torch
from torch import Tensor, nn

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Schema
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
        query, keys, values = self._project(graph)
        got = attend(graph, query, keys, values, heads=self.heads)
        got = self.out(graph, torch.nn.functional.gelu(got))
        keep = torch.stack([s.sigmoid() if reached else s.new_zeros(()) for s, reached in zip(self.skip, self.reached)])
        share = keep.repeat_interleave(torch.tensor(graph.starts, device=keep.device).diff(), output_size=len(got))
        return graph.replace(x=share[:, None] * got + (1 - share)[:, None] * graph.x)

    def _project(self, graph: FusionGraph) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Queries ``[N, d]``, and keys and values of each relation ``[N_source, d]``: one product a kind turns all."""
        key, query, value = (
            x.unflatten(1, (self.heads, -1)) for x in self.project(graph, graph.x).chunk(3, 1)
        )  # [N, H, c]
        turn_key = self.key * self.prior[..., None, None]
        keys, values = [graph.x] * len(graph.relations), [graph.x] * len(graph.relations)
        for kind in graph.schema.all_kinds:
            places = [place for place, laid in enumerate(graph.relations) if laid.relation[0] == kind]
            index, rows = [graph.relations[place].index for place in places], graph.rows(kind)
            for turned, x, weight in ((keys, key, turn_key), (values, value, self.value)):
                every = torch.einsum("nhc,rhcd->rnhd", x[rows], weight[index]).flatten(2)  # [R, N_kind, d]
                for place, own in zip(places, every.unbind(0)):
                    turned[place] = own
        return query.flatten(1), keys, values
