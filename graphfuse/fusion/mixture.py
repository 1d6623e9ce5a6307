"""Each kind an expert that gives a normal distribution; their product or their mixture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from graphfuse.core.catalog import look_up
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Deepen, KindMaps, Pooling

LEAST = 1e-6
"""Added to a variance, so that no expert is ever infinitely sure."""


class Mixture(nn.Module):
    """Each kind's pooled vector gives a mean and a variance a channel; the vector is linear in those of the joint one.

    ``how="product"``: with precisions ``T_k = 1 / variance_k`` and the prior N(0, 1) as one more expert, the mean is
    ``sum_k mean_k T_k / (1 + sum_k T_k)`` and the variance ``1 / (1 + sum_k T_k)``: a sure kind counts for more.
    ``how="mixture"``: ``1/M`` of each of the ``M`` kinds at hand, with the mean and the variance of that mixture.
    A lacking kind is no expert: it is in no product, no sum and no count. Node states stay as they are.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: One for the experts, the others refine the vector.
        how: ``"product"`` or ``"mixture"``.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: product, MVAE, Wu & Goodman 2018, "Multimodal generative models for scalable weakly-supervised learning",
    section 2.2; mixture, MMVAE, Shi et al. 2019, "Variational mixture-of-experts autoencoders for multi-modal deep
    generative models", section 3. Departures: nothing is sampled, decoded or drawn to the prior; the joint mean and
    log variance, through a linear map, take the place of a draw; experts are linear, variances a softplus.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, how: str = "product"):
        super().__init__()
        self.together = look_up({"product": product, "mixture": mixture}, how, "way to join experts")
        self.pooling = Pooling(dim)
        self.experts = KindMaps(len(schema.all_kinds), dim, 2 * dim)
        self.join = nn.Linear(2 * dim, dim)
        self.deep = Deepen(dim, layers)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)
        mean, spread = self.experts(pooled).chunk(2, 2)  # [B, K, d]
        mean, variance = self.together(mean, softplus(spread) + LEAST, present[..., None].to(mean.dtype))
        return Fused(graph, self.deep(self.join(torch.cat([mean, variance.log()], 1))))


def product(mean: Tensor, variance: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Of normal experts ``[B, K, d]`` and the prior: the mean and the variance, ``[B, d]``."""
    precision = present / variance
    total = 1 + precision.sum(1)
    return (precision * mean).sum(1) / total, 1 / total


def mixture(mean: Tensor, variance: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Of normal experts ``[B, K, d]`` with equal shares: the mean and the variance, ``[B, d]``."""
    share = present / present.sum(1, keepdim=True).clamp(min=1)
    middle = (share * mean).sum(1)
    return middle, (share * (variance + (mean - middle[:, None]).square())).sum(1)
