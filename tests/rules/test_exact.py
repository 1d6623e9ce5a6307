"""Answers, totals and marginals against every assignment, one by one."""

import math
import random
import warnings
from itertools import pairwise

import made
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import Count, Label, Rule, RuleSet, RuleWarning
from graphfuse.rules.count import Counted, _log1p_sum
from graphfuse.rules.diagram import Budget, build
from graphfuse.rules.exact import SAFE, _Product, _Total, odds, weights

DOUBLE = torch.double


def rule_set(seed: int) -> RuleSet | None:
    """Random hard rules; ``None`` where they contradict each other."""
    rng = random.Random(seed)
    rules = tuple(Rule(f"r{i}", made.expression(rng)) for i in range(rng.randint(1, 4)))
    try:
        return RuleSet(made.LABELS, rules)
    except gf.InputError:
        return None


def allowed(rules: RuleSet) -> torch.Tensor:
    """Every assignment that satisfies every hard rule, by plain logic."""
    every = made.worlds(len(rules.labels))
    hard = [rule.says for rule in rules.rules if rule.hard]
    kept = [all(made.holds(says, row, rules.labels) for says in hard) for row in every.tolist()]
    return every[torch.tensor(kept)]


def rows(count: int, seed: int) -> torch.Tensor:
    """Logits: usual, huge, tiny, all alike, whole numbers that tie, all far below zero."""
    usual = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    return torch.stack([usual, 80 * usual, 1e-9 * usual, 0 * usual, usual.round(), -usual.abs() - 50])


def expected(logits: torch.Tensor, worlds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best sum of logits, the log of the total probability, and marginals, by enumeration."""
    sums = logits @ worlds.double().T
    score = sums + torch.nn.functional.logsigmoid(-logits).sum(1, keepdim=True)
    total = score.logsumexp(1)
    return sums.amax(1), total, (score - total[:, None]).exp() @ worlds.double()


@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
@pytest.mark.parametrize("seed", range(200))
def test_all_is_as_by_enumeration(seed):
    rules = rule_set(seed)
    if rules is None:
        rng = random.Random(seed)
        hard = [made.expression(rng) for _ in range(rng.randint(1, 4))]
        assert not any(all(made.holds(says, row) for says in hard) for row in made.worlds(len(made.LABELS)).tolist())
        return
    worlds, logits = allowed(rules), rows(len(rules.labels), seed)
    assert rules.allowed() == len(worlds)
    best, total, marginals = expected(logits, worlds)
    answer = rules.answer(logits)
    assert (answer[:, None] == worlds).all(2).any(1).all(), "an answer breaks a hard rule"
    assert_close((logits * answer).sum(1), best, rtol=1e-12, atol=1e-12)
    assert_close(rules.log_partition(logits), total, rtol=1e-10, atol=1e-10)
    assert_close(rules.marginals(logits), marginals, rtol=1e-10, atol=1e-10)
    assert not rules.violations(answer).any()
    every = made.worlds(len(rules.labels))
    broken = [[not made.holds(rule.says, row) for rule in rules.rules] for row in every.tolist()]
    assert rules.violations(every).tolist() == broken


@pytest.mark.parametrize(
    ("low", "high", "many"), [(1, 1, 1), (1, 1, 7), (0, 3, 9), (7, 9, 9), (2, 5, 8), (5, 6, 8), (0, 0, 4)]
)
def test_counts_are_as_by_enumeration(low, high, many):
    labels = [f"x{i}" for i in range(many)]
    parts = tuple(~Label(name) if place % 3 == 1 else Label(name) for place, name in enumerate(labels))
    rules = RuleSet(tuple(labels), (Rule("r", Count(low, high, parts)),))
    worlds, logits = allowed(rules), rows(many, 0)
    best, total, marginals = expected(logits, worlds)
    assert rules.allowed() == len(worlds)
    assert not rules.violations(rules.answer(logits)).any()
    assert_close((logits * rules.answer(logits)).sum(1), best, rtol=1e-12, atol=1e-12)
    assert_close(rules.log_partition(logits), total, rtol=1e-10, atol=1e-10)
    assert_close(rules.marginals(logits), marginals, rtol=1e-10, atol=1e-10)


def test_a_count_over_very_many_labels_needs_no_clauses():
    labels = [f"x{i}" for i in range(1000)]
    rules = RuleSet(tuple(labels), (Rule("r", Count(1, 1, tuple(map(Label, labels)))),))
    logits = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    assert rules.allowed() == 1000
    assert rules.answer(logits).int().argmax(1).equal(logits.argmax(1))
    assert_close(rules.marginals(logits), logits.softmax(1), rtol=1e-10, atol=1e-14)
    three = RuleSet(tuple(labels[:200]), (Rule("r", Count(0, 3, tuple(map(Label, labels[:200])))),))
    assert three.allowed() == sum(math.comb(200, k) for k in range(4))
    assert three.answer(logits[:, :200]).sum(1).tolist() == [3, 3, 3]


def test_the_gradient_of_the_total_is_marginal_minus_probability():
    rules = RuleSet.parse("hard a: x & y -> z\nhard b: exactly_one(x, w)\nhard c: ~(z & w)", list("wxyz"))
    logits = rows(4, 3)[:1].requires_grad_()
    rules.log_partition(logits).sum().backward()
    assert_close(logits.grad, (rules.marginals(logits) - logits.sigmoid()).detach())
    small = torch.randn(3, 4, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(rules.log_partition, small)
    assert torch.autograd.gradcheck(rules.marginals, small)
    assert torch.autograd.gradcheck(rules.loss, small)
    assert torch.autograd.gradgradcheck(rules.log_partition, small)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_results_have_the_type_of_the_logits_and_never_less_than_single_precision(dtype):
    rules = RuleSet.parse("hard a: x -> y\nsoft b: x", list("xyz"))
    logits = torch.randn(2, 3).to(dtype)
    for found in (rules.log_partition(logits), rules.marginals(logits), rules.loss(logits)):
        assert found.dtype == torch.promote_types(dtype, torch.float32)
    assert rules.answer(logits).dtype == torch.bool


def test_infinite_logits_are_evidence():
    rules = RuleSet.parse("hard a: x -> y\nhard b: exactly_one(y, z)", list("xyz"))
    inf = float("inf")
    logits = torch.tensor([[inf, -9.0, 3.0], [1.0, -inf, -5.0], [-inf, 1.0, inf]], dtype=DOUBLE)
    assert rules.answer(logits).tolist() == [[True, True, False], [False, False, True], [False, False, True]]
    assert_close(rules.marginals(logits), rules.answer(logits).double())
    expected = torch.stack([(-torch.nn.functional.softplus(torch.tensor([9.0, 3.0], dtype=DOUBLE))).sum(),
                            -torch.nn.functional.softplus(torch.tensor([1.0, 5.0], dtype=DOUBLE)).sum(),
                            -torch.nn.functional.softplus(torch.tensor(1.0, dtype=DOUBLE))])  # fmt: skip
    assert_close(rules.log_partition(logits), expected)


@pytest.mark.parametrize("name", ["answer", "log_partition", "marginals"])
def test_evidence_that_breaks_a_rule_is_named_by_its_rows(name):
    rules = RuleSet.parse("hard a: x -> y", list("xyz"))
    logits = torch.zeros(4, 3)
    logits[1, 0], logits[1, 1], logits[3, 0], logits[3, 1] = (float(sign + "inf") for sign in ("", "-", "", "-"))
    with pytest.raises(gf.InputError, match=r"^The infinite logits of rows 1, 3 break a rule"):
        getattr(rules, name)(logits)


@pytest.mark.parametrize("name", ["answer", "log_partition", "marginals", "loss"])
@pytest.mark.parametrize(("logits", "text"), [
    (torch.tensor([[0.0, 0.0], [float("nan"), 0.0]]), r"^Logits are NaN in row 1\.$"),
    (torch.zeros(3, 3), r"^Logits are \[3, 3\]; expected \[B, 2\]"),
    (torch.zeros(2), r"^Logits are \[2\]; expected \[B, 2\]"),
    (torch.zeros(3, 2, dtype=torch.long), r"^Logits are torch.int64; expected floating point"),
])  # fmt: skip
def test_logits_of_a_wrong_kind_are_named(name, logits, text):
    rules = RuleSet.parse("hard a: x -> y", list("xy"))
    with pytest.raises(gf.InputError, match=text):
        getattr(rules, name)(logits)


def test_of_equals_an_answer_is_always_the_same_and_false_where_it_may_be():
    rules = RuleSet.parse("hard a: x | y\nhard b: at_least(2, u, v, w)", list("uvwxyz"))
    found = rules.answer(torch.zeros(2, 6))
    assert found[0].equal(found[1])
    assert found[0].tolist() == [True, True, False, False, True, False]


def test_no_rows_and_no_rules():
    rules = RuleSet.parse("hard a: x -> y\nhard b: exactly_one(u, v, w)", list("xyuvw"))
    none = torch.zeros(0, 5)
    assert rules.answer(none).shape == rules.marginals(none).shape == (0, 5)
    assert rules.log_partition(none).shape == (0,)
    free, logits = RuleSet(("x", "y"), ()), torch.randn(3, 2)
    assert free.answer(logits).equal(logits > 0)
    assert_close(free.marginals(logits), logits.sigmoid())
    assert free.log_partition(logits).tolist() == [0, 0, 0]
    assert free.violations(logits > 0).shape == (3, 0)
    assert float(free.loss(logits)) == 0


def test_what_is_beyond_the_budget_is_said(monkeypatch):
    monkeypatch.setattr("graphfuse.rules.solved.find_spec", lambda name: None)  # as without the extra
    rng = random.Random(0)
    labels = tuple(f"x{i}" for i in range(40))
    clauses = [[rng.choice([Label, lambda n: ~Label(n)])(name) for name in rng.sample(labels, 3)] for _ in range(60)]
    rules = tuple(Rule(f"r{i}", p | q | r) for i, (p, q, r) in enumerate(clauses))
    with (
        warnings.catch_warnings(),
        pytest.raises(gf.InputError, match=r"beyond a budget of 50 nodes .*graphfuse\[solver\]"),
    ):
        RuleSet(labels, rules, budget=Budget(nodes=50))


def test_what_a_large_logit_has_settled_loses_nothing_small():
    rules = RuleSet.parse("hard a: z1 | x\nhard b: z2 | x\nhard c: z3 | x", ["z1", "z2", "z3", "x"])
    assert rules.answer(torch.tensor([[3.0, -5.0, 2.0, 1e20], [3.0, -5.0, 2.0, -1e20]])).tolist() == [
        [True, False, True, True], [True, True, True, False]]  # fmt: skip


@pytest.mark.parametrize("size", [1e20, 1e31, 3e38])
def test_finite_logits_are_never_taken_for_evidence(size):
    rules = RuleSet.parse("hard a: ~x | ~y\nhard b: u | v\nhard c: exactly_one(p, q)", list("xyuvpq"))
    logits = torch.tensor([[size, size, -size, -size, size, size], [-size, size, size, -size, -size, -size]])
    found = rules.answer(logits)
    assert not rules.violations(found).any()
    assert found[1].tolist()[:4] == [False, True, True, False]
    for value in (rules.marginals(logits), rules.log_partition(logits), rules.loss(logits)):
        assert value.isfinite().all()


def test_without_a_hard_rule_there_is_a_gradient_of_nothing():
    logits = torch.randn(3, 2, requires_grad=True)
    for text in ("soft a: x -> y", ""):
        rules = RuleSet.parse(text, ["x", "y"])
        rules.log_partition(logits).mean().backward()
        assert logits.grad.eq(0).all()
    with pytest.warns(RuleWarning):
        always = RuleSet.parse("soft a: x | ~x", ["x", "y"])
    always.loss(logits).backward()
    assert logits.grad.eq(0).all()
    assert float(RuleSet.parse("soft a: x", ["x", "y"]).loss(torch.zeros(0, 2))) == 0


def test_all_works_in_inference_mode_and_after_it():
    with torch.inference_mode():
        rules = RuleSet.parse("hard a: x -> y\nsoft b: exactly_one(y, z)", list("xyz"))
        logits = torch.randn(4, 3)
        expected = [rules.answer(logits), rules.marginals(logits), rules.log_partition(logits), rules.loss(logits)]
    again = logits.clone().requires_grad_()
    found = [rules.answer(again), rules.marginals(again), rules.log_partition(again), rules.loss(again)]
    assert_close([each.detach() for each in found], expected)
    (found[1].sum() + found[2].sum() + found[3]).backward()
    assert again.grad.isfinite().all()


@pytest.mark.parametrize(("low", "high"), [(0, 40), (10, 50), (30, 60)])
def test_large_counts_are_as_a_table_of_sums_says(low, high):
    labels = tuple(f"x{i}" for i in range(60))
    rules = RuleSet(labels, (Rule("r", Count(low, high, tuple(map(Label, labels)))),))
    logits = torch.randn(3, 60, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    chance = torch.zeros(3, 61, dtype=DOUBLE)
    chance[:, 0] = 1
    for p in logits.sigmoid().unbind(1):
        moved = torch.nn.functional.pad(chance, (1, 0))[:, :-1]
        chance = chance * (1 - p[:, None]) + moved * p[:, None]
    assert_close(rules.log_partition(logits), chance[:, low : high + 1].sum(1).log(), rtol=1e-9, atol=1e-12)


def test_what_holds_is_looked_at_clause_by_clause_and_tree_by_tree():
    text = "hard a: x -> y\nhard b: exactly_one(u, v, w)\nhard c: ~exactly_one(x, u, p)\nhard d: (p & q | w) <-> y"
    rules = RuleSet.parse(text, list("xyuvwpq"))
    every = made.worlds(7)
    assert rules._exact.compiled.holds(every).equal(~rules.violations(every).any(1))
    for left_out in text.split("\n"):
        fewer = RuleSet.parse("\n".join(line for line in text.split("\n") if line != left_out), list("xyuvwpq"))
        assert not fewer._exact.compiled.holds(every).equal(rules._exact.compiled.holds(every)), left_out


def test_a_long_chain_has_a_narrow_diagram_whatever_the_order_of_its_labels():
    rng = random.Random(0)
    labels = [f"x{i}" for i in range(120)]
    pairs = list(pairwise(labels))
    rng.shuffle(labels)
    place = {label: at for at, label in enumerate(labels, 1)}
    diagram = build([frozenset((-place[a], place[b])) for a, b in pairs], [], Budget())
    assert max(map(len, diagram.false)) <= 3
    assert diagram.models() == 121


@pytest.mark.parametrize(("low", "high", "wanted"), [
    (1, 1, [True] * 7), (0, 1, [True] * 7), (1, 1, [False] * 7), (6, 7, [True] * 7), (6, 6, [False, True] * 3 + [True]),
    (1, 1, [True, False] * 3 + [True]), (0, 1, [False]), (0, 1, [True, False]), (1, 1, [True] * 21),
])  # fmt: skip
def test_what_counts_one_at_most_is_the_same_by_logits_as_by_weights(low, high, wanted):
    count = Counted(tuple(range(len(wanted))), tuple(wanted), low, high)
    x = 3 * torch.randn(len(wanted), 5, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    x[:, 0], x[:, 1], x[0, 2] = 0, -60, 60
    leaves = [x.clone().requires_grad_() for _ in range(2)]
    by_logits, by_weights = count.of_logits(leaves[0]), count.total(*weights(leaves[1].t()))
    assert_close(by_logits, by_weights, atol=1e-12, rtol=1e-12)
    first = [torch.autograd.grad(v.square().sum(), leaf, create_graph=True)[0]
             for v, leaf in zip((by_logits, by_weights), leaves)]  # fmt: skip
    assert_close(first[0], first[1], atol=1e-11, rtol=1e-11)
    second = [torch.autograd.grad(g.square().sum(), leaf)[0] for g, leaf in zip(first, leaves)]
    assert_close(second[0], second[1], atol=1e-9, rtol=1e-9)
    assert count.of_logits(torch.cat([x[:, :4], torch.full_like(x[:, :1], torch.inf)], 1)) is None
    assert count.best_of_logits(x).equal(count.best(*odds(x.t()))[0])


@pytest.mark.parametrize("many", [1, 2, 5, 8, 21, 1001])
def test_logarithms_of_many_that_are_nearly_one_are_summed_without_loss(many):
    small = 10 ** -(40 * torch.rand(many, 50, generator=torch.Generator().manual_seed(0), dtype=DOUBLE))
    assert_close(_log1p_sum(small.clone()), small.log1p().sum(0), rtol=1e-13, atol=0)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (0, 3), (2, 9), (9, 12), (12, 12), (0, 0)])
def test_of_equals_the_earlier_count(low, high):
    x = torch.randint(-2, 3, (12, 200), generator=torch.Generator().manual_seed(low)).double()
    found = Counted(tuple(range(12)), (True,) * 12, low, high).best_of_logits(x)
    for gain, own in zip(x.t().tolist(), found.t().tolist()):
        many = min(max(sum(each > 0 for each in gain), low), high)
        taken = sorted(range(12), key=lambda at: -gain[at])[:many]  # which is stable
        assert [at for at, true in enumerate(own) if true] == sorted(taken)


@pytest.mark.parametrize("size", [0.0, 1.0, 8.0, 40.0, 300.0])
def test_totals_of_a_diagram_are_the_same_by_products_as_by_sums_of_logarithms(size):
    rules = RuleSet.parse(
        "hard a: x & y -> z | w\nhard b: ~x | ~w | v\nhard c: at_most(3, x, y, z, w, u)\nhard d: u | ~v"
    )
    (diagram,) = rules._exact.compiled.methods
    x = size * torch.randn(64, 6, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    sides = [[each.requires_grad_() for each in weights(x)] for _ in range(3)]
    ways = [lambda off, on: _Product.apply(diagram, off, on), lambda off, on: _Total.apply(diagram, off, on),
            diagram.plainly]  # fmt: skip
    if (x.abs().sum(1) > SAFE / 2).any():  # products may be too small
        ways[0] = diagram.total
    totals = [way(*each) for way, each in zip(ways, sides)]
    first = [torch.autograd.grad((t * t.exp()).sum(), each, create_graph=True) for t, each in zip(totals, sides)]
    second = [torch.autograd.grad(sum(g.square().sum() for g in each), own) for each, own in zip(first, sides)]
    for other in (0, 1):
        assert_close(totals[other], totals[2], rtol=1e-12, atol=1e-12)
        assert_close(first[other], first[2], rtol=1e-11, atol=1e-12)
        assert_close(second[other], second[2], rtol=1e-10, atol=1e-11)
