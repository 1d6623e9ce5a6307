"""Kinds that hear of each other through a few tokens alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.block import TransformerBlock
from graphfuse.fusion.parts import Readout


class Bottleneck(nn.Module):
    """Each kind's nodes attend to themselves and to a few bottleneck tokens, by a transformer of their own.

    In each layer every kind gives new nodes and its own new tokens, ``[x_k; t_k] = transformer_k([x_k; t])``; the
    tokens of the next layer are the mean of ``t_k`` over the kinds that the sample has. So kinds meet from the second
    layer on; with one layer they meet in the vector alone.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: How many, each with weights of its own for each kind.
        heads: Divides ``dim``.
        tokens: How many bottleneck tokens a sample has.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: MBT, Nagrani et al. 2021, "Attention bottlenecks for multimodal fusion", section 3.2, fusion via attention
    bottlenecks. Departures: nodes have no positions; tokens are exchanged in every layer; and the vector is the mean
    over the kinds at hand of their pooled nodes, where the paper averages the scores of one CLS token a modality.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, heads: int = 4, tokens: int = 4):
        super().__init__()
        if tokens < 1:
            raise InputError(f"bottleneck: tokens is {tokens}; it needs at least 1.")
        self.tokens = nn.Parameter(torch.randn(tokens, dim) * dim**-0.5)
        self.layers = nn.ModuleList(_Layer(dim, heads, len(schema.all_kinds)) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.readout = Readout(dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        places = [graph.blocks(kind) for kind in graph.schema.all_kinds]
        nodes = [place.spread(x) for place, x in zip(places, graph.split(graph.x))]  # [B, M_k, d]
        tokens = self.tokens.expand(len(graph), -1, -1)  # [B, T, d]
        always = tokens.new_ones(tokens.shape[:2], dtype=torch.bool)
        real = [torch.cat([always, place.real], 1) for place in places]  # a row attends to tokens if to nothing else
        there = (graph.offsets.diff(dim=1).t() > 0).to(graph.x.dtype)  # [B, K]
        share = there / there.sum(1, keepdim=True).clamp(min=1)
        for layer in self.layers:
            tokens, nodes = layer(tokens, nodes, real, share)
        x = torch.cat([place.gather(block) for place, block in zip(places, nodes)])
        graph = graph.replace(x=self.norm(x))
        return Fused(graph, self.readout(graph))


class _Layer(nn.Module):
    def __init__(self, dim: int, heads: int, kinds: int):
        super().__init__()
        self.kinds = nn.ModuleList(TransformerBlock("bottleneck", dim, heads) for _ in range(kinds))

    def forward(
        self, tokens: Tensor, nodes: list[Tensor], real: list[Tensor], share: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Tokens ``[B, T, d]`` and a kind's nodes ``[B, M_k, d]``; a kind's ``share [B, K]`` of the tokens' mean."""
        many = tokens.shape[1]
        both = [block(torch.cat([tokens, x], 1), real=own) for block, x, own in zip(self.kinds, nodes, real)]
        heard = torch.stack([x[:, :many] for x in both], 1)  # [B, K, T, d]
        return torch.einsum("bk,bktd->btd", share, heard), [x[:, many:] for x in both]
