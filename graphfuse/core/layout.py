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
from graphfuse.core.masks import masked
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

    def joined(self, given: Sequence[Tensor | None]) -> Tensor | None:
        """Gates, given by relation, of each edge ``[E]``; ``None`` if none is. Never kept: they bear a gradient."""
        some = next((given[r] for r, _ in self.counts if given[r] is not None), None)
        if some is None:
            return None
        one = some.new_ones(1)
        return torch.cat([one.expand(n) if (own := given[r]) is None else own for r, n in self.counts])


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


def layout(
    graph: FusionGraph, relations: Sequence[Laid], into: Into, worth: float = 0.0, apart: tuple[int, ...] = ()
) -> Layout:
    """Found once for all graphs that differ in states alone.

    Args:
        graph: Where the relations are laid.
        relations: Which.
        into: Groups of target nodes.
        worth: A sparse relation goes into blocks, where only those pairs count that it lists, if the nodes that it
            joins have at most so many pairs for each of its edges.
        apart: Places of sparse relations that stay out of blocks, since their edges bear something.
    """
    name = (*relations, into, worth, apart)
    if name not in graph.laid_out:
        kinds = graph.schema.all_kinds
        some = [
            laid.dense or (r not in apart and goes_in_blocks(graph, laid, worth)) for r, laid in enumerate(relations)
        ]
        blocked = {r for r, goes in enumerate(some) if goes}
        listed = tuple((kind, tuple(r for r in own if r not in blocked)) for kind, own in into)

        def blocks(beside: bool) -> Plan | None:
            own = [
                (kind, tuple(r for r in every if r in blocked and bool(left) == beside))
                for (kind, every), (_, left) in zip(into, listed)
            ]
            if not any(own for _, own in own):
                return None
            groups = [
                (kinds.index(kind), some, [kinds.index(relations[r].relation[0]) for r in some]) for kind, some in own
            ]
            made = plan(graph.counts, groups, graph.x.device)
            if not made.buckets:
                return None
            return (
                made
                if all(relations[r].dense for _, some in own for r in some)
                else masked(graph, relations, made, own)
            )

        graph.laid_out[name] = Layout(blocks(False), blocks(True), edges_into(graph, relations, listed))
    found: Layout = graph.laid_out[name]
    return found


def goes_in_blocks(graph: FusionGraph, laid: Laid, worth: float) -> bool:
    """Whether a sparse relation lists so many of the pairs of its nodes that it is worth to go through all.

    Never where edges bear gates, whose gradient is taken edge by edge.
    """
    if laid.gate is not None:
        return False
    source, target = (graph.place(laid.relation[end]) for end in (0, 2))
    pairs, edges = int((graph.counts[source] * graph.counts[target]).sum()), graph.edges(laid).shape[1]
    return 0 < pairs <= worth * edges


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
