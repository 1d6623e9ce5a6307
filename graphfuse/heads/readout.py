"""The weights of the heads that read the vector of a sample."""

import torch
from torch import Tensor, nn

from graphfuse.core.fused import Fused


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
