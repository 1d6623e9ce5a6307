"""Softmax means over the places that :mod:`graphfuse.core.buckets` lays out, and over edges.

Each gives the means, and, where they are merged with others, their log-sum-exp ``[n, H]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad, scaled_dot_product_attention

from graphfuse.core.buckets import Bucket, Ints, Places, Plan
from graphfuse.core.layout import Edges, rows_of
from graphfuse.core.message import gated, segment
from graphfuse.core.small import small
from graphfuse.core.table import Table, put, take

Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Scores of pairs: ``query [n, .., H, c], key [n, .., H, c], group int64 [n] -> [n, .., H]``."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What attention is asked for.

    Attributes:
        query: Rows by group of target nodes.
        key: Rows by relation.
        value: Rows by relation.
        heads: How many every row is parted into.
        bias: One a relation, ``[H]`` or ``[E, H]``, or ``None``.
        edge: One a sparse relation, ``[E, d]``, added to keys and values of its edges, or ``None``.
        gate: One a sparse relation, ``[E]``, that values of its edges are multiplied by, or ``None``.
        dropout: Of the softmax.
        score: In place of the scaled product.
        worth: How many pairs of a block cost as much as one edge.
    """

    query: Table
    key: Table
    value: Table
    heads: int
    bias: Sequence[Tensor | None]
    edge: Sequence[Tensor | None]
    gate: Sequence[Tensor | None]
    dropout: float
    score: Score | None
    worth: float


def over_blocks_fused(plan: Plan, asked: Asked) -> Tensor:
    """Without the log-sum-exp, ``[n, d]``: by torch's fused kernel, or, where that is slower, in three operations."""
    out = []
    for at, q, k, v, more in zip(range(len(plan.buckets)), *_taken(plan, asked), _block_bias(plan, asked)):
        bucket, width = plan.buckets[at], q.shape[-1]
        if _is_small(q, k, v):
            added = _added(plan, at, q, more)
            out.append(small(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), added, asked.dropout))
        elif more is None:
            out.append(scaled_dot_product_attention(q, k, v, _mask(bucket, q), asked.dropout).flatten(0, 1))
        else:  # one more column: 1 in the query, the bias in the key
            k = torch.cat([k, (more.transpose(1, 2)[..., None] * width**0.5).to(k.dtype)], -1)
            q, v = pad(q, (0, 1), value=1.0), pad(v, (0, 1))
            got = scaled_dot_product_attention(q, k, v, _mask(bucket, q), asked.dropout, scale=width**-0.5)
            out.append(got[..., :-1].flatten(0, 1))
    return _put(plan, out, asked.heads).flatten(1)


def over_blocks(plan: Plan, asked: Asked) -> tuple[Tensor, Tensor]:
    """In plain operations, with the log-sum-exp, ``-inf`` where nothing reaches a node."""
    out = []
    for at, q, k, v, more in zip(range(len(plan.buckets)), *_taken(plan, asked), _block_bias(plan, asked)):
        s = _scores(plan, at, q, k, more, asked.score)
        lse = s.logsumexp(-1, keepdim=True)  # [n, H, Q, 1]
        out.append(torch.cat([drop((s - lse).exp(), asked.dropout) @ v, lse], -1).flatten(0, 1))
    got, lse = _put(plan, out, asked.heads).tensor_split([-1], 2)
    return got, lse[..., 0].masked_fill(~plan.reached[:, None], -torch.inf)


def _is_small(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the scores of blocks are no more numbers than the blocks: to keep them is then quicker on a processor.

    In half precision torch's kernel is more exact, as it sums in full.
    """
    many, most, width = k.shape[2], q.shape[2], q.shape[3]
    full = q.dtype == k.dtype == v.dtype and q.dtype in (torch.float32, torch.float64)
    full = full and not torch.is_autocast_enabled("cpu")
    return q.is_cpu and full and most * many <= (most + 2 * many) * width


def _scores(plan: Plan, at: int, q: Tensor, k: Tensor, more: Tensor | None, score: Score | None) -> Tensor:
    """The scores of a bucket's pairs, ``-inf`` for those that do not meet: ``[n, H, Q, S]``."""
    if score is None:
        s = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5
    else:
        apart = q.transpose(1, 2)[:, :, None], k.transpose(1, 2)[:, None]  # [n, Q, 1, H, c], [n, 1, S, H, c]
        s = score(*apart, plan.buckets[at].group).permute(0, 3, 1, 2)
    if more is not None:
        s = s + more.transpose(1, 2)[:, :, None]
    mask = _mask(plan.buckets[at], s)
    return s if mask is None else s.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else s + mask


def _added(plan: Plan, at: int, q: Tensor, more: Tensor | None) -> Tensor | None:
    """What is added to the scores of a bucket's pairs, ``[n * H, Q or 1, S]``: ``-inf`` where they do not meet."""
    heads, name = q.shape[1], ("added", at, q.shape[1], q.dtype)
    if name not in plan.known:
        real = plan.buckets[at].real
        if real is not None and real.dtype == torch.bool:
            real = q.new_zeros(()).masked_fill(~real, -torch.inf)
        plan.known[name] = None if real is None else real.to(q.dtype).expand(-1, heads, -1, -1).flatten(0, 1)
    added: Tensor | None = plan.known[name]
    if more is not None:
        bias = more.transpose(1, 2).flatten(0, 1)[:, None].to(q.dtype)  # [n * H, 1, S]
        added = bias if added is None else added + bias
    return added


def over_edges(edges: Edges, asked: Asked) -> tuple[Tensor, Tensor]:
    """Edge by edge."""
    ends = (
        (asked.query, edges.asks, edges.asked),
        (asked.key, edges.tells, edges.told),
        (asked.value, edges.tells, edges.told),
    )
    ask, tell, own = (rows_of(*end) for end in ends)  # [E, d]
    if any(each is not None for each in asked.edge):
        more = _by_edge(edges, asked.edge, tell)
        tell, own = tell + more, own + more
    q, k, v = (x.unflatten(1, (asked.heads, -1)) for x in (ask, tell, own))  # [E, H, c]
    s = (q * k).sum(-1) * q.shape[-1] ** -0.5 if asked.score is None else asked.score(q, k, edges.tells)
    if any(each is not None for each in asked.bias):
        s = s + _by_edge(edges, asked.bias, s)
    top = segment(s.detach(), edges.index, edges.rows, "max")  # [n, H]
    raised = (s - top.index_select(0, edges.index)).exp()
    total = segment(raised, edges.index, edges.rows)
    sent = gated(drop(raised, asked.dropout)[..., None] * v, edges.joined(asked.gate))
    got = segment(sent.flatten(1), edges.index, edges.rows).unflatten(1, (asked.heads, -1))
    safe = total.clamp(min=torch.finfo(total.dtype).tiny)
    return got / safe[..., None], torch.where(total > 0, safe.log() + top, -torch.inf)


def _mask(bucket: Bucket, like: Tensor) -> Tensor | None:
    """The mask of a bucket, in the dtype of scores where it is added to them."""
    return bucket.real if bucket.real is None or bucket.real.dtype == torch.bool else bucket.real.to(like.dtype)


def _taken(plan: Plan, asked: Asked) -> list[Sequence[Tensor]]:
    """Queries, keys and values of each bucket, ``[n, H, m, c]``; what lies in one table is taken at once."""
    wanted, heads = [(asked.query, plan.query), (asked.key, plan.source), (asked.value, plan.source)], asked.heads
    blocks = [bucket.blocks * heads for bucket in plan.buckets]
    found: list[Sequence[Tensor]] = [()] * 3
    for one in {id(table.rows): table.rows for table, _ in wanted}.values():
        own = [i for i, (table, _) in enumerate(wanted) if table.rows is one]
        name = (len(one), heads, *((i, wanted[i][0].first, wanted[i][0].step) for i in own))
        if name not in plan.known:
            plan.known[name] = _places(plan, [wanted[i] for i in own], heads)
        learns = torch.is_grad_enabled() and one.requires_grad
        every, rows = plan.known[name]
        if learns and ("into", name) not in plan.known and not torch.compiler.is_compiling():
            plan.known["into", name] = _into(plan, [wanted[i] for i in own], every, len(one), heads)
        into, whole = plan.known.get(("into", name), ((), False))
        got = take(one.reshape(len(one) * heads, -1), rows, blocks * len(own), into, whole)
        for n, i in enumerate(own):
            found[i] = [each.unflatten(0, (-1, heads)) for each in got[n * len(blocks) : (n + 1) * len(blocks)]]
    return found


def _places(plan: Plan, wanted: Sequence[tuple[Table, Places]], heads: int) -> tuple[Ints, list[Tensor]]:
    """Rows of one table, and by bucket. A row counts as one for each head, ``row * heads + head``."""
    rows, sizes = list[Ints](), list[int]()
    for table, places in wanted:
        place, head = _by_head(plan, places.sizes, heads)
        rows.append(places.rows(table.first, table.step)[place] * heads + head)
        sizes += [size * heads for size in places.sizes]
    every = np.concatenate(rows)
    return every, list(torch.from_numpy(every).to(plan.back.device, non_blocking=True).split(sizes))


def _into(
    plan: Plan, wanted: Sequence[tuple[Table, Places]], every: Ints, count: int, heads: int
) -> tuple[Sequence[Tensor], bool]:
    """Of what was taken from ``count`` rows where its gradient goes, by bucket, and whether that is all rows.

    Nothing where a row stands at several places.
    """
    slots = [slot for table, _ in wanted for slot in zip(table.first, table.step)]
    if len(set(slots)) < len(slots):
        return (), False
    real = np.concatenate([places.real[_by_head(plan, places.sizes, heads)[0]] for _, places in wanted])
    sizes = [size * heads for _, places in wanted for size in places.sizes]
    into = torch.from_numpy(np.where(real, every, count * heads)).to(plan.back.device, non_blocking=True)
    return into.split(sizes), int(real.sum()) == count * heads


def _by_head(plan: Plan, sizes: tuple[int, ...], heads: int) -> tuple[Ints, Ints]:
    """What stands in blocks ``[n, m]``, bucket after bucket, as ``[n, heads, m]``: the place of each, and its head.

    ``sizes``: ``n * m`` of each bucket.
    """
    name = ("by head", sizes, heads)
    if name not in plan.known:
        shapes = [(bucket.blocks, heads, size // bucket.blocks) for bucket, size in zip(plan.buckets, sizes)]
        own = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
        place = [np.broadcast_to(each.reshape(n, 1, m), (n, h, m)).ravel() for each, (n, h, m) in zip(own, shapes)]
        head = [np.broadcast_to(np.arange(heads)[:, None], shape).ravel() for shape in shapes]
        plan.known[name] = np.concatenate(place), np.concatenate(head)
    found: tuple[Ints, Ints] = plan.known[name]
    return found


def _put(plan: Plan, blocks: Sequence[Tensor], heads: int) -> Tensor:
    """What target nodes have of blocks, ``[n * H, Q, c]`` each: ``[t, H, c]``."""
    name = ("put", heads)
    if name not in plan.known:
        device, total = plan.back.device, len(plan.back) * heads
        place, head = (torch.from_numpy(each).to(device) for each in _by_head(plan, plan.query.sizes, heads))
        every = (torch.cat(plan.answer)[place] * heads + head).clamp(max=total)
        back = torch.full((total + 1,), len(every), device=device)
        back[every] = torch.arange(len(every), device=device)
        plan.known[name] = back[:-1], every.split([size * heads for size in plan.query.sizes])
    return put(blocks, *plan.known[name]).unflatten(0, (-1, heads))


def _block_bias(plan: Plan, asked: Asked) -> Sequence[Tensor | None]:
    """What is added at each source of each bucket, ``[n, S, H]``."""
    if all(each is None for each in asked.bias):
        return [None] * len(plan.buckets)
    none = asked.query.rows.new_zeros(asked.heads)
    one = torch.stack([none if each is None or each.ndim > 1 else each for each in asked.bias])  # [R, H]
    group = torch.from_numpy(plan.source.group).to(none.device)
    parts = one.index_select(0, group).split(plan.source.sizes)
    return [part.unflatten(0, (bucket.blocks, -1)) for part, bucket in zip(parts, plan.buckets)]


def _by_edge(edges: Edges, given: Sequence[Tensor | None], like: Tensor) -> Tensor:
    """What is given by relation, for each edge: ``[E, w]``, as wide as ``like``; zeros where none is given."""
    none = like.new_zeros(1, like.shape[1])
    return torch.cat([(none if (own := given[r]) is None else own).expand(count, -1) for r, count in edges.counts])
