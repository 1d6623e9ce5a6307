"""What a fusion gives."""

from dataclasses import dataclass

from torch import Tensor

from graphfuse.core.graph import FusionGraph


@dataclass(frozen=True, eq=False)
class Fused:
    """Fused node states and one vector a sample.

    Attributes:
        graph: The graph with fused states ``x [N, d]``.
        vector: ``[B, d]``.
    """

    graph: FusionGraph
    vector: Tensor
