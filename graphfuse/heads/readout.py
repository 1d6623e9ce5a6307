"""The weights of the heads that read the vector of a sample."""

from torch import Tensor, nn

from graphfuse.core.fused import Fused


class VectorScores(nn.Module):
    """A linear map of a sample's vector: ``Fused -> [B, out]``."""

    def __init__(self, dim: int, out: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, out)

    def forward(self, fused: Fused) -> Tensor:
        """Scores a sample's vector."""
        return self.out(self.norm(fused.vector))
