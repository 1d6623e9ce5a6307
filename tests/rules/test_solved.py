"""What a solver answers where a diagram would be too large, against every assignment one by one."""

import random

import made
import pytest
import torch
from test_exact import DOUBLE, allowed, expected, rows
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import Label, Rule, RuleSet
from graphfuse.rules.diagram import Budget
from graphfuse.rules.exact import odds
from graphfuse.rules.language import parse
from graphfuse.rules.normal import tree_of
from graphfuse.rules.solved import Solved
from graphfuse.rules.units import parts_of

pytest.importorskip("ortools", reason="the extra graphfuse[solver] is not installed")
INF = float("inf")


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_a_solver_answers_as_by_enumeration(seed):
    rng = random.Random(seed)
    says = [made.expression(rng) for _ in range(rng.randint(1, 4))]
    try:
        rules = RuleSet(made.LABELS, tuple(Rule(f"r{i}", each) for i, each in enumerate(says)))
    except gf.InputError:
        rules = None
    place_of = {Label(label): at for at, label in enumerate(made.LABELS)}
    trees = [tree_of(each, place_of) for each in says]
    clauses, rest = parts_of(trees)
    if frozenset() in clauses or not (clauses or rest):
        return
    method = Solved.of(clauses, rest, Budget())
    if rules is None:
        assert method is None
        return
    worlds, logits = allowed(rules), rows(len(rules.labels), seed)
    place, free = list(method.labels), logits.clone()
    best, _, _ = expected(logits, worlds)
    chosen, value = method.best(*odds(logits[:, place]))
    free[:, place] = torch.where(chosen.t(), 1.0, -1.0).to(DOUBLE) * INF
    answers = free > 0
    assert (answers[:, None] == worlds).all(2).any(1).all(), "an answer breaks a hard rule"
    assert_close((logits * answers).sum(1), best, rtol=1e-12, atol=1e-12)
    assert_close(value, best - logits.clamp(min=0).sum(1), rtol=1e-12, atol=1e-12)


def hard(seed: int) -> tuple[tuple[str, ...], str]:
    """Random clauses of three literals, too many ways together for a diagram of 50 nodes."""
    rng = random.Random(seed)
    labels = tuple(f"x{i}" for i in range(40))
    lines = [f"hard r{i}: {' | '.join(rng.choice(['', '~']) + label for label in rng.sample(labels, 3))}"
             for i in range(60)]  # fmt: skip
    return labels, "\n".join(lines)


def test_beyond_the_budget_a_set_is_answered_and_its_totals_refused():
    labels, text = hard(0)
    parsed = RuleSet.parse(text, labels)
    rules = RuleSet(labels, parsed.rules, budget=Budget(nodes=50))
    assert "solver" in [method.name for method in rules._exact.compiled.methods]
    logits = torch.randn(6, 40, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    logits[1, 3], logits[2, 5] = INF, -INF
    logits[3] = 0
    found = rules.answer(logits)
    assert not rules.violations(found).any()
    assert found.equal(rules.answer(logits))
    assert found[1, 3]
    assert not found[2, 5]
    finite = logits.masked_fill(logits.isinf(), 0)
    assert_close((finite * found).sum(1), (finite * parsed.answer(logits)).sum(1), rtol=1e-12, atol=1e-12)
    assert rules.loss(logits.masked_fill(logits.isinf(), 9)).isfinite()
    for name in ("log_partition", "marginals"):
        with pytest.raises(
            gf.InputError, match=r"of 39 labels .*beyond a budget of 50 nodes and 20 s; .*answer and loss"
        ):
            getattr(rules, name)(logits)
    with pytest.raises(gf.InputError, match="beyond a budget"):
        rules.allowed()
    broken, place = logits.clone(), {Label(label): at for at, label in enumerate(labels)}
    for literal in tree_of(parsed.rules[0].says, place)[1]:
        broken[4, abs(literal) - 1] = -INF if literal > 0 else INF
    with pytest.raises(gf.InputError, match="row 4 break a rule"):
        rules.answer(broken)


def test_what_is_not_proved_in_time_is_said():
    labels, text = hard(1)
    rules = RuleSet(labels, RuleSet.parse(text, labels).rules, budget=Budget(nodes=50))
    (method,) = (each for each in rules._exact.compiled.methods if each.name == "solver")
    hurried = Solved(method.labels, method.trees, Budget(seconds=1e-9))
    with pytest.raises(gf.InputError, match=r"No answer to row 0 was proved to be the best within 1e-09 s"):
        hurried.best(
            *odds(torch.stack([torch.zeros(40), torch.randn(40)]).index_select(1, torch.tensor(method.labels)))
        )


def test_a_contradiction_is_found_by_a_solver_too():
    names = [[f"p{pigeon}{hole}" for hole in range(4)] for pigeon in range(5)]  # five pigeons, four holes
    lines = [f"hard in{pigeon}: {' | '.join(own)}" for pigeon, own in enumerate(names)]
    lines += [f"hard one{hole}: at_most(1, {', '.join(own[hole] for own in names)})" for hole in range(4)]
    rules, labels = parse("\n".join(lines)), tuple(name for own in names for name in own)
    with pytest.raises(gf.InputError, match="contradict each other"):
        RuleSet(labels, tuple(rules), budget=Budget(nodes=5))
    RuleSet(labels, tuple(rules[1:]), budget=Budget(nodes=5))
