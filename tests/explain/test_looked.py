"""Which nodes an answer rests on: shares of a whole, for every fusion and head."""

import contract
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.explain import Look, looked_at

EVERY = 10_000
"""More nodes than any sample has."""


class Named(nn.Module):
    """A fusion in which one node decides: the last text node, or the first image node where there is no text."""

    def __init__(self, dim: int, schema: gf.Schema, layers: int = 1):
        super().__init__()
        self.map = nn.Linear(dim, dim)

    def forward(self, graph: gf.FusionGraph) -> gf.Fused:
        text, image = (graph.offsets[graph.schema.all_kinds.index(kind)] for kind in ("text", "image"))
        row = torch.where(text.diff() > 0, text[1:] - 1, image[:-1])
        return gf.Fused(graph, self.map(graph.x[row]))


class Weighed(nn.Module):
    """A fusion of which the shares are known: text node number ``i`` of a sample counts ``i + 1`` times."""

    def __init__(self, dim: int, schema: gf.Schema, layers: int = 1):
        super().__init__()
        self.start = nn.Parameter(torch.linspace(-3, 5, dim))  # the head's norm would undo a mere change of scale

    def forward(self, graph: gf.FusionGraph) -> gf.Fused:
        number = torch.arange(len(graph.of("text"))) - graph.within("text")[graph.owner("text")]
        weighed = graph.of("text") * (number + 1)[:, None]
        return gf.Fused(graph, self.start.expand(len(graph), -1).index_add(0, graph.owner("text"), weighed))


def nodes_of(one: gf.Sample, plan: gf.Schema) -> set[tuple[str, int]]:
    return {(kind, row) for kind, _, row in contract.row_numbers([one], plan)}


def assert_whole(looks: list[Look], one: gf.Sample, plan: gf.Schema) -> None:
    """Every node once, shares of one whole, the largest first."""
    shares = [look.share for look in looks]
    assert sorted((look.kind, look.row) for look in looks) == sorted(nodes_of(one, plan))
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert shares == sorted(shares, reverse=True)
    assert min(shares) >= 0


@pytest.mark.parametrize("case", contract.FUSION_CASES)
def test_shares_of_all_nodes_add_to_one_by_every_fusion_and_whatever_lacks(case):
    samples, plan = contract.samples(), contract.schema()
    together = looked_at(contract.model_of(case, plan), samples, EVERY)
    assert len(together) == len(samples)
    for looks, one in zip(together, samples):
        assert_whole(looks, one, plan)


@pytest.mark.parametrize("name", contract.HEADS)
def test_shares_of_all_nodes_add_to_one_by_every_head(name):
    plan = contract.schema()
    model = contract.model_of("relation_gate", plan, contract.head_of(name))
    for looks, one in zip(looked_at(model, contract.targeted(name), EVERY), contract.targeted(name)):
        if name == "choose" and "entity" not in one.nodes:
            assert {look.share for look in looks} == {0.0}, "nothing was chosen, so nothing decided"
        else:
            assert_whole(looks, one, plan)


def test_where_no_sample_has_anything_to_choose_nothing_decided():
    model = contract.model_of("sage", contract.schema(), gf.heads.Choose("entity"))
    lacking = [contract.sample(i, ("entity",)) for i in range(2)]
    assert all(look.share == 0 for looks in looked_at(model, lacking) for look in looks)


def test_the_node_that_decides_is_first_and_has_all():
    plan = gf.Schema(contract.KINDS)
    model = gf.FusionModel(plan, gf.heads.Classify(contract.LABELS), Named, dim=8)
    with torch.no_grad():
        model.readout.out.weight.normal_(generator=torch.Generator().manual_seed(0))
    samples = [contract.sample(i, gone) for i, gone in enumerate([(), ("image",), ("text",), (), ("text", "entity")])]
    bare = [gf.Sample(s.name, s.nodes) for s in samples]
    for looks, one in zip(looked_at(model, bare, EVERY), bare):
        decides = ("text", len(one.nodes["text"]) - 1) if "text" in one.nodes else ("image", 0)
        assert (looks[0].kind, looks[0].row) == decides
        assert looks[0].share == pytest.approx(1)
        assert {look.share for look in looks[1:]} <= {0.0}


def test_nodes_of_equal_states_share_as_much_as_they_weigh():
    plan = gf.Schema({"text": 6, "image": 4})
    model = gf.FusionModel(plan, gf.heads.Classify(contract.LABELS), Weighed, dim=8).eval()
    text = torch.randn(1, 6, generator=torch.Generator().manual_seed(1)).expand(4, 6)
    looks = looked_at(model, [gf.Sample("s", {"text": text, "image": torch.ones(2, 4)})], EVERY)[0]
    assert [(look.kind, look.row) for look in looks[:4]] == [("text", row) for row in (3, 2, 1, 0)]
    assert [look.share for look in looks] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0, 0], abs=1e-5)


def test_a_share_is_gradient_times_state_as_a_plain_loop_takes_it():
    samples, plan = contract.samples(), contract.schema()
    model = contract.model_of("hgt", plan)
    for one, looks in zip(samples, looked_at(model, samples, EVERY)):
        batch = model.collate([one])
        output, graph = model.traced(batch)
        best = output.scores[0, output.scores[0].argmax()]
        slope = torch.autograd.grad(best, graph.x)[0]
        size = [abs(float(slope[n] @ graph.x[n].detach())) for n in range(len(graph.x))]
        expected = {node: size[n] / sum(size) for node, n in contract.row_numbers([one], plan).items()}
        got = {(look.kind, 0, look.row): look.share for look in looks}
        assert got == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_most_is_how_many_come_back_and_they_are_the_first():
    model, samples = contract.model_of("sage", contract.schema()), contract.samples()
    whole = looked_at(model, samples, EVERY)
    assert looked_at(model, samples, 2) == [looks[:2] for looks in whole]
    assert looked_at(model, samples) == [looks[:5] for looks in whole]


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_the_model_as_it_was_and_drops_nothing(training):
    model, samples = contract.model_of("hgt", contract.schema(), dropout=0.5).train(training), contract.samples()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    assert looked_at(model, samples) == looked_at(model, samples)
    assert model.training == training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


def test_looking_needs_no_target_and_looks_at_none():
    model, samples = contract.model_of("hgt", contract.schema()), contract.samples()
    untold = [gf.Sample(s.name, s.nodes, s.links, s.spans, s.weights) for s in samples]
    assert looked_at(model, untold) == looked_at(model, samples)


def test_looking_works_without_gradients_around_it():
    model, samples = contract.model_of("sage", contract.schema()), contract.samples(2)
    with torch.no_grad():
        assert looked_at(model, samples) == looked_at(model, samples)
        assert not torch.is_grad_enabled()
