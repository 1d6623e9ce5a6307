"""Layers of message passing, one after the other, read out to one vector a sample."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Readout, feed_forward

JUMPS = ("last", "cat", "max")


class Stack(nn.Module):
    """A graph fusion from a layer: ``layers`` times ``x + layer(x)`` with a norm and an activation, then the readout.

    Args:
        layer: Called as ``layer(dim, schema, **options)``, gives a module ``FusionGraph -> FusionGraph``.
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: How many, each with weights of its own.
        norm: Whether each layer's states are normalised first (pre-norm) and last.
        residual: Whether a layer adds to the states (``True``) or replaces them.
        feed_forward: Whether a network of two maps follows each layer, as in a transformer.
        jump: What is read: the ``"last"`` states, or those of all layers joined end to end and mapped (``"cat"``), or
            their maximum (``"max"``); jumping knowledge, Xu et al. 2018, section 4.
        edge_dropout: Probability with which an edge of a sparse relation is left out, anew in each layer of a training
            step; dense relations list no edges and keep them. DropEdge, Rong et al. 2020.
        options: Passed to every layer.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    """

    def __init__(self, layer: Callable[..., nn.Module], dim: int, schema: Schema, layers: int = 2, *,
                 norm: bool = True, residual: bool = True, feed_forward: bool = False, jump: str = "last",
                 edge_dropout: float = 0.0, **options: Any):  # fmt: skip
        super().__init__()
        if layers < 1:
            raise InputError(f"layers is {layers}; a graph fusion needs at least 1.")
        if not 0 <= edge_dropout < 1:
            raise InputError(f"edge_dropout is {edge_dropout}; it must be at least 0 and less than 1.")
        look_up({name: name for name in JUMPS}, jump, "jump")
        self.residual, self.jump, self.edge_dropout = residual, jump, edge_dropout
        self.layers = nn.ModuleList(layer(dim, schema, **options) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) if norm else nn.Identity() for _ in range(layers + 1))
        self.deep = nn.ModuleList(FeedForward(dim, norm) for _ in range(layers if feed_forward else 0))
        self.join = nn.Linear(layers * dim, dim) if jump == "cat" else None
        self.readout = Readout(dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        seen, relations = [], graph.relations
        for number, (norm, layer) in enumerate(zip(self.norms, self.layers)):
            dropped = self._some(relations) if self.training and self.edge_dropout else relations
            x = torch.nn.functional.gelu(layer(graph.replace(x=norm(graph.x), relations=dropped)).x)
            graph = graph.replace(x=graph.x + x if self.residual else x)
            if self.deep:
                graph = graph.replace(x=self.deep[number](graph.x))
            seen.append(graph.x)
        if self.join is not None:
            graph = graph.replace(x=self.join(torch.cat(seen, 1)))
        elif self.jump == "max":
            graph = graph.replace(x=torch.stack(seen).amax(0))
        graph = graph.replace(x=self.norms[-1](graph.x))
        return Fused(graph, self.readout(graph))

    def _some(self, relations: Sequence[Laid]) -> tuple[Laid, ...]:
        """The relations without the edges that are dropped."""
        kept = []
        for laid in relations:
            if laid.pairs is not None:
                some = torch.rand(laid.pairs.shape[1], device=laid.pairs.device) >= self.edge_dropout
                borne = (None if own is None else own[some] for own in (laid.weight, laid.gate))
                laid = Laid(laid.relation, laid.index, laid.pairs[:, some], *borne)
            kept.append(laid)
        return tuple(kept)


class FeedForward(nn.Module):
    """``x + f(norm(x))``, with ``f`` of twice the width: ``[n, dim] -> [n, dim]``."""

    def __init__(self, dim: int, norm: bool):
        super().__init__()
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()
        self.maps = feed_forward(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Each row by itself."""
        deep: Tensor = self.maps(self.norm(x))
        return x + deep


def as_fusion(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A fusion as it is; a layer, which is one that takes no ``layers`` (nor any option whatever), in a ``Stack``."""
    taken = inspect.signature(make).parameters.values()
    whole = any(each.name == "layers" or each.kind is each.VAR_KEYWORD for each in taken)
    return make if whole else partial(Stack, make)
