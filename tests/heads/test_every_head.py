"""What holds for every head of the catalog."""

from dataclasses import replace
from typing import Any

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.training import measure

every_head = pytest.mark.parametrize("name", contract.HEADS)


def scored(name: str, seed: int = 0) -> tuple[Any, gf.Batch, torch.Tensor]:
    """A head, a batch with its targets, and scores as its own module gives them, in double precision."""
    plan = contract.schema()
    samples = contract.targeted(name)
    head, batch = contract.head_of(name), gf.collate(samples, plan)
    with gf.seeded(seed):
        readout = contract.perturbed(head.build(8, plan), by=0.5).double()
        graph = contract.graph_of(samples, plan, dtype=torch.double)
        fused = gf.Fused(graph, torch.randn(len(samples), 8, dtype=torch.double))
    return head, batch, readout(fused).detach()


def test_every_head_of_the_catalog_is_tried():
    add = "add its options to HEADS and a target to TARGETS in tests/contract.py"
    assert list(contract.HEADS) == list(contract.TARGETS), add
    assert set(gf.HEADS) == {name.split(":")[0] for name in contract.HEADS}, add


@every_head
def test_gradients_of_the_loss_are_right(name):
    head, batch, scores = scored(name)
    assert torch.autograd.gradcheck(lambda x: head.loss(x, batch), scores.requires_grad_())


@every_head
def test_the_loss_is_a_finite_number_and_falls_along_its_gradient(name):
    head, batch, scores = scored(name)
    scores.requires_grad_()
    loss = head.loss(scores, batch)
    assert loss.shape == ()
    assert torch.isfinite(loss)
    slope = torch.autograd.grad(loss, scores)[0]
    assert head.loss(scores - 0.01 * slope, batch) < loss


@every_head
def test_measures_have_a_value_a_sample_and_the_deciding_one_is_among_them(name):
    head, batch, scores = scored(name)
    values = head.measure(scores, batch)
    assert head.metric in values
    assert set(head.metrics.values()) <= {"max", "min"}
    assert head.metric in head.metrics
    assert all(x.shape == (len(batch),) for x in values.values())


@every_head
def test_a_samples_measure_and_answer_are_the_same_alone_and_in_company(name):
    model = contract.model_of("hgt", contract.schema(), contract.head_of(name))
    samples = contract.targeted(name)
    together, answers = measure(model, samples), model.predict(samples)
    for i, one in enumerate(samples):
        alone = measure(model, [one])
        for metric in set(together) - {"loss"}:
            assert_close(alone[metric][0], together[metric][i], rtol=1e-4, atol=1e-5, equal_nan=True)
        said, company = ({"": a.value} if not a.parts else a.value for a in (model.predict([one])[0], answers[i]))
        for part, value in said.items():
            assert value == (pytest.approx(company[part], rel=1e-4) if isinstance(value, float) else company[part])


@every_head
def test_answers_carry_the_names_and_do_not_look_at_targets(name):
    head, batch, scores = scored(name)
    blind = replace(batch, targets=(None,) * len(batch))
    answers = head.answers(scores, blind)
    assert [a.name for a in answers] == list(batch.names)
    assert answers == head.answers(scores, batch)
    assert all(a.score is None or 0 <= a.score <= 1 for a in answers)


@every_head
def test_checked_targets_are_those_that_it_can_learn_from(name):
    contract.head_of(name).check(contract.targeted(name))
    with pytest.raises(gf.InputError, match=r"^Sample 'case/7': target None "):
        contract.head_of(name).check([gf.Sample("case/7", {"entity": torch.zeros(2, 3)}, target=None)])


@every_head
def test_a_head_is_a_frozen_value(name):
    assert contract.head_of(name) == contract.head_of(name)
    with pytest.raises(AttributeError):
        contract.head_of(name).metric = "luck"


@every_head
def test_a_head_works_where_all_samples_lack_a_kind(name):
    model = contract.model_of("hgt", contract.schema(), contract.head_of(name))
    for kind in contract.KINDS:
        lacking = contract.taught(name, [contract.sample(i, (kind,)) for i in range(2)])
        batch = model.collate(lacking)
        loss = model.head.loss(model(batch).scores, batch)
        loss.backward()
        assert torch.isfinite(loss)
        assert len(model.predict(lacking)) == 2


@every_head
def test_a_head_is_saved_and_opened_with_all_its_options(name, tmp_path):
    model = contract.model_of("hgt", contract.schema(), contract.head_of(name))
    model.save_pretrained(tmp_path)
    assert gf.FusionModel.from_pretrained(tmp_path).head == model.head
