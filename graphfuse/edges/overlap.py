"""Nodes that share time."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, pairs_within
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch


@dataclass(frozen=True)
class Overlap:
    """Joins nodes of one sample whose spans overlap by more than a point; a node never meets itself.

    Reads ``Sample.spans`` of both kinds, ``[n, 2]`` with start and end in one unit.
    """

    source: str
    target: str
    direction: Direction = "forward"
    name: str = "overlap"
    dense: ClassVar[bool] = False

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, None]:
        """Rows that meet, ``[2, E]``."""
        for kind in (self.source, self.target):
            spans = batch.spans.get(kind, torch.full((len(graph.of(kind)), 2), torch.nan))
            lacking = spans.isnan().any(1).nonzero()
            if len(lacking):
                name = batch.names[int(graph.owner(kind)[lacking[0]])]
                raise InputError(f"Overlap: sample {name!r} has no spans of kind {kind!r}; give "
                                 f"Sample(spans={{{kind!r}: tensor [n, 2]}}).")  # fmt: skip
        pairs = pairs_within(graph, self.source, self.target)
        if not pairs.shape[1]:
            return pairs, None
        left = batch.spans[self.source][pairs[0] - graph.rows(self.source).start]  # [E, 2]
        right = batch.spans[self.target][pairs[1] - graph.rows(self.target).start]
        meet = (left[:, 0] < right[:, 1]) & (right[:, 0] < left[:, 1]) & (pairs[0] != pairs[1])
        return pairs[:, meet], None
