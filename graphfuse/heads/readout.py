"""The weights of heads: of those that read the vector of a sample, and of those that read nodes or links beside it."""

import torch
from torch import Tensor, nn

from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.sample import Relation


class VectorScores(nn.Module):
    """A linear map of a sample's vector: ``Fused -> [B, out]``.

    With ``features [out, w]``, what each output means, such as the embedding of a label's own words, an output's score
    is the linear one plus the product of a projection of the vector and one of its features, so that labels alike in
    meaning share what they learn. The features are kept with the weights; a number stands for features to be loaded.
    """

    features: Tensor

    def __init__(self, dim: int, out: int, features: Tensor | int | None = None):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, out)
        if features is None:
            return
        given = features if isinstance(features, Tensor) else torch.zeros(out, features)
        self.register_buffer("features", given.detach().clone().float())
        self.asks, self.means = nn.Linear(dim, dim), nn.Linear(given.shape[1], dim)

    def forward(self, fused: Fused) -> Tensor:
        """Scores a sample's vector."""
        vector = self.norm(fused.vector)
        scores = self.out(vector)
        if "features" not in self._buffers:
            return scores
        meaning = self.means(self.features.to(vector.dtype))  # [out, d]
        return scores + self.asks(vector) @ meaning.T * meaning.shape[1] ** -0.5


class RowScores(nn.Module):
    """Scores each node of a kind, or each link of a relation, beside its sample's vector: ``Fused -> [N]``.

    From the states of a node or of a link's two ends, the vector, the product of the first two of these, and a plain
    linear map of the states. With ``out`` there are as many numbers a row, ``[N, out]``.
    """

    def __init__(self, dim: int, of: str | Relation, out: int | None = None):
        super().__init__()
        self.of, self.out = of, out
        ends = 1 if isinstance(of, str) else 2
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(ends + 1))
        self.plain = nn.Linear(ends * dim, out or 1, bias=False)
        self.score = nn.Sequential(nn.Linear((ends + 2) * dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, out or 1))

    def forward(self, fused: Fused) -> Tensor:
        """Scores the nodes, or the links in the order of their samples."""
        states, owner = _rows(fused.graph, self.of)
        parts = [norm(x) for norm, x in zip(self.norms, states)]
        parts.append(self.norms[-1](fused.vector).index_select(0, owner))
        scores = self.plain(torch.cat(states, 1)) + self.score(torch.cat([*parts, parts[0] * parts[1]], 1))
        return scores[:, 0] if self.out is None else scores


class EachScores(nn.Module):
    """Scores each node of a kind, or each link of a relation, as another head scores a sample's vector.

    Shape: ``Fused -> [N, C]``, where ``scores`` is the other head's ``Fused -> [B, C]``.
    """

    def __init__(self, dim: int, of: str | Relation, scores: nn.Module):
        super().__init__()
        self.rows, self.scores = RowScores(dim, of, dim), scores

    def forward(self, fused: Fused) -> Tensor:
        """Scores the nodes or links."""
        return self.scores(Fused(fused.graph, self.rows(fused)))


def _rows(graph: FusionGraph, of: str | Relation) -> tuple[list[Tensor], Tensor]:
    """The states of nodes, or of both ends of links, ``[N, d]`` each, and the sample of each, ``int64 [N]``."""
    if isinstance(of, str):
        return [graph.of(of)], graph.owner(of)
    links = graph.links[of]
    owner, order = graph.owner(of[0]).index_select(0, links[0]).sort(stable=True)
    return [graph.of(kind).index_select(0, end[order]) for kind, end in zip(of[::2], links)], owner
