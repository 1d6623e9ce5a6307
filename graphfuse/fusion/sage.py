"""GraphSAGE over every relation."""

import torch
from torch import nn

from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import aggregate_one
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
        out = list(self.own(graph, graph.x).split([b - a for a, b in zip(graph.starts, graph.starts[1:])]))
        for laid in graph.relations:
            mean = aggregate_one(graph, graph.of(laid.relation[0]), laid, "mean")  # [N_target, d]
            place = graph.schema.all_kinds.index(laid.relation[2])
            out[place] = out[place] + self.neighbour[laid.index](mean)
        return graph.replace(x=torch.cat(out))
