"""Nodes that share time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Ints, runs
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch

Floats = npt.NDArray[np.float64]
FAR = 1e290
"""Times beyond it count as without end: their sums would have none."""


@dataclass(frozen=True)
class Overlap:
    """Joins nodes of one sample whose spans overlap by more than a point; a node never meets itself.

    Reads ``Sample.spans`` of both kinds, ``[n, 2]`` with start and end in one unit. Spans are sorted and looked up, so
    that not every pair has to be compared.
    """

    source: str
    target: str
    direction: Direction = "forward"
    name: str = "overlap"
    dense: ClassVar[bool] = False

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, None]:
        """Rows that meet, ``[2, E]``, sorted by target."""
        return self.together([self], graph, batch)[0]

    @classmethod
    def together(cls, builders: Sequence[Overlap], graph: FusionGraph, batch: Batch) -> list[tuple[Tensor, None]]:
        """What each of several builders finds, looked up in one go."""
        named = {kind for builder in builders for kind in (builder.source, builder.target)}
        axis = _Axis.of(graph, batch, [kind for kind in graph.schema.all_kinds if kind in named])
        targets = [axis.nodes[builder.target] for builder in builders]
        asked = np.concatenate([np.arange(own.start, own.stop) for own in targets])
        ends = np.cumsum([0, *(own.stop - own.start for own in targets)])
        # each target is looked up where its sample's nodes of the other kind stand; far faster in the order of starts
        by_start = np.concatenate([axis.order[own] for own in targets])
        away = np.concatenate([np.full(own.stop - own.start, axis.away(one.source, one.target))
                               for own, one in zip(targets, builders)])  # fmt: skip
        place = by_start + (ends[:-1] - [own.start for own in targets]).repeat(np.diff(ends))
        first, many = np.empty_like(asked), np.empty_like(asked)
        # of sources in the order of their starts, those before ``first`` end too early, those behind start too late
        first[place] = axis.last.searchsorted(axis.begin[by_start] + (away - axis.trifle))
        many[place] = axis.first.searchsorted(axis.end[by_start] + (away + axis.trifle), side="right") - first[place]
        found, one = runs(first, many.clip(min=0))
        source, target = axis.order[found], asked[one]
        start, stop = axis.spans  # one array for each: numpy takes from rows of a table far slower
        meet = np.flatnonzero((start[source] < stop[target]) & (start[target] < stop[source]) & (source != target))
        pairs = np.stack([axis.row[source[meet]], axis.row[target[meet]]])
        parts = np.split(pairs, one[meet].searchsorted(ends[1:-1]), axis=1)
        return [(torch.from_numpy(part).to(graph.x.device), None) for part in parts]


@dataclass(frozen=True)
class _Axis:
    """Nodes of some kinds, kind after kind, on one axis of time where no two samples and no two kinds meet.

    Attributes:
        row: Of each node its row of ``graph.x``, ``[n]``.
        nodes: Of each kind.
        spans: Start of each, ``[n]``, and end; where nothing is between them, what overlaps nothing.
        begin: The start on the axis, where it is rounded.
        end: The end on it.
        order: The nodes by their starts.
        first: Their starts in that order,
        last: and the last end so far.
        trifle: More than what rounding changes.
        step: From where a kind begins on the axis to where the next one does.
    """

    row: Ints
    nodes: dict[str, slice]
    spans: tuple[Floats, Floats]
    begin: Floats
    end: Floats
    order: Ints
    first: Floats
    last: Floats
    trifle: float
    step: float

    @classmethod
    def of(cls, graph: FusionGraph, batch: Batch, kinds: Sequence[str]) -> _Axis:
        """Of the nodes of some kinds.

        Raises:
            InputError: A node has no span; names the sample and the kind.
        """
        own, size = [graph.place(kind) for kind in kinds], len(graph)
        row = np.concatenate([np.arange(graph.starts[k], graph.starts[k + 1]) for k in own])
        ends = np.cumsum([graph.kind_sizes[k] for k in own]).tolist()
        nodes = dict(zip(kinds, map(slice, [0, *ends], ends)))
        owner = np.tile(np.arange(size), len(own)).repeat(graph.counts[own].ravel())
        given = [batch.spans.get(kind, torch.full((1, 2), torch.nan).expand(graph.kind_sizes[k], 2)).cpu().double()
                 for kind, k in zip(kinds, own)]  # fmt: skip
        spans: Floats = torch.cat(given).t().numpy()  # [2, n]
        low, high = spans.min(initial=0), spans.max(initial=0)
        if np.isnan(low):
            at = int(np.flatnonzero(np.isnan(spans).any(axis=0))[0])
            kind = next(kind for kind, places in nodes.items() if at < places.stop)
            raise InputError(f"Overlap: sample {batch.names[owner[at]]!r} has no spans of kind {kind!r}; give "
                             f"Sample(spans={{{kind!r}: tensor [n, 2]}}).")  # fmt: skip
        if low < -FAR or high > FAR:
            near = spans[abs(spans) <= FAR]
            low, high = near.min(initial=0), near.max(initial=0)
        apart = 2 * (high - low) + 4  # from a sample to the next; what has no end lies just out of what has one
        cell = np.arange(len(own)).repeat(graph.counts[own].sum(axis=1)) * size + owner
        begin, end = spans.clip(low - 1, high + 1) + cell * apart
        some = spans[0] < spans[1]  # a point meets nothing
        bounds = np.where(some, spans[0], np.inf), np.where(some, spans[1], -np.inf)
        order = begin.argsort(kind="stable")
        trifle = 1e-15 * (apart * (len(own) * size + 1) + abs(low))
        return cls(row, nodes, bounds, begin, end, order, begin[order], np.maximum.accumulate(end[order]), trifle,
                   apart * size)  # fmt: skip

    def away(self, source: str, target: str) -> float:
        """How far on the axis a sample's nodes of one kind are from those of another."""
        kinds = list(self.nodes)
        return self.step * (kinds.index(source) - kinds.index(target))
