"""Nodes that look alike."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch


@dataclass(frozen=True)
class Nearest:
    """Joins to each ``target`` node the ``k`` ``source`` nodes of its sample that are most like it; never itself.

    Likeness is the cosine of the states that ``lay`` is given (a model gives its projections, so two kinds of different
    widths can be compared); the choice itself carries no gradient. Of equals the earlier node is taken.
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
        """Rows that meet, ``[2, E]``."""
        there, here = graph.blocks(self.source), graph.blocks(self.target)
        source, target = (b.spread(_unit(graph.of(k))) for b, k in ((there, self.source), (here, self.target)))
        likeness = (target @ source.transpose(1, 2)).round(decimals=10)  # [B, T, S]
        likeness = likeness.masked_fill(~there.real[:, None, :], -torch.inf)
        if self.source == self.target:
            likeness.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
        best = likeness.sort(dim=2, descending=True, stable=True)
        chosen, real = best.indices[..., : self.k], best.values[..., : self.k] > -torch.inf  # [B, T, k]
        sample, row, rank = (real & here.real[..., None]).nonzero(as_tuple=True)
        first = graph.offsets[:, :-1][[graph.schema.all_kinds.index(k) for k in (self.source, self.target)]]
        return torch.stack([first[0, sample] + chosen[sample, row, rank], first[1, sample] + row]), None


def _unit(x: Tensor) -> Tensor:
    """Rows of length one, in float64: a product's last bits, which depend on a batch's shape, are then rounded off."""
    return torch.nn.functional.normalize(x.detach().double(), dim=1)
