"""Softmax means over the places that :mod:`graphfuse.core.buckets` lays out, and over edges.

Each gives the means, and, where they are merged with others, their log-sum-exp ``[n, H]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad, scaled_dot_product_attention

from graphfuse.core.buckets import Bucket, Plan
from graphfuse.core.layout import Edges, rows_of
from graphfuse.core.message import gated, segment
from graphfuse.core.places import Taken, put, shapes, taken, taken_apart
from graphfuse.core.small import small
from graphfuse.core.table import Table

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
    given, bias = (plan, asked.query, asked.key, asked.value, asked.heads), _block_bias(plan, asked)
    if torch.is_grad_enabled():
        every = taken(*given)
        if all(_is_small(bucket, every.rows) for bucket in plan.buckets):
            return _put(plan, asked, _in_three(plan, range(len(plan.buckets)), every, asked, bias))
        each: Iterable[Taken] = every.apart(plan, asked.heads)
    else:  # one bucket at a time takes less memory, which stays at hand
        each = taken_apart(*given)
    out = []
    for at, (bucket, own, more) in enumerate(zip(plan.buckets, each, bias)):
        if _is_small(bucket, own.rows):
            out.append(_in_three(plan, [at], own, asked, bias))
            continue
        q, k, v = own.parts(bucket, asked.heads)
        if more is None:
            out.append(scaled_dot_product_attention(q, k, v, _mask(bucket, q), asked.dropout).flatten(0, 2))
        else:  # one more column: 1 in the query, the bias in the key
            scale = q.shape[-1] ** -0.5
            k = torch.cat([k, (more.transpose(1, 2)[..., None] / scale).to(k.dtype)], -1)
            q, v = pad(q, (0, 1), value=1.0), pad(v, (0, 1))
            got = scaled_dot_product_attention(q, k, v, _mask(bucket, q), asked.dropout, scale=scale)
            out.append(got[..., :-1].flatten(0, 2))
    return _put(plan, asked, torch.cat(out))


def _put(plan: Plan, asked: Asked, blocks: Tensor) -> Tensor:
    return put(plan, blocks, asked.heads).flatten(1)


def _in_three(plan: Plan, at: Sequence[int], own: Taken, asked: Asked, bias: Sequence[Tensor | None]) -> Tensor:
    """Some buckets of blocks, all that was taken, in three operations each."""
    rows = own.joined()
    added = [_added(plan, one, asked.heads, rows, bias[one]) for one in at]
    return small(rows, shapes([plan.buckets[one] for one in at], own.has, asked.heads), added, asked.dropout)


def over_blocks(plan: Plan, asked: Asked) -> tuple[Tensor, Tensor]:
    """In plain operations, with the log-sum-exp, ``-inf`` where nothing reaches a node."""
    out = []
    each = taken(plan, asked.query, asked.key, asked.value, asked.heads).apart(plan, asked.heads)
    for at, (own, more) in enumerate(zip(each, _block_bias(plan, asked))):
        q, k, v = own.parts(plan.buckets[at], asked.heads)
        s = _scores(plan, at, q, k, more, asked.score)
        lse = s.logsumexp(-1, keepdim=True)  # [n, H, Q, 1]
        out.append(torch.cat([drop((s - lse).exp(), asked.dropout) @ v, lse], -1).flatten(0, 2))
    got, lse = put(plan, torch.cat(out), asked.heads).tensor_split([-1], 2)
    return got, lse[..., 0].masked_fill(~plan.reached[:, None], -torch.inf)


def _is_small(bucket: Bucket, rows: Sequence[Tensor]) -> bool:
    """Whether the scores of blocks are no more numbers than the blocks: to keep them is then quicker on a processor.

    In half precision torch's kernel is more exact, as it sums in full.
    """
    width, dtype = rows[0].shape[1], rows[0].dtype
    full = all(each.is_cpu and (each.shape[1], each.dtype) == (width, dtype) for each in rows)
    full = full and dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    return full and bucket.queries * bucket.sources <= (bucket.queries + 2 * bucket.sources) * width


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


def _added(plan: Plan, at: int, heads: int, like: Tensor, more: Tensor | None) -> Tensor | None:
    """What is added to the scores of a bucket's pairs, ``[n * H, Q or 1, S]``: ``-inf`` where they do not meet."""
    name = ("added", at, heads, like.dtype)
    if name not in plan.known:
        real = plan.buckets[at].real
        if real is not None and real.dtype == torch.bool:
            real = like.new_zeros(()).masked_fill(~real, -torch.inf)
        plan.known[name] = None if real is None else real.to(like.dtype).expand(-1, heads, -1, -1).flatten(0, 1)
    added: Tensor | None = plan.known[name]
    if more is not None:
        bias = more.transpose(1, 2).flatten(0, 1)[:, None].to(like.dtype)  # [n * H, 1, S]
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
