"""Where the nodes of relations meet: dense relations in blocks, sparse ones over edges in one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from graphfuse.core.buckets import Plan, plan
from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.table import Table

Given = Tensor | Sequence[Tensor] | Table
Into = tuple[tuple[str, tuple[int, ...]], ...]
"""Groups of target nodes: the kind, and the places of the relations that are taken together there."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of sparse relations, relation after relation.

    Attributes:
        tells: The relation of each, ``int64 [E]``.
        told: The row of its source within the kind.
        asks: The group of its target.
        asked: The row of its target within the kind.
        index: The row of its target among all groups' rows.
        counts: Relations and how many edges each has.
        rows: How many rows all groups have.
    """

    tells: Tensor
    told: Tensor
    asks: Tensor
    asked: Tensor
    index: Tensor
    counts: tuple[tuple[int, int], ...]
    rows: int


def edges_into(graph: FusionGraph, relations: Sequence[Laid], into: Into) -> Edges | None:
    """The edges of those relations that are sparse; ``None`` if none is."""
    first = list(accumulate((len(graph.owner(kind)) for kind, _ in into), initial=0))
    tells, told, asks, asked, index, counts = [], [], [], [], [], []
    for r, group in sorted((r, group) for group, (_, own) in enumerate(into) for r in own):
        pairs, (start, _, end) = relations[r].pairs, relations[r].relation
        if pairs is None:
            continue
        told.append(pairs[0] - graph.rows(start).start)
        asked.append(pairs[1] - graph.rows(end).start)
        index.append(asked[-1] + first[group])
        tells.append(torch.full_like(pairs[0], r))
        asks.append(torch.full_like(pairs[0], group))
        counts.append((r, pairs.shape[1]))
    if not counts:
        return None
    every = [torch.cat(each) for each in (tells, told, asks, asked, index)]
    return Edges(every[0], every[1], every[2], every[3], every[4], tuple(counts), first[-1])


@dataclass(frozen=True, eq=False)
class Layout:
    """Where groups of target nodes meet their sources.

    Attributes:
        alone: In blocks, where only dense relations end.
        beside: In blocks, the dense relations that end beside sparse ones.
        listed: Over edges.
    """

    alone: Plan | None
    beside: Plan | None
    listed: Edges | None


def layout(graph: FusionGraph, relations: Sequence[Laid], into: Into) -> Layout:
    """Found once for all graphs that differ in states alone."""
    name = (*relations, into)
    if name not in graph.laid_out:
        kinds = graph.schema.all_kinds
        mixed = [len({relations[r].dense for r in own}) > 1 for _, own in into]

        def blocks(beside: bool) -> Plan | None:
            dense = [
                tuple(r for r in own if relations[r].dense and mix == beside) for (_, own), mix in zip(into, mixed)
            ]
            if not any(dense):
                return None
            groups = [
                (kinds.index(kind), own, [kinds.index(relations[r].relation[0]) for r in own])
                for (kind, _), own in zip(into, dense)
            ]
            made = plan(graph.counts, groups, graph.x.device)
            return made if made.buckets else None

        graph.laid_out[name] = Layout(blocks(False), blocks(True), edges_into(graph, relations, into))
    found: Layout = graph.laid_out[name]
    return found


def table_of(graph: FusionGraph, given: Given, kinds: Sequence[str]) -> Table:
    """What is given for each relation, whose rows are those of ``kinds``, as a table with a group a relation."""
    if isinstance(given, Table):
        return given
    if isinstance(given, Tensor):
        return Table(given, tuple(graph.rows(kind).start for kind in kinds), (1,) * len(kinds))
    if len(given) != len(kinds):
        raise InputError(f"{len(given)} values for {len(kinds)} relations; give one a relation.")
    return Table.joined(given) if given else Table(graph.x[:0], (), ())


def rows_of(table: Table, group: Tensor, row: Tensor) -> Tensor:
    """Rows of a table by group and number, ``[n, d]``; those of one edge each, so that a row may come often."""
    start, stride = torch.tensor([table.first, table.step], device=row.device)
    return table.rows.index_select(0, torch.addcmul(start[group], stride[group], row))
