"""The two primitives that carry every graph layer; both take dense and sparse relations mixed.

A dense relation is never listed: sums over it are taken once a sample and handed to its targets, attention over it is
computed on padded blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

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
    sent = _per_relation(graph, values, relations)
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
            messages.append(x[laid.pairs[0] - graph.rows(source).start])  # [E, d]
            targets.append(laid.pairs[1])
            slots.append(graph.owners[laid.pairs[1]] * len(relations) + place)
    message = torch.cat(messages)
    if gate is not None:
        message = message * gate.flatten(0, 1)[torch.cat(slots)]
    total = segment(message, torch.cat(targets), len(graph.x))
    for kind, block in blocks.items():
        total = total.index_add(0, _arange(graph.rows(kind), total), block[graph.owner(kind)])
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
        got = pooled[graph.owner(target)]
    else:
        sent = values[laid.pairs[0] - graph.rows(source).start]  # [E, d]
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
    raised = (score - top[index]).exp()
    return raised / segment(raised, index, size)[index].clamp(min=1e-30)


def segment_log_sum(score: Tensor, index: Tensor, size: int) -> Tensor:
    """Log of the summed exponentials of the rows that share an index: ``[n] -> [size]``; ``-inf`` where none does."""
    top = segment(score.detach(), index, size, "max")
    total = segment((score - top[index]).exp(), index, size)
    return torch.where(total > 0, total.clamp(min=1e-30).log() + top, -torch.inf)


def pad(graph: FusionGraph, kind: str, values: Tensor) -> tuple[Tensor, Tensor]:
    """A kind's rows as one block a sample: ``[N_kind, ...] -> ([B, M, ...], bool [B, M])``, true where a node is."""
    offsets, owner = graph.within(kind), graph.owner(kind)
    most = int(graph.sizes(kind).max()) if len(values) else 0
    place = torch.arange(len(values), device=values.device) - offsets[owner]
    block = values.new_zeros(len(graph) * most, *values.shape[1:]).index_copy(0, owner * most + place, values)
    real = torch.arange(most, device=values.device) < graph.sizes(kind)[:, None]
    return block.view(len(graph), most, *values.shape[1:]), real


def attend(
    graph: FusionGraph,
    query: Tensor,
    key: Tensor | Sequence[Tensor],
    value: Tensor | Sequence[Tensor],
    relations: Sequence[Laid] | None = None,
    bias: Sequence[Tensor | None] | None = None,
    heads: int = 1,
) -> Tensor:
    """Each node's mean of the values that reach it, weighted by a softmax over all its in-edges of all relations.

    The relations' softmaxes are taken apart and merged exactly by their log-sum-exp. A score is
    ``query . key / sqrt(d / heads) + bias``.

    Args:
        graph: Where the relations are laid.
        query: ``[N, d]``.
        key: ``[N, d]``, or one ``[N_source, d]`` a relation.
        value: As ``key``.
        relations: Those of the graph if left out.
        bias: One a relation, added to the scores of its edges: ``[heads]``, or ``[E, heads]`` where it is sparse.
        heads: Divides ``d``.

    Returns:
        ``[N, d]``, zeros where no edge ends.
    """
    if query.shape[1] % heads:
        raise InputError(f"attend: width {query.shape[1]} is not divisible by {heads} heads.")
    relations = graph.relations if relations is None else relations
    keys, values = _per_relation(graph, key, relations), _per_relation(graph, value, relations)
    biases = [None] * len(relations) if bias is None else bias
    out = []
    for kind in graph.schema.all_kinds:
        rows = graph.rows(kind)
        own = _split(query[rows], heads)  # [T, H, c]
        into = [place for place, laid in enumerate(relations) if laid.relation[2] == kind]
        parts = [
            _blocks(graph, relations[p], own, _split(keys[p], heads), _split(values[p], heads), biases[p])
            for p in into
            if relations[p].dense
        ]
        listed = [p for p in into if not relations[p].dense]
        if listed:
            parts.append(_edges(graph, [relations[p] for p in listed], own, [keys[p] for p in listed],
                                [values[p] for p in listed], [biases[p] for p in listed]))  # fmt: skip
        out.append(_merge(parts, own).flatten(1))
    return torch.cat(out)


def attend_one(graph: FusionGraph, laid: Laid, query: Tensor, key: Tensor, value: Tensor, heads: int = 1) -> Tensor:
    """As :func:`attend` over one relation: ``query [N_target, d]``, others ``[N_source, d]`` -> ``[N_target, d]``."""
    own = _split(query, heads)
    if not laid.dense:
        return _edges(graph, [laid], own, [key], [value], [None])[0].flatten(1)
    queries, here = pad(graph, laid.relation[2], own)  # [B, T, H, c]
    keys, there = pad(graph, laid.relation[0], _split(key, heads))  # [B, S, H, c]
    values, _ = pad(graph, laid.relation[0], _split(value, heads))
    if not keys.shape[1]:
        return torch.zeros_like(query)
    there[:, 0] |= ~there.any(1)  # a sample without sources attends to one padded row, of zeros
    got = scaled_dot_product_attention(
        queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), there[:, None, None, :]
    )  # [B, H, T, c]
    return got.transpose(1, 2)[here].flatten(1)


def _edges(graph: FusionGraph, relations: Sequence[Laid], query: Tensor, keys: Sequence[Tensor],
           values: Sequence[Tensor], biases: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Softmax mean over the edges of sparse relations into one kind ``[T, H, c]``, and its log-sum-exp ``[T, H]``."""
    heads = query.shape[1]
    pairs = [laid.pairs for laid in relations if laid.pairs is not None]
    left = [own[0] - graph.rows(laid.relation[0]).start for own, laid in zip(pairs, relations)]
    index = torch.cat([own[1] for own in pairs]) - graph.rows(relations[0].relation[2]).start
    key = _split(torch.cat([x[rows] for x, rows in zip(keys, left)]), heads)  # [E, H, c]
    score = (query[index] * key).sum(-1) * query.shape[-1] ** -0.5  # [E, H]
    if any(bias is not None for bias in biases):
        added = [score.new_zeros(heads) if bias is None else bias for bias in biases]
        score = score + torch.cat([bias.expand(len(rows), heads) for bias, rows in zip(added, left)])
    top = segment(score.detach(), index, len(query), "max")  # [T, H]
    raised = (score - top[index]).exp()
    value = _split(torch.cat([x[rows] for x, rows in zip(values, left)]), heads)
    got = segment((raised[..., None] * value).flatten(1), index, len(query)).view_as(query)
    return _mean_and_lse(got, segment(raised, index, len(query)), top)


def _blocks(
    graph: FusionGraph, laid: Laid, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As :func:`_edges` over one dense relation, on padded blocks."""
    source, _, target = laid.relation
    scale = query.shape[-1] ** -0.5
    queries, here = pad(graph, target, query)  # [B, T, H, c]
    keys, there = pad(graph, source, key)  # [B, S, H, c]
    blocks, _ = pad(graph, source, value)
    score = torch.einsum("bthc,bshc->bhts", queries, keys) * scale  # [B, H, T, S]
    if bias is not None:
        score = score + bias.view(1, -1, 1, 1)
    score = score.masked_fill(~there[:, None, None, :], -torch.inf)
    top = _finite(score.detach().amax(-1)) if score.shape[-1] else score.new_zeros(score.shape[:-1])
    raised = (score - top[..., None]).exp()  # [B, H, T, S]
    got, total = torch.einsum("bhts,bshc->bthc", raised, blocks), raised.sum(-1)
    return _mean_and_lse(got[here], total.transpose(1, 2)[here], top.transpose(1, 2)[here])


def _mean_and_lse(got: Tensor, total: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
    safe = total.clamp(min=1e-30)
    return got / safe[..., None], torch.where(total > 0, safe.log() + top, -torch.inf)


def _merge(parts: Sequence[tuple[Tensor, Tensor]], like: Tensor) -> Tensor:
    if not parts:
        return torch.zeros_like(like)
    if len(parts) == 1:
        return parts[0][0]
    each = torch.stack([lse for _, lse in parts])  # [R, T, H]
    share = (each - _finite(each.detach().amax(0))).exp()
    share = share / share.sum(0).clamp(min=1e-30)
    return torch.stack([part * s[..., None] for (part, _), s in zip(parts, share)]).sum(0)


def _finite(x: Tensor) -> Tensor:
    return x.masked_fill(x == -torch.inf, 0.0)


def _split(x: Tensor, heads: int) -> Tensor:
    return x.view(len(x), heads, x.shape[1] // heads)


def _std(variance: Tensor) -> Tensor:
    spread = variance.clamp(min=1e-5).sqrt()
    return spread.masked_fill(spread <= 1e-5**0.5, 0.0)


def _arange(rows: slice, like: Tensor) -> Tensor:
    return torch.arange(rows.start, rows.stop, device=like.device)


def _per_relation(graph: FusionGraph, values: Tensor | Sequence[Tensor], relations: Sequence[Laid]) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values[graph.rows(laid.relation[0])] for laid in relations]
    if len(values) != len(relations):
        raise InputError(f"{len(values)} values for {len(relations)} relations; give one a relation.")
    return list(values)
