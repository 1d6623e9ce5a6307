"""Rules in normal form: clauses and counts where they are that, and trees of literals where they are not.

A literal is a whole number as in DIMACS: ``i + 1`` says that atom ``i`` is true, ``-(i + 1)`` that it is false. A tree
is a literal, ``True``, ``False`` or a tuple: ``("and", parts)``, ``("or", parts)``, ``("iff", (a, b))``,
``("count", parts, low, high)`` or ``("not", (count,))``. No part of a tree stands in it twice because of how it was
made, so that what walks over it takes no longer than what was written.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product
from typing import Any

from graphfuse.rules.atoms import Atom
from graphfuse.rules.expression import And, Count, Expression, Iff, Implies, Not, Or

Tree = Any
Clause = frozenset[int]
CLAUSES = 64
"""A rule that would be more clauses than this stays a tree."""
LOOKED_AT = 2_000
"""With how many clauses one is compared, to see whether they imply it: what is found is a gain, and no more."""


def tree_of(says: Expression, place: Mapping[Atom, int], true: bool = True) -> Tree:
    """An expression, or what it denies, as a tree; ``place``: the number of each atom."""
    match says:
        case Atom():
            return place[says] + 1 if true else -(place[says] + 1)
        case Not(of):
            return tree_of(of, place, not true)
        case Implies(left, right):
            return joined("or" if true else "and", [tree_of(left, place, not true), tree_of(right, place, true)])
        case Iff(left, right):
            return same(tree_of(left, place), tree_of(right, place, true))
        case And(parts) | Or(parts):
            either = isinstance(says, Or) == true
            return joined("or" if either else "and", [tree_of(part, place, true) for part in parts])
        case Count(low, high, parts):
            found = counted(tuple(tree_of(part, place) for part in parts), low, high)
            return found if true else denied(found)
    raise TypeError(f"{type(says).__name__} cannot stand inside a rule.")


def joined(kind: str, parts: Iterable[Tree]) -> Tree:
    """``"and"`` or ``"or"`` of some trees, in short."""
    deciding, found = kind == "or", dict[Tree, None]()
    for part in parts:
        if isinstance(part, bool):
            if part == deciding:
                return deciding
        elif isinstance(part, tuple) and part[0] == kind:
            found |= dict.fromkeys(part[1])
        else:
            found[part] = None
    if any(isinstance(part, int) and -part in found for part in found):
        return deciding
    if not found:
        return not deciding
    return next(iter(found)) if len(found) == 1 else (kind, tuple(found))


def same(left: Tree, right: Tree) -> Tree:
    """Both or none."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, bool):
            return other if one else denied(other)
    if left == right:
        return True
    opposed = isinstance(left, int) and isinstance(right, int) and left == -right
    return False if opposed else ("iff", (left, right))


def counted(parts: tuple[Tree, ...], low: int, high: int) -> Tree:
    """From ``low`` to ``high`` of the parts, in short."""
    sure = sum(part is True for part in parts)
    return _counted(tuple(part for part in parts if not isinstance(part, bool)), low - sure, high - sure)


def _counted(parts: tuple[Tree, ...], low: int, high: int) -> Tree:
    low, high = max(low, 0), min(high, len(parts))
    if low > high:
        return False
    if low == 0 and high == len(parts):
        return True
    if low == len(parts):
        return joined("and", parts)
    if high == 0:
        return joined("and", map(denied, parts))
    if low == 1 and high == len(parts):
        return joined("or", parts)
    if low == 0 and high == len(parts) - 1:
        return joined("or", map(denied, parts))
    return "count", parts, low, high


def denied(tree: Tree) -> Tree:
    """What is true where a tree is not."""
    if isinstance(tree, bool):
        return not tree
    if isinstance(tree, int):
        return -tree
    kind, parts = tree[:2]
    if kind in ("and", "or"):
        return joined("or" if kind == "and" else "and", map(denied, parts))
    if kind == "iff":
        return same(parts[0], denied(parts[1]))
    if kind == "not":
        return parts[0]
    if tree[2] == 0:
        return _counted(parts, tree[3] + 1, len(parts))
    return _counted(parts, 0, tree[2] - 1) if tree[3] == len(parts) else ("not", (tree,))


def given(tree: Tree, literal: int, known: dict[Any, Tree]) -> Tree:
    """What is left of a tree where a literal is true; ``known``: what was found before."""
    if isinstance(tree, bool):
        return tree
    if isinstance(tree, int):
        return tree == literal if abs(tree) == abs(literal) else tree
    if tree[0] == "count" and all(type(part) is int for part in tree[1]):  # many, and quickly done
        hits = tree[1].count(literal)
        left = tuple(part for part in tree[1] if part != literal and part != -literal)
        return tree if len(left) == len(tree[1]) else _counted(left, tree[2] - hits, tree[3] - hits)
    name = tree, literal
    if name not in known:
        parts = tuple(given(part, literal, known) for part in tree[1])
        if parts == tree[1] and not any(isinstance(part, bool) for part in parts):  # True equals 1, a literal
            known[name] = tree
        else:
            known[name] = _again(tree, parts)
    return known[name]


def _again(tree: Tree, parts: tuple[Tree, ...]) -> Tree:
    """A tree with other parts, in short."""
    if tree[0] == "not":
        return denied(parts[0])
    if tree[0] == "iff":
        return same(*parts)
    return counted(parts, *tree[2:]) if tree[0] == "count" else joined(tree[0], parts)


def renumbered(tree: Tree, to: Mapping[int, int | bool]) -> Tree:
    """A tree over other atoms, in short; ``to``: of each literal that is no denial the new one, or its truth."""
    if isinstance(tree, bool):
        return tree
    if isinstance(tree, int):
        return to[tree] if tree > 0 else denied(to[-tree])
    return _again(tree, tuple(renumbered(part, to) for part in tree[1]))


def labels_in(tree: Tree) -> Iterator[int]:
    """The labels that a tree speaks of, some often."""
    if isinstance(tree, tuple):
        for part in tree[1]:
            yield from labels_in(part)
    elif not isinstance(tree, bool):
        yield abs(tree) - 1


def clauses_of(tree: Tree, most: int = CLAUSES) -> list[Clause] | None:
    """A tree as clauses, or ``None`` where it counts or would be more than ``most``."""
    if isinstance(tree, bool):
        return [] if tree else [frozenset()]
    if isinstance(tree, int):
        return [frozenset([tree])]
    kind, parts = tree[:2]
    if kind in ("count", "not"):
        return None
    if kind == "iff":
        if not all(isinstance(part, int) for part in parts):
            return None
        kind, parts = "and", (joined("or", [parts[0], denied(parts[1])]), joined("or", [denied(parts[0]), parts[1]]))
    each = [clauses_of(part, most) for part in parts]
    if any(own is None for own in each):
        return None
    if kind == "and":
        found = [clause for own in each if own is not None for clause in own]
        return found if len(found) <= most else None
    many = 1
    for own in each:
        many *= len(own or [])
    if many > most:
        return None
    found = [frozenset[int]().union(*pick) for pick in product(*(own for own in each if own is not None))]
    return shortened(clause for clause in found if not any(-literal in clause for literal in clause))


def shortened(clauses: Iterable[Clause]) -> list[Clause]:
    """Without those that another one implies by itself."""
    each = sorted(set(clauses), key=lambda each: (len(each), sorted(each)))
    kept, known = list[Clause](), Clauses(each)
    for clause in each:
        if next(known.inside(clause), None) is None:
            kept.append(clause)
            known.add(clause)
    return kept


class Clauses:
    """Clauses in which those are found that imply another: each under the literal of it that fewest of all have."""

    def __init__(self, every: Iterable[Clause]):
        self.often = Counter(literal for clause in every for literal in clause)
        self.under = defaultdict[int, list[Clause]](list)

    def add(self, clause: Clause) -> None:
        """Adds one, which is one of those that it was made with."""
        self.under[min(clause, key=lambda literal: (self.often[literal], literal), default=0)].append(clause)

    def inside(self, clause: Clause) -> Iterator[Clause]:
        """Those added that imply it, among the first :data:`LOOKED_AT` that may."""
        near = (other for literal in (0, *clause) if literal in self.under for other in self.under[literal])
        return (other for other in islice(near, LOOKED_AT) if other <= clause)
