"""One global node a sample."""

from dataclasses import dataclass
from typing import ClassVar

from graphfuse.core.relations import Direction


@dataclass(frozen=True)
class Hub:
    """Joins each node of a kind to one global node of its sample, made for it. Dense: never listed.

    The hub is a kind of its own; builders that name the same ``target`` share it. ``direction="both"`` sends what the
    hub gathered back, so that any two nodes of a sample are two steps apart at a cost linear in the nodes.

    Source: the virtual node of Gilmer et al. 2017, "Neural message passing for quantum chemistry", section 5.2.
    """

    source: str
    target: str = "hub"
    direction: Direction = "forward"
    name: str = "hub"
    dense: ClassVar[bool] = True

    @property
    def makes(self) -> str:
        """The kind of which each sample gets one node."""
        return self.target
