"""Sums, means, maxima over relations, the first of the two primitives that carry every graph layer.

It takes dense and sparse relations mixed. A dense one is never listed: sums over it are taken once a sample and handed
to its targets.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    sent = per_relation(graph, values, relations)
    width = values.shape[1] if isinstance(values, Tensor) else sent[0].shape[1] if sent else graph.x.shape[1]
    if gate is not None and reduce not in ("sum", "mean"):
        raise InputError(f"aggregate: a gate goes with sum or mean, not with {reduce!r}.")
    if gate is not None and gate.shape[:2] != (len(graph), len(relations)):
        raise InputError(f"aggregate: gate is {list(gate.shape)}, expected [{len(graph)}, {len(relations)}, d].")
    if reduce == "std":
        mean = aggregate(graph, values, relations, "mean")
        square = aggregate(graph, [x.square() for x in sent], relations, "mean")
        return _std(square - mean.square())
    if reduce == "max":
        return _aggregate_max(graph, sent, relations, width)
    total = _aggregate_sum(graph, sent, relations, width, gate)
    if reduce == "mean":
        count = total.new_zeros(len(total))
        for laid in relations:
            count[graph.rows(laid.relation[2])] += in_degree(graph, laid)
        total = total / count.clamp(min=1)[:, None]
    return total


def _aggregate_sum(
    graph: FusionGraph, sent: Sequence[Tensor], relations: Sequence[Laid], width: int, gate: Tensor | None = None
) -> Tensor:
    """Sparse relations in one addition of all their messages, dense ones once a sample."""
    blocks: dict[str, Tensor] = {}
    messages, targets, slots = [graph.x.new_zeros(0, width)], [graph.offsets.new_zeros(0)], [graph.offsets.new_zeros(0)]
    for place, (laid, x) in enumerate(zip(relations, sent)):
        source, _, target = laid.relation
        if laid.pairs is None:
            block = segment(x, graph.owner(source), len(graph))  # [B, d]
            blocks[target] = blocks.get(target, 0) + (block if gate is None else block * gate[:, place])
        else:
            messages.append(x.index_select(0, laid.pairs[0] - graph.rows(source).start))  # [E, d]
            targets.append(laid.pairs[1])
            slots.append(graph.owners[laid.pairs[1]] * len(relations) + place)
    message = torch.cat(messages)
    if gate is not None:
        message = message * gate.flatten(0, 1).index_select(0, torch.cat(slots))
    total = segment(message, torch.cat(targets), len(graph.x))
    for kind, block in blocks.items():
        total = total.index_add(0, _arange(graph.rows(kind), total), block.index_select(0, graph.owner(kind)))
    return total


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
        return _std(aggregate_one(graph, values.square(), laid, "mean") - mean.square())
    source, _, target = laid.relation
    rows = graph.rows(target).stop - graph.rows(target).start
    if laid.pairs is None:
        pooled = segment(values, graph.owner(source), len(graph), "max" if reduce == "max" else "sum")  # [B, d]
        got = pooled.index_select(0, graph.owner(target))
    else:
        sent = values.index_select(0, laid.pairs[0] - graph.rows(source).start)  # [E, d]
        got = segment(sent, laid.pairs[1] - graph.rows(target).start, rows, "max" if reduce == "max" else "sum")
    if reduce == "mean":
        return got / in_degree(graph, laid).clamp(min=1)[:, None].to(got.dtype)
    return got


def in_degree(graph: FusionGraph, laid: Laid) -> Tensor:
    """How many edges of a relation end at each node of its target kind, ``int64 [N_target]``."""
    source, _, target = laid.relation
    if laid.pairs is None:
        return graph.sizes(source)[graph.owner(target)]
    rows = graph.rows(target)
    return torch.bincount(laid.pairs[1] - rows.start, minlength=rows.stop - rows.start)


def segment(values: Tensor, index: Tensor, size: int, reduce: Literal["sum", "mean", "max"] = "sum") -> Tensor:
    """Rows with the same index joined: ``[n, ...] -> [size, ...]``; zeros where no row has an index."""
    spread = index.view(-1, *[1] * (values.ndim - 1)).expand_as(values)
    zeros = values.new_zeros(size, *values.shape[1:])
    if reduce == "max":
        return zeros.scatter_reduce(0, spread, values, "amax", include_self=False)
    total = zeros.scatter_add(0, spread, values)
    if reduce == "mean":
        count = torch.bincount(index, minlength=size).clamp(min=1)
        total = total / count.view(-1, *[1] * (values.ndim - 1)).to(total.dtype)
    return total


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
