"""Neighbours in a sequence."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch


@dataclass(frozen=True)
class Window:
    """Joins each node of a kind to the next ``size`` nodes of the same sample, in their order.

    Forward runs from earlier to later, backward from later to earlier; ``direction="both"`` lays two relations, so that
    a layer can tell what stands before a node from what stands after it.
    """

    source: str
    size: int = 1
    direction: Direction = "forward"
    name: str = "window"
    dense: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"Window({self.source!r}): size is {self.size}; it must be at least 1.")

    @property
    def target(self) -> str:
        """The same kind."""
        return self.source

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, None]:
        """Rows that meet, ``[2, E]``."""
        rows = graph.rows(self.source)
        here = torch.arange(rows.start, rows.stop, device=graph.x.device)
        end = graph.offsets[graph.place(self.source), 1:][graph.owner(self.source)]
        later = here[:, None] + torch.arange(1, self.size + 1, device=graph.x.device)  # [N_kind, size]
        inside = later < end[:, None]
        return torch.stack([here[:, None].expand_as(later)[inside], later[inside]]), None
