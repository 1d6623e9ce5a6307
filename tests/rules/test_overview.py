"""What a rule set is like: components against the labels that meet, counts against plain loops."""

import math
import random

import made
import pytest
import torch

from graphfuse.rules import Implies, Rule, RuleSet
from graphfuse.rules.overview import components, counts


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


def test_nodes_are_those_of_the_diagram():
    (found,) = components(RuleSet.parse("hard a: (x & y) | (~x & z)", list("xyz")))
    (method,) = RuleSet.parse("hard a: (x & y) | (~x & z)", list("xyz"))._compiled.methods
    assert found.nodes == sum(each.shape[1] - 1 for each in method.follows) == 5


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
