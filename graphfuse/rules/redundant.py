"""Rules that say nothing, or nothing that one before them does not say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from graphfuse.rules.language import Rule
from graphfuse.rules.normal import Clause, Tree
from graphfuse.rules.units import parts_of


def redundant(rules: Sequence[Rule], trees: Sequence[Tree]) -> Iterator[tuple[Rule, str]]:
    """Each such rule, and what is to be said of it; ``trees``: the rules as :func:`graphfuse.rules.normal.tree_of`."""
    said = dict[Tree, str]()  # what hard rules said so far, and by which
    under = defaultdict[int, list[Clause]](list)  # of those the clauses, under their smallest literal
    for rule, tree in zip(rules, trees):
        clauses, rest = parts_of([tree])
        earlier = [next((said[one] for literal in clause for one in under[literal] if one <= clause), None)
                   for clause in clauses] + [said.get(one) for one in rest]  # fmt: skip
        if not earlier:
            yield rule, "is true whatever the labels are"
        elif rule.hard and all(earlier):
            yield rule, f"says nothing that {', '.join(map(repr, dict.fromkeys(earlier)))} does not say"
        if rule.hard:
            for one in (*clauses, *rest):
                said.setdefault(one, rule.name)
            for clause in clauses:
                under[min(clause, default=0)].append(clause)
