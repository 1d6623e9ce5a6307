"""Relational graph convolution."""

import torch
from torch import nn

from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import aggregate_mapped
from graphfuse.core.schema import Schema


class RGCN(nn.Module):
    """One layer: the node's own map, one for all kinds, plus a map of its neighbours' mean for each relation.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Schlichtkrull et al. 2018, "Modeling relational data with graph convolutional networks", eq. 2, as
    ``torch_geometric.nn.RGCNConv``: ``weight``, ``root`` and ``bias`` are its own.
    """

    def __init__(self, dim: int, schema: Schema):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(schema.relations), dim, dim))
        self.root = nn.Parameter(torch.empty(dim, dim))
        self.bias = nn.Parameter(torch.zeros(dim))
        for weight in (*self.weight, self.root):
            nn.init.xavier_uniform_(weight)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        out = torch.addmm(self.bias, graph.x, self.root)
        return graph.replace(x=out + aggregate_mapped(graph, graph.x, self.weight))
