"""Hard rules made ready once: parted into components, each with the method that answers it exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import monotonic

import torch
from torch import Tensor

from graphfuse.rules.count import Counted
from graphfuse.rules.diagram import MANY, Budget, TooLargeError, build, parted
from graphfuse.rules.exact import Layered, Method
from graphfuse.rules.implications import Implied
from graphfuse.rules.normal import Clause, Tree, labels_in
from graphfuse.rules.order import Order
from graphfuse.rules.solved import Solved
from graphfuse.rules.tree import Branched
from graphfuse.rules.truth import truth
from graphfuse.rules.units import parts_of, propagated

SMALL = 2_000
"""Nodes of a diagram that is quicker than a cut, and knows totals too."""
REPEATED = 100
"""Literals that take no longer to look at than clauses of a length of their own."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """Some constraints over ``count`` labels.

    Attributes:
        methods: One a component; labels of none are free.
        clauses: What has to hold, by how many literals: places in the true labels and then the false ones, ``[C, m]``.
            Of one that is shorter than those it stands with the last literal is repeated.
        trees: What has to hold beside them.
    """

    count: int
    methods: tuple[Method, ...]
    clauses: tuple[Tensor, ...]
    trees: tuple[Tree, ...]

    @cached_property
    def places(self) -> Tensor | None:
        """The labels of all methods, one after the other, ``[N]``; ``None`` where they are all there are, in order."""
        labels = [label for method in self.methods for label in method.labels]
        with torch.inference_mode(False):
            return None if labels == list(range(self.count)) else torch.tensor(labels, dtype=torch.long)

    def taken(self, logits: Tensor) -> Sequence[Tensor]:
        """What each method is about, label after label: ``[B, count] -> float64 [n, B]`` each."""
        own = logits.t() if self.places is None else logits.t().index_select(0, self.places.to(logits.device))
        each: Sequence[Tensor] = own.to(torch.double, memory_format=torch.contiguous_format).split(
            [len(method.labels) for method in self.methods]
        )
        return each

    @classmethod
    def of(cls, constraints: Iterable[Tree], count: int, budget: Budget, solver: bool = False) -> Compiled | set[int]:
        """All that have to hold at once, or the labels of a component in which they cannot.

        A component that cannot hold is found also where another one takes more than the budget. With ``solver`` one
        that takes more is answered by a solver, which knows no totals, if there is one.

        Raises:
            TooLargeError: A component takes more than the budget, and none is known not to hold.
        """
        clauses, trees = parts_of(constraints)
        if frozenset() in clauses:
            return set()
        root = _joined(clauses, trees)
        left = propagated(clauses, trees)
        if isinstance(left, int):
            return {label for label in root if root[label] == root[left]}
        fixed, some, rest = left
        methods, large = [_fixed(sorted(fixed, key=abs))] if fixed else list[Method](), False
        for own in _components(some, rest):
            try:
                method = _method(*own, budget, solver)
            except TooLargeError:
                large = True
                continue
            if method is None:
                first = root[next(iter(_joined(*own)))]
                return {label for label in root if root[label] == first}
            methods.append(method)
        if large:
            raise TooLargeError
        with torch.inference_mode(False):  # as what is made under it could not be used in training
            return cls(count, tuple(methods), tuple(map(torch.tensor, _rows(clauses, count))), tuple(trees))

    def holds(self, answers: Tensor) -> Tensor:
        """Whether answers ``bool [B, L]`` satisfy all of it, ``bool [B]``: by looking at them, not by how they came."""
        good = answers.new_ones(len(answers))
        if self.clauses:
            own = answers.t().contiguous()
            both = torch.cat([own, ~own]).view(torch.uint8)  # of which extremes are quicker to find
            for literals in self.clauses:
                taken = both.index_select(0, literals.to(both.device).view(-1))
                good &= taken.unflatten(0, literals.shape).amax(1).amin(0).bool()  # [C, m, B]
        for tree in self.trees:
            good &= truth(tree, answers)
        return good


def _joined(clauses: Sequence[Clause], trees: Sequence[Tree]) -> dict[int, int]:
    return parted([*([abs(literal) - 1 for literal in clause] for clause in clauses), *map(labels_in, trees)])


def _components(clauses: Sequence[Clause], trees: Sequence[Tree]) -> list[tuple[list[Clause], list[Tree]]]:
    """What joins the labels of each component, the smallest first."""
    root = _joined(clauses, trees)
    own: dict[int, tuple[list[Clause], list[Tree]]] = {label: ([], []) for label in sorted(set(root.values()))}
    for clause in clauses:
        own[root[abs(next(iter(clause))) - 1]][0].append(clause)
    for tree in trees:
        own[root[next(labels_in(tree))]][1].append(tree)
    return sorted(own.values(), key=lambda each: len(each[0]) + len(each[1]))


def _fixed(literals: Sequence[int]) -> Method:
    """Of literals that are all true."""
    labels, wanted = (abs(literal) - 1 for literal in literals), (literal > 0 for literal in literals)
    return Counted(tuple(labels), tuple(wanted), len(literals), len(literals))


def _method(clauses: Sequence[Clause], trees: Sequence[Tree], budget: Budget, solver: bool) -> Method | None:
    if not clauses and len(trees) == 1 and trees[0][0] == "count":
        _, parts, low, high = trees[0]
        if all(isinstance(part, int) for part in parts) and len(set(map(abs, parts))) == len(parts):
            return Counted(tuple(abs(part) - 1 for part in parts), tuple(part > 0 for part in parts), low, high)
    if not trees and all(len(clause) == 2 for clause in clauses):
        tree = Branched.of(clauses)
        if tree is not None:
            return tree if tree.models() else None
        order = Order.of(clauses)
        if order is not None:
            return _ordered(order, budget)
    try:
        diagram = build(clauses, trees, budget)
    except TooLargeError:
        if not solver:
            raise
        return Solved.of(clauses, trees, budget)
    return None if diagram is None else Layered.of(diagram)


def _ordered(order: Order, budget: Budget) -> Method:
    """A tree if nothing but edges that follow from others kept it from being one; a diagram if a small one will do."""
    clauses = order.clauses()
    tree = Branched.of(clauses)
    if tree is not None:
        return tree
    try:
        diagram = (
            build(clauses, [], Budget(min(SMALL, budget.nodes), budget.seconds)) if len(order.labels) <= MANY else None
        )
    except TooLargeError:
        diagram = None
    return Implied.of(order, budget) if diagram is None else Layered.of(diagram)


def _rows(clauses: Iterable[Clause], count: int) -> list[list[list[int]]]:
    """Where the literals of clauses are, those of one length together, and with longer ones if that repeats few."""
    lengths, found = dict[int, list[list[int]]](), list[list[list[int]]]()
    for clause in clauses:
        lengths.setdefault(len(clause), []).append([_place(literal, count) for literal in sorted(clause)])
    for length in sorted(lengths, reverse=True):
        own, longer = lengths[length], len(found[-1][0]) if found else length
        if found and (longer - length) * len(own) <= REPEATED:
            found[-1] += [row + row[-1:] * (longer - length) for row in own]
        else:
            found.append(own)
    return found


def _place(literal: int, count: int) -> int:
    return literal - 1 if literal > 0 else count - literal - 1


def never(tree: Tree, count: int, budget: Budget) -> bool:
    """Whether a tree is false whatever its labels are; where that is beyond the budget, it is not known to be.

    Where each label is in it once, that is seen at once.
    """
    if isinstance(tree, bool):
        return not tree
    labels = list(labels_in(tree))
    try:
        return len(set(labels)) < len(labels) and isinstance(Compiled.of([tree], count, budget), set)
    except TooLargeError:
        return False


def contradiction(constraints: Sequence[Tree], among: set[int], count: int, budget: Budget) -> list[int]:
    """The places of constraints that cannot hold at once, of which none can be left out.

    Ever smaller runs of them are left out, as long as the rest cannot hold either; what is beyond the budget stays.

    Args:
        constraints: All.
        among: Labels among which they cannot hold; empty if one is false by itself.
        count: Of all labels.
        budget: What one trial may take.
    """
    kept = [place for place, tree in enumerate(constraints) if not among or not among.isdisjoint(labels_in(tree))]
    run, until = max(1, len(kept) // 2), monotonic() + budget.seconds

    def impossible(some: Sequence[int]) -> bool:
        try:
            return isinstance(Compiled.of([constraints[place] for place in some], count, budget, solver=True), set)
        except TooLargeError:
            return False

    while True:
        at = 0
        while at < len(kept) and monotonic() < until:
            fewer = kept[:at] + kept[at + run :]
            if impossible(fewer):
                kept = fewer
            else:
                at += run
        if run == 1 or monotonic() > until:
            return kept
        run //= 2
