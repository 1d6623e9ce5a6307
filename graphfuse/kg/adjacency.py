"""Which edges stand at which node, as compressed rows of numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Adjacency:
    """The edges at every node: first those that leave it, then those that arrive, each by edge number.

    The slots of ``node`` are ``start[node]:start[node + 1]``; those from ``middle[node]`` on arrive. An edge from a
    node to itself stands there once, as one that leaves.

    Shape: ``start [N + 1]``, ``middle [N]``, ``edge [S]``, ``other [S]`` (the node at the far end), ``forward [S]``.
    """

    start: Ints
    middle: Ints
    edge: Ints
    other: Ints
    forward: Bools

    @classmethod
    def of(cls, heads: Ints, tails: Ints, size: int) -> "Adjacency":
        """The adjacency of edges ``heads[i] -> tails[i]`` among ``size`` nodes."""
        back = np.flatnonzero(heads != tails)
        here = np.concatenate([heads, tails[back]])  # [S]
        order = np.argsort(here, kind="stable")
        leaving = np.bincount(heads, minlength=size)
        start = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=size))]).astype(np.int64)
        return cls(
            start,
            start[:-1] + leaving,
            np.concatenate([np.arange(len(heads)), back])[order],
            np.concatenate([tails, heads[back]])[order],
            order < len(heads),
        )

    def steps(self, nodes: Ints) -> "Steps":
        """The steps out of ``nodes``, along edges that leave and against edges that arrive, node after node."""
        return Steps.between(self.start[nodes], self.start[nodes + 1])

    def leaving(self, nodes: Ints) -> Ints:
        """The edges that leave ``nodes``, node after node."""
        return self.edge[Steps.between(self.start[nodes], self.middle[nodes]).slot]


@dataclass(frozen=True, eq=False)
class Steps:
    """Runs of slots laid end to end.

    Shape: all ``[S]``: the slot, the number of its run, how many slots the run has, how many of those stand before it.
    """

    slot: Ints
    owner: Ints
    count: Ints
    rank: Ints

    @classmethod
    def between(cls, begin: Ints, end: Ints) -> "Steps":
        """The slots ``begin[0]:end[0]``, then ``begin[1]:end[1]``, and so on."""
        count = end - begin
        owner = np.repeat(np.arange(len(count)), count)
        rank = np.arange(len(owner)) - (np.cumsum(count) - count)[owner]
        return cls(begin[owner] + rank, owner, count[owner], rank)


def rank_in_group(keys: Ints) -> tuple[Ints, Ints]:
    """For each of ``keys [E]``: how many equal it, and how many of those stand before it."""
    _, group, size = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    rank = np.empty(len(keys), dtype=np.int64)
    rank[order] = np.arange(len(keys)) - (np.cumsum(size) - size)[group[order]]
    return size[group], rank


def first_of_each(values: Ints) -> Ints:
    """The places at which the distinct ``values`` come first, ascending."""
    return np.sort(np.unique(values, return_index=True)[1])
