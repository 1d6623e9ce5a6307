"""Each kind decides alone; the decisions are joined."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from graphfuse.core.catalog import look_up
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import KindMaps, Pooling


class Late(nn.Module):
    """Each kind has an expert that sees its pooled vector alone and gives a vector; these are joined, and no more.

    A fusion gives a vector and not class scores, so that experts decide on its channels; the head, after the join, is
    one for all. Nothing follows the join here, so that no kind sees another before its decision. A lacking kind has no
    say: it is left out of means, softmaxes and combinations. Node states stay as they are.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: Depth of each expert.
        how: ``"average"``, :class:`Average`; ``"stacking"``, :class:`Stacking`; ``"evidential"``, :class:`Evidential`.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: late fusion, Baltrusaitis et al. 2019, "Multimodal machine learning", section 6.1; of the joins, see each.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, how: str = "average"):
        super().__init__()
        kinds = len(schema.all_kinds)
        join = look_up({"average": Average, "stacking": Stacking, "evidential": Evidential}, how, "way to join experts")
        self.pooling = Pooling(dim)
        self.first = KindMaps(kinds, dim, dim)
        self.wide = nn.ModuleList(KindMaps(kinds, dim, 2 * dim) for _ in range(layers - 1))
        self.back = nn.ModuleList(KindMaps(kinds, 2 * dim, dim) for _ in range(layers - 1))
        self.join = join(kinds, dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)
        expert = self.first(pooled)  # [B, K, d]
        for wide, back in zip(self.wide, self.back):
            expert = expert + back(gelu(wide(expert)))
        return Fused(graph, self.join(expert, present[..., None]))


class Average(nn.Module):
    """The mean of the experts' vectors: ``expert [B, K, d], present [B, K, 1] -> [B, d]``."""

    def __init__(self, kinds: int, dim: int):
        super().__init__()

    def forward(self, expert: Tensor, present: Tensor) -> Tensor:
        """Joins the experts' vectors."""
        return (expert * present).sum(1) / present.sum(1).clamp(min=1)


class Stacking(nn.Module):
    """Learned weights, for each channel those of all kinds at hand a softmax: ``[B, K, d] -> [B, d]``.

    Source: Wolpert 1992, "Stacked generalization"; the weights are none below zero and add to one as in Breiman 1996,
    "Stacked regressions". Departure: they are learned together with the experts, not on predictions for held-out
    samples.
    """

    def __init__(self, kinds: int, dim: int):
        super().__init__()
        self.logit = nn.Parameter(torch.zeros(kinds, dim))

    def forward(self, expert: Tensor, present: Tensor) -> Tensor:
        """Joins the experts' vectors."""
        return (self.logit.masked_fill(~present, -torch.inf).softmax(1) * expert).sum(1)


class Evidential(nn.Module):
    """Experts give evidence for each channel, joined by Dempster's rule: ``[B, K, d] -> [B, d]``.

    With evidence ``e_k = softplus(expert_k)`` and ``S_k = sum(e_k + 1)``, an expert believes ``b_k = e_k / S_k`` and
    leaves ``u_k = d / S_k`` open. Two combine to ``b = (b_1 b_2 + b_1 u_2 + b_2 u_1) / (1 - C)`` and
    ``u = u_1 u_2 / (1 - C)``, where ``C`` is the sum of ``b_1[i] b_2[j]`` over ``i != j``. Of any number this is
    ``1 + e / d = prod_k (1 + e_k / d)`` in terms of the joint evidence ``e``. The result is the log of the joint
    Dirichlet's parameters ``e + 1``; a kind without evidence, or lacking, multiplies by one and changes nothing.

    Source: TMC, Han et al. 2021, "Trusted multi-view classification", definition 3.1 and sections 3.2-3.3. Departures:
    the ``d`` channels of the vector stand for the classes; the head reads the log parameters and is trained by its own
    loss, so that there is neither the evidential loss nor one a view, and beliefs are of channels, not of answers.
    """

    def __init__(self, kinds: int, dim: int):
        super().__init__()

    def forward(self, expert: Tensor, present: Tensor) -> Tensor:
        """Joins the experts' vectors."""
        dim = expert.shape[2]
        evidence = dim * torch.expm1((torch.log1p(softplus(expert) / dim) * present).sum(1))
        return torch.log1p(evidence)
