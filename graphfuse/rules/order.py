"""Clauses of two literals as implications among labels, some of them flipped, where they can be read so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from graphfuse.rules.levels import Ints, heights
from graphfuse.rules.normal import Clause

REDUCED = 20_000
"""Groups beyond which edges that follow from others are kept: to find these takes the square of it in bits."""


@dataclass(frozen=True, eq=False)
class Order:
    """Which groups of labels imply which; no group implies itself through others.

    Attributes:
        labels: The labels, ``n`` of them.
        flipped: Of each whether it is its being false that implies and is implied, ``bool [n]``.
        group: Of each its group, ``[n]``: labels that imply each other.
        child: Groups that imply, ``[E]``.
        parent: Groups that they imply, ``[E]``.
    """

    labels: tuple[int, ...]
    flipped: npt.NDArray[np.bool_]
    group: Ints
    child: Ints
    parent: Ints

    @property
    def groups(self) -> int:
        """How many there are."""
        return int(self.group.max()) + 1

    @classmethod
    def of(cls, clauses: Sequence[Clause]) -> Order | None:
        """Of clauses of two literals that join all their labels; ``None`` where they say more than implications can."""
        labels = sorted({abs(literal) - 1 for clause in clauses for literal in clause})
        flipped = _flipped(clauses)
        if flipped is None:
            return None
        place = {label: at for at, label in enumerate(labels)}
        pairs = list[tuple[int, int]]()
        for clause in clauses:
            one, other = clause
            if (one > 0) != flipped[abs(one) - 1]:
                one, other = other, one
            pairs.append((place[abs(one) - 1], place[abs(other) - 1]))
        group, child, parent = _condensed(np.array(pairs).T, len(labels))
        return cls(tuple(labels), np.array([flipped[label] for label in labels]), group, child, parent)

    def clauses(self) -> list[Clause]:
        """As few clauses as say the same: those of a group in a ring, of groups between the first labels of each."""
        members: list[list[int]] = [[] for _ in range(self.groups)]
        for label, flipped, group in zip(self.labels, self.flipped.tolist(), self.group.tolist()):
            members[group].append(-(label + 1) if flipped else label + 1)
        found = [
            frozenset(pair)
            for own in members
            for left, right in pairwise(own)
            for pair in ((-left, right), (left, -right))
        ]
        between = zip(self.child.tolist(), self.parent.tolist())
        return found + [frozenset((-members[child][0], members[parent][0])) for child, parent in between]


def _flipped(clauses: Sequence[Clause]) -> dict[int, bool] | None:
    """Which labels have to be flipped for each clause to have a literal of each sign; ``None`` where that cannot be."""
    near = dict[int, list[tuple[int, bool]]]()
    for clause in clauses:
        one, other = clause
        alike = (one > 0) == (other > 0)
        near.setdefault(abs(one) - 1, []).append((abs(other) - 1, alike))
        near.setdefault(abs(other) - 1, []).append((abs(one) - 1, alike))
    first = min(near)
    found, waiting = {first: False}, [first]
    while waiting:
        label = waiting.pop()
        for other, alike in near[label]:
            if other not in found:
                found[other] = found[label] != alike
                waiting.append(other)
            elif found[other] != (found[label] != alike):
                return None
    return found


def _condensed(edges: Ints, count: int) -> tuple[Ints, Ints, Ints]:
    """The group of each node, and edges between groups that do not follow from others."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    graph = csr_array((np.ones(edges.shape[1], np.int8), (edges[0], edges[1])), shape=(count, count))
    groups, group = connected_components(graph, connection="strong")
    group = group.astype(np.int64)
    child, parent = np.unique(group[edges[:, group[edges[0]] != group[edges[1]]]], axis=1)
    if groups > REDUCED:
        return group, child, parent
    above: list[list[int]] = [[] for _ in range(groups)]
    for low, high in zip(child.tolist(), parent.tolist()):
        above[low].append(high)
    implied, kept = [0] * groups, list[tuple[int, int]]()  # as bits
    for node in np.argsort(heights(parent.tolist(), child.tolist(), groups), kind="stable").tolist():
        far = 0
        for high in above[node]:
            far |= implied[high]
        for high in above[node]:
            if not far >> high & 1:
                kept.append((node, high))
                implied[node] |= 1 << high
        implied[node] |= far
    child, parent = np.array(kept, dtype=np.int64).reshape(-1, 2).T
    return group, child, parent
