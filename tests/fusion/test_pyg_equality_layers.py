"""Further layers that bear the name of a PyG layer equal it: outputs, gradients to inputs and to weights."""

from collections.abc import Sequence

import contract
import pytest
import torch
from test_pyg_equality import BATCHES, DIM, EXACT, batches, dictionaries, grad, gradient, randomised, weigh
from test_pyg_equality import PLANS as MIXED
from test_pyg_equality import graph_of as few_links
from torch import Tensor, nn
from torch.testing import assert_close
from torch_geometric.nn import (
    FiLMConv,
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    HANConv,
    HeteroConv,
    TransformerConv,
)

import graphfuse as gf
from graphfuse.fusion.film import FiLM
from graphfuse.fusion.gat import GAT
from graphfuse.fusion.gatv2 import GATv2
from graphfuse.fusion.gcn import GCN
from graphfuse.fusion.gin import GIN
from graphfuse.fusion.graph_transformer import GraphTransformer
from graphfuse.fusion.han import HAN

Shared = list[tuple[Tensor, Tensor, tuple]]
"""Their parameter, ours, and the place within ours that equals it."""
DENSE = gf.Schema(contract.KINDS, [gf.AllPairs(a, b) for a in contract.KINDS for b in contract.KINDS])
PLANS = {**MIXED, "complete": DENSE}
every_plan = pytest.mark.parametrize("plan", PLANS)
both_heads = pytest.mark.parametrize("heads", [1, 2])


def graph_from(batch: str | Sequence[gf.Sample], plan: gf.Schema) -> gf.FusionGraph:
    """A batch laid by a schema, without the links that the schema does not know."""
    if batch == "few links" and plan.given:
        return few_links(batch, plan)
    made = contract.samples(6, BATCHES[batch]) if isinstance(batch, str) else batch
    if not plan.given:
        made = [gf.Sample(one.name, one.nodes) for one in made]
    graph = contract.graph_of(made, plan, dim=DIM, dtype=torch.double)
    return graph.replace(x=graph.x.detach().requires_grad_())


def copied(shared: Shared) -> None:
    with torch.no_grad():
        for their, own, place in shared:
            own[place] = their.reshape(own[place].shape)


def check(graph: gf.FusionGraph, got: Tensor, expected: Tensor, shared: Shared) -> None:
    """Outputs, gradients to inputs, and to weights."""
    assert_close(got, expected, **EXACT)
    assert_close(gradient(got, graph.x), gradient(expected, graph.x), **EXACT)
    weigh(got).backward()
    weigh(expected).backward()
    for their, own, place in shared:
        assert_close(grad(own)[place], grad(their).reshape(own[place].shape), **EXACT)


def flat(graph: gf.FusionGraph) -> tuple[Tensor, Tensor]:
    """All edges as of one type, and the relation of each."""
    edges = [graph.edges(laid) for laid in graph.relations]
    types = torch.cat([torch.full((pairs.shape[1],), laid.index) for pairs, laid in zip(edges, graph.relations)])
    return torch.cat(edges, 1), types


def added(their: HeteroConv, graph: gf.FusionGraph, **more: object) -> tuple[Tensor, list[str]]:
    """What a HeteroConv gives, and the kinds that it reaches."""
    told = their(*dictionaries(graph), **more)
    reached = [kind for kind in graph.schema.all_kinds if kind in told]
    return torch.cat([told[kind] for kind in reached]), reached


def of(graph: gf.FusionGraph, kinds: Sequence[str]) -> Tensor:
    return torch.cat([graph.of(kind) for kind in kinds])


def into(plan: gf.Schema, kind: str) -> list[int]:
    return [r for r, relation in enumerate(plan.relations) if relation[2] == kind]


@every_plan
@batches
def test_gcn_equals_pyg(batch, plan):
    graph = graph_from(batch, PLANS[plan])
    theirs, ours = randomised(GCNConv(DIM, DIM)), GCN(DIM, PLANS[plan]).double()
    shared: Shared = [(theirs.lin.weight, ours.lin.weight, ()), (theirs.bias, ours.bias, ())]
    copied(shared)
    check(graph, ours(graph).x, theirs(graph.x, flat(graph)[0]), shared)


def test_gcn_takes_a_node_as_its_own_neighbour_once_however_often_links_say_so():
    plan = gf.Schema({"a": 2}, [gf.Linked("a", "next", "a"), gf.AllPairs("a", "a")])
    links = {("a", "next", "a"): torch.tensor([[0, 0, 1], [0, 0, 2]])}
    graph = contract.graph_of([gf.Sample("s", {"a": torch.randn(3, 2)}, links)], plan, dim=DIM, dtype=torch.double)
    ours = randomised(GCN(DIM, plan))
    pairs, _ = flat(graph)
    degree = torch.bincount(pairs[1], minlength=3).double()  # node 0 loops three times, the others once
    degree[0] -= 2
    sent = graph.x @ ours.lin.weight.t() / degree.sqrt()[:, None]
    expected = torch.zeros_like(sent).index_add(0, pairs[1], sent[pairs[0]]) - torch.tensor([2.0, 0, 0])[:, None] * sent
    assert_close(ours(graph).x, expected / degree.sqrt()[:, None] + ours.bias, **EXACT)


@every_plan
@batches
def test_gin_equals_pyg(batch, plan):
    graph = graph_from(batch, PLANS[plan])
    network = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.ReLU(), nn.Linear(2 * DIM, DIM))
    theirs, ours = randomised(GINConv(network, train_eps=True)), GIN(DIM, PLANS[plan]).double()
    shared: Shared = [(their, dict(ours.named_parameters())[name], ()) for name, their in theirs.named_parameters()]
    assert len(shared) == 5
    copied(shared)
    check(graph, ours(graph).x, theirs(graph.x, flat(graph)[0]), shared)


@every_plan
@batches
@both_heads
def test_graph_transformer_equals_pyg(batch, plan, heads):
    plan = PLANS[plan]
    graph = graph_from(batch, plan)
    features = {laid.relation: laid.weight[:, None].double() for laid in graph.relations if laid.weight is not None}
    convs = {r: TransformerConv((DIM, DIM), DIM // heads, heads=heads, edge_dim=1 if r in features else None)
             for r in plan.relations}  # fmt: skip
    theirs = randomised(HeteroConv(convs, aggr="sum"))
    ours = GraphTransformer(DIM, plan, heads=heads).double()
    shared: Shared = []
    for r, conv in enumerate(convs.values()):
        for lin, own, place in (("query", ours.query, 0), ("key", ours.tell, 0), ("value", ours.tell, 1)):
            shared.append((getattr(conv, f"lin_{lin}").weight, own.weight, (r, place)))
            shared.append((getattr(conv, f"lin_{lin}").bias, own.bias, (r, place)))
        if conv.lin_edge is not None:
            shared.append((conv.lin_edge.weight, ours.edge, (r,)))
    copied(shared)
    skips = [[list(convs.values())[r].lin_skip for r in into(plan, kind)] for kind in plan.all_kinds]
    with torch.no_grad():
        for own, lins in zip(ours.own.maps, skips):
            own.weight.copy_(sum((lin.weight for lin in lins), torch.zeros(DIM, DIM)))
            own.bias.copy_(sum((lin.bias for lin in lins), torch.zeros(DIM)))
    expected, reached = added(theirs, graph, edge_attr_dict=features)
    shared += [(lin.weight, own.weight, ()) for own, lins in zip(ours.own.maps, skips) for lin in lins]
    shared += [(lin.bias, own.bias, ()) for own, lins in zip(ours.own.maps, skips) for lin in lins]
    check(graph, of(ours(graph), reached), expected, shared)


def test_the_number_of_a_weighted_link_reaches_the_graph_transformer():
    graph = graph_from("all kinds", MIXED["mixed"])
    ours = randomised(GraphTransformer(DIM, graph.schema))
    heavy = tuple(laid if laid.weight is None else type(laid)(laid.relation, laid.index, laid.pairs, 2 * laid.weight)
                  for laid in graph.relations)  # fmt: skip
    assert float((ours(graph).x - ours(graph.replace(relations=heavy)).x).abs().max()) > 1e-3


@every_plan
@batches
@both_heads
def test_gat_equals_pyg(batch, plan, heads):
    plan = PLANS[plan]
    graph = graph_from(batch, plan)
    convs = {r: GATConv((DIM, DIM), DIM // heads, heads=heads, add_self_loops=False) for r in plan.relations}
    theirs, ours = randomised(HeteroConv(convs, aggr="sum")), GAT(DIM, plan, heads=heads).double()
    shared: Shared = []
    for r, conv in enumerate(convs.values()):
        shared += [(conv.lin_src.weight, ours.value.weight, (r, 0)), (conv.lin_dst.weight, ours.asks, (r,)),
                   (conv.att_src, ours.att, (r, 0)), (conv.att_dst, ours.att, (r, 1))]  # fmt: skip
    copied(shared)
    biased(ours.bias, plan, convs)
    expected, reached = added(theirs, graph)
    check(graph, of(ours(graph), reached), expected, shared)
    for k, kind in enumerate(plan.all_kinds):
        for r in into(plan, kind):
            assert_close(grad(ours.bias)[k], grad(list(convs.values())[r].bias), **EXACT)


def biased(bias: Tensor, plan: gf.Schema, convs: dict) -> None:
    with torch.no_grad():
        for k, kind in enumerate(plan.all_kinds):
            bias[k] = sum((list(convs.values())[r].bias for r in into(plan, kind)), torch.zeros(DIM))


@every_plan
@batches
@both_heads
def test_gatv2_equals_pyg(batch, plan, heads):
    plan = PLANS[plan]
    graph = graph_from(batch, plan)
    convs = {r: GATv2Conv((DIM, DIM), DIM // heads, heads=heads, add_self_loops=False) for r in plan.relations}
    theirs, ours = randomised(HeteroConv(convs, aggr="sum")), GATv2(DIM, plan, heads=heads).double()
    shared: Shared = []
    for r, conv in enumerate(convs.values()):
        shared += [(conv.lin_l.weight, ours.tell.weight, (r, 0)), (conv.lin_l.bias, ours.tell.bias, (r, 0)),
                   (conv.lin_r.weight, ours.ask.weight, (r, 0)), (conv.lin_r.bias, ours.ask.bias, (r, 0)),
                   (conv.att, ours.att, (r,))]  # fmt: skip
    copied(shared)
    biased(ours.bias, plan, convs)
    expected, reached = added(theirs, graph)
    check(graph, of(ours(graph), reached), expected, shared)


def test_gatv2_is_the_same_in_small_chunks(monkeypatch):
    from graphfuse.core import pairs

    graph = graph_from("varied", DENSE)
    ours = randomised(GATv2(DIM, DENSE, heads=2))
    whole = ours(graph).x
    before = gradient(whole, graph.x)
    for size in (1, 40, 100):
        monkeypatch.setattr(pairs, "CHUNK", size)
        again = ours(graph).x
        assert_close(again, whole, **EXACT)
        assert_close(gradient(again, graph.x), before, **EXACT)


@every_plan
@pytest.mark.parametrize("lacking", BATCHES["varied"])
@both_heads
def test_han_equals_pyg_on_one_sample(lacking, plan, heads):
    plan = PLANS[plan]
    graph = graph_from([contract.sample(3, lacking)], plan)
    theirs = randomised(HANConv(DIM, DIM, (list(plan.all_kinds), list(plan.relations)), heads=heads))
    ours = HAN(DIM, plan, heads=heads).double()
    shared: Shared = [(theirs.k_lin.weight, ours.k_lin.weight, ()), (theirs.k_lin.bias, ours.k_lin.bias, ()),
                      (theirs.q, ours.q, ())]  # fmt: skip
    for k, kind in enumerate(plan.all_kinds):
        own = ours.project.maps[k]
        shared += [(theirs.proj[kind].weight, own.weight, ()), (theirs.proj[kind].bias, own.bias, ())]
    for r, relation in enumerate(plan.relations):
        name = "__".join(relation)
        shared += [(theirs.lin_src[name], ours.att, (r, 0)), (theirs.lin_dst[name], ours.att, (r, 1))]
    copied(shared)
    told = theirs(*dictionaries(graph))
    reached = [kind for kind in plan.all_kinds if told.get(kind) is not None and graph.of(kind).numel()]
    if not reached:  # only text, at which nothing ends
        assert not ours(graph).x.any()
        return
    check(graph, of(ours(graph), reached), torch.cat([told[kind] for kind in reached]), shared)


@every_plan
@batches
def test_film_equals_pyg(batch, plan):
    plan = PLANS[plan]
    graph = graph_from(batch, plan)
    theirs = randomised(FiLMConv(DIM, DIM, num_relations=len(plan.relations)))
    ours = FiLM(DIM, plan).double()
    shared: Shared = [(theirs.lin_skip.weight, ours.lin_skip.weight, ()),
                      (theirs.film_skip.weight, ours.film_skip.weight, ())]  # fmt: skip
    for r in range(len(plan.relations)):
        film = theirs.films[r]
        shared += [(theirs.lins[r].weight, ours.tell.weight, (r, 0)), (film.weight, ours.turn.weight, (r, 0)),
                   (film.bias, ours.turn.bias, (r, 0))]  # fmt: skip
    copied(shared)
    check(graph, ours(graph).x, theirs(graph.x, *flat(graph)), shared)
