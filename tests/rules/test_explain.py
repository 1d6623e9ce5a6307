"""Explanations against every assignment, one by one: what was changed, for what, at what cost, and all margins."""

import json
import math
import random
import warnings

import made
import pytest
import torch

import graphfuse as gf
from graphfuse.rules import Rule, RuleSet
from graphfuse.rules.diagram import Budget
from graphfuse.rules.margin import LARGEST, Margins

WARD = """
hard fever_is_sign: fever -> sign
hard one_place: exactly_one(chest, head, abdomen)
soft 2.0 cough_flu: cough & fever -> flu
"""
LABELS = ["fever", "sign", "chest", "head", "abdomen", "cough", "flu"]
ROW = torch.tensor([2.1, -1.2, 1.5, 0.5, -3.0, 0.4, -0.7], dtype=torch.double)


def rule_set(seed: int) -> RuleSet | None:
    """Random hard and soft rules; ``None`` where the hard ones contradict each other."""
    rng = random.Random(seed)
    rules = tuple(Rule(f"r{i}", made.expression(rng), rng.random() < 0.6) for i in range(rng.randint(1, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return RuleSet(made.LABELS, rules)
        except gf.InputError:
            return None


def rows(seed: int) -> torch.Tensor:
    """Logits: usual, whole numbers that tie, zeros, huge ones, and usual ones with evidence."""
    rng = torch.Generator().manual_seed(seed)
    usual = torch.randn(len(made.LABELS), generator=rng, dtype=torch.double)
    known = usual.clone()
    known[seed % len(made.LABELS)] = math.inf if seed % 2 else -math.inf
    return torch.stack([usual, usual.round(), 0 * usual, 1e12 * usual, known])


def least(row: torch.Tensor, true: list[bool]) -> float:
    """The least sum of ``|logit|`` to flip from the raw scores to a world that is in ``true``, by enumeration."""
    costs = [
        sum(abs(logit) for logit, label in zip(row.tolist(), world) if label != (logit > 0))
        for world, wanted in zip(made.worlds(len(row)).tolist(), true) if wanted
    ]  # fmt: skip
    return min(costs, default=math.inf)


@pytest.mark.parametrize("seed", range(150))
def test_all_is_as_by_enumeration(seed):
    rules = rule_set(seed)
    if rules is None:
        return
    every = made.worlds(len(made.LABELS)).tolist()
    holds = [[made.holds(rule.says, world) for world in every] for rule in rules.rules]
    allowed = [all(own[w] for rule, own in zip(rules.rules, holds) if rule.hard) for w in range(len(every))]
    for row in rows(seed):
        if least(row, allowed) == math.inf:
            with pytest.raises(gf.InputError, match="infinite logits of row 0 break a rule"):
                rules.explain(row)
            continue
        found = rules.explain(row)
        raw, answer = (row > 0).tolist(), [label in found.answer for label in made.LABELS]
        assert answer == rules.answer(row[None])[0].tolist()
        assert {(f.label, f.before, f.after, f.logit) for f in found.flipped} == {
            (label, a, b, x) for label, a, b, x in zip(made.LABELS, raw, answer, row.tolist()) if a != b}  # fmt: skip
        assert math.isclose(found.cost, least(row, allowed), rel_tol=1e-12)
        for rule, own, result in zip(rules.rules, holds, found.rules):
            assert (result.name, result.hard) == (rule.name, rule.hard)
            assert result.broken_before == (not own[every.index(raw)])
            assert result.broken_after == (not own[every.index(answer)])
            nearest = least(row, [true == result.broken_before for true in own])
            assert math.isclose(result.margin, -nearest if result.broken_before else nearest, rel_tol=1e-12), rule
        for flip in found.flipped:
            undone = [flip.before if label == flip.label else true for label, true in zip(made.LABELS, answer)]
            for rule, own in zip(rules.rules, holds):
                assert (rule.name in flip.because) == (rule.hard and not own[every.index(undone)])
            assert flip.because or flip.logit == 0, "what no rule asks for was changed"


def test_an_explanation_names_what_was_changed_and_for_which_rule():
    found = RuleSet.parse(WARD, LABELS).explain(ROW)
    assert found.answer == ("fever", "sign", "chest", "cough")
    assert [(f.label, f.before, f.after, f.because) for f in found.flipped] == [
        ("sign", False, True, ("fever_is_sign",)), ("head", True, False, ("one_place",))]  # fmt: skip
    assert found.cost == pytest.approx(1.7)
    assert [(r.broken_before, r.broken_after, r.margin) for r in found.rules] == [
        (True, False, -1.2), (True, False, -0.5), (True, True, -0.4)]  # fmt: skip


def test_an_explanation_reads_as_a_table():
    assert str(RuleSet.parse(WARD, LABELS).explain(ROW)).splitlines() == [
        "answer: fever, sign, chest, cough",
        "changed, at a cost of 1.7 logits:",
        "  label  logit  raw    answer  for",
        "  sign   -1.2   false  true    fever_is_sign",
        "  head   +0.5   true   false   one_place",
        "rules:",
        "  name           kind  raw     answer  margin",
        "  fever_is_sign  hard  broken  holds   -1.2",
        "  one_place      hard  broken  holds   -0.5",
        "  cough_flu      soft  broken  broken  -0.4",
    ]
    many = RuleSet.parse("\n".join(f'soft r{i}: x -> "y {i}"' for i in range(9)))
    shown = str(many.explain(torch.tensor([-1.0, *range(1, 10)])))
    assert 'answer: "y 0", "y 1"' in shown
    assert "as the raw scores say: nothing was changed" in shown
    assert shown.endswith("  and 4 more that hold, further from being broken")
    assert str(RuleSet(("x",), ()).explain(torch.zeros(1))) == (
        "answer: no label\nas the raw scores say: nothing was changed")  # fmt: skip


def test_an_explanation_is_plain_data_that_json_can_write():
    rules = RuleSet.parse("hard a: x -> y\nsoft b: ~x", list("xyz"))
    found = rules.explain(torch.tensor([math.inf, -2.0, 1.0]))
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == {
        "answer": ["x", "y", "z"], "cost": 2.0,
        "flipped": [{"label": "y", "logit": -2.0, "before": False, "after": True, "because": ["a"]}],
        "rules": [{"name": "a", "hard": True, "broken_before": True, "broken_after": False, "margin": -2.0},
                  {"name": "b", "hard": False, "broken_before": True, "broken_after": True, "margin": "-inf"}],
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_row_may_stand_alone_or_in_a_batch_of_one_and_want_a_gradient(dtype):
    rules, row = RuleSet.parse(WARD, LABELS), ROW.to(dtype).requires_grad_()
    assert rules.explain(row) == rules.explain(row[None])
    assert [f.label for f in rules.explain(row).flipped] == ["sign", "head"]


@pytest.mark.parametrize(("logits", "said"), [
    (torch.zeros(6), r"^Logits are \[1, 6\]; expected \[B, 7\]"),
    (torch.zeros(1, 1, 7), r"^Logits are "),
    (torch.tensor(0.0), r"^Logits are "),
    (torch.full((7,), math.nan), r"^Logits are NaN in row 0\.$"),
    (torch.zeros(7, dtype=torch.long), r"^Logits are torch.int64"),
])  # fmt: skip
def test_what_is_no_row_of_logits_is_refused(logits, said):
    with pytest.raises(gf.InputError, match=said):
        RuleSet.parse(WARD, LABELS).explain(logits)


def test_counts_and_hierarchies_of_thousands_of_labels_need_no_diagram():
    labels = [f"x{i}" for i in range(3000)]
    text = [f"soft h{i}: x{i} -> x{(i - 1) // 3}" for i in range(1, 3000)]
    rules = RuleSet.parse("\n".join([*text, f"hard one: exactly_one({', '.join(labels)})",
                                     f"soft few: ~at_most(40, {', '.join(labels)})"]), labels)  # fmt: skip
    row = torch.randn(3000, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    found = rules.explain(row)
    assert not rules._margins.built
    true = sorted(row[row > 0].tolist())
    assert found.answer == (labels[int(row.argmax())],)
    assert found.rules[-2].margin == pytest.approx(-sum(true[:-1]))
    assert found.rules[-1].margin == pytest.approx(sum(true[: len(true) - 40]))


def test_a_margin_that_takes_too_long_is_none_and_the_others_are_there():
    rng = random.Random(0)
    labels = [f"x{i}" for i in range(150)]
    hard = " & ".join(f"({' | '.join(rng.choice(['', '~']) + x for x in rng.sample(labels, 3))})" for _ in range(600))
    rules = RuleSet.parse(f"soft hard_one: {hard}\nsoft easy: x0 -> x1", labels)
    first, second = rules.explain(torch.ones(150)).rules
    assert (first.broken_before, first.margin) == (True, None)
    assert second.margin == 1
    assert list(rules._margins.built.values()) == [None], "what was too much is not tried again"
    assert "hard_one  soft  broken  broken  -\n" in str(rules.explain(torch.ones(150)))


def test_no_diagram_is_begun_after_the_time_is_up():
    margins, tree = Margins(2), ("and", (("or", (1, 2)), ("or", (-1, 2))))
    assert margins.of(tree, [1.0, -2.0], until=-math.inf) is None
    assert margins.of(tree, [1.0, -2.0], until=math.inf) == -2
    assert margins.of(tree, [1.0, -2.0], until=-math.inf) == -2, "one that is there is used"
    assert LARGEST.nodes <= Budget().nodes


def test_what_is_measured_is_evidence_and_rules_that_join_rows_are_left_out():
    text = "hard hot: forall x. temp(x) >= 39 -> fever(x)\nsoft near: forall x, y. by(x, y) -> fever(y)\n"
    rules = RuleSet.parse(text + "soft ill: fever -> flu", ["fever", "flu"])
    hot, cool = (gf.rules.Facts(features={"temp": torch.tensor([x])}) for x in (40.0, 37.0))
    row = torch.tensor([-1.5, 0.5])
    found = rules.explain(row, hot)
    assert [(f.label, f.because) for f in found.flipped] == [("fever", ("hot",))]
    assert [(r.name, r.broken_before, r.margin) for r in found.rules] == [("hot", True, -1.5), ("ill", False, 2.0)]
    found = rules.explain(row, cool)
    assert not found.flipped
    assert [(r.name, r.margin) for r in found.rules] == [("hot", math.inf), ("ill", 2.0)]
    with pytest.raises(gf.InputError, match="temp"):
        rules.explain(row)
