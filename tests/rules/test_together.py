"""Hard rules that join rows, answered for all rows together: against the enumeration of all answers."""

import copy
import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_grounded import facts, rule
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import Budget, Facts, RuleSet
from graphfuse.rules.alike import Said, alike
from graphfuse.rules.compiled import Compiled
from graphfuse.rules.diagram import parted
from graphfuse.rules.known import known_loss

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


def test_components_are_those_that_groups_of_cells_join_and_a_shape_says_all_of_each():
    """Against cells joined one group after the other."""
    rng = np.random.default_rng(0)
    for trial in range(60):
        count, many = int(rng.integers(1, 60)), 1 + trial % 4
        said = []
        for kind in rng.permutation(many).tolist():
            rows, width = int(rng.integers(0, 12)), int(rng.integers(1, min(count, 4) + 1))
            cells = [rng.permutation(count)[:width] for _ in range(rows)]
            said.append(Said(kind, np.array(cells, dtype=np.int64).reshape(rows, width)))
        groups = [(own.kind, tuple(row)) for own in said for row in own.cells.tolist()]
        root = parted(row for _, row in groups)
        wanted = sorted(
            (
                sorted(cell for cell in root if root[cell] == low),
                sorted(own for own in groups if root[own[1][0]] == low),
            )
            for low in set(root.values())
        )
        width, found = {own.kind: own.cells.shape[1] for own in said}, []
        for shape, components in alike(said, count):
            for cells in components.tolist():
                words, each = np.frombuffer(shape, dtype=np.int32).tolist(), []
                while words:
                    kind, end = words[0], 1 + width[words[0]]
                    each.append((kind, tuple(cells[at] for at in words[1:end])))
                    words = words[end:]
                found.append((cells, sorted(each)))
        assert sorted(found) == wanted


def test_a_shape_is_made_ready_once_for_all_batches_until_much_is_kept(monkeypatch):
    rules = RuleSet.parse("hard on: forall x, y. mate(x, y) & a(x) -> b(y)\nhard one: exactly_one(a, b)", ["a", "b"])
    made, of = [], Compiled.of.__func__
    monkeypatch.setattr(
        Compiled, "of", classmethod(lambda cls, *given, **more: made.append(1) or of(cls, *given, **more))
    )
    totals = []
    compiled = []
    for rows in (6, 10, 8, 10):
        given = Facts({"mate": torch.arange(rows - 2).view(-1, 2).t()})
        totals.append(rules.log_partition(torch.zeros(rows, 2), given).sum())
        compiled.append(len(made))
    assert compiled[0] > 0
    assert compiled[1:] == [compiled[0]] * 3  # the shapes are those of the first batch
    assert not copy.deepcopy(rules)._exact.shapes.made  # a copy begins empty
    shapes = rules._exact.shapes
    assert len(shapes.made) == 2
    first = len(made)
    monkeypatch.setattr("graphfuse.rules.alike.SIZE", 0)
    again = rules.log_partition(torch.zeros(10, 2), Facts({"mate": torch.arange(8).view(-1, 2).t()})).sum()
    assert len(made) == first + 2
    assert again == totals[1] == totals[3]


def test_what_is_known_loses_what_enumeration_says_whether_all_of_a_component_is_known_or_some_or_none():
    text = "hard on: forall x, y. cites(x, y) & a(x) -> a(y)\nhard b: forall x. b(x) -> a(x)"
    rules = RuleSet.parse(text, ["a", "b"])
    every = torch.tensor(list(itertools.product([False, True], repeat=6))).view(-1, 3, 2)
    given = Facts({"cites": torch.tensor([[0], [1]])})
    logits = torch.randn(3, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    good = torch.tensor([not rules.violations(answers, given).any() for answers in every])
    states = [[-1, 0, 1]] * 6
    for state in list(itertools.product(*states))[::7]:
        known = torch.tensor(state).view(3, 2)
        x = logits.clone().requires_grad_()
        found, bad = known_loss(rules, x, known, given)
        log = torch.where(every, x, -x).sigmoid().log()
        right = ((known == 0) | ((known > 0) == every)).all(2)
        wanted = torch.zeros((), dtype=torch.double)
        for rows in ([0, 1], [2]):  # what is joined
            fits, weight = right[:, rows].all(1), log[:, rows].sum((1, 2))
            if (fits & good).any():
                wanted = wanted + (weight[good].logsumexp(0) - weight[good & fits].logsumexp(0))
            assert bad[rows].tolist() == [not (fits & good).any()] * len(rows)
        assert_close(found.sum(), wanted)
        if wanted.requires_grad:
            assert_close(torch.autograd.grad(found.sum(), x)[0], torch.autograd.grad(wanted, x)[0])


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


def test_what_is_known_of_no_row_loses_nothing():
    for text in ("hard on: forall x, y. cites(x, y) & a(x) -> a(y)", "hard b: forall x. b(x) -> a(x)"):
        rules = RuleSet.parse(text, ["a", "b"])
        lost, bad = known_loss(rules, torch.zeros(0, 2), torch.zeros(0, 2), Facts({"cites": torch.zeros(2, 0).long()}))
        assert (lost.shape, bad.shape) == ((0,), (0,))


def test_an_infinite_logit_that_is_not_known_costs_and_teaches_nothing():
    rules = RuleSet.parse("hard on: forall x, y. cites(x, y) & a(x) -> b(y)", ["a", "b"])
    logits = torch.tensor([[torch.inf, 0.0], [0.0, 1.0], [torch.inf, 0.5]], requires_grad=True)
    known = torch.tensor([[0, 0], [0, 1], [0, -1]])
    lost, _ = known_loss(rules, logits, known, Facts({"cites": torch.tensor([[0], [1]])}))
    (grad,) = torch.autograd.grad(lost.sum(), logits)
    assert lost.isfinite().all()
    assert grad.isfinite().all()
    assert grad[2, 1] == torch.tensor(0.5).sigmoid()
