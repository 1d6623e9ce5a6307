"""One sample as a networkx graph, to look at. With ``kg/`` the only door to networkx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.functional import pad

from graphfuse.core.collate import collate
from graphfuse.core.graph import FusionGraph
from graphfuse.core.lay import lay
from graphfuse.core.relations import Linked
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema

if TYPE_CHECKING:
    from networkx import MultiDiGraph


def to_networkx(
    sample: Sample, schema: Schema | None = None, states: Mapping[str, Tensor] | None = None
) -> MultiDiGraph:
    """A sample as a ``networkx.MultiDiGraph`` of plain values; see :meth:`graphfuse.Sample.to_networkx`."""
    import networkx

    drawn = networkx.MultiDiGraph(name=sample.name, target=sample.target)
    if schema is None and not any(len(x) for x in sample.nodes.values()):
        return drawn
    schema = _as_brought(sample) if schema is None else schema
    batch = collate([sample], schema)
    graph = lay(batch, schema, _padded(batch, schema) if states is None else states)
    nodes = [(kind, row) for kind, many in zip(schema.all_kinds, graph.kind_sizes) for row in range(many)]
    for kind, row in nodes:
        drawn.add_node((kind, row), kind=kind, **_told(batch, kind, row))
    for source, target, told in _edges(graph):
        drawn.add_edge(nodes[source], nodes[target], **told)
    return drawn


def _as_brought(sample: Sample) -> Schema:
    """The sample's own kinds and links, with no relation beside them."""
    found = Schema.infer([sample])
    return Schema(found.kinds, [builder for builder in found.edges if isinstance(builder, Linked)])


def _padded(batch: Batch, schema: Schema) -> dict[str, Tensor]:
    """Features filled up with zeros to one width; likeness within a kind stays as it is."""
    width = max(schema.kinds.values())
    return {kind: pad(x.float(), (0, width - x.shape[1])) for kind, x in batch.nodes.items()}


def _told(batch: Batch, kind: str, row: int) -> dict[str, list[float]]:
    """What a node brings; a hub, which samples do not bring, has nothing."""
    brought = {"x": batch.nodes.get(kind), "span": batch.spans.get(kind)}
    return {name: values[row].tolist() for name, values in brought.items() if values is not None}


def _edges(graph: FusionGraph) -> list[tuple[int, int, dict[str, Any]]]:
    found = []
    for laid in graph.relations:
        told: list[dict[str, Any]] = [{"relation": laid.relation[1]} for _ in range(graph.edges(laid).shape[1])]
        if laid.weight is not None:
            told = [{**own, "weight": weight} for own, weight in zip(told, laid.weight.tolist())]
        found += list(zip(*graph.edges(laid).tolist(), told))
    return found
