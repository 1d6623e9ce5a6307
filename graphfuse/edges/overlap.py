"""Nodes that share time."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, runs
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Overlap:
    """Joins nodes of one sample whose spans overlap by more than a point; a node never meets itself.

    Reads ``Sample.spans`` of both kinds, ``[n, 2]`` with start and end in one unit. Spans are sorted once a kind and
    looked up, so that not every pair has to be compared.
    """

    source: str
    target: str
    direction: Direction = "forward"
    name: str = "overlap"
    dense: ClassVar[bool] = False

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, None]:
        """Rows that meet, ``[2, E]``, sorted by target."""
        there, here = _spans(graph, batch, self.source), _spans(graph, batch, self.target)
        first, many = np.empty_like(here.order), np.empty_like(here.order)
        # of sources in the order of their starts, those before ``first`` end too early, those behind start too late
        first[here.order] = there.ends.searchsorted(here.early)
        many[here.order] = there.starts.searchsorted(here.late, side="right")
        place, target = runs(first, (many - first).clip(min=0), 0)
        source = there.order[place]
        start, end, begin, stop = there.start[source], there.end[source], here.start[target], here.end[target]
        meet = (start < stop) & (begin < end) & (start < end) & (begin < stop)
        if self.source == self.target:
            meet &= source != target
        pairs = np.stack([source[meet] + graph.rows(self.source).start, target[meet] + graph.rows(self.target).start])
        return torch.from_numpy(pairs).to(graph.x.device), None


class _Spans(NamedTuple):
    """A kind's spans, and on one axis of time on which each sample comes after the one before."""

    start: Floats
    end: Floats
    order: npt.NDArray[np.int64]
    """The nodes in the order of their starts on that axis, and so are:"""
    starts: Floats
    ends: Floats
    """The last end so far."""
    early: Floats
    """Starts, a trifle earlier than they are: what is looked up on the axis, where times are rounded, is compared."""
    late: Floats
    """Ends, a trifle later."""


def _spans(graph: FusionGraph, batch: Batch, kind: str) -> _Spans:
    """Made once a graph for all builders that read the kind's spans."""
    if (Overlap, kind) not in graph.laid_out:
        spans = batch.spans.get(kind, torch.full((len(graph.of(kind)), 2), torch.nan)).cpu().double()
        lacking = spans.isnan().any(1).nonzero()
        if len(lacking):
            name = batch.names[int(graph.owner(kind)[lacking[0]])]
            raise InputError(f"Overlap: sample {name!r} has no spans of kind {kind!r}; give "
                             f"Sample(spans={{{kind!r}: tensor [n, 2]}}).")  # fmt: skip
        start, end = spans.numpy().T
        low, high = _range(graph, batch)
        length = high - low + 2  # of a sample on the axis; what has no end lies just out of what has one
        owner = graph.owner(kind).cpu().numpy() * length
        starts, ends = (x.clip(low - 1, high + 1) + owner for x in (start, end))
        order = starts.argsort(kind="stable")
        starts, ends, trifle = starts[order], ends[order], 1e-15 * length * (len(batch) + 1) + 1e-15 * abs(low)
        last = np.maximum.accumulate(ends)
        graph.laid_out[Overlap, kind] = _Spans(start, end, order, starts, last, starts - trifle, ends + trifle)
    found: _Spans = graph.laid_out[Overlap, kind]
    return found


def _range(graph: FusionGraph, batch: Batch) -> tuple[float, float]:
    """The first and the last time of all spans."""
    if Overlap not in graph.laid_out:
        every = np.concatenate([np.zeros(1), *(x.cpu().double().numpy().ravel() for x in batch.spans.values())])
        every = every[np.isfinite(every)]
        graph.laid_out[Overlap] = float(every.min()), float(every.max())
    found: tuple[float, float] = graph.laid_out[Overlap]
    return found
