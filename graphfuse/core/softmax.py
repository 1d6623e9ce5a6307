"""Softmax means over the places that :mod:`graphfuse.core.buckets` lays out, and over edges.

Each takes ``query``, ``key`` and ``value`` as tables and gives the means ``[n, H, c]`` and their log-sum-exp ``[n, H]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout as drop
from torch.nn.functional import pad, scaled_dot_product_attention

from graphfuse.core.buckets import Places, Plan
from graphfuse.core.message import segment
from graphfuse.core.table import Table, put, take

if TYPE_CHECKING:
    from graphfuse.core.attention import Edges

Score = Callable[[Tensor, Tensor], Tensor]
"""Scores of pairs: ``query [.., H, c], key [.., H, c] -> [.., H]``, whatever the leading sizes."""
Biases = Sequence[Tensor | None]


def over_blocks_fused(
    plan: Plan, query: Table, key: Table, value: Table, heads: int, bias: Biases, dropout: float, _: Score | None = None
) -> tuple[Tensor]:
    """By torch's fused kernel, without the log-sum-exp: ``[n, d]``."""
    out = []
    added = _block_bias(plan, bias, heads, query.rows)
    for bucket, q, k, v, more in zip(plan.buckets, *_taken(plan, query, key, value, heads), added):
        width = q.shape[-1]
        if more is None:
            out.append(scaled_dot_product_attention(q, k, v, bucket.real, dropout))
        else:  # one more column: 1 in the query, the bias in the key
            k = torch.cat([k, (more.transpose(1, 2)[..., None] * width**0.5).to(k.dtype)], -1)
            q, v = pad(q, (0, 1), value=1.0), pad(v, (0, 1))
            out.append(scaled_dot_product_attention(q, k, v, bucket.real, dropout, scale=width**-0.5)[..., :-1])
    return (put(out, plan.back, plan.answer),)


def over_blocks(
    plan: Plan, query: Table, key: Table, value: Table, heads: int, bias: Biases, dropout: float, score: Score | None
) -> tuple[Tensor, Tensor]:
    """In plain operations, with the log-sum-exp, ``-inf`` where nothing reaches a node."""
    out = []
    added = _block_bias(plan, bias, heads, query.rows)
    for bucket, q, k, v, more in zip(plan.buckets, *_taken(plan, query, key, value, heads), added):
        if score is None:
            s = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # [n, H, Q, S]
        else:
            s = score(q.transpose(1, 2)[:, :, None], k.transpose(1, 2)[:, None]).permute(0, 3, 1, 2)
        if more is not None:
            s = s + more.transpose(1, 2)[:, :, None]
        if bucket.real is not None:
            s = s.masked_fill(~bucket.real, -torch.inf)
        lse = s.logsumexp(-1, keepdim=True)  # [n, H, Q, 1]
        out.append(torch.cat([drop((s - lse).exp(), dropout) @ v, lse], -1))
    got, lse = put(out, plan.back, plan.answer).unflatten(1, (heads, -1)).tensor_split([-1], 2)
    return got, lse[..., 0].masked_fill(~plan.reached[:, None], -torch.inf)


def over_edges(
    edges: Edges, query: Table, key: Table, value: Table, heads: int, bias: Biases, dropout: float, score: Score | None
) -> tuple[Tensor, Tensor]:
    """Edge by edge."""
    q, k, v = (x.unflatten(1, (heads, -1)) for x in _listed(edges, query, key, value))  # [E, H, c]
    s = (q * k).sum(-1) * q.shape[-1] ** -0.5 if score is None else score(q, k)
    added = _edge_bias(edges, bias, heads, s)
    s = s if added is None else s + added
    top = segment(s.detach(), edges.index, edges.rows, "max")  # [n, H]
    raised = (s - top.index_select(0, edges.index)).exp()
    total = segment(raised, edges.index, edges.rows)
    sent = drop(raised, dropout)[..., None] * v
    got = segment(sent.flatten(1), edges.index, edges.rows).unflatten(1, (heads, -1))
    safe = total.clamp(min=torch.finfo(total.dtype).tiny)
    return got / safe[..., None], torch.where(total > 0, safe.log() + top, -torch.inf)


def _taken(plan: Plan, query: Table, key: Table, value: Table, heads: int) -> list[Sequence[Tensor]]:
    """Queries, keys and values of each bucket, ``[n, H, m, c]``; what lies in one table is taken at once."""
    wanted = [(query, plan.query), (key, plan.source), (value, plan.source)]
    blocks = [bucket.blocks for bucket in plan.buckets]
    found: list[Sequence[Tensor]] = [()] * 3
    for one in {id(table.rows): table.rows for table, _ in wanted}.values():
        own = [i for i, (table, _) in enumerate(wanted) if table.rows is one]
        name = (len(one), *((i, wanted[i][0].first, wanted[i][0].step) for i in own))
        if name not in plan.known:
            plan.known[name] = _places([wanted[i] for i in own], len(one), plan.back.device)
        rows, back = plan.known[name]
        got = take(one, rows, blocks * len(own), [heads] * len(rows), back)
        for n, i in enumerate(own):
            found[i] = got[n * len(blocks) : (n + 1) * len(blocks)]
    return found


def _places(
    wanted: Sequence[tuple[Table, Places]], count: int, device: torch.device
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Rows of one table by bucket, and where each row's gradient comes from, unless a row stands at several places."""
    rows = np.concatenate([places.rows(table.first, table.step) for table, places in wanted])
    split = torch.from_numpy(rows).to(device).split([size for _, places in wanted for size in places.sizes])
    slots = [slot for table, _ in wanted for slot in zip(table.first, table.step)]
    if len(set(slots)) < len(slots):
        return split, None
    back = np.full(count, len(rows))
    real = np.concatenate([places.real for _, places in wanted])
    back[rows[real]] = np.flatnonzero(real)
    return split, torch.from_numpy(back).to(device)


def _listed(edges: Edges, query: Table, key: Table, value: Table) -> list[Tensor]:
    """Queries, keys and values of each edge, ``[E, d]``."""
    ends = ((query, edges.asks, edges.asked), (key, edges.tells, edges.told), (value, edges.tells, edges.told))
    found = []
    for table, group, row in ends:
        start, stride = torch.tensor([table.first, table.step], device=row.device)
        found.append(table.rows.index_select(0, torch.addcmul(start[group], stride[group], row)))
    return found


def _block_bias(plan: Plan, bias: Biases, heads: int, like: Tensor) -> Sequence[Tensor | None]:
    """What is added at each source of each bucket, ``[n, S, H]``."""
    if all(each is None for each in bias):
        return [None] * len(plan.buckets)
    none = like.new_zeros(heads)
    one = torch.stack([none if each is None or each.ndim > 1 else each for each in bias])  # [R, H]
    group = torch.from_numpy(plan.source.group).to(like.device)
    parts = one.index_select(0, group).split(plan.source.sizes)
    return [part.unflatten(0, (bucket.blocks, -1)) for part, bucket in zip(parts, plan.buckets)]


def _edge_bias(edges: Edges, bias: Biases, heads: int, like: Tensor) -> Tensor | None:
    if all(each is None for each in bias):
        return None
    none = like.new_zeros(heads)
    parts = [(none if bias[r] is None else bias[r]).expand(n, heads) for r, n in edges.counts]
    return torch.cat(parts)
