"""Graph convolution over all relations alike."""

import torch
from torch import nn

from graphfuse.core.graph import FusionGraph
from graphfuse.core.message import aggregate, counted, degrees
from graphfuse.core.schema import Schema


class GCN(nn.Module):
    """One layer: mapped states of the neighbours, of whatever kind and relation, by symmetrically normalised edges.

    An edge counts ``1 / sqrt(d_i d_j)``, where ``d`` is a node's number of in-edges; each node is also its own
    neighbour, once, whether or not a relation says so.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Kipf and Welling 2017, "Semi-supervised classification with graph convolutional networks", eq. 2, as
    ``torch_geometric.nn.GCNConv`` on all nodes and edges as of one type: ``lin.weight`` and ``bias`` are its own.
    """

    def __init__(self, dim: int, schema: Schema):
        super().__init__()
        self.lin = nn.Linear(dim, dim, bias=False)
        self.bias = nn.Parameter(torch.zeros(dim))
        nn.init.xavier_uniform_(self.lin.weight)

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        loops = self._loops(graph)
        degree = degrees(graph, graph.relations) + 1 - loops  # with one edge to itself
        scale = degree.clamp(min=1).to(graph.x.dtype).rsqrt()[:, None]
        sent = self.lin(graph.x) * scale
        got = aggregate(graph, sent, reduce="sum") + (1 - loops)[:, None].to(sent.dtype) * sent
        return graph.replace(x=got * scale + self.bias)

    def _loops(self, graph: FusionGraph) -> torch.Tensor:
        """How many edges of the relations join each node to itself, ``int64 [N]``."""
        name = ("loops", *graph.relations)
        if name not in graph.laid_out:
            loops = torch.zeros_like(graph.owners)
            for laid in graph.relations:
                if laid.relation[0] == laid.relation[2]:
                    rows = graph.rows(laid.relation[2])
                    if laid.pairs is None:
                        loops[rows] += 1
                    else:
                        same = laid.pairs[1][laid.pairs[0] == laid.pairs[1]]
                        loops += counted(same, len(loops))
            graph.laid_out[name] = loops
        found: torch.Tensor = graph.laid_out[name]
        return found
