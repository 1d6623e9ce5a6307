"""Feature-wise linear modulation of messages by the node that they reach."""

from torch import Tensor, nn

from graphfuse.core.graph import FusionGraph
from graphfuse.core.pairs import mean_over_pairs
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import PerRelation, summed


class FiLM(nn.Module):
    """One layer: for each relation, the mean of the neighbours' mapped states, scaled and shifted by the target.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.
    Source: Brockschmidt 2020, "GNN-FiLM: graph neural networks with feature-wise linear modulation", eq. 4, as
    ``torch_geometric.nn.FiLMConv`` with ``num_relations`` on all nodes as of one type: of relation ``r``,
    ``lins[r].weight`` is ``tell.weight[r, 0]``, ``films[r]`` is ``turn.weight[r, 0]`` and ``turn.bias[r, 0]``;
    ``lin_skip`` and ``film_skip`` are its own.
    """

    def __init__(self, dim: int, schema: Schema):
        super().__init__()
        self.lin_skip = nn.Linear(dim, dim, bias=False)
        self.film_skip = nn.Linear(dim, 2 * dim, bias=False)
        self.tell = PerRelation(dim, dim, schema, "source", bias=False)
        self.turn = PerRelation(dim, 2 * dim, schema, "target")

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        own = _modulated(self.film_skip(graph.x), self.lin_skip(graph.x))
        if not graph.relations:
            return graph.replace(x=own)
        got = mean_over_pairs(graph, self.turn(graph)[0], self.tell(graph)[0], _modulated)
        return graph.replace(x=own + summed(graph, got, own.shape[1]))


def _modulated(turn: Tensor, sent: Tensor) -> Tensor:
    shift, scale = turn.chunk(2, -1)
    return (scale * sent + shift).relu()
