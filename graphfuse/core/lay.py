"""How a batch is laid out as one graph."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.relations import relations_of
from graphfuse.core.sample import Batch
from graphfuse.core.schema import Schema

Found = tuple[Tensor, Tensor | None]
"""Rows that meet ``int64 [2, E]``, sorted by target, and one number a pair."""


def lay(batch: Batch, schema: Schema, states: Mapping[str, Tensor]) -> FusionGraph:
    """Joins the kinds' states in the schema's order and lays the relations over them.

    Args:
        batch: Where the offsets, links and spans are taken from.
        schema: The one that the batch was collated with.
        states: kind -> ``[N_kind, d]``, one ``d`` for all; hubs that are left out start from zeros, ``[B, d]``.

    Raises:
        InputError: A kind's states are missing or have the wrong number of rows or another width.
    """
    reference, size = next(iter(states.values())), len(batch)
    parts = [_states(kind, batch, schema, states, reference) for kind in schema.all_kinds]
    offsets = [batch.offsets[kind] for kind in schema.kinds]
    # in numpy: of numbers so few each call of torch costs more than what it does
    counts = np.ones((len(parts), size), dtype=np.int64)  # [K, B]
    counts[: len(offsets)] = torch.stack(offsets).diff(dim=1).cpu().numpy()
    ends = counts.ravel().cumsum().reshape(counts.shape)
    begins = torch.from_numpy(np.column_stack([ends[:, 0] - counts[:, 0], ends]))  # [K, B + 1]
    owners = torch.from_numpy(np.tile(np.arange(size), len(parts)).repeat(counts.ravel()))
    begins, owners = (each.to(reference.device, non_blocking=True) for each in (begins, owners))
    starts = (0, *ends[:, -1].tolist())
    graph = FusionGraph(torch.cat(parts), schema, tuple(batch.names), starts, begins, owners, counts,
                        links=batch.links)  # fmt: skip
    return replace(graph, relations=_lay_relations(graph, batch), laid_out={})  # blocks that builders made are let go


def _states(kind: str, batch: Batch, schema: Schema, states: Mapping[str, Tensor], reference: Tensor) -> Tensor:
    """A kind's states, once their shape is found right."""
    hub, width = kind in schema.hubs, reference.shape[1]
    rows = len(batch) if hub else len(batch.nodes[kind])
    x = states.get(kind, reference.new_zeros(rows, width) if hub else None)
    if x is None or x.shape != (rows, width):
        found = "none" if x is None else list(x.shape)
        raise InputError(f"States of kind {kind!r}: expected [{rows}, {width}], found {found}.")
    return x


def _lay_relations(graph: FusionGraph, batch: Batch) -> tuple[Laid, ...]:
    found = _edges(graph, batch)
    laid: list[Laid] = []
    for place, builder in enumerate(graph.schema.edges):
        for relation in relations_of(builder):
            if builder.dense:
                laid.append(Laid(relation, len(laid)))
                continue
            pairs, number = found[place]
            if relation[1] != builder.name:
                pairs, number = sorted_by_target(pairs.flip(0), number)
            borne = "gate" if getattr(builder, "gated", False) else "weight"
            laid.append(Laid(relation, len(laid), pairs, **{borne: number}))
    return tuple(laid)


def _edges(graph: FusionGraph, batch: Batch) -> dict[int, Found]:
    """By its place in the schema what each sparse builder finds, sorted by target.

    Builders of a class that has ``together`` are asked at once, and what they find is known to be in order.
    """
    sparse = [(place, builder) for place, builder in enumerate(graph.schema.edges) if not builder.dense]
    found: dict[int, Found] = {}
    for part in dict.fromkeys(type(builder) for _, builder in sparse):
        places, own = zip(*((place, builder) for place, builder in sparse if type(builder) is part))
        if "together" in vars(part):  # not where a class beneath has a __call__ of its own
            found |= zip(places, part.together(own, graph, batch), strict=True)
            continue
        every = [builder(graph, batch) for builder in own]
        _check_range(graph, [(builder, pairs) for builder, (pairs, _) in zip(own, every) if pairs.numel()])
        found |= zip(places, itertools.starmap(sorted_by_target, every))
    return found


def sorted_by_target(pairs: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Edges in the order of their targets, those of one target in the order they came."""
    if bool((pairs[1, 1:] >= pairs[1, :-1]).all()):
        return pairs, weight
    order = pairs[1].sort(stable=True).indices
    return pairs[:, order], None if weight is None else weight[order]


def _check_range(graph: FusionGraph, listed: Sequence[tuple[Any, Tensor]]) -> None:
    """Refuses an edge of which an end is no node of its kind: what a builder of one's own may give."""
    ends = [(builder, pairs, end) for builder, pairs in listed for end in (0, 1)]
    each = [torch.stack(pairs[end].aminmax()) for _, pairs, end in ends]
    found = torch.stack(each).tolist() if each else []  # read from the device once
    for (builder, pairs, end), (least, most) in zip(ends, found):
        kind, own = (builder.source, builder.target)[end], pairs[end]
        rows = graph.rows(kind)
        if least < rows.start or most >= rows.stop:
            at = int(((own < rows.start) | (own >= rows.stop)).nonzero()[0])
            other = int(pairs[1 - end, at])
            where = f" of sample {graph.names[int(graph.owners[other])]!r}" if 0 <= other < len(graph.owners) else ""
            raise InputError(f"Relation {relations_of(builder)[0]}{where}: row {int(own[at])} is no node of kind "
                             f"{kind!r}, whose rows are {rows.start} to {rows.stop - 1}.")  # fmt: skip
