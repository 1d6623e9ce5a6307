"""A sum of the kinds' vectors through gates that see all of them."""

import torch
from torch import nn

from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Deepen, Pooling


class Gated(nn.Module):
    """Each kind pooled to one vector; all kinds together open and close, channel by channel, what each of them adds.

    ``h = sum_k z_k * tanh(W_k x_k)`` with ``z_k = sigmoid(Y_k [x_1; ..; x_K])``. A lacking kind adds no term to ``h``
    and none to the product ``Y_k [x_1; ..; x_K]``, which is a sum over kinds. Node states stay as they are.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: GMU, Arevalo et al. 2017, "Gated multimodal units for information fusion", section 3.1 and figure 2a, the
    form for any number of modalities, whose gates are not tied to add to one as those of the bimodal form are.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2):
        super().__init__()
        kinds = len(schema.all_kinds)
        self.pooling = Pooling(dim)
        self.maps = nn.Parameter(torch.empty(kinds, dim, dim))
        self.gates = nn.Linear(kinds * dim, kinds * dim, bias=False)
        self.deep = Deepen(dim, layers)
        for weight in self.maps:
            nn.init.xavier_uniform_(weight)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, _ = self.pooling(graph, graph.x)  # [B, K, d], zeros where a kind lacks: no map here has a bias
        gate = self.gates(pooled.flatten(1)).sigmoid().view_as(pooled)
        said = torch.einsum("bkd,kde->bke", pooled, self.maps).tanh()
        return Fused(graph, self.deep((gate * said).sum(1)))
