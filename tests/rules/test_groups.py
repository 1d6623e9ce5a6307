"""Rows in groups, such as nodes of samples: a rule says of each group what it says of that group alone."""

import math

import pytest
import torch
from test_grounded import facts, rule, ruleset
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import Facts, RuleSet

GROUPS = torch.tensor([5, 2, 5, 9, 2, 5, 9, 2])  # in no order


def alone(given: Facts, rows: torch.Tensor) -> Facts:
    """What is known among some rows."""
    place = torch.full((len(GROUPS),), -1)
    place[rows] = torch.arange(len(rows))
    edges = {name: place[pairs][:, (place[pairs] >= 0).all(0)] for name, pairs in given.relations.items()}
    return Facts(edges, {name: values[rows] for name, values in given.features.items()})


@pytest.mark.parametrize("seed", range(120))
def test_each_group_is_as_alone(seed):
    says = rule(seed)
    rules, given = ruleset(says), facts(seed, len(GROUPS))
    logits = torch.randn(len(GROUPS), 3, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    together = Facts(given.relations, given.features, GROUPS)
    costs, many = [], []
    for group in GROUPS.unique():
        rows = (group == GROUPS).nonzero()[:, 0]
        own = alone(given, rows)
        broken = rules.violations(logits[rows] > 0, own)
        assert torch.equal(rules.violations(logits > 0, together)[rows], broken)
        if says.says.__class__.__name__ == "ForAll":
            assert_close(rules.refine(logits, together)[rows], rules.refine(logits[rows], own))
        costs.append(rules.loss(logits[rows], own, kind="product"))
        many.append(rules.groundings(len(rows), own)["r"])
    assert rules.groundings(len(GROUPS), together)["r"] == sum(many)
    weights = torch.tensor(many, dtype=torch.double)
    if says.says.__class__.__name__ == "Exists":
        weights = (weights > 0).double()
    wanted = (weights * torch.stack(costs)).sum() / weights.sum().clamp(min=1)
    assert_close(rules.loss(logits, together, kind="product"), wanted)


def test_things_that_no_relation_joins_meet_in_their_group_alone():
    rules = RuleSet.parse("hard once: forall x, y. x != y & a(x) -> ~a(y)", ["a"])
    said = torch.tensor([[1], [1], [0], [0], [0], [0], [0], [1]], dtype=torch.bool)
    broken = rules.violations(said, Facts(groups=GROUPS))[:, 0]
    assert broken.nonzero()[:, 0].tolist() == [1, 7]  # both are true in group 2; 0 is true alone in group 5
    assert rules.violations(said, Facts())[:, 0].sum() == 3


def test_that_something_exists_is_said_of_each_group():
    rules = RuleSet.parse("hard some: exists x. a(x)", ["a"])
    said = torch.tensor([[1], [0], [0], [0], [0], [0], [1], [0]], dtype=torch.bool)
    assert rules.violations(said, Facts(groups=GROUPS))[:, 0].nonzero()[:, 0].tolist() == [1, 4, 7]
    logits = torch.zeros(8, 1, dtype=torch.double)
    wanted = -torch.tensor([7 / 8, 7 / 8, 3 / 4], dtype=torch.double).log().mean()
    assert_close(rules.loss(logits, Facts(groups=GROUPS)), wanted)
    half = 1 - torch.tensor([1 / 8, 1 / 8, 1 / 4], dtype=torch.double)
    assert_close(rules.loss(logits, Facts(groups=GROUPS), kind="product"), (1 - half).mean())


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ([0] * 8, "groups is a list"),
        (torch.zeros(8), "groups is torch.float32"),
        (torch.zeros(3, dtype=torch.long), "groups has 3 rows"),
    ],
)
def test_groups_are_checked(groups, says):
    rules = RuleSet.parse("soft some: forall x, y. a(x) -> a(y)", ["a"])
    with pytest.raises(gf.InputError, match=says):
        rules.loss(torch.zeros(8, 1), Facts(groups=groups))


def test_groups_that_change_are_looked_at_anew():
    groups, rules = GROUPS.clone(), RuleSet.parse("hard all: forall x, y. a(x) -> b(y)", ["a", "b"])
    given, said = Facts(groups=groups), torch.zeros(8, 2, dtype=torch.bool)
    said[0, 0] = True
    assert rules.violations(said, given)[:, 0].nonzero()[:, 0].tolist() == [0, 2, 5]
    groups[0] = 2
    assert rules.violations(said, given)[:, 0].nonzero()[:, 0].tolist() == [0, 1, 4, 7]
    assert rules.violations(said, Facts(groups=GROUPS))[:, 0].nonzero()[:, 0].tolist() == [0, 2, 5]


@pytest.mark.parametrize("size", [1.0, 400.0])
def test_the_loss_of_what_exists_is_the_mean_of_the_groups_by_themselves(size):
    """Groups that share labels, that do not, in which it is sure, or as good as impossible, in any order of rows."""
    rng = torch.Generator().manual_seed(0)
    pairs = torch.tensor([[0, 1, 2, 2, 6, 7, 9, 9], [3, 4, 5, 8, 7, 6, 9, 10]])
    groups = torch.tensor([4, 1, 0, 4, 1, 0, 7, 7, 0, 2, 2, 9])
    words = ["x"] * 9 + ["y", "x", "x"]
    logits = size * torch.randn(12, 2, dtype=torch.double, generator=rng)
    logits[:, 0] -= 2 * size
    rules = RuleSet.parse('soft some: exists x, y. near(x, y) & a(x) & (b(y) | of(x) = "y")\nsoft one: exists x. a(x)')
    x = logits.clone().requires_grad_()
    found = rules.loss(x, Facts({"near": pairs}, {"of": words}, groups))
    (grad,) = torch.autograd.grad(found, x)
    alone, own = [], logits.clone().requires_grad_()
    for each in rules.rules:
        costs = []
        for group in groups.unique().tolist():
            rows = (groups == group).nonzero()[:, 0]
            place = {row: at for at, row in enumerate(rows.tolist())}
            near = torch.tensor([[place[a], place[b]] for a, b in pairs.T.tolist() if a in place]).view(-1, 2).T.long()
            if each.name == "some" and not near.numel():
                continue
            one = RuleSet(rules.labels, (each,))
            costs.append(one.loss(own[rows], Facts({"near": near}, {"of": [words[row] for row in rows.tolist()]})))
        alone.append(torch.stack(costs).mean())
    wanted = torch.stack(alone).mean()
    assert_close(found, wanted)
    assert_close(grad, torch.autograd.grad(wanted, own)[0])


def test_what_is_as_good_as_impossible_in_a_group_costs_what_its_most_probable_costs():
    x = torch.tensor([[-900.0], [-950.0], [0.0]], dtype=torch.double, requires_grad=True)
    loss = RuleSet.parse("soft one: exists x. a(x)").loss(x, Facts(groups=torch.tensor([0, 0, 1])))
    assert_close(loss.item(), (900 + math.log(2)) / 2)
    assert_close(torch.autograd.grad(loss, x)[0][:, 0].tolist(), [-0.5, 0.0, -0.25])
