"""Rules that say nothing, cannot hold, or say nothing that one before them does not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from math import factorial
from time import monotonic

from graphfuse.rules.atoms import Atom, Differ, renamed
from graphfuse.rules.compiled import never
from graphfuse.rules.diagram import Budget
from graphfuse.rules.lifted import Lifted
from graphfuse.rules.margin import LARGEST
from graphfuse.rules.normal import Clauses, Tree, denied
from graphfuse.rules.rule import Rule
from graphfuse.rules.units import parts_of

NAMED = 10_000
"""Atoms that are written at most, to find the order of variables in which rules are compared."""


def redundant(
    rules: Sequence[Rule], lifted: Sequence[Lifted], trees: Mapping[int, Tree], budget: Budget
) -> Iterator[tuple[Rule, str]]:
    """Each such rule, and what is to be said of it.

    A rule over single rows is held against the clauses of hard ones before it, any other one, and a soft one, against
    the same written before: up to the names of variables and the order of parts. What is observed is taken as free.

    Args:
        rules: All.
        lifted: The same, as they are used.
        trees: Of those over single rows, by their places, as :func:`graphfuse.rules.normal.tree_of`.
        budget: What the diagram of one may take that has a label twice, up to :data:`LARGEST`, and all together.
    """
    said = dict[Tree, str]()  # what hard rules over single rows said so far, and by which
    every = {at: parts_of([tree]) for at, tree in trees.items()}
    known = Clauses(clause for clauses, _ in every.values() for clause in clauses)
    written, until = dict[tuple[str, bool], str](), monotonic() + budget.seconds
    limit = Budget(min(budget.nodes, LARGEST.nodes), min(budget.seconds, LARGEST.seconds))
    for at, (rule, own) in enumerate(zip(rules, lifted)):
        clauses, rest = every.get(at, ([], []))
        earlier = [next((said[one] for one in known.inside(clause)), None) for clause in clauses]
        earlier += [said.get(one) for one in rest]
        whole = "" if rule.hard and at in every else alike(own)
        again = [written[whole, hard] for hard in (True, False)[: 2 - rule.hard] if (whole, hard) in written]
        if what := _by_itself(own, limit, until):
            yield rule, what
        elif earlier and all(earlier):
            yield rule, f"says nothing that {', '.join(map(repr, dict.fromkeys(earlier)))} does not say"
        elif again and rule.hard:
            yield rule, f"says nothing that {again[0]!r} does not say"
        elif again:
            yield rule, f"says what {again[0]!r} says, so both weigh together"
        if whole:
            written.setdefault((whole, rule.hard), rule.name)
        elif rule.hard:
            for one in (*clauses, *rest):
                said.setdefault(one, rule.name)
            for clause in clauses:
                known.add(clause)


def _by_itself(rule: Lifted, limit: Budget, until: float) -> str:
    """What is to be said of a rule that is always true or never; empty of others, and after that ``monotonic()``."""
    if monotonic() > until:
        return ""
    count = len(rule.atoms)
    if never(denied(rule.whole), count, limit):
        return "is true whatever the labels are"
    if never(rule.whole, count, limit):
        return "" if rule.hard else "can never hold"  # of a hard one it is an error
    return "cannot hold where it says anything" if rule.guard and never(rule.body, count, limit) else ""


def alike(rule: Lifted) -> str:
    """What a rule says, written so that it is the same of rules that differ in names of variables and order of parts.

    Of the orders of variables the one of which that is the least; where there are very many, only their own.
    """
    many, own = len(rule.variables), range(len(rule.variables))
    orders = permutations(own) if factorial(many) * len(rule.atoms) <= NAMED else [tuple(own)]
    names = ("", *map(str, range(1, many)))
    each = ({variable: names[at] for variable, at in zip(rule.variables, order)} for order in orders)
    return min(f"{rule.every} {_text(rule.whole, [_named(atom, to) for atom in rule.atoms])}" for to in each)


def _named(atom: Atom, to: Mapping[str, str]) -> str:
    atom = renamed(atom, to)
    return str(Differ(*sorted(atom.variables)) if isinstance(atom, Differ) else atom)


def _text(tree: Tree, atoms: Sequence[str]) -> str:
    if isinstance(tree, bool):
        return str(tree)
    if isinstance(tree, int):
        return f"~{atoms[-tree - 1]}" if tree < 0 else atoms[tree - 1]
    return f"{tree[0]}{tree[2:]}({', '.join(sorted(_text(part, atoms) for part in tree[1]))})"
