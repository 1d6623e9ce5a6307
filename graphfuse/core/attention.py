"""Attention over relations, the second of the two primitives that carry every graph layer.

Dense relations are never listed: a sample's sources stand in one block, side by side, so that one call takes
the softmax over all of them. Sparse relations are edge lists; where both end at a kind, their softmaxes are taken apart
and merged exactly by their log-sum-exp.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.layout import Given, Into, layout, table_of
from graphfuse.core.softmax import Asked, Score, over_blocks, over_blocks_fused, over_edges
from graphfuse.core.table import Table

WORTH = 8.0
"""How many pairs of a block take as long as one edge, forward and backward: about 15 on two cores, less padding."""


def attend(
    graph: FusionGraph,
    query: Tensor | Table,
    key: Given,
    value: Given,
    relations: Sequence[Laid] | None = None,
    bias: Sequence[Tensor | None] | None = None,
    heads: int = 1,
    dropout: float = 0.0,
) -> Tensor:
    """Each node's mean of the values that reach it, weighted by a softmax over all its in-edges of all relations.

    A score is ``query . key / sqrt(d / heads) + bias``.

    Args:
        graph: Where the relations are laid.
        query: ``[N, d]``, also as a table with a group a kind.
        key: ``[N, d]``, or one ``[N_source, d]`` a relation, also as a table with a group a relation.
        value: As ``key``.
        relations: Those of the graph if left out.
        bias: One a relation, added to the scores of its edges: ``[heads]``, or ``[E, heads]`` where it is sparse.
        heads: Divides ``d``.
        dropout: Probability with which a node's share of a softmax is dropped.

    Returns:
        ``[N, d]``, zeros where no edge ends.
    """
    relations = graph.relations if relations is None else relations
    sources = [laid.relation[0] for laid in relations]
    none, kinds = [None] * len(relations), graph.schema.all_kinds
    told = table_of(graph, key, sources), table_of(graph, value, sources)
    if bias is not None and len(bias) != len(relations):
        raise InputError(f"attend: {len(bias)} biases for {len(relations)} relations; give one a relation, or None.")
    biases, gates = none if bias is None else bias, [laid.gate for laid in relations]
    asked = Asked(table_of(graph, query, kinds), *told, heads, biases, none, gates, dropout, None, WORTH)
    into = tuple((kind, tuple(r for r, own in enumerate(relations) if own.relation[2] == kind)) for kind in kinds)
    return _attend(graph, relations, into, asked)


def attend_each(
    graph: FusionGraph, query: Given, key: Given, value: Given, relations: Sequence[Laid] | None = None,
    heads: int = 1, dropout: float = 0.0, score: Score | None = None, edge: Sequence[Tensor | None] | None = None,
    worth: float = WORTH,
) -> list[Tensor]:  # fmt: skip
    """As :func:`attend`, but with a softmax of its own over each relation: one ``[N_target, d]`` a relation.

    Args:
        graph: Where the relations are laid.
        query: ``[N, d]``, or one ``[N_target, d]`` a relation, also as a table with a group a relation.
        key: ``[N, d]``, or one ``[N_source, d]`` a relation, also as a table.
        value: As ``key``.
        relations: Those of the graph if left out.
        heads: Divides ``d``.
        dropout: As for :func:`attend`.
        score: What takes the place of the scaled product, called with queries ``[n, .., H, c]``, keys alike and the
            place of each one's relation ``[n]``; queries and keys may then have another width than values.
        edge: One a sparse relation, ``[E, d]``, added to the keys and values of its edges.
        worth: How many pairs of a block cost as much as one edge.
    """
    relations = graph.relations if relations is None else relations
    if not relations:
        return []
    sources, targets = ([laid.relation[end] for laid in relations] for end in (0, 2))
    none, gates = [None] * len(relations), [laid.gate for laid in relations]
    sent = table_of(graph, key, sources), table_of(graph, value, sources)
    asked = Asked(table_of(graph, query, targets), *sent, heads, none, edge or none, gates, dropout, score, worth)
    got = _attend(graph, relations, tuple((kind, (r,)) for r, kind in enumerate(targets)), asked)
    return list(got.split([len(graph.owner(kind)) for kind in targets]))


def _attend(graph: FusionGraph, relations: Sequence[Laid], into: Into, asked: Asked) -> Tensor:
    """Over all groups of target nodes, ``[n, d]``."""
    width = asked.value.rows.shape[1]
    if width % asked.heads:
        raise InputError(f"attend: width {width} is not divisible by {asked.heads} heads.")
    for laid, bias in zip(relations, asked.bias):
        if laid.dense and bias is not None and bias.ndim > 1:
            raise InputError(f"attend: {laid.relation} is dense, so its bias is one a head, not {list(bias.shape)}.")
    bears = tuple(r for r, more in enumerate(zip(asked.bias, asked.edge)) if any(_by_edge(each) for each in more))
    where = layout(graph, relations, into, asked.worth, bears)
    got = []
    if where.alone:
        plain = asked.score is not None
        got.append(over_blocks(where.alone, asked)[0].flatten(1) if plain else over_blocks_fused(where.alone, asked))
    parts = [over_blocks(where.beside, asked)] if where.beside else []
    parts += [over_edges(where.listed, asked)] if where.listed else []
    if parts:
        got.append(_merge(parts).flatten(1))
    if not got:
        return asked.value.rows.new_zeros(sum(len(graph.owner(kind)) for kind, _ in into), width)
    return got[0] if len(got) == 1 else got[0] + got[1]


def _by_edge(given: Tensor | None) -> bool:
    return given is not None and given.ndim > 1


def _merge(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Softmax means ``[n, H, c]`` over parts of the edges as one over all, by their log-sum-exp ``[n, H]``."""
    if len(parts) == 1:
        return parts[0][0]
    each = torch.stack([lse for _, lse in parts])  # [P, n, H]
    top = each.detach().amax(0)
    share = (each - top.masked_fill(top == -torch.inf, 0.0)).exp()
    share = share / share.sum(0).clamp(min=torch.finfo(share.dtype).tiny)
    return torch.stack([part * s[..., None] for (part, _), s in zip(parts, share)]).sum(0)
