"""Nodes that look alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch
from graphfuse.edges.likeness import AT_ONCE, Compared, begins


@dataclass(frozen=True)
class Nearest:
    """Joins to each ``target`` node the ``k`` ``source`` nodes of its sample that are most like it; never itself.

    Likeness is the cosine of the states that ``lay`` is given (a model gives its projections, so two kinds of different
    widths can be compared); the choice itself carries no gradient. Of equals the earlier node is taken.

    Nodes are compared in single precision first. Where the last that is taken is hardly more like than the first that
    is not, by no more than rounding could make, they are compared in double precision: so a choice is never one of
    rounding, which depends on the other samples of the batch.
    """

    source: str
    target: str
    k: int = 4
    direction: Direction = "forward"
    name: str = "nearest"
    dense: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"Nearest({self.source!r}, {self.target!r}): k is {self.k}; it must be at least 1.")

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, None]:
        """Rows that meet, ``[2, E]``, sorted by target, and of one target by source."""
        return self.together([self], graph, batch)[0]

    @classmethod
    def together(cls, builders: Sequence[Nearest], graph: FusionGraph, batch: Batch) -> list[tuple[Tensor, None]]:
        """What each of several builders finds; sources that meet the same kinds are compared with them in one go."""
        filled = {kind for kind, size in zip(graph.schema.all_kinds, graph.kind_sizes) if size}
        targets: dict[tuple[str, int], set[str]] = defaultdict(set)
        for builder in builders:
            if {builder.source, builder.target} <= filled:
                targets[builder.source, builder.k].add(builder.target)
        found: dict[tuple[str, str, int], Tensor] = {}
        for own in dict.fromkeys(map(frozenset, targets.values())):
            asked = [one for one, each in targets.items() if each == own]
            for kinds, some in _bounded(graph, own, asked):
                compared = Compared.of(graph, kinds, {source for source, _ in some})
                for source, k in some:
                    found |= {(source, kind, k): pairs for kind, pairs in _pairs(graph, compared, source, k)}
        none = graph.owners.new_zeros(2, 0)
        return [(found.get((builder.source, builder.target, builder.k), none), None) for builder in builders]


def _bounded(
    graph: FusionGraph, targets: Collection[str], asked: Sequence[tuple[str, int]]
) -> list[tuple[Collection[str], Sequence[tuple[str, int]]]]:
    """All at once, or where that were too many pairs, kind by kind."""
    here, there = (graph.counts[[graph.place(kind) for kind in kinds]] for kinds in (targets, {s for s, _ in asked}))
    if here.sum() * there.max(axis=1).sum() <= AT_ONCE:
        return [(targets, asked)]
    return [([kind], [one]) for one in asked for kind in targets]


def _pairs(graph: FusionGraph, compared: Compared, source: str, k: int) -> Iterable[tuple[str, Tensor]]:
    """The rows that meet, ``[2, E]``, by the kind of the target."""
    chosen, sizes, device = compared.best(source, k), compared.targets.sizes, graph.x.device
    rows = [np.arange(graph.rows(kind).start, graph.rows(kind).stop) for kind in sizes]
    owner, first = compared.targets.owner[compared.targets.place], begins(graph, graph.place(source))
    asked = torch.from_numpy(np.concatenate(rows)).to(device)[:, None].expand_as(chosen)
    pairs = torch.stack([chosen + torch.from_numpy(first[owner]).to(device)[:, None], asked]).flatten(1)
    ends = np.cumsum([0, *sizes.values()]) * chosen.shape[1]
    if (graph.counts[graph.place(source)] - (source in sizes) < k).any():  # some may have chosen fewer
        kept = (chosen.flatten() < compared.width(source)).nonzero()[:, 0]
        pairs = pairs.index_select(1, kept)
        ends = torch.searchsorted(kept, torch.from_numpy(ends).to(device)).cpu().numpy()
    return zip(sizes, pairs.split(np.diff(ends).tolist(), dim=1))
