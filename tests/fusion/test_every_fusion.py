"""What holds for every fusion of the catalog: the checks of ``gf.testing``, and errors that are each one's own."""

import functools

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core.graph import Laid
from graphfuse.testing import CHECKS, Report

every_fusion = pytest.mark.parametrize("case", contract.FUSION_CASES)


def fused(module: torch.nn.Module, samples: list[gf.Sample], plan: gf.Schema) -> gf.Fused:
    with torch.no_grad():
        return module(contract.graph_of(samples, plan))


def test_the_contract_names_every_fusion():
    assert {name for name, _ in contract.FUSION_CASES.values()} == set(gf.FUSIONS)


@functools.cache
def report_of(case: str) -> Report:
    """All checks of a fusion, which share what they compute."""
    name, options = contract.FUSION_CASES[case]
    return gf.testing.check_fusion(name, skip=contract.SKIPPED.get(case, ()), **options)


@pytest.mark.parametrize("check", CHECKS)
@every_fusion
def test_a_fusion_keeps_what_all_promise(case, check):
    if check in report_of(case).skipped:
        pytest.skip("tests/contract.py says why")
    finding = report_of(case)[check]
    assert finding.passed, f"{finding.claim} Found: {finding.found}"


@every_fusion
def test_a_sample_without_any_node_is_named(case):
    model = contract.model_of(case, contract.schema())
    with pytest.raises(gf.InputError, match=r"^Sample 'empty/1' has no node of any kind; it needs one of: text, "):
        model.predict([contract.sample(0), gf.Sample("empty/1", {})])


@pytest.mark.parametrize("case", ["hgt", "attention", "cross_transformer"])
def test_heads_that_do_not_divide_the_width_are_named(case):
    with pytest.raises(gf.InputError, match=rf"^{case}: width 8 is not divisible by 3 heads; choose "):
        gf.FUSIONS[case](8, contract.schema(), heads=3)


def test_links_with_weights_reach_the_layers_of_pyg_that_take_them():
    plan = gf.Schema(contract.KINDS, [gf.Linked(*contract.NEXT, weighted=True)])
    nodes, links = {"entity": torch.randn(3, 3)}, {contract.NEXT: torch.tensor([[0, 1], [2, 2]])}
    made = [gf.Sample("s", nodes, links, weights={contract.NEXT: torch.tensor(w)}) for w in ([1.0, 1.0], [1.0, 0.2])]
    left, right = (fused(contract.fusion_of("pyg:GCNConv", plan), [one], plan).vector for one in made)
    assert float((left - right).abs().max()) > 1e-4


def test_pyg_layers_may_be_given_as_a_function():
    from torch_geometric.nn import TransformerConv

    def conv(dim: int, plan: gf.Schema) -> torch.nn.Module:
        return TransformerConv(dim, dim, heads=1)

    plan = contract.schema()
    module = gf.FUSIONS["pyg"](8, plan, conv=conv)
    assert torch.isfinite(fused(module, contract.samples(), plan).vector).all()


def test_an_unknown_layer_of_pyg_is_named_with_the_nearest():
    with pytest.raises(gf.InputError, match=r"There is no layer in torch_geometric\.nn called 'GATv3Conv'\. Did you"):
        gf.FUSIONS["pyg"](8, contract.schema(), conv="GATv3Conv")


@pytest.mark.parametrize(("conv", "options"), [("ChebConv", {}), ("EdgeConv", {}), ("GATv2Conv", {"foo": 1})])
def test_a_layer_of_pyg_that_cannot_be_built_is_one_sentence(conv, options):
    with pytest.raises(gf.InputError, match=rf"{conv} of torch_geometric\.nn cannot be built with the widths 8, 8"):
        gf.FUSIONS["pyg"](8, contract.schema(), conv=conv, **options)


def test_a_layer_of_pyg_that_needs_more_than_a_graph_has_is_named():
    with pytest.raises(gf.InputError, match=r"GCN2Conv of torch_geometric\.nn needs x_0 beside states and edges"):
        gf.FUSIONS["pyg"](8, contract.schema(), conv="GCN2Conv")


def test_a_layer_of_pyg_with_another_width_says_what_to_do():
    module = gf.FUSIONS["pyg"](8, contract.schema(), conv="GATv2Conv", heads=2)
    with pytest.raises(gf.InputError, match=r"gave states \[\d+, 16\], expected \[\d+, 8\]; .* concat=False\."):
        module(contract.graph_of(contract.samples(), contract.schema()))


def test_relation_gate_asks_the_kind_that_it_is_told_to_ask():
    plan = contract.schema()
    with pytest.raises(gf.InputError, match=r"There is no kind called 'imgae'\. Did you mean 'image'"):
        gf.FUSIONS["relation_gate"](8, plan, query="imgae")
    graph = contract.graph_of(contract.samples(), plan)
    left, right = (contract.perturbed(_gate(plan, query))(graph).vector.detach() for query in ("text", "image"))
    assert float((left - right).abs().max()) > 1e-3


def _gate(plan: gf.Schema, query: str) -> torch.nn.Module:
    with gf.seeded(0):
        return gf.FUSIONS["relation_gate"](8, plan, query=query)


def test_relation_gate_grounds_with_shares_that_add_to_one_a_sample():
    from graphfuse.core.message import segment, segment_softmax

    samples, plan = contract.samples(), contract.schema()
    grounding = contract.fusion_of("relation_gate", plan).grounding
    graph = contract.graph_of(samples, plan)
    score, meant, owner = grounding.score(graph, torch.randn(len(samples), 8))
    touched = set()
    for laid in graph.relations:
        if laid.relation[1] in ("mentions", "resembles"):
            touched |= set(laid.pairs[1].tolist())
    assert set(meant.nonzero()[:, 0].tolist()) == touched
    share = segment_softmax(score[meant][:, None], owner[meant], len(samples))
    total = segment(share, owner[meant], len(samples))[:, 0]
    has = torch.zeros(len(samples)).index_fill_(0, graph.owners[list(touched)], 1.0)
    assert_close(total, has, rtol=1e-5, atol=1e-6)


def test_a_laid_relation_says_whether_it_is_dense():
    assert Laid(contract.NEXT, 0).dense
    assert not Laid(contract.NEXT, 0, torch.zeros(2, 0).long()).dense
