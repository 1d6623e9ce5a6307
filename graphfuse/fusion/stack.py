"""Layers of message passing, one after the other, read out to one vector a sample."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Readout


class Stack(nn.Module):
    """A graph fusion from a layer: ``layers`` times ``x + layer(x)`` with a norm and an activation, then the readout.

    Args:
        layer: Called as ``layer(dim, schema, **options)``, gives a module ``FusionGraph -> FusionGraph``.
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: How many, each with weights of its own.
        norm: Whether each layer's states are normalised first (pre-norm) and last.
        residual: Whether a layer adds to the states (``True``) or replaces them.
        options: Passed to every layer.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    """

    def __init__(self, layer: Callable[..., nn.Module], dim: int, schema: Schema, layers: int = 2, *,
                 norm: bool = True, residual: bool = True, **options: Any):  # fmt: skip
        super().__init__()
        if layers < 1:
            raise InputError(f"layers is {layers}; a graph fusion needs at least 1.")
        self.residual = residual
        self.layers = nn.ModuleList(layer(dim, schema, **options) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) if norm else nn.Identity() for _ in range(layers + 1))
        self.readout = Readout(dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        for norm, layer in zip(self.norms, self.layers):
            x = torch.nn.functional.gelu(layer(graph.replace(x=norm(graph.x))).x)
            graph = graph.replace(x=graph.x + x if self.residual else x)
        graph = graph.replace(x=self.norms[-1](graph.x))
        return Fused(graph, self.readout(graph))


def as_fusion(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A fusion as it is; a layer, which is one that takes no ``layers`` (nor any option whatever), in a ``Stack``."""
    taken = inspect.signature(make).parameters.values()
    whole = any(each.name == "layers" or each.kind is each.VAR_KEYWORD for each in taken)
    return make if whole else partial(Stack, make)
