"""Nodes that share time."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, runs
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch


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
        # of sources in the order of their starts, those before ``first`` end too early, from ``stop`` on start too late
        first = torch.searchsorted(there.ends, here.start, right=True)  # [B, T]
        stop = torch.searchsorted(there.starts, here.end)
        many = (stop - first).clamp(min=0).masked_fill(~(here.start < here.end), 0)
        begin = torch.arange(len(batch), device=many.device)[:, None] * there.start.shape[1]
        near, place = runs((first + begin).flatten().cpu().numpy(), many.flatten().cpu().numpy(), 0).to(many.device)
        source = there.order.flatten()[near]
        pairs = torch.stack([there.row.flatten()[source], here.row.flatten()[place]])
        start, end = there.start.flatten()[source], there.end.flatten()[source]
        return pairs[:, (end > here.start.flatten()[place]) & (start < end) & (pairs[0] != pairs[1])], None


class _Spans(NamedTuple):
    """A kind's spans in one block a sample, ``[B, M]`` each; a place that pads is the last and meets nothing."""

    start: Tensor
    end: Tensor
    row: Tensor
    """Of ``graph.x``."""
    order: Tensor
    """The places of all blocks in the order of their starts."""
    starts: Tensor
    """In that order."""
    ends: Tensor
    """The last end so far in that order."""


def _spans(graph: FusionGraph, batch: Batch, kind: str) -> _Spans:
    """Made once a graph for all builders that read the kind's spans."""
    if (Overlap, kind) not in graph.laid_out:
        rows, first = len(graph.of(kind)), graph.offsets[graph.schema.all_kinds.index(kind), :-1, None]
        spans = batch.spans.get(kind, torch.full((rows, 2), torch.nan)).double()
        lacking = spans.isnan().any(1).nonzero()
        if len(lacking):
            name = batch.names[int(graph.owner(kind)[lacking[0]])]
            raise InputError(f"Overlap: sample {name!r} has no spans of kind {kind!r}; give "
                             f"Sample(spans={{{kind!r}: tensor [n, 2]}}).")  # fmt: skip
        blocks = graph.blocks(kind)
        start, end = (blocks.spread(x) for x in spans.unbind(1))
        start, end = start.masked_fill(~blocks.real, torch.inf), end.masked_fill(~blocks.real, -torch.inf)
        starts, order = start.sort(dim=1)
        ends = end.gather(1, order).cummax(1).values if rows else end
        place = torch.arange(start.shape[1], device=first.device)
        begin = torch.arange(len(batch), device=first.device)[:, None] * start.shape[1]
        graph.laid_out[Overlap, kind] = _Spans(start, end, first + place, order + begin, starts, ends)
    found: _Spans = graph.laid_out[Overlap, kind]
    return found
