"""The two primitives against the plain loops that they replace."""

import math

import contract
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core import softmax
from graphfuse.core.attention import attend_each
from graphfuse.core.graph import Laid
from graphfuse.core.message import aggregate_one, in_degree, segment, segment_softmax

REDUCES = ("sum", "mean", "max", "std")
EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def graph() -> gf.FusionGraph:
    return contract.graph_of(contract.samples(), contract.schema(), dim=4, dtype=torch.double)


@pytest.fixture(params=["as it comes", "fused kernel"])
def kernel(request, monkeypatch):
    """Small blocks on a processor have a way of their own; all else goes by torch's kernel."""
    if request.param == "fused kernel":
        monkeypatch.setattr(softmax, "_is_small", lambda *_: False)


def edges_of(graph: gf.FusionGraph, laid: Laid) -> list[tuple[int, int]]:
    """(source, target) of each edge; those of a dense relation from the offsets, one by one."""
    if laid.pairs is not None:
        return [(a, b) for a, b in laid.pairs.t().tolist()]
    k, m = (graph.schema.all_kinds.index(kind) for kind in laid.relation[::2])
    begin = graph.offsets.tolist()
    return [(a, b) for p in range(len(graph)) for a in range(begin[k][p], begin[k][p + 1])
            for b in range(begin[m][p], begin[m][p + 1])]  # fmt: skip


def in_edges(graph: gf.FusionGraph, relations: list[Laid]) -> list[list[tuple[int, int]]]:
    """For each node, (place of the relation, source) of the edges that end at it."""
    into: list[list[tuple[int, int]]] = [[] for _ in graph.x]
    for place, laid in enumerate(relations):
        for a, b in edges_of(graph, laid):
            into[b].append((place, a))
    return into


def listed(graph: gf.FusionGraph) -> gf.FusionGraph:
    """The same graph with every relation given as a list of edges."""
    return graph.replace(relations=tuple(Laid(r.relation, r.index, graph.edges(r), r.weight) for r in graph.relations))


def values_of(graph: gf.FusionGraph, seed: int, width: int = 4) -> list[Tensor]:
    """Other values for each relation."""
    rng = torch.Generator().manual_seed(seed)
    return [
        torch.randn(len(graph.of(r.relation[0])), width, generator=rng, dtype=torch.double) for r in graph.relations
    ]


def reduced(values: list[Tensor], width: int, reduce: str) -> Tensor:
    if not values:
        return torch.zeros(width, dtype=torch.double)
    block = torch.stack(values)
    if reduce == "std":
        spread = ((block - block.mean(0)) ** 2).mean(0).clamp(min=1e-5).sqrt()
        return torch.where(spread <= math.sqrt(1e-5), torch.zeros_like(spread), spread)
    return {"sum": block.sum(0), "mean": block.mean(0), "max": block.amax(0)}[reduce]


@pytest.mark.parametrize("reduce", REDUCES)
def test_aggregate_equals_the_plain_loop(graph, reduce):
    sent = values_of(graph, 1)
    first = [graph.rows(r.relation[0]).start for r in graph.relations]
    into = in_edges(graph, graph.relations)
    expected = [reduced([sent[r][a - first[r]] for r, a in each], 4, reduce) for each in into]
    assert_close(gf.aggregate(graph, sent, reduce=reduce), torch.stack(expected), **EXACT)
    assert any(not each for each in into), "a node without in-edges must be among them"


@pytest.mark.parametrize("reduce", REDUCES)
def test_aggregate_of_one_value_a_node_is_that_of_the_same_value_over_each_relation(graph, reduce):
    x = torch.randn(len(graph.x), 3, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    each = [x[graph.rows(laid.relation[0])] for laid in graph.relations]
    assert_close(gf.aggregate(graph, x, reduce=reduce), gf.aggregate(graph, each, reduce=reduce), **EXACT)


@pytest.mark.parametrize("reduce", REDUCES)
def test_aggregate_does_not_care_whether_a_relation_is_dense_or_listed(graph, reduce):
    sent = values_of(graph, 3)
    assert_close(gf.aggregate(listed(graph), sent, reduce=reduce), gf.aggregate(graph, sent, reduce=reduce), **EXACT)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_a_gate_multiplies_what_a_relation_carries_in_a_sample(graph, reduce):
    sent, rng = values_of(graph, 10), torch.Generator().manual_seed(11)
    gate = torch.randn(len(graph), len(graph.relations), 4, generator=rng, dtype=torch.double)
    owners = torch.cat([graph.owner(kind) for kind in graph.schema.all_kinds]).tolist()
    first = [graph.rows(r.relation[0]).start for r in graph.relations]
    into = in_edges(graph, graph.relations)
    expected = [reduced([sent[r][a - first[r]] * gate[owners[a], r] for r, a in each], 4, reduce) for each in into]
    assert_close(gf.aggregate(graph, sent, reduce=reduce, gate=gate), torch.stack(expected), **EXACT)
    assert_close(gf.aggregate(listed(graph), sent, reduce=reduce, gate=gate), torch.stack(expected), **EXACT)
    plain = gf.aggregate(graph, sent, reduce=reduce)
    assert_close(gf.aggregate(graph, sent, reduce=reduce, gate=torch.ones_like(gate)), plain, **EXACT)


@pytest.mark.parametrize("reduce", ["max", "std"])
def test_a_gate_goes_with_sum_and_mean_only(graph, reduce):
    gate = torch.ones(len(graph), len(graph.relations), 4, dtype=torch.double)
    with pytest.raises(gf.InputError, match=rf"a gate goes with sum or mean, not with '{reduce}'\."):
        gf.aggregate(graph, values_of(graph, 12), reduce=reduce, gate=gate)


@pytest.mark.parametrize("reduce", REDUCES)
def test_aggregate_one_equals_aggregate_over_that_relation(graph, reduce):
    for laid, x in zip(graph.relations, values_of(graph, 4)):
        whole = gf.aggregate(graph, [x], [laid], reduce)
        rows = graph.rows(laid.relation[2])
        assert_close(aggregate_one(graph, x, laid, reduce), whole[rows], **EXACT)
        assert not whole[: rows.start].any()
        assert not whole[rows.stop :].any()


def test_aggregate_takes_some_relations_in_any_order(graph):
    sent = values_of(graph, 5)
    some = [4, 0, 7]
    got = gf.aggregate(graph, [sent[i] for i in some], [graph.relations[i] for i in some], "sum")
    parts = [gf.aggregate(graph, [sent[i]], [graph.relations[i]], "sum") for i in some]
    assert_close(got, sum(parts), **EXACT)


def test_negative_values_are_not_lost_by_max(graph):
    got = gf.aggregate(graph, torch.full((len(graph.x), 1), -5.0, dtype=torch.double), reduce="max")
    degree = torch.zeros(len(graph.x))
    for laid in graph.relations:
        degree[graph.rows(laid.relation[2])] += in_degree(graph, laid)
    assert got[:, 0].tolist() == [-5.0 if d else 0.0 for d in degree.tolist()]


def test_in_degree_counts_edges(graph):
    for laid in graph.relations:
        rows = graph.rows(laid.relation[2])
        ends = [b for _, b in edges_of(graph, laid)]
        assert in_degree(graph, laid).tolist() == [ends.count(b) for b in range(rows.start, rows.stop)]


@pytest.mark.parametrize("primitive", [
    lambda g: gf.aggregate(g, g.x, (), "sum"), lambda g: gf.aggregate(g, g.x, (), "max"),
    lambda g: gf.attend(g, g.x, g.x, g.x, ()),
])  # fmt: skip
def test_without_relations_nothing_reaches_a_node(graph, primitive):
    assert primitive(graph).shape == graph.x.shape
    assert not primitive(graph).any()


@pytest.mark.parametrize("kind", list(contract.KINDS))
def test_primitives_work_where_no_sample_has_a_kind(kind):
    samples = [contract.sample(i, (kind,)) for i in range(3)]
    graph = contract.graph_of(samples, contract.schema(), dim=4, dtype=torch.double)
    sent = values_of(graph, 6)
    for reduce in REDUCES:
        assert_close(
            gf.aggregate(graph, sent, reduce=reduce), gf.aggregate(listed(graph), sent, reduce=reduce), **EXACT
        )
    assert_close(gf.attend(graph, graph.x, sent, sent), gf.attend(listed(graph), graph.x, sent, sent), **EXACT)


def test_an_unknown_reduce_is_refused(graph):
    with pytest.raises((gf.InputError, ValueError), match="median"):
        gf.aggregate(graph, graph.x, reduce="median")


def test_a_wrong_number_of_values_is_named(graph):
    with pytest.raises(gf.InputError, match=rf"2 values for {len(graph.relations)} relations; give one a relation\."):
        gf.aggregate(graph, [graph.x, graph.x])


def attention_loop(graph: gf.FusionGraph, query: Tensor, key: list[Tensor], value: list[Tensor], bias: list,
                   heads: int) -> Tensor:  # fmt: skip
    width = query.shape[1] // heads
    out = torch.zeros_like(query)
    places = [{pair: e for e, pair in enumerate(edges_of(graph, laid))} for laid in graph.relations]
    first = [graph.rows(laid.relation[0]).start for laid in graph.relations]
    for node, edges in enumerate(in_edges(graph, graph.relations)):
        for h in range(heads):
            cut = slice(h * width, (h + 1) * width)
            scores = []
            for r, a in edges:
                score = query[node, cut] @ key[r][a - first[r], cut] / math.sqrt(width)
                if bias[r] is not None:
                    score = score + (bias[r][h] if bias[r].ndim == 1 else bias[r][places[r][a, node], h])
                scores.append(score)
            if edges:
                share = torch.stack(scores).softmax(0)
                out[node, cut] = sum(s * value[r][a - first[r], cut] for s, (r, a) in zip(share, edges))
    return out


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_attend_equals_the_plain_loop(heads, biased, kernel):
    one = contract.sample(0)
    twice = torch.cat([one.links[contract.MENTIONS].unique(dim=1)], 1)  # no edge twice: the loop looks them up by pair
    links = {r: x.unique(dim=1) for r, x in one.links.items()} | {contract.MENTIONS: twice}
    samples = [gf.Sample("one", one.nodes, links, one.spans), *(contract.sample(i, lacking) for i, lacking in
               ((1, ("image", "entity")), (2, ("text", "entity"))))]  # fmt: skip
    graph = contract.graph_of(samples, contract.schema(), dim=4, dtype=torch.double)
    graph = graph.replace(
        relations=tuple(
            laid if laid.dense else Laid(laid.relation, laid.index, _unique(laid.pairs)) for laid in graph.relations
        )
    )
    rng = torch.Generator().manual_seed(7)
    query = torch.randn(len(graph.x), 4, generator=rng, dtype=torch.double)
    key, value = values_of(graph, 8), values_of(graph, 9)
    bias: list[Tensor | None] = [None] * len(graph.relations)
    if biased:
        sizes = [(heads,) if r.dense or r.index % 2 else (r.pairs.shape[1], heads) for r in graph.relations]
        bias = [None if i == 3 else torch.randn(s, generator=rng, dtype=torch.double) for i, s in enumerate(sizes)]
    got = gf.attend(graph, query, key, value, bias=bias if biased else None, heads=heads)
    assert_close(got, attention_loop(graph, query, key, value, bias, heads), **EXACT)


def _unique(pairs: Tensor) -> Tensor:
    return pairs.flip(0).unique(dim=1).flip(0)


@pytest.mark.parametrize("heads", [1, 4])
def test_attend_does_not_care_whether_a_relation_is_dense_or_listed(graph, heads, kernel):
    key, value = values_of(graph, 10), values_of(graph, 11)
    query = 3 * graph.x
    got = gf.attend(graph, query, key, value, heads=heads)
    assert_close(gf.attend(listed(graph), query, key, value, heads=heads), got, **EXACT)


def test_attend_each_equals_attend_over_that_relation(graph):
    for laid, key, value in zip(graph.relations, values_of(graph, 12), values_of(graph, 13)):
        rows = graph.rows(laid.relation[2])
        whole = gf.attend(graph, graph.x, [key], [value], [laid], heads=2)
        assert_close(attend_each(graph, [graph.x[rows]], [key], [value], [laid], heads=2)[0], whole[rows], **EXACT)


@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_attend_stays_exact_where_scores_are_large(graph, scale, kernel):
    key, value, query = [scale * x for x in values_of(graph, 14)], values_of(graph, 15), scale * graph.x
    got = gf.attend(graph, query, key, value)
    expected = attention_loop(graph, query, key, value, [None] * len(key), heads=1)
    assert_close(got, expected, rtol=1e-8, atol=1e-9)


def test_a_score_that_is_far_below_another_relations_takes_no_share():
    plan = gf.Schema({"a": 1, "b": 1}, [gf.AllPairs("a", "b"), gf.AllPairs("b", "b")])
    graph = contract.graph_of([gf.Sample("s", {"a": torch.ones(1, 1), "b": torch.ones(1, 1)})], plan, dim=1)
    one, many = torch.ones(1, 1), torch.full((1, 1), 500.0)
    got = gf.attend(graph, torch.ones(2, 1), [one, many], [one, 2 * one])
    assert got.tolist() == [[0.0], [2.0]]


def test_heads_that_do_not_divide_the_width_are_named(graph):
    with pytest.raises(gf.InputError, match=r"attend: width 4 is not divisible by 3 heads\."):
        gf.attend(graph, graph.x, graph.x, graph.x, heads=3)


@pytest.mark.parametrize("reduce", REDUCES)
def test_gradients_of_aggregate_are_right(reduce):
    graph = contract.graph_of(contract.samples(5, most=3), contract.schema(), dim=2, dtype=torch.double)
    sent = [x.requires_grad_() for x in values_of(graph, 16, width=2)]
    assert torch.autograd.gradcheck(lambda *x: gf.aggregate(graph, x, reduce=reduce), sent, fast_mode=True)


def test_gradients_of_attend_are_right(kernel):
    graph = contract.graph_of(contract.samples(5, most=3), contract.schema(), dim=4, dtype=torch.double)
    many = len(graph.relations)
    parts = [graph.x.clone(), *values_of(graph, 17), *values_of(graph, 18), torch.randn(many, 2, dtype=torch.double)]
    parts = [x.requires_grad_() for x in parts]

    def fused(query: Tensor, *x: Tensor) -> Tensor:
        return gf.attend(graph, query, x[:many], x[many : 2 * many], bias=list(x[-1]), heads=2)

    assert torch.autograd.gradcheck(fused, parts, fast_mode=True)


@pytest.mark.parametrize("dense", [True, False])
def test_a_value_that_several_relations_send_has_the_gradient_of_all(dense, kernel):
    graph = contract.graph_of(contract.samples(), contract.schema(), dim=4, dtype=torch.double)
    graph = graph.replace(relations=tuple(laid for laid in graph.relations if laid.dense))
    graph = graph if dense else listed(graph)
    told = [torch.randn(len(graph.x), 4, dtype=torch.double, requires_grad=True) for _ in range(3)]
    apart = [[x[graph.rows(laid.relation[0])] for laid in graph.relations] for x in told[1:]]
    expected = torch.autograd.grad(gf.attend(graph, told[0], *apart, heads=2).square().sum(), told)
    got = torch.autograd.grad(gf.attend(graph, *told, heads=2).square().sum(), told)
    assert_close(got, expected, **EXACT)


@pytest.mark.parametrize("dense", [True, False])
def test_dropout_keeps_a_share_of_a_softmax_or_none_and_weighs_it_anew(dense, kernel):
    plan = gf.Schema({"a": 1, "b": 1}, [gf.AllPairs("a", "b")])
    graph = contract.graph_of(
        [gf.Sample("s", {"a": torch.ones(1, 1), "b": torch.ones(400, 1)})], plan, dim=2, dtype=torch.double
    )
    graph = graph if dense else listed(graph)
    torch.manual_seed(0)
    value = torch.tensor([[3.0, 5.0]]).double().expand(len(graph.x), 2).clone().requires_grad_()
    got = gf.attend(graph, graph.x, graph.x, value, heads=2, dropout=0.2)[1:]  # of one source each: all or nothing
    kept = got != 0
    assert_close(got, kept * torch.tensor([3.75, 6.25]).double(), **EXACT)
    assert 0.7 < kept.double().mean() < 0.9
    assert (kept[:, 0] != kept[:, 1]).any()  # heads are dropped apart
    (grad,) = torch.autograd.grad(got.sum(), value)
    assert_close(grad[0], kept.sum(0).double() / 0.8, **EXACT)


def test_segment_and_segment_softmax_equal_the_plain_loop():
    rng = torch.Generator().manual_seed(19)
    x, index = torch.randn(12, 3, generator=rng, dtype=torch.double), torch.randint(4, (12,), generator=rng)
    for reduce in ("sum", "mean", "max"):
        expected = torch.stack([reduced([v for v, i in zip(x, index) if i == s], 3, reduce) for s in range(6)])
        assert_close(segment(x, index, 6, reduce), expected, **EXACT)
    share = segment_softmax(100 * x, index, 6)
    for s in index.unique():
        assert_close(share[index == s], (100 * x[index == s]).softmax(0), **EXACT)


def test_blocks_hold_each_sample_in_one_of_its_own_kind_after_kind(graph):
    for kinds in (*((kind,) for kind in graph.schema.all_kinds), graph.schema.all_kinds, ("text", "image", "text")):
        blocks = graph.blocks(*kinds)
        x = torch.cat([graph.of(kind) for kind in kinds])
        spread = blocks.spread(x)
        for sample, (block, real) in enumerate(zip(spread, blocks.real)):
            own = [graph.of(kind)[graph.within(kind)[sample] : graph.within(kind)[sample + 1]] for kind in kinds]
            assert_close(block[real], torch.cat(own), rtol=0, atol=0)
            assert real.tolist() == sorted(real.tolist(), reverse=True)
        assert not spread[~blocks.real].any()
        assert_close(blocks.gather(spread), x, rtol=0, atol=0)
        assert graph.replace(x=2 * graph.x, relations=()).blocks(*kinds) is blocks


def test_attention_in_half_precision_is_finite_where_no_edge_ends():
    graph = contract.graph_of(contract.samples(6, contract.LACKING), contract.schema(), dim=4, dtype=torch.half)
    x = graph.x.detach().requires_grad_()
    gf.attend(graph, x, x, x, heads=2).float().square().sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("states", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("mixed", [True, False])
def test_attend_goes_forward_and_backward_in_mixed_precision(graph, states, mixed):
    if not mixed:
        graph = graph.replace(relations=tuple(laid for laid in graph.relations if laid.dense))
    x = graph.x.to(states).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        got = gf.attend(graph.replace(x=x), x, x, x, heads=2)
    (grad,) = torch.autograd.grad(got.float().square().sum(), x)
    full = graph.x.clone().requires_grad_()
    expected = gf.attend(graph, full, full, full, heads=2)
    (exact,) = torch.autograd.grad(expected.square().sum(), full)
    assert_close(got.double(), expected, rtol=0.02, atol=0.02)
    assert float((grad.double() - exact).norm() / exact.norm()) < 0.03


def test_a_wrong_number_of_biases_is_named(graph):
    with pytest.raises(gf.InputError, match=r"attend: 1 biases for \d+ relations; give one a relation, or None\."):
        gf.attend(graph, graph.x, graph.x, graph.x, bias=[None])


def gated(graph: gf.FusionGraph) -> tuple[gf.FusionGraph, list[Tensor]]:
    """The graph listed, each edge with a gate, and the gates."""
    rng = torch.Generator().manual_seed(3)
    every = listed(graph).relations
    gates = [torch.rand(r.pairs.shape[1], generator=rng, dtype=torch.double).requires_grad_() for r in every]
    relations = tuple(Laid(r.relation, r.index, r.pairs, gate=gate) for r, gate in zip(every, gates))
    return graph.replace(relations=relations), gates


@pytest.mark.parametrize("reduce", REDUCES)
def test_aggregate_multiplies_messages_by_gates(graph, reduce):
    graph, gates = gated(graph)
    into: list[list[Tensor]] = [[] for _ in graph.x]
    for laid, gate in zip(graph.relations, gates):
        for (a, b), own in zip(laid.pairs.t().tolist(), gate):
            into[b].append(own * graph.x[a])
    expected = torch.stack([reduced(own, 4, reduce) for own in into])
    got = gf.aggregate(graph, graph.x, reduce=reduce)
    assert_close(got, expected, rtol=1e-7, atol=1e-9)
    for one, other in zip(*(torch.autograd.grad(x.square().sum(), gates) for x in (got, expected))):
        assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_attend_multiplies_values_by_gates_and_leaves_shares(graph):
    graph, gates = gated(graph)
    with torch.no_grad():
        gf.attend(graph, graph.x, graph.x, graph.x)  # what is laid out here may not keep a gate without its gradient
    got = gf.attend(graph, graph.x, graph.x, graph.x)
    into: list[list[tuple[Tensor, Tensor]]] = [[] for _ in graph.x]
    for laid, gate in zip(graph.relations, gates):
        for (a, b), own in zip(laid.pairs.t().tolist(), gate):
            into[b].append((graph.x[a] @ graph.x[b] / 2, own * graph.x[a]))
    expected = torch.stack([
        torch.stack([s for s, _ in own]).softmax(0) @ torch.stack([v for _, v in own]) if own else 0 * graph.x[0]
        for own in into
    ])  # fmt: skip
    assert_close(got, expected, **EXACT)
    for one, other in zip(*(torch.autograd.grad(x.square().sum(), gates) for x in (got, expected))):
        assert_close(one, other, **EXACT)
