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
        meant: For a fusion that grounds: each node's share of being what the sample is about, ``[N]``, else ``None``.
    """

    graph: FusionGraph
    vector: Tensor
    meant: Tensor | None = None
