"""Any PyG layer as a fusion layer. With ``core/hetero.py`` the only door to torch-geometric."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch_geometric.nn as pyg_nn
from torch import nn

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph
from graphfuse.core.schema import Schema

BUILDING = (TypeError, ValueError, AttributeError, AssertionError, ImportError, NotImplementedError)
"""What layers of torch-geometric raise where the widths or options do not suit them."""
GIVEN = ("edge_index", "hyperedge_index", "edge_index_dict", "edge_type", "edge_weight")
"""What a layer may need beside the states, which come first."""


class PyG(nn.Module):
    """One layer of torch-geometric over the graph, dense relations listed as edges.

    A layer over homogeneous graphs gets all nodes and edges at once, with the relation of each edge if it takes
    ``edge_type`` and the links' weights if it takes ``edge_weight``; one over heterogeneous graphs (``HGTConv``,
    ``HANConv``) gets dictionaries.

    Args:
        dim: Width of the states, in and out.
        schema: Order of kinds and relations.
        conv: The name of a layer in ``torch_geometric.nn``, or a function ``(dim, schema) -> layer``.
        options: Passed to the named layer beside ``(dim, dim)``.

    Shape: ``graph.x [N, d] -> graph.x [N, d]``.

    Raises:
        InputError: The layer is unknown (with the nearest), or cannot be built from two widths and the options, or
            needs more than states, edges, relations and weights.
    """

    def __init__(self, dim: int, schema: Schema, conv: str | Callable[..., nn.Module] = "GATv2Conv", **options: Any):
        super().__init__()
        if isinstance(conv, str):
            known = {name: getattr(pyg_nn.conv, name) for name in pyg_nn.conv.__all__}
            made = look_up(known, conv, "layer in torch_geometric.nn")
            wanted = inspect.signature(made.__init__).parameters
            if "metadata" in wanted:
                options.setdefault("metadata", (list(schema.all_kinds), list(schema.relations)))
            if "num_relations" in wanted:
                options.setdefault("num_relations", len(schema.relations))
            try:
                self.conv = made(dim, dim, **options)
            except BUILDING as error:
                raise InputError(f"{conv} of torch_geometric.nn cannot be built with the widths {dim}, {dim} and the "
                                 f"options {options}: {error}; see its documentation.") from error  # fmt: skip
            self._check_takes(conv)
        else:
            self.conv = conv(dim, schema, **options)
        self.takes = set(inspect.signature(self.conv.forward).parameters)

    def _check_takes(self, name: str) -> None:
        """Raises ``InputError`` where the named layer needs more than states, edges, relations and weights."""
        _, *others = inspect.signature(self.conv.forward).parameters.values()
        lacking = [p.name for p in others if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        if lacking := [each for each in lacking if each not in GIVEN]:
            raise InputError(f"{name} of torch_geometric.nn needs {', '.join(lacking)} beside states and edges, which "
                             "a graph here does not have; take another layer.")  # fmt: skip

    def forward(self, graph: FusionGraph) -> FusionGraph:
        """Passes messages once."""
        x = self._hetero(graph) if "x_dict" in self.takes else self._homogeneous(graph)
        if x.shape != graph.x.shape:
            raise InputError(f"{type(self.conv).__name__} gave states {list(x.shape)}, expected {list(graph.x.shape)}; "
                             "with several heads give concat=False.")  # fmt: skip
        return graph.replace(x=x)

    def _homogeneous(self, graph: FusionGraph) -> torch.Tensor:
        listed = [graph.edges(laid) for laid in graph.relations]
        edges = torch.cat([*listed, graph.offsets.new_zeros(2, 0)], 1)
        given: dict[str, torch.Tensor] = {}
        if "edge_type" in self.takes:
            index = torch.tensor([laid.index for laid in graph.relations], device=edges.device, dtype=torch.long)
            counts = torch.tensor([pairs.shape[1] for pairs in listed], device=edges.device, dtype=torch.long)
            given["edge_type"] = index.repeat_interleave(counts)
        if "edge_weight" in self.takes and any(laid.weight is not None for laid in graph.relations):
            ones = [graph.x.new_ones(pairs.shape[1]) for pairs in listed]
            weights = [one if laid.weight is None else laid.weight for laid, one in zip(graph.relations, ones)]
            given["edge_weight"] = torch.cat(weights)
        return self.conv(graph.x, edges, **given)

    def _hetero(self, graph: FusionGraph) -> torch.Tensor:
        kinds = graph.schema.all_kinds
        edges = {}
        for laid in graph.relations:
            source, _, target = laid.relation
            first = graph.offsets.new_tensor([[graph.rows(source).start], [graph.rows(target).start]])
            edges[laid.relation] = graph.edges(laid) - first
        got = self.conv({kind: graph.of(kind) for kind in kinds}, edges)
        return torch.cat([graph.of(kind) if got.get(kind) is None else got[kind] for kind in kinds])
