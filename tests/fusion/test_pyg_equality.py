"""Layers that bear the name of a PyG layer equal it: outputs, gradients to inputs and to weights."""

import contract
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch_geometric.nn import HeteroConv, HGTConv, RGCNConv, SAGEConv

import graphfuse as gf
from graphfuse.fusion.hgt import HGT
from graphfuse.fusion.rgcn import RGCN
from graphfuse.fusion.sage import SAGE

EXACT = {"rtol": 1e-10, "atol": 1e-10}
DIM = 8
BATCHES = {
    "all kinds": ((),), "varied": contract.LACKING, "no image": (("image",),),
    "no entity": (("entity",), ("text", "entity")),
    "only text": (("image", "entity"),), "few links": ((), ("image",), ()),
}  # fmt: skip
PLANS = {
    "mixed": contract.schema(),
    "a kind at which nothing ends": gf.Schema(contract.KINDS, [
        gf.AllPairs("text", "image"), gf.Nearest("text", "entity", k=2), gf.Linked(*contract.NEXT),
        gf.Linked(*contract.MENTIONS), gf.Linked(*contract.RESEMBLES, weighted=True)]),
}  # fmt: skip
batches = pytest.mark.parametrize("batch", BATCHES)
plans = pytest.mark.parametrize("plan", PLANS)


def graph_of(batch: str, plan: gf.Schema) -> gf.FusionGraph:
    made = contract.samples(6, BATCHES[batch], most=40 if batch == "few links" else 5)
    if batch == "few links":  # so few of so many pairs that edges are taken one by one, from few nodes
        made = [gf.Sample(s.name, s.nodes, {r: x[:, :2] for r, x in s.links.items()}, s.spans,
                          {r: x[:2] for r, x in s.weights.items()}) for s in made]  # fmt: skip
    graph = contract.graph_of(made, plan, dim=DIM, dtype=torch.double)
    return graph.replace(x=graph.x.detach().requires_grad_())


def dictionaries(graph: gf.FusionGraph) -> tuple[dict[str, Tensor], dict[tuple, Tensor]]:
    """What a heterogeneous PyG layer takes, made without the package's own door."""
    edges = {}
    for laid in graph.relations:
        first = torch.tensor([[graph.rows(laid.relation[0]).start], [graph.rows(laid.relation[2]).start]])
        edges[laid.relation] = graph.edges(laid) - first
    return {kind: graph.of(kind) for kind in graph.schema.all_kinds}, edges


def weigh(x: Tensor) -> Tensor:
    """A number that depends on every entry in its own way."""
    return (x * torch.linspace(-1, 2, x.numel(), dtype=x.dtype).view_as(x)).sum()


def gradient(out: Tensor, x: Tensor) -> Tensor:
    return torch.autograd.grad(weigh(out), x, retain_graph=True)[0]


def grad(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    rng = torch.Generator().manual_seed(seed)
    for parameter in module.double().parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=rng, dtype=torch.double)
    return module


@plans
@batches
@pytest.mark.parametrize("heads", [1, 2])
def test_hgt_equals_pyg(batch, plan, heads):
    plan = PLANS[plan]
    ours = randomised(HGT(DIM, plan, heads=heads))
    theirs = HGTConv(DIM, DIM, (list(plan.all_kinds), list(plan.relations)), heads=heads).double()
    many = len(plan.relations)
    pairs = {}  # their parameter -> ours, as a view
    for k, kind in enumerate(plan.all_kinds):
        for part, mine in (("kqv_lin", ours.project), ("out_lin", ours.out)):
            lin = getattr(theirs, part).lins[kind]
            pairs[f"{part} {kind}"] = lin.weight, mine.maps[k].weight, ()
            pairs[f"{part} {kind} bias"] = lin.bias, mine.maps[k].bias, ()
        pairs[f"skip {kind}"] = theirs.skip[kind], ours.skip, (slice(k, k + 1),)
    for r, relation in enumerate(plan.relations):
        pairs[f"prior {relation}"] = theirs.p_rel["__".join(relation)], ours.prior, (slice(r, r + 1),)
    with torch.no_grad():
        for their, mine, place in pairs.values():
            their.copy_(mine[place])
        for r in range(many):
            for h in range(heads):
                theirs.k_rel.weight[h * many + r] = ours.key[r, h]
                theirs.v_rel.weight[h * many + r] = ours.value[r, h]
    graph = graph_of(batch, plan)
    got = ours(graph).x
    told = theirs(*dictionaries(graph))
    expected = torch.cat([told.get(kind, graph.of(kind)) for kind in plan.all_kinds])
    assert_close(got, expected, **EXACT)
    assert_close(gradient(got, graph.x), gradient(expected, graph.x), **EXACT)
    weigh(got).backward()
    weigh(expected).backward()
    for name, (their, mine, place) in pairs.items():
        assert_close(grad(mine)[place], grad(their), msg=lambda text, name=name: f"{name}: {text}", **EXACT)
    for r in range(many):
        for h in range(heads):
            assert_close(grad(ours.key)[r, h], grad(theirs.k_rel.weight)[h * many + r], **EXACT)
            assert_close(grad(ours.value)[r, h], grad(theirs.v_rel.weight)[h * many + r], **EXACT)


@plans
@batches
def test_sage_equals_pyg(batch, plan):
    plan = PLANS[plan]
    convs = {relation: SAGEConv((DIM, DIM), DIM) for relation in plan.relations}
    theirs = randomised(HeteroConv(convs, aggr="sum"))
    ours = SAGE(DIM, plan).double()
    into = {kind: [convs[r] for r in plan.relations if r[2] == kind] for kind in plan.all_kinds}
    with torch.no_grad():
        for r, relation in enumerate(plan.relations):
            ours.neighbour[r].weight.copy_(convs[relation].lin_l.weight)
        for k, kind in enumerate(plan.all_kinds):
            if into[kind]:
                ours.own.maps[k].weight.copy_(sum(conv.lin_r.weight for conv in into[kind]))
                ours.own.maps[k].bias.copy_(sum(conv.lin_l.bias for conv in into[kind]))
    graph = graph_of(batch, plan)
    reached = [kind for kind in plan.all_kinds if into[kind]]
    mine = ours(graph)
    got = torch.cat([mine.of(kind) for kind in reached])
    told = theirs(*dictionaries(graph))
    expected = torch.cat([told[kind] for kind in reached])
    assert_close(got, expected, **EXACT)
    assert_close(gradient(got, graph.x), gradient(expected, graph.x), **EXACT)
    weigh(got).backward()
    weigh(expected).backward()
    for r, relation in enumerate(plan.relations):
        assert_close(grad(ours.neighbour[r].weight), grad(convs[relation].lin_l.weight), **EXACT)
    for k, kind in enumerate(plan.all_kinds):
        for conv in into[kind]:
            assert_close(grad(ours.own.maps[k].weight), grad(conv.lin_r.weight), **EXACT)
            assert_close(grad(ours.own.maps[k].bias), grad(conv.lin_l.bias), **EXACT)


@plans
@batches
def test_rgcn_equals_pyg(batch, plan):
    plan = PLANS[plan]
    theirs = randomised(RGCNConv(DIM, DIM, len(plan.relations)))
    ours = RGCN(DIM, plan).double()
    names = ("weight", "root", "bias")
    with torch.no_grad():
        for name in names:
            getattr(ours, name).copy_(getattr(theirs, name))
    graph = graph_of(batch, plan)
    edges = [graph.edges(laid) for laid in graph.relations]
    types = torch.cat([torch.full((pairs.shape[1],), laid.index) for pairs, laid in zip(edges, graph.relations)])
    got, expected = ours(graph).x, theirs(graph.x, torch.cat(edges, 1), types)
    assert_close(got, expected, **EXACT)
    assert_close(gradient(got, graph.x), gradient(expected, graph.x), **EXACT)
    weigh(got).backward()
    weigh(expected).backward()
    for name in names:
        assert_close(grad(getattr(ours, name)), grad(getattr(theirs, name)), **EXACT)


@pytest.mark.parametrize(("conv", "options"), [("HGTConv", {"heads": 2}), ("RGCNConv", {}), ("SAGEConv", {})])
def test_the_fusion_pyg_gives_a_layer_the_nodes_and_edges_of_the_graph(conv, options):
    from graphfuse.fusion.pyg import PyG

    plan = contract.schema()
    ours = randomised(PyG(DIM, plan, conv=conv, **options))
    graph = graph_of("varied", plan)
    if conv == "HGTConv":
        told = ours.conv(*dictionaries(graph))
        expected = torch.cat([told[kind] for kind in plan.all_kinds])
    else:
        edges = [graph.edges(laid) for laid in graph.relations]
        types = torch.cat([torch.full((pairs.shape[1],), laid.index) for pairs, laid in zip(edges, graph.relations)])
        expected = ours.conv(graph.x, torch.cat(edges, 1), *([types] if conv == "RGCNConv" else []))
    assert_close(ours(graph).x, expected, **EXACT)


def test_few_links_among_many_nodes_are_taken_edge_by_edge():
    from graphfuse.core.attention import WORTH
    from graphfuse.core.layout import goes_in_blocks

    for batch, found in (("few links", False), ("all kinds", True)):
        graph = graph_of(batch, PLANS["mixed"])
        next_ = next(laid for laid in graph.relations if laid.relation == contract.NEXT)
        assert goes_in_blocks(graph, next_, WORTH) == found
