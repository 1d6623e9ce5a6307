"""Metrics of a whole set against plain loops, and the heads that give them."""

import math

import pytest
import torch

import graphfuse as gf
from graphfuse.heads.classify import balanced
from graphfuse.heads.metrics import calibration_error, macro_auc, macro_f1


def drawn(n: int = 60, c: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randn(n, c, generator=rng).round(decimals=1)  # with ties
    return scores, torch.randint(c, (n,), generator=rng)


def one_hot(index: torch.Tensor, c: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(index, c).bool()


def test_macro_f1_is_the_mean_of_the_labels_f1():
    scores, target = drawn()
    said, expected = scores.argmax(1), []
    for label in range(5):
        both = ((said == label) & (target == label)).sum()
        expected.append(float(2 * both / ((said == label).sum() + (target == label).sum())))
    assert macro_f1(one_hot(target, 5), one_hot(said, 5)) == pytest.approx(sum(expected) / 5)
    assert macro_f1(one_hot(target, 7), one_hot(said, 7)) == pytest.approx(sum(expected) / 5)  # two labels never occur


def test_auc_is_the_share_of_pairs_in_the_right_order():
    scores, target = drawn()
    expected = []
    for label in range(5):
        pairs = [
            1.0 if a > b else 0.5 if a == b else 0.0
            for a in scores[target == label, label] for b in scores[target != label, label]
        ]  # fmt: skip
        expected.append(sum(pairs) / len(pairs))
    assert macro_auc(one_hot(target, 5), scores) == pytest.approx(sum(expected) / 5)
    assert math.isnan(macro_auc(torch.ones(4, 1, dtype=torch.bool), scores[:4, :1]))


def test_the_calibration_error_is_that_of_bins():
    rng = torch.Generator().manual_seed(1)
    confidence, right = torch.rand(200, generator=rng), torch.rand(200, generator=rng) > 0.4
    expected = 0.0
    for i in range(10):
        inside = (confidence * 10).long() == i
        if inside.any():
            gap = abs(float(right[inside].float().mean() - confidence[inside].mean()))
            expected += gap * float(inside.float().mean())
    assert calibration_error(confidence, right) == pytest.approx(expected, abs=1e-6)
    assert calibration_error(torch.ones(3), torch.tensor([True, True, True])) == 0
    assert calibration_error(torch.ones(3), torch.tensor([False, False, False])) == 1


def batch(*targets: object) -> gf.Batch:
    samples = [gf.Sample(str(i), {"x": torch.ones(1, 1)}, target=t) for i, t in enumerate(targets)]
    return gf.collate(samples, gf.Schema({"x": 1}))


def test_a_summary_of_batches_is_that_of_the_whole():
    head, scores = gf.heads.Classify("abcde"), drawn()[0]
    targets = ["abcde"[i] for i in drawn()[1]]
    whole = head.summary([scores], [batch(*targets)])
    parts = head.summary([scores[:10], scores[10:]], [batch(*targets[:10]), batch(*targets[10:])])
    assert whole == pytest.approx(parts)
    assert set(whole) == set(head.metrics) - {"accuracy"}
    assert whole["log_loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(scores, drawn()[1])), abs=1e-6)


def test_what_is_undefined_is_left_out():
    scores = torch.tensor([[2.0, 1.0], [3.0, 0.0]])
    assert "auc" not in gf.heads.Classify("ab").summary([scores], [batch("a", "a")])
    assert gf.heads.Regress().summary([torch.zeros(2, 1)], [batch(1.0, 1.0)]) == {}


def test_a_label_that_training_never_saw_is_wrong_and_teaches_nothing():
    head, scores = gf.heads.Classify("ab"), torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    assert head.measure(scores, batch("a", ()))["accuracy"].tolist() == [1.0, 0.0]
    assert head.loss(scores, batch("a", ())) == head.loss(scores[:1], batch("a"))
    assert head.loss(scores[:1], batch(())) == 0


def test_r2_is_the_share_of_variance_explained():
    head = gf.heads.Regress(mean=1.0, scale=2.0)
    scores = torch.tensor([[0.0], [1.0], [2.0]])  # 1, 3, 5
    assert head.summary([scores[:2], scores[2:]], [batch(1.0, 2.0), batch(6.0)])["r2"] == pytest.approx(1 - 2 / 14)


def test_weights_weigh_each_label_in_the_loss_as_torch_does():
    scores, target = drawn(20, 3)
    weights = balanced("abc", ["abc"[i] for i in target])
    counts = [int((target == i).sum()) for i in range(3)]
    assert weights == pytest.approx([20 / (3 * n) for n in counts])
    ours = gf.heads.Classify("abc", weights).loss(scores, batch(*["abc"[i] for i in target]))
    assert ours == pytest.approx(float(torch.nn.functional.cross_entropy(scores, target, torch.tensor(weights))))


@pytest.mark.parametrize(("options", "text"), [
    ({"weights": (1.0, 2.0)}, r"Classify: weights \[1\.0, 2\.0\]; 3 positive numbers are needed, one a label\."),
    ({"weights": (1.0, 0.0, 1.0)}, "3 positive numbers"),
    ({"features": torch.zeros(2, 4)}, r"Classify: features have shape \[2, 4\]; \[3, w\] is needed, a row a label\."),
])  # fmt: skip
def test_wrong_options_are_named(options, text):
    with pytest.raises(gf.InputError, match=text):
        gf.heads.Classify("abc", **options)


def test_labels_of_like_meaning_share_scores():
    meaning = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    with gf.seeded(0):
        readout = gf.heads.Classify("abc", features=meaning).build(8, gf.Schema({"x": 1}))
    torch.nn.init.zeros_(readout.out.weight)
    torch.nn.init.zeros_(readout.out.bias)
    graph = gf.lay(batch("a"), gf.Schema({"x": 1}), {"x": torch.randn(1, 8)})
    scores = readout(gf.Fused(graph, torch.randn(1, 8)))[0]
    assert scores[0] == scores[1]
    assert scores[0] != scores[2]


def test_features_of_labels_are_saved_with_the_weights(tmp_path):
    head = gf.heads.Classify("abc", features=torch.randn(3, 4))
    with gf.seeded(0):
        model = gf.FusionModel(gf.Schema({"x": 1}), head, "concat", dim=8).eval()
    model.save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert again.readout.features.equal(head.features)
    assert again.head == head
    assert again(batch("a", "b")).scores.equal(model(batch("a", "b")).scores)


def test_auc_of_answers_that_are_all_but_sure_is_not_lost_to_rounding():
    head = gf.heads.Classify(("a", "b"))
    scores = torch.tensor([[30.0, 0.0], [25.0, 0.0], [20.0, 0.0], [18.0, 0.0]])
    assert head.summary([scores], [batch("a", "a", "b", "b")])["auc"] == 1.0
