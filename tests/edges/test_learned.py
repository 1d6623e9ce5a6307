"""Edges that a model learns: the choice is that of the nearest, its gradient that of a softmax."""

from dataclasses import replace

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.fusion.sage import SAGE
from graphfuse.fusion.stack import as_fusion

LAYERS = ("sage", "gcn", "gin", "rgcn", "gat", "gatv2", "hgt", "han", "graph_transformer", "film", "relation_gate")


@pytest.mark.parametrize(("source", "target"), [("image", "entity"), ("text", "text")])
@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_gate_is_one_and_has_the_gradient_of_the_edges_share(source, target, direction):
    builder = gf.Learned(source, target, k=2, temperature=0.5, direction=direction)
    samples, plan = contract.samples(6), gf.Schema(contract.KINDS, [builder, *map(linked, contract.schema().given)])
    batch = gf.collate(samples, plan)
    rng = torch.Generator().manual_seed(1)
    states = {kind: torch.randn(len(x), 4, generator=rng).double().requires_grad_() for kind, x in batch.nodes.items()}
    graph = gf.lay(batch, plan, states)
    for laid in graph.relations[: 1 if direction == "forward" else 2]:
        assert laid.weight is None
        assert laid.gate.tolist() == [1.0] * laid.pairs.shape[1]
        asked = torch.randn(len(laid.gate), generator=rng).double()
        got = torch.autograd.grad(laid.gate @ asked, list(states.values()), retain_graph=True, allow_unused=True)
        total = torch.zeros((), dtype=torch.double)
        forward = laid.relation[1] == "learned"
        for (a, b), times in zip((laid.pairs if forward else laid.pairs.flip(0)).t().tolist(), asked):
            own = graph.owners == graph.owners[b]
            of = torch.zeros_like(own)
            of[graph.rows(source)] = True
            others = [row for row in (own & of).nonzero()[:, 0].tolist() if source != target or row != b]
            cosine = torch.cosine_similarity(graph.x[others], graph.x[b][None]) / 0.5
            total = total + times * cosine.softmax(0)[others.index(a)]
        expected = torch.autograd.grad(total, list(states.values()), retain_graph=True, allow_unused=True)
        for one, other in zip(got, expected):
            assert_close(torch.zeros(1) if one is None else one, torch.zeros(1) if other is None else other,
                         rtol=1e-9, atol=1e-12)  # fmt: skip


def linked(relation):
    return gf.Linked(*relation, weighted=relation == contract.RESEMBLES)


@pytest.mark.parametrize("name", LAYERS)
def test_every_graph_layer_multiplies_messages_by_gates(name):
    plan = gf.Schema(
        {"a": 3, "b": 3}, [gf.Learned("a", "b", k=2), gf.Window("b"), gf.AllPairs("a", "b", name="beside")]
    )
    samples = [gf.Sample(f"{n}", {"a": torch.randn(n, 3), "b": torch.randn(2, 3)}) for n in (3, 1)]
    torch.manual_seed(0)
    graph = contract.graph_of(samples, plan, dim=4, dtype=torch.double)
    options = {"query": "b"} if name == "relation_gate" else {}
    fusion = as_fusion(gf.FUSIONS[name])(4, plan, layers=1, **options).double().eval()
    contract.perturbed(fusion)
    first, *others = graph.relations

    def fused(gate):
        return fusion(graph.replace(relations=(replace(first, gate=gate), *others))).graph.x

    gate = torch.rand(first.pairs.shape[1], dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(fused, [gate], fast_mode=True)
    (grad,) = torch.autograd.grad(fused(gate).square().sum(), gate)
    several = graph.sizes("a")[graph.owners[first.pairs[1]]] > 1
    assert (grad[several] != 0).all()
    assert_close(fused(torch.ones_like(gate)), fused(None))  # without gates the edges may go into blocks


class Told(torch.nn.Module):
    """What reaches the node that asks."""

    def __init__(self, dim, schema, layers=1):
        super().__init__()
        self.layer = SAGE(dim, schema)

    def forward(self, graph):
        new = self.layer(graph)
        return gf.Fused(new, new.of("ask"))


def note_that_answers(number, rng):
    """Of eight notes one is marked, and says the answer; the others say anything."""
    notes, label = torch.randn(8, 6, generator=rng), number % 2
    notes[:, 0], notes[:, 1] = 0.0, torch.randn(8, generator=rng).sign()
    notes[int(torch.randint(8, (1,), generator=rng)), :2] = torch.tensor([3.0, 2.0 * label - 1])
    return gf.Sample(f"{number}", {"ask": torch.ones(1, 1), "note": notes}, target=("no", "yes")[label])


def test_training_finds_the_node_to_join_more_surely_than_without_the_gates_gradient():
    found: dict[type, float] = {}
    for builder in (gf.Learned("note", "ask", k=1), gf.Nearest("note", "ask", k=1)):
        for seed in (0, 3, 4):
            rng = torch.Generator().manual_seed(seed)
            samples = [note_that_answers(number, rng) for number in range(256)]
            torch.manual_seed(seed)
            plan = gf.Schema({"ask": 1, "note": 6}, [builder])
            model = gf.FusionModel(plan, gf.heads.Classify(["no", "yes"]), Told, dim=16)
            gf.fit(model, samples[:192], samples[192:], epochs=20, learning_rate=1e-2, batch_size=32, seed=seed)
            accuracy = gf.evaluate(model, samples[192:])["accuracy"]
            found[type(builder)] = found.get(type(builder), 0.0) + accuracy / 3
    assert found[gf.Learned] > 0.95 > 0.85 > found[gf.Nearest]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 0}, r"Learned\('a', 'b'\): k is 0"),
        ({"temperature": 0.0}, r"temperature is 0\.0; it must be more than 0"),
    ],
)
def test_options_out_of_range_are_named(options, said):
    with pytest.raises(gf.InputError, match=said):
        gf.Learned("a", "b", **options)
