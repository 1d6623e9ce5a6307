"""Attention over relations, the second of the two primitives that carry every graph layer.

Dense relations are never listed: their nodes stand in one block a sample, all sources of a kind of target side by side,
so that one fused kernel takes the softmax over all of them. Sparse relations are edge lists; where both end at a kind,
their softmaxes are taken apart and merged exactly by their log-sum-exp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from graphfuse.core.errors import InputError
from graphfuse.core.graph import Blocks, FusionGraph, Laid
from graphfuse.core.message import per_relation, segment


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

    A score is ``query . key / sqrt(d / heads) + bias``.

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
    keys, values = per_relation(graph, key, relations), per_relation(graph, value, relations)
    biases = [None] * len(relations) if bias is None else bias
    sent = [_Sent(*each) for each in zip(relations, keys, values, biases)]
    return torch.cat([
        _attend_into(graph, own, [each for each in sent if each.laid.relation[2] == kind], heads)
        for kind, own in zip(graph.schema.all_kinds, graph.split(query))
    ])  # fmt: skip


def attend_one(graph: FusionGraph, laid: Laid, query: Tensor, key: Tensor, value: Tensor, heads: int = 1) -> Tensor:
    """As :func:`attend` over one relation: ``query [N_target, d]``, others ``[N_source, d]`` -> ``[N_target, d]``."""
    return _attend_into(graph, query, [_Sent(laid, key, value, None)], heads)


class _Sent(NamedTuple):
    """What the sources of one relation send."""

    laid: Laid
    key: Tensor
    value: Tensor
    bias: Tensor | None


def _attend_into(graph: FusionGraph, query: Tensor, sent: Sequence[_Sent], heads: int) -> Tensor:
    """Over all relations that end at one kind, ``[T, d]``."""
    own = _split(query, heads)  # [T, H, c]
    dense, listed = ([each for each in sent if each.laid.dense is want] for want in (True, False))
    if not sent:
        return torch.zeros_like(query)
    if not listed and all(each.bias is None for each in dense):
        return _fused(graph, dense, own).flatten(1)
    parts = [over(graph, part, own) for over, part in ((_blocks, dense), (_edges, listed)) if part]
    return _merge(parts).flatten(1)


def _fused(graph: FusionGraph, sent: Sequence[_Sent], query: Tensor) -> Tensor:
    """Softmax mean over dense relations into one kind ``[T, H, c]``, by torch's fused kernel."""
    here, there, key, value = _side_by_side(graph, sent, query.shape[1])
    if not there.real.shape[1]:
        return torch.zeros_like(query)
    empty = ~there.real.any(1, keepdim=True)  # a sample without sources attends to padding, which is zeros
    query, key, value = (x.transpose(1, 2) for x in (here.spread(query), key, value))  # [B, H, M, c]
    got = scaled_dot_product_attention(query, key, value, (there.real | empty)[:, None, None, :])
    return here.gather(got.transpose(1, 2))


def _blocks(graph: FusionGraph, sent: Sequence[_Sent], query: Tensor) -> tuple[Tensor, Tensor]:
    """Softmax mean over dense relations into one kind ``[T, H, c]``, and its log-sum-exp ``[T, H]``."""
    here, there, key, value = _side_by_side(graph, sent, query.shape[1])
    score = torch.einsum("bthc,bshc->bhts", here.spread(query), key) * query.shape[-1] ** -0.5
    if any(each.bias is not None for each in sent):
        none = query.new_zeros(query.shape[1])
        rows = [(none if each.bias is None else each.bias).expand(len(each.key), -1) for each in sent]
        score = score + there.spread(torch.cat(rows)).transpose(1, 2)[:, :, None, :]
    score = score.masked_fill(~there.real[:, None, None, :], -torch.inf)
    top = _finite(score.detach().amax(-1)) if score.shape[-1] else score.new_zeros(score.shape[:-1])
    raised = (score - top[..., None]).exp()  # [B, H, T, S]
    got, total = torch.einsum("bhts,bshc->bthc", raised, value), raised.sum(-1)
    return _mean_and_lse(here.gather(got), here.gather(total.transpose(1, 2)), here.gather(top.transpose(1, 2)))


def _side_by_side(graph: FusionGraph, sent: Sequence[_Sent], heads: int) -> tuple[Blocks, Blocks, Tensor, Tensor]:
    """Blocks of the target kind, those of all sources, and keys and values as such, ``[B, S, H, c]``."""
    there = graph.blocks(*(each.laid.relation[0] for each in sent))
    key, value = torch.cat([each.key for each in sent]), torch.cat([each.value for each in sent])
    here = graph.blocks(sent[0].laid.relation[2])
    return here, there, there.spread(_split(key, heads)), there.spread(_split(value, heads))


def _edges(graph: FusionGraph, sent: Sequence[_Sent], query: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`_blocks` over the edges of sparse relations."""
    heads = query.shape[1]
    pairs = [graph.edges(each.laid) for each in sent]
    left = [own[0] - graph.rows(each.laid.relation[0]).start for own, each in zip(pairs, sent)]
    index = torch.cat([own[1] for own in pairs]) - graph.rows(sent[0].laid.relation[2]).start
    key = _split(torch.cat([each.key.index_select(0, rows) for each, rows in zip(sent, left)]), heads)  # [E, H, c]
    score = (query.index_select(0, index) * key).sum(-1) * query.shape[-1] ** -0.5  # [E, H]
    if any(each.bias is not None for each in sent):
        added = [score.new_zeros(heads) if each.bias is None else each.bias for each in sent]
        score = score + torch.cat([bias.expand(len(rows), heads) for bias, rows in zip(added, left)])
    top = segment(score.detach(), index, len(query), "max")  # [T, H]
    raised = (score - top.index_select(0, index)).exp()
    value = _split(torch.cat([each.value.index_select(0, rows) for each, rows in zip(sent, left)]), heads)
    got = segment((raised[..., None] * value).flatten(1), index, len(query)).view_as(query)
    return _mean_and_lse(got, segment(raised, index, len(query)), top)


def _mean_and_lse(got: Tensor, total: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
    safe = total.clamp(min=torch.finfo(total.dtype).tiny)
    return got / safe[..., None], torch.where(total > 0, safe.log() + top, -torch.inf)


def _merge(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    if len(parts) == 1:
        return parts[0][0]
    each = torch.stack([lse for _, lse in parts])  # [P, T, H]
    share = (each - _finite(each.detach().amax(0))).exp()
    share = share / share.sum(0).clamp(min=torch.finfo(share.dtype).tiny)
    return torch.stack([part * s[..., None] for (part, _), s in zip(parts, share)]).sum(0)


def _finite(x: Tensor) -> Tensor:
    return x.masked_fill(x == -torch.inf, 0.0)


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(1, (heads, -1))
