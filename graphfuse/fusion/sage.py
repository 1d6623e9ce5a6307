"""GraphSAGE over every relation."""

from typing import cast

import torch
from torch import nn

from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import aggregate_mapped
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import PerKind


class SAGE(nn.Module):
    """One layer: a node's own map plus, for each relation that ends at it, a map of its neighbours' mean.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Hamilton et al. 2017, "Inductive representation learning on large graphs", algorithm 1 with means; as
    ``torch_geometric.nn.HeteroConv`` of ``SAGEConv`` with ``aggr="sum"``: ``neighbour[r]`` is the relation's ``lin_l``
    weight; ``own.maps[kind]`` has the sum of the ``lin_r`` weights and of the ``lin_l`` biases of the relations that
    end at the kind.
    """

    def __init__(self, dim: int, schema: Schema):
        super().__init__()
        self.own = PerKind(dim, dim, schema)
        self.neighbour = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in schema.relations)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        maps = [cast(nn.Linear, own).weight.t() for own in self.neighbour]
        out = self.own(graph, graph.x)
        return graph.replace(x=out + aggregate_mapped(graph, graph.x, torch.stack(maps)) if maps else out)
