"""All assignments that satisfy some constraints, as a layered decision diagram.

Source: ordered binary decision diagrams, Bryant 1986, "Graph-based algorithms for Boolean function manipulation"; built
from the top, a layer a label, where states from which the same follows are one (Darwiche & Marquis 2002, section 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphfuse.rules.normal import Clause, Tree, given, labels_in

Ints = npt.NDArray[np.int64]


MANY = 500
"""Labels beyond which no order is sought that takes the square of their number to find."""


class TooLargeError(Exception):
    """A diagram would have more nodes, or take more time, than allowed."""


class Budget(NamedTuple):
    """What one diagram may take, and how many groundings one rule may have."""

    nodes: int = 300_000
    seconds: float = 20.0
    groundings: int = 20_000_000


@dataclass(frozen=True, eq=False)
class Diagram:
    """One layer a label; a node is what may still follow.

    Attributes:
        order: The label that each layer decides, ``n`` of them.
        false: Of each node of a layer the node of the next layer if the label is false, ``[W_layer]``; the number after
            the last where nothing may follow. After the last layer there is one node.
        true: If it is true.
    """

    order: tuple[int, ...]
    false: tuple[Ints, ...]
    true: tuple[Ints, ...]

    @property
    def nodes(self) -> int:
        """How many it has."""
        return sum(map(len, self.false))

    def models(self) -> int:
        """How many assignments satisfy all constraints."""
        below = [1, 0]
        for false, true in zip(reversed(self.false), reversed(self.true)):
            below = [*(below[a] + below[b] for a, b in zip(false.tolist(), true.tolist())), 0]
        return below[0]


def build(clauses: Sequence[Clause], trees: Sequence[Tree], budget: Budget) -> Diagram | None:
    """The diagram of all assignments of the labels that occur; ``None`` if there is none.

    Raises:
        TooLargeError: In each of the orders that were tried.
    """
    groups = [{abs(literal) - 1 for literal in clause} for clause in clauses] + [set(labels_in(t)) for t in trees]
    start = monotonic()
    until, orders = start + budget.seconds, list(_orders(groups, start + budget.seconds / 4))
    for nodes in (*(n for n in (2_000, 20_000) if n < budget.nodes), budget.nodes):
        best: Diagram | None = None
        for order in orders:
            try:
                found = _layers(order, clauses, trees, nodes, until)
            except TooLargeError:
                continue
            if found is None:
                return None
            if best is None or found.nodes < best.nodes:
                best = found
        if best is not None:
            return best
    raise TooLargeError


def _orders(groups: Sequence[set[int]], until: float) -> Iterator[tuple[int, ...]]:
    """Orders of the labels that keep together what meets, as good as they get in the time."""
    labels = sorted(set().union(*groups))
    yield tuple(labels)
    yield _centred(labels, groups, until)
    if len(labels) <= MANY:
        yield _narrow(labels, groups, until)


def _centred(labels: Sequence[int], groups: Sequence[set[int]], until: float) -> tuple[int, ...]:
    """Each label moved to the mean place of the groups it is in, again and again.

    Source: Aloul, Markov & Sakallah 2003, "FORCE: a fast and easy-to-implement variable-ordering heuristic".
    """
    place = {label: float(at) for at, label in enumerate(labels)}
    for _ in range(30):
        if monotonic() > until:
            break
        total, many = Counter[int](), Counter[int]()
        for group in groups:
            mean = sum(place[label] for label in group) / len(group)
            for label in group:
                total[label] += mean  # type: ignore[assignment]
                many[label] += 1
        order = sorted(labels, key=lambda label: (total[label] / many[label], label))
        if all(place[label] == at for at, label in enumerate(order)):
            break
        place = {label: float(at) for at, label in enumerate(order)}
    return tuple(sorted(labels, key=lambda label: place[label]))


def _narrow(labels: Sequence[int], groups: Sequence[set[int]], until: float) -> tuple[int, ...]:
    """Next is always the label after which the fewest groups are begun and not ended."""
    left, inside = set(labels), {label: list[int]() for label in labels}
    for g, group in enumerate(groups):
        for label in group:
            inside[label].append(g)
    rest, begun, order = [len(group) for group in groups], set[int](), list[int]()

    def cost(label: int) -> tuple[int, int, int]:
        new = sum(g not in begun and rest[g] > 1 for g in inside[label])
        return new - sum(g in begun and rest[g] == 1 for g in inside[label]), -len(inside[label]), label

    while left and monotonic() < until:
        near = {label for g in begun if rest[g] for label in groups[g]} & left
        label = min(near or left, key=cost)
        order.append(label)
        left.discard(label)
        begun.update(inside[label])
        for g in inside[label]:
            rest[g] -= 1
    return (*order, *sorted(left))


def _layers(
    order: Sequence[int], clauses: Sequence[Clause], trees: Sequence[Tree], nodes: int, until: float
) -> Diagram | None:
    """Layer after layer what is left to satisfy: of a clause a bit, once it is satisfied; of trees what is left."""
    at = {label: layer for layer, label in enumerate(order)}
    last = [max(at[abs(literal) - 1] for literal in clause) for clause in clauses]
    ends, satisfies = [0] * len(order), [[0, 0] for _ in order]
    for number, clause in enumerate(clauses):
        ends[last[number]] |= 1 << number
        for literal in clause:
            satisfies[at[abs(literal) - 1]][literal > 0] |= 1 << number
    spelt, speak = _Spelt(), dict[int, list[int]]()
    for place, tree in enumerate(trees):
        for label in set(labels_in(tree)):
            speak.setdefault(label, []).append(place)
    states: dict[tuple[int, tuple[int, ...]], int] = {(0, tuple(map(spelt.number, trees))): 0}
    layers, total = list[list[list[int]]](), 0
    for layer, label in enumerate(order):
        following, nexts = dict[tuple[int, tuple[int, ...]], int](), list[list[int]]()
        for done, left in states:
            if len(following) + total > nodes or (len(nexts) % 256 == 0 and monotonic() > until):
                raise TooLargeError
            nexts.append([])
            for true in (False, True):
                now = done | satisfies[layer][true]
                then = -1
                if not ends[layer] & ~now:
                    rest = spelt.rest(left, speak.get(label, ()), label + 1 if true else -(label + 1))
                    if rest is not None:
                        then = following.setdefault((now & ~ends[layer], rest), len(following))
                nexts[-1].append(then)
        total += len(following)
        layers.append(nexts)
        states = following
    return _merged(order, layers) if states else None


class _Spelt:
    """Trees by numbers, as a state of many is looked up often: 0 where one is satisfied, -1 where it is broken."""

    def __init__(self) -> None:
        self.numbers, self.trees = dict[Tree, int](), list[Tree]([True])
        self.follows, self.known = dict[tuple[int, int], int](), dict[Any, Tree]()

    def number(self, tree: Tree) -> int:
        if isinstance(tree, bool):
            return 0 if tree else -1
        if tree not in self.numbers:
            self.numbers[tree] = len(self.trees)
            self.trees.append(tree)
        return self.numbers[tree]

    def rest(self, left: tuple[int, ...], places: Sequence[int], literal: int) -> tuple[int, ...] | None:
        """What is left where a literal is true, of which some speak; ``None`` where one is broken."""
        found = list(left)
        for place in places:
            own = left[place], literal
            if own not in self.follows:
                self.follows[own] = self.number(given(self.trees[own[0]], literal, self.known))
            if self.follows[own] < 0:
                return None
            found[place] = self.follows[own]
        return tuple(found)


def _merged(order: Sequence[int], layers: Sequence[list[list[int]]]) -> Diagram | None:
    """With nodes from which the same follows made one, and without those that nothing reaches or follows."""
    below, made = [0], list[list[tuple[int, int]]]()  # of each state of the next layer its node, -1 where none is
    for nexts in reversed(layers):
        own, known = dict[tuple[int, int], int](), list[int]()
        for ends in nexts:
            pair = tuple(-1 if end < 0 else below[end] for end in ends)
            known.append(-1 if pair == (-1, -1) else own.setdefault((pair[0], pair[1]), len(own)))
        made.append(list(own))
        below = known
    if below[0] < 0:
        return None
    made.reverse()
    keep, false, true = [0], list[Ints](), list[Ints]()
    for nodes in made:
        pairs = [nodes[node] for node in keep]
        following = dict.fromkeys(end for pair in pairs for end in pair if end >= 0)
        number = {end: place for place, end in enumerate(following)} | {-1: len(following)}
        false.append(np.array([number[a] for a, _ in pairs], dtype=np.int64))
        true.append(np.array([number[b] for _, b in pairs], dtype=np.int64))
        keep = list(following)
    return Diagram(tuple(order), tuple(false), tuple(true))


def parted(groups: Iterable[Iterable[int]]) -> dict[int, int]:
    """Of each label that occurs the smallest one that it is joined with by groups, one after the other."""
    parent: dict[int, int] = {}

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    for group in groups:
        first = None
        for label in group:
            parent.setdefault(label, label)
            first = label if first is None else first
            one, other = sorted((root(first), root(label)))
            parent[other] = one
    return {label: root(label) for label in parent}
