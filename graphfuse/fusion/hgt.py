"""Heterogeneous graph transformer."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from graphfuse.core.attention import WORTH, attend
from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.layout import goes_in_blocks
from graphfuse.core.schema import Schema
from graphfuse.core.table import Table, map_spans
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
        self.begins: Tensor
        begins = torch.tensor([schema.all_kinds.index(relation[0]) for relation in schema.relations], dtype=torch.long)
        self.register_buffer("begins", begins, persistent=False)
        for weight in (self.key, self.value):
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        begins = [_begins(graph, laid) for laid in graph.relations]
        query, key, value = self._mapped(graph, begins)
        got = attend(graph, query, key, value, [laid for _, laid in begins], heads=self.heads)
        new = self.out(graph, torch.nn.functional.gelu(got))
        keep = [s.sigmoid() if reached else s.new_zeros(()) for s, reached in zip(self.skip, self.reached)]
        share = torch.cat([s.expand(n) for s, n in zip(keep, graph.kind_sizes)])
        return graph.replace(x=torch.lerp(graph.x.to(new.dtype), new, share[:, None].to(new.dtype)))

    def _mapped(self, graph: FusionGraph, begins: Sequence[tuple[Tensor | None, Laid]]) -> tuple[Table, Table, Table]:
        """Queries by kind, keys and values by relation: all in one table, of one product a kind.

        A node's row has its query, then a key and a value for each relation that begins at its kind. What few nodes
        send over a relation comes after that.
        """
        asks, tells = self._folded()
        few = [rows for rows, _ in begins if rows is not None]
        x = torch.cat([graph.x, graph.x.index_select(0, torch.cat(few))]) if few else graph.x
        spans, maps, at, after = [], [], 0, len(graph.x)
        ask: list[tuple[int, int]] = []  # of each kind where its first query stands, and how far the next is
        tell: dict[int, tuple[int, int]] = {}  # of each relation's keys; a value follows its key
        for kind, own in zip(graph.schema.all_kinds, asks):
            sent = [r for r, (rows, laid) in enumerate(begins) if rows is None and laid.relation[0] == kind]
            spans.append(graph.rows(kind))
            maps.append(torch.cat([own, *(tells[begins[r][1].index] for r in sent)]))
            step = 1 + 2 * len(sent)
            ask.append((at, step))
            tell |= {r: (at + 1 + 2 * n, step) for n, r in enumerate(sent)}
            at += step * (spans[-1].stop - spans[-1].start)
        for r, (rows, laid) in enumerate(begins):
            if rows is not None:
                spans.append(slice(after, after + len(rows)))
                maps.append(tells[laid.index])
                tell[r], at, after = (at, 2), at + 2 * len(rows), after + len(rows)
        table = map_spans(x, spans, maps).view(-1, len(asks[0]))
        first, step_of = (tuple(tell[r][i] for r in range(len(begins))) for i in (0, 1))
        value = tuple(one + 1 for one in first)
        return Table(table, *zip(*ask)), Table(table, first, step_of), Table(table, value, step_of)

    def _folded(self) -> tuple[list[Tensor], list[Tensor]]:
        """Maps of states to queries, one a kind, and to keys and values, one a relation: its transforms are folded in.

        So a relation costs one product. ``[d, d + 1]`` and ``[2d, d + 1]``, biases last.
        """
        key, ask, value = torch.stack(self.project.weights()).chunk(3, 1)  # [K, d, d + 1]
        told = torch.stack([key, value], 1).unflatten(2, (self.heads, -1))  # [K, 2, H, c, d + 1]
        turns = torch.stack([self.key * self.prior[..., None, None], self.value], 1)  # [R, 2, H, c, c]
        turned = turns.transpose(3, 4) @ told.index_select(0, self.begins)  # [R, 2, H, c, d + 1]
        return list(ask.unbind()), list(turned.flatten(1, 3).unbind())


def _begins(graph: FusionGraph, laid: Laid) -> tuple[Tensor | None, Laid]:
    """Rows of ``graph.x`` at which a sparse relation begins, if few do, and the relation as if there were no others."""
    name = ("begins", laid)
    if name not in graph.laid_out:
        graph.laid_out[name] = None, laid
        if laid.pairs is not None and not goes_in_blocks(graph, laid, WORTH):
            (source, target), rows = laid.pairs, graph.rows(laid.relation[0])
            sends = torch.zeros(rows.stop - rows.start, dtype=torch.bool, device=source.device)
            sends.index_fill_(0, source - rows.start, True)
            pairs = torch.stack([rows.start + (sends.cumsum(0) - 1)[source - rows.start], target])
            graph.laid_out[name] = rows.start + sends.nonzero()[:, 0], replace(laid, pairs=pairs)
    found: tuple[Tensor | None, Laid] = graph.laid_out[name]
    return found
