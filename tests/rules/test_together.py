"""Hard rules that join rows, answered for all rows together: against the enumeration of all answers."""

import itertools
import warnings
from dataclasses import replace

import pytest
import torch
from test_grounded import facts, rule
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import Budget, Facts, RuleSet

LABELS, ROWS = ("a", "b", "二"), 3
GROUPS = torch.tensor([1, 0, 1])
EVERY = torch.tensor(list(itertools.product([False, True], repeat=ROWS * len(LABELS)))).view(-1, ROWS, len(LABELS))


def ruleset(seed: int, count: int) -> RuleSet | None:
    """Random hard rules; ``None`` where they say nothing that can hold."""
    with warnings.catch_warnings(action="ignore"):
        try:
            rules = [replace(rule(100 * seed + i), name=f"r{i}", hard=True) for i in range(count)]
            return RuleSet(LABELS, tuple(rules))
        except gf.InputError:
            return None


def allowed(rules: RuleSet, given: Facts) -> torch.Tensor:
    return torch.tensor([not rules.violations(answers, given).any() for answers in EVERY])


@pytest.mark.parametrize("seed", range(40))
def test_answers_totals_and_marginals_are_those_of_enumeration(seed):
    rules = ruleset(seed, 1 + seed % 3)
    given = facts(seed, ROWS)
    given = Facts(given.relations, given.features, GROUPS if seed % 2 else None)
    if rules is None or rules._exact.joining is None:
        return
    logits = torch.randn(ROWS, len(LABELS), generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    logits.requires_grad_()
    try:
        good = allowed(rules, given)
    except gf.InputError:  # one of them can hold nowhere, by itself
        with pytest.raises(gf.InputError, match=r"can(not| never) hold"):
            rules.answer(logits, given)
        return
    if not good.any():
        with pytest.raises(gf.InputError, match=r"cannot hold|can never hold"):
            rules.answer(logits, given)
        return
    weight = torch.where(EVERY, logits, -logits).sigmoid().log().sum((1, 2))
    answer = rules.answer(logits, given)
    assert not rules.violations(answer, given).any()
    assert_close(torch.where(answer, logits, -logits).sigmoid().log().sum(), weight[good].max())
    total = rules.log_partition(logits, given)
    assert_close(total.sum(), weight[good].logsumexp(0))
    wanted = (weight[good].softmax(0)[:, None, None] * EVERY[good]).sum(0)
    assert_close(rules.marginals(logits, given), wanted)
    (grad,) = torch.autograd.grad(total.sum(), logits)
    assert_close(grad, wanted - logits.sigmoid())
    if seed % 2:
        for group in (0, 1):
            assert_close(total[group == GROUPS].sum(), of_group(weight, good, group), rtol=1e-7, atol=1e-9)


def of_group(weight: torch.Tensor, good: torch.Tensor, group: int) -> torch.Tensor:
    """The log probability that the rules hold in a group: rules speak of groups one by one, so others are free."""
    rest = (EVERY[:, group != GROUPS] == EVERY[good][weight[good].argmax()][group != GROUPS]).all(2).all(1)
    return weight[good & rest].logsumexp(0) - weight[rest].logsumexp(0)


def test_that_something_exists_may_be_true_whatever_the_labels_are():
    with warnings.catch_warnings(action="ignore"):
        rules = RuleSet.parse("hard any: exists x. a(x) | ~a(x)\nhard some: exists x. a(x)", ["a"])
    logits = torch.tensor([[-3.0], [-1.0]])
    assert rules.answer(logits)[:, 0].tolist() == [False, True]
    assert_close(rules.log_partition(logits).sum(), (1 - (-logits).sigmoid().prod()).log())


CHAIN = Facts({"cites": torch.tensor([[0, 1, 2], [1, 2, 3]])})


def test_what_one_row_says_is_handed_along_relations():
    rules = RuleSet.parse("hard on: forall x, y. cites(x, y) & a(x) -> a(y)", ["a"])
    logits = torch.tensor([[3.0], [-1.0], [-1.0], [-0.5]])
    assert rules.answer(logits, CHAIN)[:, 0].tolist() == [True] * 4
    assert rules.answer(logits - 1, CHAIN)[:, 0].tolist() == [False] * 4
    known = torch.tensor([[torch.inf], [-9.0], [-9.0], [-9.0]])
    assert rules.answer(known, CHAIN).all()
    with pytest.raises(gf.InputError, match=r"infinite logits of rows 0, 3 break rules that join rows"):
        rules.answer(torch.tensor([[torch.inf], [0.0], [0.0], [-torch.inf]]), CHAIN)


def test_facts_that_change_are_looked_at_anew():
    pairs = torch.tensor([[0], [1]])
    given, rules = Facts({"cites": pairs}), RuleSet.parse("hard on: forall x, y. cites(x, y) & a(x) -> a(y)", ["a"])
    logits = torch.tensor([[3.0], [-1.0], [-1.0]])
    assert rules.answer(logits, given)[:, 0].tolist() == [True, True, False]
    pairs[1] = 2
    assert rules.answer(logits, given)[:, 0].tolist() == [True, False, True]


def test_rules_that_contradict_each_other_for_some_facts_are_named():
    text = """
hard some: exists x. a(x)
hard none: forall x. old(x) >= 1 -> ~a(x)
hard on: forall x, y. cites(x, y) & a(y) -> b(y)
"""
    rules = RuleSet.parse(text, ["a", "b"])
    given = Facts(CHAIN.relations, {"old": torch.ones(4)})
    with pytest.raises(
        gf.InputError,
        match="Line 2: rule 'some', Line 3: rule 'none': cannot hold at once for the facts of rows 0, 1, 2, 3",
    ):
        rules.answer(torch.zeros(4, 2), given)
    nobody = RuleSet.parse("hard some: exists x, y. cites(x, y) & a(x)", ["a"])
    with pytest.raises(gf.InputError, match="nothing is there that it could be true of"):
        nobody.answer(torch.zeros(2, 1), Facts({"cites": torch.zeros(2, 0, dtype=torch.long)}))


def test_what_is_beyond_the_budget_has_answers_by_a_solver_and_no_totals():
    pytest.importorskip("ortools")
    rng = torch.Generator().manual_seed(0)
    given = Facts({"near": torch.randint(60, (2, 400), generator=rng)})
    text = "hard apart: forall x, y, z. near(x, y) & near(y, z) -> at_most(1, a(x), a(y), a(z))"
    rules = RuleSet.parse(text, ["a"])
    rules = replace(rules, budget=Budget(nodes=50, seconds=20.0))
    logits = torch.randn(60, 1, generator=rng)
    assert not rules.violations(rules.answer(logits, given), given).any()
    with pytest.raises(gf.InputError):
        rules.log_partition(logits, given)


def test_components_that_say_the_same_are_one_batch_and_sizes_are_limited(monkeypatch):
    rules = RuleSet.parse("hard on: forall x, y. mate(x, y) & a(x) -> b(y)\nhard one: exactly_one(a, b)", ["a", "b"])
    pairs = torch.arange(400).view(200, 2).t()
    given, logits = Facts({"mate": pairs}), torch.randn(450, 2, generator=torch.Generator().manual_seed(0))
    assert len(rules._exact.together(logits, given).parts) == 2  # pairs, and rows by themselves
    assert not rules.violations(rules.answer(logits, given), given).any()
    alone = RuleSet.parse("hard one: exactly_one(a, b)", ["a", "b"])
    assert_close(rules.log_partition(logits, given)[400:], alone.log_partition(logits[400:]))
    monkeypatch.setattr("graphfuse.rules.together.MOST", 600)
    with pytest.raises(gf.InputError, match="have 650 groundings, and are answered exactly up to 600"):
        rules.answer(logits, Facts({"mate": pairs}))


def test_odd_batches_are_answered():
    rules = RuleSet.parse("hard on: forall x, y. cites(x, y) & a(x) -> a(y)", ["a", "b"])
    turned = torch.tensor([[3.0, -1.0, -1.0, -0.5], [1.0, 1.0, 1.0, 1.0]]).t()
    assert rules.answer(turned, CHAIN).all()
    some = RuleSet.parse("hard some: exists x. a(x)", ["a"])
    assert some.answer(torch.zeros(0, 1)).shape == (0, 1)
    assert some.answer(torch.zeros(0, 1), Facts(groups=torch.zeros(0, dtype=torch.long))).shape == (0, 1)
    assert some.answer(torch.tensor([[-2.0], [-1.0]]))[:, 0].tolist() == [False, True]
    with pytest.raises(gf.InputError, match=r"rule 'on' speaks of 'cites\(x, y\)'; give graph"):
        rules.answer(turned)
