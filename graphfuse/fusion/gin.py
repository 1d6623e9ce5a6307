"""Graph isomorphism network over all relations alike."""

import torch
from torch import nn

from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import aggregate
from graphfuse.core.schema import Schema


class GIN(nn.Module):
    """One layer: a network of two maps over ``(1 + eps)`` times a node's state plus the sum of its neighbours'.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Xu et al. 2019, "How powerful are graph neural networks?", eq. 4.1, as ``torch_geometric.nn.GINConv`` with
    ``train_eps=True`` on all nodes and edges as of one type: ``nn`` and ``eps`` are its own.
    """

    def __init__(self, dim: int, schema: Schema):
        super().__init__()
        self.nn = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.eps = nn.Parameter(torch.zeros(1))

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        return graph.replace(x=self.nn((1 + self.eps) * graph.x + aggregate(graph, graph.x, reduce="sum")))
