"""One label a sample, any number of labels, and a number: loss, measure and answers by plain formulas."""

import math

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.heads import Classify, MultiLabel, Regress

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def batch_of(*targets: object) -> gf.Batch:
    samples = [gf.Sample(f"s/{i}", {"text": torch.zeros(1, 6)}, target=t) for i, t in enumerate(targets)]
    return gf.collate(samples, contract.schema())


def logits(rows: int, columns: int = 3) -> torch.Tensor:
    return 2 * torch.randn(rows, columns, dtype=torch.double, generator=torch.Generator().manual_seed(rows))


def test_the_loss_of_classify_is_the_cross_entropy_of_the_summed_probability():
    head, scores = Classify("abc"), logits(4)
    p = scores.softmax(1)
    expected = -(p[0, 0].log() + p[1, 2].log() + (p[2, 0] + p[2, 1]).log() + p[3].sum().log()) / 4
    assert_close(head.loss(scores, batch_of("a", "c", ("b", "a"), ("a", "b", "c"))), expected, **CLOSE)


def test_a_sample_without_a_right_label_teaches_classify_nothing():
    head, scores = Classify("abc"), logits(2)
    assert_close(head.loss(scores, batch_of("a", ())), head.loss(scores[:1], batch_of("a")), **CLOSE)
    assert head.loss(scores, batch_of((), ())) == 0
    assert head.measure(scores, batch_of((), ()))["accuracy"].tolist() == [0, 0]


def test_classify_is_exact_where_it_is_confidently_wrong():
    scores = torch.tensor([[0.0, 200.0, 0.0]], requires_grad=True)
    loss = Classify("abc").loss(scores, batch_of("a"))
    loss.backward()
    assert loss.item() == pytest.approx(200.0)
    assert scores.grad.tolist() == [[-1.0, 1.0, 0.0]]


def test_classify_answers_the_best_label_and_its_probability():
    scores = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    head = Classify(["a", "b", "c"])
    assert [a.value for a in head.answers(scores, batch_of(None, None))] == ["c", "a"]
    assert head.answers(scores, batch_of(None, None))[1].score == pytest.approx(math.exp(3) / (math.exp(3) + 2))
    assert head.measure(scores, batch_of("b", ("b", "a")))["accuracy"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("labels", [[], ["a"], ["a", "a"]])
def test_classify_needs_different_labels(labels):
    with pytest.raises(gf.InputError, match=r"Classify needs at least two different labels, got \["):
        Classify(labels)


def test_an_unknown_label_is_named_with_the_nearest():
    head = Classify(["sick", "well"])
    with pytest.raises(
        gf.InputError, match=r"^Sample 's': target 'sikc' is not a label of the head\. Did you mean 'sick'"
    ):
        head.check([gf.Sample("s", {}, target="sikc")])
    with pytest.raises(gf.InputError, match="'sikc'"):
        head.check([gf.Sample("s", {}, target=("well", "sikc"))])


def test_the_loss_of_multilabel_is_binary_cross_entropy():
    scores = logits(2)
    p = scores.sigmoid()
    right = torch.tensor([[1, 0, 1], [0, 0, 0]])
    expected = -(right * p.log() + (1 - right) * (1 - p).log()).mean()
    assert_close(MultiLabel("abc").loss(scores, batch_of({"c", "a"}, [])), expected, **CLOSE)


def test_multilabel_measures_each_samples_set():
    scores = torch.tensor([[1.0, 1.0, -1.0], [-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0], [1.0, -1.0, -1.0]])
    values = MultiLabel("abc").measure(scores, batch_of(("a",), (), ("a",), ("a",)))
    assert values["f1"].tolist() == pytest.approx([2 / 3, 1, 0, 1])
    assert values["exact_match"].tolist() == [0, 1, 0, 1]


def test_multilabel_answers_the_set_and_its_probability():
    scores = torch.tensor([[2.0, -1.0, 0.5]])
    answer = MultiLabel("abc").answers(scores, batch_of(None))[0]
    p = scores.sigmoid()[0].tolist()
    assert answer.value == ("a", "c")
    assert answer.score == pytest.approx(p[0] * (1 - p[1]) * p[2])


@pytest.mark.parametrize(("target", "text"), [
    ("a", r"target 'a' is not a collection of labels"), (3, r"target 3 is not a collection"),
    (["a", "d"], r"target 'd' is not a label of the head"),
])  # fmt: skip
def test_multilabel_names_a_target_that_does_not_suit(target, text):
    with pytest.raises(gf.InputError, match=rf"^Sample 's': {text}"):
        MultiLabel("abc").check([gf.Sample("s", {}, target=target)])


@pytest.mark.parametrize("labels", [[], ["a", "a"]])
def test_multilabel_needs_different_labels(labels):
    with pytest.raises(gf.InputError, match="MultiLabel needs different labels, at least one"):
        MultiLabel(labels)


def test_regress_is_the_squared_error_in_its_unit_and_answers_in_the_targets():
    head, scores = Regress(mean=10.0, scale=4.0), torch.tensor([[0.5], [-1.0]], dtype=torch.double)
    assert_close(
        head.loss(scores, batch_of(11, 8.0)), torch.tensor(((0.5 - 0.25) ** 2 + (-1 + 0.5) ** 2) / 2).double(), **CLOSE
    )
    values = head.measure(scores, batch_of(11, 8.0))
    assert values["absolute_error"].tolist() == [1.0, 2.0]
    assert values["squared_error"].tolist() == [1.0, 4.0]
    assert [a.value for a in head.answers(scores, batch_of(None, None))] == [12.0, 6.0]
    assert head.metrics[head.metric] == "min"


def test_regress_tells_large_numbers_apart_in_single_precision():
    head, batch = Regress(mean=1.7e9, scale=50.0), batch_of(*(1.7e9 + i for i in range(4)))
    right = torch.tensor([[i / 50] for i in range(4)])
    assert float(head.loss(right, batch)) < 1e-12
    assert [answer.value for answer in head.answers(right, batch)] == pytest.approx(
        [1.7e9 + i for i in range(4)], abs=1e-4
    )
    assert head.measure(torch.zeros(4, 1), batch)["absolute_error"].tolist() == pytest.approx([0, 1, 2, 3], abs=1e-4)


@pytest.mark.parametrize(("target", "text"), [
    ("3", "target '3' is not a number"), (True, "target True is not a number"), (None, "target None is not a number"),
    (float("nan"), "target is nan; it must be finite"), (float("inf"), "target is inf; it must be finite"),
])  # fmt: skip
def test_regress_names_a_target_that_is_no_finite_number(target, text):
    with pytest.raises(gf.InputError, match=rf"^Sample 's': {text}\.$"):
        Regress().check([gf.Sample("s", {}, target=target)])


def test_regress_takes_the_numbers_that_come_from_a_table():
    import numpy as np

    Regress().check([gf.Sample("s", {}, target=value) for value in (1, 2.5, np.float64(1), np.float32(1), np.int64(3))])


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"scale": -1.0}, {"scale": float("inf")}, {"mean": float("nan")}])
def test_regress_needs_a_finite_mean_and_a_positive_scale(options):
    with pytest.raises(gf.InputError, match="must be finite, the scale positive"):
        Regress(**options)
