"""What follows from rules that say of one label what it is: no method needs to know these labels any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from graphfuse.rules.normal import Clause, Tree, clauses_of, given, labels_in, shortened


def propagated(clauses: Sequence[Clause], trees: Sequence[Tree]) -> tuple[set[int], list[Clause], list[Tree]] | int:
    """Literals that have to be true, and what is left to satisfy of the other labels; or a label that cannot be either.

    By unit propagation: not all that follows is found so.
    """
    true, left, waiting = set[int](), list(clauses), list(trees)
    while any(len(clause) == 1 for clause in left):
        found = _true(left)
        if isinstance(found, int):
            return found
        new, left = found
        true |= new
        rest, known, more = list[Tree](), dict[object, Tree](), list[Clause]()
        for tree in waiting:
            now = tree
            for label in sorted({label for label in labels_in(tree) if label + 1 in new or -(label + 1) in new}):
                now = given(now, label + 1 if label + 1 in new else -(label + 1), known)
            if now is False:
                return next(labels_in(tree))
            own, same = parts_of([now])
            more += own
            rest += same
        left, waiting = shortened([*left, *more]) if more else left, list(dict.fromkeys(rest))
    return true, left, waiting


def parts_of(constraints: Iterable[Tree]) -> tuple[list[Clause], list[Tree]]:
    """Clauses, none of which another implies, and what is none."""
    clauses, trees = list[Clause](), dict[Tree, None]()
    waiting = list(constraints)
    while waiting:
        tree = waiting.pop()
        own = clauses_of(tree)
        if own is not None:
            clauses += own
        elif isinstance(tree, tuple) and tree[0] == "and":
            waiting += tree[1]
        else:
            trees[tree] = None
    return shortened(clauses), list(trees)


def _true(clauses: Sequence[Clause]) -> tuple[set[int], list[Clause]] | int:
    """Literals that are true by what clauses say of one, and the clauses that are left; or a label that is both."""
    inside = defaultdict[int, list[int]](list)
    for number, clause in enumerate(clauses):
        for literal in clause:
            inside[literal].append(number)
    left = list[Clause | None](clauses)
    waiting, true = [next(iter(clause)) for clause in clauses if len(clause) == 1], set[int]()
    while waiting:
        literal = waiting.pop()
        if -literal in true:
            return abs(literal) - 1
        if literal in true:
            continue
        true.add(literal)
        for number in inside[literal]:
            left[number] = None
        for number in inside[-literal]:
            longer = left[number]
            if longer is not None:
                shorter = longer - {-literal}
                left[number] = shorter
                if not shorter:
                    return abs(literal) - 1
                if len(shorter) == 1:
                    waiting.append(next(iter(shorter)))
    return true, [clause for clause in left if clause is not None]
