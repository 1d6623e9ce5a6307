"""One of a sample's own nodes: also where there is none to choose, or none that is right."""

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.heads import Choose

HEAD = Choose("entity")
SIZES = (3, 0, 2, 4)
TARGETS = ([0, 2], [], [1], [])  # two right, no candidate, one right, none right


def batch() -> gf.Batch:
    samples = []
    for i, (size, target) in enumerate(zip(SIZES, TARGETS)):
        nodes = {"text": torch.zeros(1, 6), "entity": torch.zeros(size, 3)}
        samples.append(gf.Sample(f"s/{i}", nodes, target=torch.tensor(target).long()))
    return gf.collate(samples, contract.schema())


def scores() -> torch.Tensor:
    return torch.randn(sum(SIZES), dtype=torch.double, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_minus_the_log_of_the_right_candidates_probability():
    x = scores()
    first, third = x[:3].softmax(0), x[3:5].softmax(0)
    expected = -((first[0] + first[2]).log() + third[1].log()) / 2
    assert_close(HEAD.loss(x, batch()), expected, rtol=1e-10, atol=1e-12)


def test_a_sample_without_a_right_candidate_teaches_nothing():
    x = scores().requires_grad_()
    HEAD.loss(x, batch()).backward()
    assert not x.grad[5:].any()
    assert x.grad[:5].all()


def test_a_batch_in_which_nothing_is_right_has_no_loss():
    one = gf.Sample("s", {"entity": torch.zeros(2, 3)}, target=torch.zeros(0).long())
    x = torch.zeros(2, requires_grad=True)
    loss = HEAD.loss(x, gf.collate([one], contract.schema()))
    loss.backward()
    assert loss == 0
    assert not x.grad.any()


@pytest.mark.parametrize("gap", [20.0, 60.0, 200.0])
def test_the_loss_is_exact_and_still_teaches_where_the_model_is_confidently_wrong(gap):
    one = gf.Sample("s", {"entity": torch.zeros(2, 3)}, target=torch.tensor([0]))
    x = torch.tensor([0.0, gap], requires_grad=True)
    loss = HEAD.loss(x, gf.collate([one], contract.schema()))
    loss.backward()
    assert loss.item() == pytest.approx(gap, rel=1e-5)
    assert x.grad.tolist() == pytest.approx([-1.0, 1.0], rel=1e-5)


def test_accuracy_counts_any_right_candidate_and_nothing_to_choose_as_wrong():
    x = torch.tensor([0.0, 1.0, 2.0, 5.0, 1.0, 0.0, 0.0, 0.0, 9.0])
    assert HEAD.measure(x, batch())["accuracy"].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_answers_are_rows_within_the_sample_with_their_probability():
    x = torch.tensor([0.0, 1.0, 2.0, 5.0, 1.0, 0.0, 0.0, 0.0, 9.0])
    answers = HEAD.answers(x, batch())
    assert [a.value for a in answers] == [2, None, 0, 3]
    assert answers[1].score is None
    assert answers[0].score == pytest.approx(float(x[:3].softmax(0)[2]))
    assert answers[3].score == pytest.approx(float(x[5:].softmax(0)[3]))


@pytest.mark.parametrize(("target", "text"), [
    (None, "target None is not an integer tensor"), ([0], r"target \[0\] is not an integer tensor"),
    (torch.tensor([0.0]), "is not an integer tensor"), (torch.tensor(0), "is not an integer tensor"),
    (torch.tensor([2]), r"target \[2\] names a row out of range; the sample has 2 nodes of kind 'entity'"),
    (torch.tensor([0, -1]), r"target \[0, -1\] names a row out of range"),
    (torch.tensor([True, False]), "is not an integer tensor"),
])  # fmt: skip
def test_a_target_that_names_no_rows_is_refused(target, text):
    with pytest.raises(gf.InputError, match=rf"^Sample 's': .*{text}"):
        HEAD.check([gf.Sample("s", {"entity": torch.zeros(2, 3)}, target=target)])


def test_an_unknown_kind_is_named_with_the_nearest():
    with pytest.raises(gf.InputError, match=r"^Choose: the schema has no kind 'entitty'\. Did you mean 'entity'\?"):
        Choose("entitty").build(8, contract.schema())


def test_a_hub_is_nothing_to_choose():
    with pytest.raises(gf.InputError, match="'hub'"):
        Choose("hub").build(8, contract.schema())


def test_a_sample_whose_candidates_are_hidden_has_no_right_one_and_takes_none_of_its_neighbour():
    own = [gf.Sample(f"h/{i}", {"text": torch.zeros(1, 6), "entity": torch.zeros(3, 3)}, target=torch.tensor([1]))
           for i in range(3)]  # fmt: skip
    hidden = gf.collate([own[0], own[1].without("entity"), own[2]], contract.schema())
    assert HEAD.right(hidden, torch.device("cpu")).nonzero()[:, 0].tolist() == [1, 4]
    last = gf.collate([own[0], own[1].without("entity")], contract.schema())
    assert HEAD.right(last, torch.device("cpu")).nonzero()[:, 0].tolist() == [1]
