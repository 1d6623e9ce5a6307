"""Best answers of a diagram against a walk node by node, and the look that checks answers."""

import random

import made
import pytest
import torch

from graphfuse.rules import RuleSet
from graphfuse.rules.compiled import _rows
from graphfuse.rules.diagram import Budget, build
from graphfuse.rules.exact import NEVER, Layered, odds


def by_nodes(diagram: Layered, off: torch.Tensor, on: torch.Tensor) -> tuple[list[bool], float]:
    """The heaviest of one row node by node, as the diagram is defined: of equals false is taken."""
    value, larger = [0.0, NEVER], list[list[bool]]()
    for follows, weight in zip(reversed(diagram.follows), reversed(torch.stack([off, on], 1).tolist())):
        sides = [[value[end] + own for end in ends] for ends, own in zip(follows.tolist(), weight)]
        larger.append([true > false for false, true in zip(*sides)])
        value = list(map(max, *sides))
    node, chosen = 0, list[bool]()
    for follows, own in zip(diagram.follows, reversed(larger)):
        chosen.append(own[node])
        node = int(follows[int(own[node]), node])
    return chosen, value[0]


@pytest.mark.parametrize("most", [1, 40, 1 << 22])
@pytest.mark.parametrize("seed", range(12))
def test_the_best_of_a_diagram_is_that_of_a_walk_node_by_node(seed, most, monkeypatch):
    monkeypatch.setattr("graphfuse.rules.heaviest.MOST", most)  # what is looked at together, a row at least
    rng = random.Random(seed)
    clauses = [frozenset(rng.choice((1, -1)) * k for k in rng.sample(range(1, 10), 3)) for _ in range(14)]
    diagram = Layered.of(build(clauses, [], Budget()))
    usual = torch.randn(3, len(diagram.labels), generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    logits = torch.cat([usual, 80 * usual, usual.round(), 0 * usual, 1e20 * usual.round()])
    logits[0, seed % 5], logits[1, seed % 4] = torch.inf, -torch.inf  # which may allow nothing
    off, on = odds(logits)
    chosen, value = diagram.best(off, on)
    wanted = [by_nodes(diagram, *own) for own in zip(off.unbind(1), on.unbind(1))]
    assert value.tolist() == [own for _, own in wanted]  # to the last bit
    assert chosen.t().tolist() == [own for own, _ in wanted]


def test_clauses_of_several_lengths_are_looked_at_together():
    text = "hard a: x | y | z\nhard b: ~x | ~u | v | w | ~p\nhard c: p -> q\nhard d: ~u | q\nhard e: y | u | v | ~q"
    rules = RuleSet.parse(text, list("xyzuvwpq"))
    assert [tuple(each.shape) for each in rules._exact.compiled.clauses] == [(5, 5)]
    every = made.worlds(8)
    assert rules.holds(every).equal(~rules.violations(every).any(1))
    for left_out in text.split("\n"):
        fewer = RuleSet.parse("\n".join(line for line in text.split("\n") if line != left_out), list("xyzuvwpq"))
        assert fewer.holds(every).equal(~fewer.violations(every).any(1))
        assert not fewer.holds(every).equal(rules.holds(every)), left_out


def test_many_short_clauses_are_not_made_long():
    clauses = [frozenset((-at, -(at + 1))) for at in range(1, 60)] + [frozenset(range(1, 61))]
    assert [(len(own), len(own[0])) for own in _rows(clauses, 60)] == [(1, 60), (59, 2)]
