"""Rules that say nothing, or nothing that one before them does not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphfuse.rules.normal import Clauses, Tree
from graphfuse.rules.rule import Rule
from graphfuse.rules.units import parts_of


def redundant(rules: Sequence[Rule], trees: Sequence[Tree]) -> Iterator[tuple[Rule, str]]:
    """Each such rule, and what is to be said of it; ``trees``: the rules as :func:`graphfuse.rules.normal.tree_of`."""
    said = dict[Tree, str]()  # what hard rules said so far, and by which
    every = [parts_of([tree]) for tree in trees]
    known = Clauses(clause for clauses, _ in every for clause in clauses)
    for rule, (clauses, rest) in zip(rules, every):
        earlier = [next((said[one] for one in known.inside(clause)), None) for clause in clauses]
        earlier += [said.get(one) for one in rest]
        if not earlier:
            yield rule, "is true whatever the labels are"
        elif rule.hard and all(earlier):
            yield rule, f"says nothing that {', '.join(map(repr, dict.fromkeys(earlier)))} does not say"
        if rule.hard:
            for one in (*clauses, *rest):
                said.setdefault(one, rule.name)
            for clause in clauses:
                known.add(clause)
