"""Attention of small blocks against torch's own, and where each is taken."""

import contract
import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core import softmax
from graphfuse.core.buckets import Bucket
from graphfuse.core.small import Shape, small


def one(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Blocks of one shape: ``q [n, Q, c]``, ``k`` and ``v [n, S, c]``."""
    rows = torch.cat([v.flatten(0, 1), q.flatten(0, 1), k.flatten(0, 1)])  # in any order
    values, queries = v.shape[0] * v.shape[1], q.shape[0] * q.shape[1]
    shape = Shape(len(q), q.shape[1], k.shape[1], values, values + queries, 0)
    return small(rows, [shape], [added], dropout).view_as(q)


def parts(added: tuple[int, ...] | None) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    sizes = [(2, 3, 4), (2, 5, 4), (2, 5, 4), *([added] if added else [])]
    return [torch.randn(size, generator=rng, dtype=torch.double).requires_grad_() for size in sizes]


@pytest.mark.parametrize("added", [None, (2, 1, 5), (2, 3, 5)])
def test_small_equals_torchs_own(added):
    given = parts(added)
    mask = given[3] if added else None
    expected = scaled_dot_product_attention(*given[:3], attn_mask=mask)
    assert_close(one(*given), expected, rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(one, given)


def test_what_is_masked_has_no_share_and_no_gradient():
    q, k, v = parts(None)
    added = torch.zeros(2, 1, 5).double()
    added[:, :, 3:] = -torch.inf
    got = one(q, k, v, added)
    assert_close(got, one(q, k[:, :3], v[:, :3]), rtol=1e-12, atol=1e-12)
    grads = torch.autograd.grad(got.square().sum(), (k, v))
    assert all(not grad[:, 3:].any() and grad[:, :3].any() for grad in grads)


def test_dropout_weighs_what_is_kept_anew_and_has_its_gradient():
    q, k = (torch.cat([x, x.flip(2)], 2)[..., :5].detach() for x in parts(None)[:2])
    every = torch.eye(5).double().expand(2, 5, 5)  # values that show the shares
    share = one(q, k, every)
    torch.manual_seed(1)
    kept = one(q, k, every, None, 0.5)
    dropped = kept == 0
    assert dropped.any()
    assert not dropped.all()
    assert_close(kept, torch.where(dropped, 0.0, 2 * share), rtol=1e-12, atol=1e-12)

    def same(*given: Tensor) -> Tensor:
        torch.manual_seed(1)
        return one(*given, None, 0.5)

    assert torch.autograd.gradcheck(same, parts(None))


@pytest.mark.parametrize("biased", [False, True])
def test_attend_is_the_same_by_small_blocks_and_by_the_fused_kernel(monkeypatch, biased):
    plan = gf.Schema({"a": 1, "b": 1}, [gf.AllPairs("a", "b"), gf.AllPairs("b", "b"), gf.AllPairs("b", "a")])
    samples = [gf.Sample(f"{n}", {"a": torch.ones(n, 1), "b": torch.ones(m, 1)}) for n, m in ((3, 2), (40, 30), (1, 9))]
    results, seen = [], set()
    for always in (True, False):
        graph = contract.graph_of(samples, plan, dim=8, dtype=torch.double)
        x = graph.x.requires_grad_()
        bias = [torch.tensor([1.0, -1.0]).double() * n for n in range(3)] if biased else None
        monkeypatch.setattr(softmax, "_is_small", lambda *_, always=always: seen.add(always) or always)
        got = gf.attend(graph, x, x, x.flip(1), bias=bias, heads=2)
        results.append((got, *torch.autograd.grad(got.square().sum(), x)))
    assert seen == {True, False}
    assert_close(results[0], results[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("queries", "sources", "kept"), [(50, 120, True), (10, 10, True), (2000, 2000, False)])
def test_scores_are_kept_only_where_they_are_no_more_than_the_blocks(queries, sources, kept):
    bucket = Bucket(1, queries, sources, None, torch.zeros(1, dtype=torch.long))
    assert softmax._is_small(bucket, [torch.zeros(1, 32)]) == kept


def test_blocks_of_several_shapes_are_each_as_by_themselves():
    given = [parts(None), [x[:1, :2] for x in parts(None)]]
    rows, shapes, begin = [], [], 0
    for q, k, v in given:
        ends = begin + q[..., 0].numel(), begin + q[..., 0].numel() + k[..., 0].numel()
        shapes.append(Shape(len(q), q.shape[1], k.shape[1], begin, *ends))
        rows += [each.reshape(-1, 4) for each in (q, k, v)]
        begin = ends[1] + v[..., 0].numel()
    got = small(torch.cat(rows), shapes)
    assert_close(got, torch.cat([one(*each).flatten(0, 1) for each in given]), rtol=1e-12, atol=1e-12)
