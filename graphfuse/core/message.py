"""Sums, means, maxima over relations, the first of the two primitives that carry every graph layer.

It takes dense and sparse relations mixed. A dense one is never listed: sums over it are taken once a sample and handed
to its targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Tensor

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid

Reduce = Literal["sum", "mean", "max", "std"]


def aggregate(
    graph: FusionGraph,
    values: Tensor | Sequence[Tensor],
    relations: Sequence[Laid] | None = None,
    reduce: Reduce = "mean",
    gate: Tensor | None = None,
) -> Tensor:
    """What reaches each node over its in-edges of all ``relations`` together; zeros where none ends.

    Args:
        graph: Where the relations are laid.
        values: ``[N, d]``, what each node sends over every relation; or one ``[N_source, d]`` a relation.
        relations: Those of the graph if left out.
        reduce: sum, mean, max or std (population, as PyG's ``StdAggregation``).
        gate: What each sample multiplies the values by on each relation, ``[B, R, d]``; for sum and mean.

    Returns:
        ``[N, d]``.
    """
    look_up({each: each for each in get_args(Reduce)}, reduce, "way to reduce")
    relations = graph.relations if relations is None else relations
    if not isinstance(values, Tensor) and len(values) != len(relations):
        raise InputError(f"{len(values)} values for {len(relations)} relations; give one a relation.")
    each = [values] if isinstance(values, Tensor) else values
    width = each[0].shape[1] if each else graph.x.shape[1]
    if gate is not None and reduce not in ("sum", "mean"):
        raise InputError(f"aggregate: a gate goes with sum or mean, not with {reduce!r}.")
    if gate is not None and gate.shape[:2] != (len(graph), len(relations)):
        raise InputError(f"aggregate: gate is {list(gate.shape)}, expected [{len(graph)}, {len(relations)}, d].")
    if reduce == "std":
        mean = aggregate(graph, values, relations, "mean")
        square = aggregate(graph, values.square() if isinstance(values, Tensor) else [x.square() for x in values],
                           list(map(_squared, relations)), "mean")  # fmt: skip
        return _std(square - mean.square())
    if reduce == "max":
        return _aggregate_max(graph, per_relation(graph, values, relations), relations, width)
    total = _aggregate_sum(graph, values, relations, width, gate)
    return total / degrees(graph, relations).clamp(min=1)[:, None].to(total.dtype) if reduce == "mean" else total


def _aggregate_sum(
    graph: FusionGraph, values: Tensor | Sequence[Tensor], relations: Sequence[Laid], width: int, gate: Tensor | None
) -> Tensor:
    """Sparse relations in one addition of all their messages, dense ones once a sample."""
    dense = [place for place, laid in enumerate(relations) if laid.dense]
    total = graph.x.new_zeros(len(graph.x), width)
    if dense:
        sent = _pooled(graph, values, relations, dense)  # [B, D, d]
        if gate is not None:
            sent = sent * gate[:, dense]
        total = _handed(graph, sent, [relations[place] for place in dense])
    listed = [place for place, laid in enumerate(relations) if not laid.dense]
    if listed:
        messages, targets, slots = [], [], []
        for place in listed:
            laid = relations[place]
            x = values if isinstance(values, Tensor) else values[place]
            first = 0 if isinstance(values, Tensor) else graph.rows(laid.relation[0]).start
            pairs = graph.edges(laid)
            messages.append(gated(x.index_select(0, pairs[0] - first), laid.gate))  # [E, d]
            targets.append(pairs[1])
            slots.append(graph.owners[pairs[1]] * len(relations) + place)
        message = torch.cat(messages)
        if gate is not None:
            message = message * gate.flatten(0, 1).index_select(0, torch.cat(slots))
        total = total + segment(message, torch.cat(targets), len(graph.x))
    return total


def aggregate_mapped(graph: FusionGraph, x: Tensor, maps: Tensor, relations: Sequence[Laid] | None = None) -> Tensor:
    """The sum over relations of the mean that reaches a node by each, through the relation's own linear map.

    A dense relation costs one product a sample, a sparse one a product for each target node.

    Args:
        graph: Where the relations are laid.
        x: ``[N, d]``, what each node sends.
        maps: ``[R, d, e]``, by the index of a relation.
        relations: Those of the graph if left out.

    Returns:
        ``[N, e]``, zeros where no edge ends.
    """
    relations = graph.relations if relations is None else relations
    total = x.new_zeros(len(x), maps.shape[2])
    dense = [place for place, laid in enumerate(relations) if laid.dense]
    if dense:
        count = graph.offsets.diff(dim=1).t()  # [B, K]
        mean = _pooled(graph, x, relations, dense) / count[:, _ends(graph, relations, dense, 0), None].clamp(min=1)
        own = maps[[relations[place].index for place in dense]]
        sent = torch.bmm(mean.to(x.dtype).transpose(0, 1), own).transpose(0, 1)  # [B, D, e]
        total = _handed(graph, sent, [relations[place] for place in dense])
    for laid in relations:
        if not laid.dense:
            rows = graph.rows(laid.relation[2])
            sent = aggregate_one(graph, x[graph.rows(laid.relation[0])], laid, "mean") @ maps[laid.index]
            total = total.index_add(0, _arange(rows, total), sent)
    return total


def _pooled(
    graph: FusionGraph, values: Tensor | Sequence[Tensor], relations: Sequence[Laid], some: list[int]
) -> Tensor:
    """What each sample's sources send together by some relations, ``[B, len(some), d]``."""
    if isinstance(values, Tensor):
        every = segment(values, graph.cells, len(graph) * len(graph.offsets)).view(len(graph), len(graph.offsets), -1)
        return every.index_select(1, _ends(graph, relations, some, 0))
    sources = [relations[place].relation[0] for place in some]
    return torch.stack([segment(values[p], graph.owner(kind), len(graph)) for p, kind in zip(some, sources)], 1)


def _handed(graph: FusionGraph, sent: Tensor, relations: Sequence[Laid]) -> Tensor:
    """What each sample is sent by dense relations ``[B, D, d]``, added up and handed to their targets, ``[N, d]``."""
    into = sent.new_zeros(len(graph), len(graph.offsets), sent.shape[2])
    into = into.index_add(1, _ends(graph, relations, range(len(relations)), 2), sent)
    return into.flatten(0, 1).index_select(0, graph.cells)


def _ends(graph: FusionGraph, relations: Sequence[Laid], some: Sequence[int], end: int) -> Tensor:
    """The places of the kinds at which some relations begin (0) or end (2)."""
    kinds = [graph.place(relations[place].relation[end]) for place in some]
    return torch.tensor(kinds, device=graph.x.device)


def _aggregate_max(graph: FusionGraph, sent: Sequence[Tensor], relations: Sequence[Laid], width: int) -> Tensor:
    total = graph.x.new_full((len(graph.x), width), -torch.inf)
    for laid, x in zip(relations, sent):
        rows = graph.rows(laid.relation[2])
        got = aggregate_one(graph, x, laid, "max").masked_fill((in_degree(graph, laid) == 0)[:, None], -torch.inf)
        total = total.index_copy(0, _arange(rows, x), torch.maximum(total[rows], got))
    return total.masked_fill(total == -torch.inf, 0.0)


def aggregate_one(graph: FusionGraph, values: Tensor, laid: Laid, reduce: Reduce = "mean") -> Tensor:
    """What reaches each node of a relation's target kind over that relation: ``[N_source, d] -> [N_target, d]``."""
    if reduce == "std":
        mean = aggregate_one(graph, values, laid, "mean")
        return _std(aggregate_one(graph, values.square(), _squared(laid), "mean") - mean.square())
    source, _, target = laid.relation
    rows = graph.rows(target).stop - graph.rows(target).start
    if laid.pairs is None:
        pooled = segment(values, graph.owner(source), len(graph), "max" if reduce == "max" else "sum")  # [B, d]
        got = pooled.index_select(0, graph.owner(target))
    else:
        sent = gated(values.index_select(0, laid.pairs[0] - graph.rows(source).start), laid.gate)  # [E, d]
        got = segment(sent, laid.pairs[1] - graph.rows(target).start, rows, "max" if reduce == "max" else "sum")
    if reduce == "mean":
        return got / in_degree(graph, laid).clamp(min=1)[:, None].to(got.dtype)
    return got


def degrees(graph: FusionGraph, relations: Sequence[Laid]) -> Tensor:
    """How many edges of some relations end at each node, ``int64 [N]``."""
    name = ("degrees", *relations)
    if name not in graph.laid_out:
        count = graph.owners.new_zeros(len(graph.x))
        for laid in relations:
            count[graph.rows(laid.relation[2])] += in_degree(graph, laid)
        graph.laid_out[name] = count
    found: Tensor = graph.laid_out[name]
    return found


def in_degree(graph: FusionGraph, laid: Laid) -> Tensor:
    """How many edges of a relation end at each node of its target kind, ``int64 [N_target]``."""
    name = ("in_degree", laid)
    if name not in graph.laid_out:
        source, _, target = laid.relation
        rows = graph.rows(target)
        graph.laid_out[name] = (
            graph.sizes(source)[graph.owner(target)]
            if laid.pairs is None
            else counted(laid.pairs[1] - rows.start, rows.stop - rows.start)
        )
    found: Tensor = graph.laid_out[name]
    return found


def _squared(laid: Laid) -> Laid:
    """The relation for squares of messages, whose gates are squares too."""
    return laid if laid.gate is None else replace(laid, gate=laid.gate.square())


def gated(messages: Tensor, gate: Tensor | None) -> Tensor:
    """Messages ``[E, ...]``, each times its edge's gate ``[E]`` if edges have one."""
    return messages if gate is None else messages * gate.to(messages.dtype).view(-1, *[1] * (messages.ndim - 1))


def segment(values: Tensor, index: Tensor, size: int, reduce: Literal["sum", "mean", "max"] = "sum") -> Tensor:
    """Rows with the same index joined: ``[n, ...] -> [size, ...]``; zeros where no row has an index."""
    spread = index.view(-1, *[1] * (values.ndim - 1)).expand_as(values)
    zeros = values.new_zeros(size, *values.shape[1:])
    if reduce == "max":
        return zeros.scatter_reduce(0, spread, values, "amax", include_self=False)
    total = zeros.scatter_add(0, spread, values)
    if reduce == "mean":
        count = counted(index, size).clamp(min=1)
        total = total / count.view(-1, *[1] * (values.ndim - 1)).to(total.dtype)
    return total


def counted(index: Tensor, size: int) -> Tensor:
    """How often each number comes, ``int64 [size]``; as ``bincount``, which ``torch.compile`` breaks at."""
    return index.new_zeros(size).scatter_add_(0, index, torch.ones_like(index))


def segment_softmax(score: Tensor, index: Tensor, size: int) -> Tensor:
    """Softmax over the rows that share an index, each column apart: ``[n, c] -> [n, c]``."""
    top = segment(score.detach(), index, size, "max")
    raised = (score - top.index_select(0, index)).exp()
    return raised / segment(raised, index, size).index_select(0, index)


def segment_log_sum(score: Tensor, index: Tensor, size: int) -> Tensor:
    """Log of the summed exponentials of the rows that share an index: ``[n] -> [size]``; ``-inf`` where none does."""
    top = segment(score.detach(), index, size, "max")
    total = segment((score - top.index_select(0, index)).exp(), index, size)
    return torch.where(total > 0, total.clamp(min=torch.finfo(total.dtype).tiny).log() + top, -torch.inf)


def _std(variance: Tensor) -> Tensor:
    spread = variance.clamp(min=1e-5).sqrt()
    return spread.masked_fill(spread <= 1e-5**0.5, 0.0)


def _arange(rows: slice, like: Tensor) -> Tensor:
    return torch.arange(rows.start, rows.stop, device=like.device)


def per_relation(graph: FusionGraph, values: Tensor | Sequence[Tensor], relations: Sequence[Laid]) -> list[Tensor]:
    """What the source kind of each relation sends: rows of ``values [N, d]``, or the one given for it."""
    if isinstance(values, Tensor):
        return [values[graph.rows(laid.relation[0])] for laid in relations]
    if len(values) != len(relations):
        raise InputError(f"{len(values)} values for {len(relations)} relations; give one a relation.")
    return list(values)
