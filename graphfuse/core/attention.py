"""Attention over relations, the second of the two primitives that carry every graph layer.

Dense relations are never listed: a sample's sources stand in one block, side by side, so that one fused kernel takes
the softmax over all of them. Sparse relations are edge lists; where both end at a kind, their softmaxes are taken apart
and merged exactly by their log-sum-exp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from graphfuse.core.buckets import Plan, plan
from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.softmax import Score, over_blocks, over_blocks_fused, over_edges
from graphfuse.core.table import Table

Given = Tensor | Sequence[Tensor] | Table


def attend(
    graph: FusionGraph,
    query: Tensor,
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
        query: ``[N, d]``.
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
    keys, values = _table(graph, key, sources), _table(graph, value, sources)
    biases = [None] * len(relations) if bias is None else list(bias)
    got = []
    for kind, own in zip(graph.schema.all_kinds, graph.split(query)):
        into = [place for place, laid in enumerate(relations) if laid.relation[2] == kind]
        got.append(attend_into(
            graph, kind, Table(own, (0,), (1,)), keys.some(into), values.some(into), [relations[r] for r in into],
            [biases[r] for r in into], heads, dropout,
        ))  # fmt: skip
    return torch.cat(got)


def attend_into(
    graph: FusionGraph, kind: str, query: Table, key: Table, value: Table, relations: Sequence[Laid],
    bias: Sequence[Tensor | None] | None = None, heads: int = 1, dropout: float = 0.0,
) -> Tensor:  # fmt: skip
    """As :func:`attend` for the nodes of one kind, at which all ``relations`` end: ``[N_kind, d]``."""
    into = ((kind, tuple(range(len(relations)))),)
    return _attend(graph, relations, into, query, key, value, bias, heads, dropout, None)


def attend_each(
    graph: FusionGraph,
    query: Given,
    key: Given,
    value: Given,
    relations: Sequence[Laid] | None = None,
    bias: Sequence[Tensor | None] | None = None,
    heads: int = 1,
    dropout: float = 0.0,
    score: Score | None = None,
) -> list[Tensor]:
    """As :func:`attend`, but with a softmax of its own over each relation: one ``[N_target, d]`` a relation.

    Args:
        graph: Where the relations are laid.
        query: ``[N, d]``, or one ``[N_target, d]`` a relation, also as a table.
        key: ``[N, d]``, or one ``[N_source, d]`` a relation, also as a table.
        value: As ``key``.
        relations: Those of the graph if left out.
        bias: As for :func:`attend`.
        heads: Divides ``d``.
        dropout: As for :func:`attend`.
        score: What takes the place of the scaled product; queries and keys may then have another width than values.
    """
    relations = graph.relations if relations is None else relations
    if not relations:
        return []
    into = tuple((laid.relation[2], (r,)) for r, laid in enumerate(relations))
    ask = _table(graph, query, [laid.relation[2] for laid in relations])
    got = _attend(graph, relations, into, ask, key, value, bias, heads, dropout, score)
    return list(got.split([len(graph.owner(laid.relation[2])) for laid in relations]))


def _attend(
    graph: FusionGraph, relations: Sequence[Laid], into: _Into, query: Table, key: Given, value: Given,
    bias: Sequence[Tensor | None] | None, heads: int, dropout: float, score: Score | None,
) -> Tensor:  # fmt: skip
    """Over all groups of target nodes, ``[n, d]``."""
    sources = [laid.relation[0] for laid in relations]
    sent = _table(graph, key, sources), _table(graph, value, sources)
    wide = (sent[1].rows if score else query.rows).shape[1]
    if wide % heads:
        raise InputError(f"attend: width {wide} is not divisible by {heads} heads.")
    laid_out = _layout(graph, relations, into)
    known = [None] * len(relations) if bias is None else list(bias)
    alone = over_blocks_fused if score is None else over_blocks
    got = [alone(where, query, *sent, heads, known, dropout, score)[0] for where in (laid_out.alone,) if where]
    parts = [
        over_blocks(where, query, *sent, heads, known, dropout, score) for where in (laid_out.beside,) if where
    ] + [over_edges(where, query, *sent, heads, known, dropout, score) for where in (laid_out.listed,) if where]
    if parts:
        got.append(_merge(parts).flatten(1))
    if not got:
        return query.rows.new_zeros(sum(len(graph.owner(kind)) for kind, _ in into), wide)
    return got[0] if len(got) == 1 else got[0] + got[1]


_Into = tuple[tuple[str, tuple[int, ...]], ...]
"""Groups of target nodes: the kind, and the relations that share one softmax there."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of sparse relations, relation after relation.

    Attributes:
        tells: The relation of each, ``int64 [E]``.
        told: The row of its source within the kind.
        asks: The group of its target.
        asked: The row of its target within the kind.
        index: The row of its target among all groups' rows.
        counts: Relations and how many edges each has.
        rows: How many rows all groups have.
    """

    tells: Tensor
    told: Tensor
    asks: Tensor
    asked: Tensor
    index: Tensor
    counts: tuple[tuple[int, int], ...]
    rows: int


@dataclass(frozen=True, eq=False)
class _Layout:
    """What is computed alone (only dense relations end there), in blocks beside edges, and over edges."""

    alone: Plan | None
    beside: Plan | None
    listed: Edges | None


def _layout(graph: FusionGraph, relations: Sequence[Laid], into: _Into) -> _Layout:
    """Found once for all graphs that differ in states alone."""
    name = (*relations, into)
    if name not in graph.laid_out:
        kinds = graph.schema.all_kinds
        mixed = [len({relations[r].dense for r in own}) > 1 for _, own in into]

        def blocks(beside: bool) -> Plan | None:
            dense = [tuple(r for r in own if relations[r].dense and mix == beside) for (_, own), mix in zip(into, mixed)]
            if not any(dense):
                return None
            groups = [
                (kinds.index(kind), own, [kinds.index(relations[r].relation[0]) for r in own])
                for (kind, _), own in zip(into, dense)
            ]
            made = plan(graph.counts, groups, graph.x.device)
            return made if made.buckets else None

        graph.laid_out[name] = _Layout(blocks(False), blocks(True), _edges(graph, relations, into))
    found: _Layout = graph.laid_out[name]
    return found


def _edges(graph: FusionGraph, relations: Sequence[Laid], into: _Into) -> Edges | None:
    first = list(accumulate((len(graph.owner(kind)) for kind, _ in into), initial=0))
    tells, told, asks, asked, index, counts = [], [], [], [], [], []
    for r, group in sorted((r, group) for group, (_, own) in enumerate(into) for r in own):
        pairs, (start, _, end) = relations[r].pairs, relations[r].relation
        if pairs is None:
            continue
        told.append(pairs[0] - graph.rows(start).start)
        asked.append(pairs[1] - graph.rows(end).start)
        index.append(asked[-1] + first[group])
        tells.append(torch.full_like(pairs[0], r))
        asks.append(torch.full_like(pairs[0], group))
        counts.append((r, pairs.shape[1]))
    if not counts:
        return None
    return Edges(*(torch.cat(each) for each in (tells, told, asks, asked, index)), tuple(counts), first[-1])


def _table(graph: FusionGraph, given: Given, kinds: Sequence[str]) -> Table:
    if isinstance(given, Table):
        return given
    if isinstance(given, Tensor):
        return Table(given, tuple(graph.rows(kind).start for kind in kinds), (1,) * len(kinds))
    if len(given) != len(kinds):
        raise InputError(f"{len(given)} values for {len(kinds)} relations; give one a relation.")
    return Table.joined(given) if given else Table(graph.x[:0], (), ())


def _merge(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Softmax means ``[n, H, c]`` over parts of the edges as one over all, by their log-sum-exp ``[n, H]``."""
    if len(parts) == 1:
        return parts[0][0]
    each = torch.stack([lse for _, lse in parts])  # [P, n, H]
    top = each.detach().amax(0)
    share = (each - top.masked_fill(top == -torch.inf, 0.0)).exp()
    share = share / share.sum(0).clamp(min=torch.finfo(share.dtype).tiny)
    return torch.stack([part * s[..., None] for (part, _), s in zip(parts, share)]).sum(0)
