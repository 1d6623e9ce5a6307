"""What a rule set is like: components against the labels that meet, counts against plain loops."""

import math
import random

import made
import pytest
import torch

from graphfuse.rules import Budget, Implies, Rule, RuleSet, trivial
from graphfuse.rules.language import parse
from graphfuse.rules.overview import components, counts

SEEN = {"relations": ["cites"], "features": ["temp"]}


def test_components_are_labels_that_hard_rules_join_with_the_method_that_answers_them():
    rules = RuleSet.parse(
        "hard a: exactly_one(p, q, r)\nhard b: x -> y\nhard c: y -> z\nsoft d: z -> p\nhard e: u | v", list("pqrxyzuvw")
    )
    found = components(rules)
    assert [(set(each.labels), each.allowed) for each in found] == [({*"pqr"}, 3), ({*"xyz"}, 4), ({*"uv"}, 3)]
    assert found[0].method == "count"
    assert found[0].nodes is None
    free = 2 ** (len(rules.labels) - sum(len(each.labels) for each in found))
    assert rules.allowed() == free * math.prod(each.allowed for each in found)


def test_what_cannot_be_counted_within_the_budget_is_none():
    text = "hard a: x -> y & z\nhard b: y -> w\nhard c: z -> w\nhard d: u -> v"
    rules = RuleSet(tuple("uvwxyz"), RuleSet.parse(text).rules, budget=Budget(nodes=3))
    found = [(each.method, each.nodes, each.allowed) for each in components(rules)]
    assert found == [("implications", None, None), ("tree", None, 3)]


def test_nodes_are_those_of_the_diagram():
    rules = RuleSet.parse("hard a: x & y -> z | w\nhard b: ~x | ~w", list("xyzw"))
    (found,), (method,) = components(rules), rules._exact.compiled.methods
    assert (found.method, found.allowed) == ("decision diagram", rules.allowed())
    assert found.nodes == sum(each.shape[1] - 1 for each in method.follows) >= len(found.labels)


@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
@pytest.mark.parametrize("seed", range(30))
def test_support_is_how_often_the_left_side_is_true(seed):
    rng = random.Random(seed)
    rules = RuleSet(made.LABELS, tuple(Rule(f"r{i}", made.expression(rng), hard=False) for i in range(12)))
    rows = torch.rand(40, len(made.LABELS), generator=torch.Generator().manual_seed(seed)) > 0.5
    found = counts(rules, rows)
    assert [each.support for each in found] == [
        sum(made.holds(rule.says.left, row) for row in rows.tolist()) if isinstance(rule.says, Implies) else None
        for rule in rules.rules
    ]
    assert torch.stack([each.broken for each in found], 1).equal(rules.violations(rows))


def test_of_what_is_observed_a_table_of_labels_says_nothing():
    rules = RuleSet.parse("hard a: forall x. t(x) -> u(x)\nhard hot: forall x. temp(x) >= 39 -> fever(x)\n"
                          "soft near: forall x, y. cites(x, y) & t(x) -> t(y)")  # fmt: skip
    found = counts(rules, torch.tensor([[True, False, False], [False, True, True]]))
    assert (found[0].support, found[0].broken.tolist()) == (1, [True, False])
    assert found[1:] == [None, None]
    assert [set(each.labels) for each in components(rules)] == [{"t", "u"}, {"fever", "temp(x) >= 39"}]


@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_what_is_beyond_the_budget_to_count_is_not_counted():
    rng = random.Random(0)
    labels = [f"x{i}" for i in range(40)]
    text = "\n".join(f"hard r{i}: {labels[a]} -> {labels[b]}" for i, (a, b) in enumerate(
        sorted(rng.sample(range(40), 2)) for _ in range(90)))  # fmt: skip
    rules = RuleSet(tuple(labels), tuple(parse(text)), budget=Budget(nodes=10))
    assert components(rules)[0].allowed is None
    assert components(rules)[0].method == "implications"


@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
@pytest.mark.parametrize("seed", range(30))
def test_answers_that_satisfy_all_rules_by_themselves_are_found(seed):
    rng = random.Random(seed)
    rules = RuleSet(made.LABELS, tuple(Rule(f"r{i}", made.expression(rng), hard=False) for i in range(3)))
    rows = made.worlds(len(made.LABELS))
    alone = [all(made.holds(rule.says, row) for rule in rules.rules) for row in rows.tolist()]
    assert trivial(rules, rows).tolist() == alone
    assert trivial(rules).tolist() == [alone[0], alone[-1]]


@pytest.mark.parametrize(("text", "none", "all_"), [
    ("soft a: forall x, y. cites(x, y) & a(x) -> a(y)", True, True),
    ("soft a: forall x, y. cites(x, y) -> (a(x) <-> ~a(y))", False, False),
    ("hard a: forall x. temp(x) >= 39 -> a(x)", False, True),
    ("hard a: forall x. temp(x) >= 39 <-> a(x)", False, False),
    ("soft a: forall x. a(x) & temp(x) > 3 | a(x) & ~(temp(x) > 3)", False, True),
    ("soft a: forall x. at_least(1, a(x), temp(x) > 3, ~(temp(x) > 3))", True, True),
    ("soft a: exists x, y. cites(x, y) & x != y & a(x)", False, True),
    ("soft a: exists x, y. cites(x, y) & ~a(x)", True, False),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_answers_suit_rules_over_what_is_observed_whatever_that_is(text, none, all_):
    assert trivial(RuleSet.parse(text, **SEEN)).tolist() == [none, all_]
