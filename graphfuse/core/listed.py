"""Edges of all sparse relations of a graph in one list, by the group of target nodes that they end at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.table import Table

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
    return Edges(*(torch.cat(each) for each in (tells, told, asks, asked, index)), tuple(counts), first[-1])


def rows_of(table: Table, group: Tensor, row: Tensor) -> Tensor:
    """Rows of a table by group and number, ``[n, d]``; those of one edge each, so that a row may come often."""
    start, stride = torch.tensor([table.first, table.step], device=row.device)
    return table.rows.index_select(0, torch.addcmul(start[group], stride[group], row))
