"""The model: what it is made of, what it answers, what it refuses."""

import contract
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import graphfuse as gf


class Doubled(nn.Module):
    """A trained encoder by the protocol of ``graphfuse.encoders``: two nodes for each raw row."""

    width, raw_width = 5, 2

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(2, 5)

    def forward(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        return self.map(rows.float()).repeat_interleave(2, 0), 2 * offsets


def head() -> object:
    return gf.heads.Classify(contract.LABELS)


def test_the_call_of_the_contract_works():
    model = gf.FusionModel(contract.schema(), head=head(), fusion="hgt", dim=128, layers=2, rules=None)
    output = model(gf.collate(contract.samples(), contract.schema()))
    assert isinstance(output, gf.Output)
    assert output.scores.shape == (8, 3)
    assert output.fused.vector.shape == (8, 128)


def test_predictions_come_in_the_order_of_the_samples_whatever_the_batch_size():
    model = contract.model_of("hgt", contract.schema())
    samples = contract.samples(11)
    whole = model.predict(samples)
    assert [a.name for a in whole] == [s.name for s in samples]
    for size in (1, 3):
        again = model.predict(samples, batch_size=size)
        assert [a.value for a in again] == [a.value for a in whole]
        assert [a.score for a in again] == pytest.approx([a.score for a in whole], abs=1e-5)
    assert model.predict([]) == []


def test_predicting_needs_no_target_and_looks_at_none():
    model = contract.model_of("hgt", contract.schema())
    told = model.predict(contract.samples())
    untold = [gf.Sample(s.name, s.nodes, s.links, s.spans, s.weights, target="nonsense") for s in contract.samples()]
    assert model.predict(untold) == told


@pytest.mark.parametrize("training", [True, False])
def test_predicting_leaves_the_mode_as_it_was_and_drops_nothing(training):
    model = contract.model_of("hgt", contract.schema(), dropout=0.5).train(training)
    assert model.predict(contract.samples()) == model.predict(contract.samples())
    assert model.training == training


def test_dropout_acts_in_training_only_and_not_on_the_choice_of_neighbours():
    model = contract.model_of("hgt", contract.schema(), dropout=0.5)
    batch = model.collate(contract.samples())
    assert_close(model(batch).scores, model(batch).scores, rtol=0, atol=0)
    model.train()
    with gf.seeded(1):
        first, second = model(batch), model(batch)
    assert float((first.scores - second.scores).detach().abs().max()) > 1e-3
    for a, b in zip(first.fused.graph.relations, second.fused.graph.relations):
        assert a.dense or torch.equal(a.pairs, b.pairs)


def test_a_hub_starts_from_a_learned_state():
    model = contract.model_of("sage", contract.schema())
    assert model.hub.shape == (1, 8)
    model(model.collate(contract.samples())).scores.sum().backward()
    assert model.hub.grad.any()


def test_an_unknown_fusion_is_named_with_the_nearest():
    with pytest.raises(gf.InputError, match=r"^There is no fusion called 'htg'\. Did you mean 'hgt'.*\? Known: "):
        gf.FusionModel(contract.schema(), head(), fusion="htg")


def test_an_own_fusion_is_given_instead_of_a_name():
    class Own(nn.Module):
        def __init__(self, dim: int, schema: gf.Schema, layers: int = 1, shift: float = 0.0):
            super().__init__()
            self.scale, self.shift = nn.Parameter(torch.ones(dim)), shift

        def forward(self, graph: gf.FusionGraph) -> gf.Fused:
            return gf.Fused(graph, self.scale * torch.ones(len(graph), 1) + self.shift)

    model = gf.FusionModel(contract.schema(), head(), fusion=Own, dim=8, shift=2.0)
    assert model(model.collate(contract.samples())).fused.vector[0].tolist() == [3.0] * 8


def test_a_sample_that_does_not_fit_is_named():
    model = contract.model_of("hgt", contract.schema())
    with pytest.raises(gf.InputError, match=r"^Sample 'case/8', kind 'text': expected width 6, found width 9\.$"):
        model.predict([gf.Sample("case/8", {"text": torch.zeros(1, 9)})])


def trained_model(fusion: str = "hgt") -> gf.FusionModel:
    plan = gf.Schema(
        {"text": 6, "sound": 2}, [gf.AllPairs("sound", "text", direction="both"), gf.Nearest("sound", "text")]
    )
    with gf.seeded(0):
        return gf.FusionModel(plan, head(), fusion, dim=8, encoders={"sound": Doubled()})


def sounding(count: int = 5) -> list[gf.Sample]:
    rng = torch.Generator().manual_seed(0)
    nodes = [{"text": torch.randn(2, 6, generator=rng), "sound": torch.randint(9, (i % 3, 2), generator=rng)}
             for i in range(count)]  # fmt: skip
    return [gf.Sample(f"s/{i}", {k: x for k, x in each.items() if len(x)}, target=contract.LABELS[i % 3])
            for i, each in enumerate(nodes)]  # fmt: skip


def test_an_encoder_is_trained_inside_the_model():
    model = trained_model().eval()
    samples = sounding()
    out = model(model.collate(samples))
    assert out.fused.graph.sizes("sound").tolist() == [2 * len(s.nodes.get("sound", ())) for s in samples]
    out.scores.square().sum().backward()
    assert model.encoders["sound"].map.weight.grad.any()
    alone = torch.cat([model(model.collate([s])).scores for s in samples])
    assert_close(alone, out.scores, rtol=1e-5, atol=1e-5)


def test_an_encoder_is_trained_where_the_whole_batch_lacks_its_kind():
    model = trained_model()
    out = model(model.collate([gf.Sample("s", {"text": torch.zeros(2, 6)})])).scores
    out.sum().backward()
    assert torch.isfinite(out).all()


def test_a_model_with_an_own_encoder_can_be_trained():
    history = gf.fit(trained_model(), sounding(6)[:4], sounding(6)[4:], epochs=1)
    assert history.best_epoch == 1


def test_an_encoder_that_does_not_suit_the_schema_is_named():
    with pytest.raises(gf.InputError, match=r"An encoder is given for kind 'snd', which the schema lacks\."):
        gf.FusionModel(gf.Schema({"sound": 2}), head(), encoders={"snd": Doubled()})
    with pytest.raises(gf.InputError, match=r"Kind 'sound' is encoded in the model, .* raw width 2, not 5\."):
        gf.FusionModel(gf.Schema({"sound": 5}), head(), encoders={"sound": Doubled()})
