"""The two forms of relation that a graph knows by itself: all pairs within a sample, and links that samples bring.

The other edge builders live in ``graphfuse/edges`` and follow the same form; these two are here since a schema is
inferred with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from graphfuse.core.errors import InputError

if TYPE_CHECKING:
    from graphfuse.core.graph import FusionGraph
    from graphfuse.core.sample import Batch, Relation

Direction = Literal["forward", "backward", "both"]
BACK = "rev_"
"""Prefix of the name of a relation that runs backward, as in PyG's ``ToUndirected``."""


def relations_of(builder: Any) -> tuple[Relation, ...]:
    """The relations that an edge builder lays: forward, backward or both."""
    forward = (builder.source, builder.name, builder.target)
    backward = (builder.target, BACK + builder.name, builder.source)
    ways = {"forward": (forward,), "backward": (backward,), "both": (forward, backward)}
    if builder.direction not in ways:
        raise InputError(f"{type(builder).__name__}: direction is {builder.direction!r}; it may be {', '.join(ways)}.")
    return ways[builder.direction]


@dataclass(frozen=True)
class AllPairs:
    """Joins each ``source`` node to each ``target`` node of the same sample, itself included. Dense: never listed."""

    source: str
    target: str
    direction: Direction = "forward"
    name: str = "all_pairs"
    dense: ClassVar[bool] = True


@dataclass(frozen=True)
class Linked:
    """The links that each sample brings under ``(source, name, target)``.

    ``weighted`` says that each link also brings a number in ``Sample.weights``; a sample that gives none gives ones.
    """

    source: str
    name: str
    target: str
    direction: Direction = "forward"
    weighted: bool = False
    dense: ClassVar[bool] = False

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Rows that meet ``[2, E]`` and the links' weights ``[E]``."""
        relation = (self.source, self.name, self.target)
        pairs = batch.links.get(relation)
        if pairs is None:
            pairs = torch.zeros(2, 0, dtype=torch.long, device=graph.x.device)
        first = pairs.new_tensor([[graph.rows(self.source).start], [graph.rows(self.target).start]])
        ones = torch.ones(pairs.shape[1], dtype=graph.x.dtype, device=graph.x.device)
        return pairs + first, batch.weights.get(relation, ones) if self.weighted else None
