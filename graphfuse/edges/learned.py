"""Nodes that a model learns to join."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch
from graphfuse.edges.nearest import Nearest


@dataclass(frozen=True)
class Learned:
    """Joins to each ``target`` node the ``k`` ``source`` nodes of its sample that a model finds most like it.

    The nodes are those of :class:`Nearest`, but the choice is learned: each edge carries a gate that is exactly 1, and
    whose gradient is that of the edge's share in a softmax of ``cosine / temperature`` over all candidates. So what an
    edge brings to the answer draws the two states together or apart; the states are a model's projections, a linear map
    a kind, which makes the likeness a learned one between kinds of any width. Every layer made of the two primitives
    passes that gradient on; the wrapped layers of ``pyg`` take the edges without it.

    Source: the k-nearest graph of learned states, Wang et al. 2019, "Dynamic graph CNN", section 3.1; the
    straight-through gradient, Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons".
    """

    source: str
    target: str
    k: int = 4
    temperature: float = 0.1
    direction: Direction = "forward"
    name: str = "learned"
    dense: ClassVar[bool] = False
    gated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        where = f"Learned({self.source!r}, {self.target!r})"
        if self.k < 1:
            raise InputError(f"{where}: k is {self.k}; it must be at least 1.")
        if not self.temperature > 0:
            raise InputError(f"{where}: temperature is {self.temperature}; it must be more than 0.")

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, Tensor]:
        """Rows that meet ``[2, E]``, sorted by target, and the gate of each edge ``[E]``."""
        pairs, _ = Nearest(self.source, self.target, self.k)(graph, batch)
        if not pairs.numel():
            return pairs, graph.x.new_ones(0)
        share = self._share(graph)
        owner, rows = graph.owners[pairs[1]], [graph.offsets[graph.place(kind)] for kind in (self.source, self.target)]
        told, asked = (own - first[owner] for own, first in zip(pairs, rows))  # within the sample
        own = share[owner, asked, told]
        return pairs, 1 + (own - own.detach())

    def _share(self, graph: FusionGraph) -> Tensor:
        """What share of a target node's likeness each source node has, ``[B, T, S]``."""
        there, here = graph.blocks(self.source), graph.blocks(self.target)
        source, target = (
            blocks.spread(normalize(graph.of(kind), dim=1))
            for blocks, kind in ((there, self.source), (here, self.target))
        )
        may = there.real[:, None]
        if self.source == self.target:
            may = may & ~torch.eye(source.shape[1], dtype=torch.bool, device=may.device)
        with torch.autocast(target.device.type, enabled=False):
            score = target @ source.transpose(1, 2) / self.temperature
        return score.masked_fill(~may, torch.finfo(score.dtype).min).softmax(-1)
