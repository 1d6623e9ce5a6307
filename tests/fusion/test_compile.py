"""Graph layers under ``torch.compile``: one graph of operations, without a break."""

from dataclasses import replace

import contract
import pytest
import torch
from torch._dynamo.utils import counters
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.fusion.stack import as_fusion

LAYERS = ("sage", "gcn", "gin", "rgcn", "gat", "gatv2", "hgt", "han", "graph_transformer", "film", "relation_gate")


def graph_of() -> gf.FusionGraph:
    """Dense relations that end with and without sparse ones beside them, and a sample that lacks a kind."""
    plan = gf.Schema({"text": 8, "image": 8}, [
        gf.AllPairs("text", "image"), gf.AllPairs("text", "text"), gf.Window("text", 1), gf.Nearest("image", "text", 2),
    ])  # fmt: skip
    samples = [gf.Sample(f"{n}", {"text": torch.randn(n, 8), "image": torch.randn(n - 1, 8)}) for n in (3, 1, 5)]
    return contract.graph_of(samples, plan, dim=8)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("name", "backend"), [*((name, "eager") for name in LAYERS), ("hgt", "aot_eager")])
def test_a_layer_compiles_without_a_break(name, backend):
    torch.manual_seed(0)
    graph = graph_of()
    options = {"query": "text"} if name == "relation_gate" else {}
    fusion = as_fusion(gf.FUSIONS[name])(8, graph.schema, layers=1, **options)
    x = graph.x.requires_grad_()

    def run(module):
        out = module(graph)
        weights = [x, *fusion.parameters()]
        return [out.graph.x, out.vector, *torch.autograd.grad(out.vector.square().sum(), weights, allow_unused=True)]

    expected = run(fusion)  # lays the batch out, which is done once for all layers
    compiles(fusion, backend, run, expected)


def compiles(fusion, backend, run, expected):
    """Without a break, to the same numbers."""
    torch.compiler.reset()
    counters.clear()
    assert_close(run(torch.compile(fusion, backend=backend)), expected)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", ["hgt", "gat", "graph_transformer"])
def test_what_was_laid_out_without_gradient_compiles_with_it(name):
    torch.manual_seed(0)
    graph = graph_of()
    fusion = gf.FUSIONS[name](8, graph.schema, layers=1)

    def run(module, graph):
        out = module(graph)
        return [out.graph.x, *torch.autograd.grad(out.vector.square().sum(), [*fusion.parameters()], allow_unused=True)]

    expected = run(fusion, graph_of_same(graph))
    with torch.no_grad():
        fusion(graph)
    compiles(fusion, "eager", lambda module: run(module, graph), expected)


def graph_of_same(graph):
    """The same graph, of which nothing is laid out."""
    return replace(graph, laid_out={})
