"""What rules say of cells, parted into components, of which those that are alike are made ready once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from graphfuse.core.errors import InputError
from graphfuse.core.graph import Ints
from graphfuse.rules.compiled import Compiled, contradiction
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import Layered
from graphfuse.rules.lifted import Lifted, named_rows
from graphfuse.rules.normal import Tree, renumbered

KINDS, SIZE, SMALL = 20_000, 20_000_000, 15_000
"""As many trees, and about as many numbers of what is made of components, are kept for the next batch; what is made of
one takes ``SMALL`` beside its own, as it is many small tensors."""


class ImpossibleError(InputError):
    """Hard rules cannot hold of some rows, of which one is told."""

    def __init__(self, what: str, row: int):
        super().__init__(what)
        self.row = row


class Said(NamedTuple):
    """What groundings say that say the same of their cells: a kind of :class:`Shapes`, and ``int64 [G, S]``."""

    kind: int
    cells: Ints


@dataclass(frozen=True, eq=False)
class Shapes:
    """Components of any batch made ready: those of one shape say the same of their cells, in the order of these.

    Attributes:
        budget: What one may take.
        source: Where the rules are from, for errors.
        kinds: Number of what a rule says of cells in turn, literals ``1`` to ``S``.
        made: Shape -> what it says, as found so far.
        held: How many numbers that is, about.
    """

    budget: Budget
    source: str
    kinds: dict[tuple[Lifted, Tree, int], int] = field(default_factory=dict, repr=False)
    made: dict[bytes, Compiled] = field(default_factory=dict, repr=False)
    held: list[int] = field(default_factory=list, repr=False)

    def begin(self) -> None:
        """Before each batch: forgets all if it has become much."""
        if len(self.kinds) > KINDS or sum(self.held) > SIZE:
            for each in (self.kinds, self.made, self.held):
                each.clear()

    def __reduce__(self) -> tuple[type[Shapes], tuple[Budget, str]]:
        return type(self), (self.budget, self.source)  # a copy, also in another process, begins empty

    def kind(self, rule: Lifted, tree: Tree, cells: int) -> int:
        """The number of what a rule says of so many cells."""
        return self.kinds.setdefault((rule, tree, cells), len(self.kinds))

    def compiled(self, shape: bytes, cells: Ints, labels: int) -> Compiled:
        """What components say of cells ``[M, n]``, made ready.

        Raises:
            InputError: That cannot hold, and of which rows; or it is beyond the budget.
        """
        if shape not in self.made:
            with torch.inference_mode(False):  # what is made under it could not be used in training
                self.made[shape] = self._compiled(*self._spelt(shape), cells[0], labels)
            self.held[:] = [sum(self.held) + SMALL + 2 * _size(self.made[shape])]
        return self.made[shape]

    def _spelt(self, shape: bytes) -> tuple[list[Tree], list[Lifted]]:
        """All that is said of a component over its cells, literals from 1, and which rules say it."""
        words, every = np.frombuffer(shape, dtype=np.int32).tolist(), list(self.kinds)
        trees, whose, at = list[Tree](), list[Lifted](), 0
        while at < len(words):
            rule, tree, many = every[words[at]]
            trees.append(renumbered(tree, {slot: words[at + slot] + 1 for slot in range(1, many + 1)}))
            whose.append(rule)
            at += 1 + many
        return trees, whose

    def _compiled(self, said: Sequence[Tree], whose: Sequence[Lifted], cells: Ints, labels: int) -> Compiled:
        try:
            compiled = Compiled.of(said, len(cells), self.budget, solver=True)
            if isinstance(compiled, Compiled):
                return compiled
            core = [whose[at].name for at in contradiction(said, compiled, len(cells), self.budget)]
        except TooLargeError:
            limit = f"{self.budget.nodes} nodes and {self.budget.seconds:g} s"
            raise InputError(f"{self.source}: what hard rules say of rows together is beyond a budget of {limit}; give "
                             "RuleSet a larger one, install graphfuse[solver] for answers without totals, or make "
                             "rules soft.") from None  # fmt: skip
        rows, named = torch.from_numpy(cells // labels), list(dict.fromkeys(core))
        at_once = "at once " * (len(named) > 1)
        raise ImpossibleError(f"{', '.join(named)}: cannot hold {at_once}for the facts of {named_rows(rows)}.",
                              int(rows[0]))  # fmt: skip


def alike(said: Sequence[Said], count: int) -> Iterator[tuple[bytes, Ints]]:
    """Each shape of the components of ``count`` cells that something is said of, and these: ``int64 [M, n]``.

    A shape is, kind by kind and in the order of cells, all that is said: the kind, and of which cells of the component,
    which are numbered from 0, ascending.
    """
    said = sorted((own for own in said if len(own.cells)), key=lambda own: own.kind)
    if not said:
        return
    root = _roots([own.cells for own in said], count)
    used = np.flatnonzero(root >= 0)
    of = np.zeros(count, dtype=np.int64)  # the component of each cell
    of[used] = np.unique(root[used], return_inverse=True)[1]
    order = used[np.argsort(of[used], kind="stable")]
    sizes = np.bincount(of[used])
    first = sizes.cumsum() - sizes
    place = np.zeros(count, dtype=np.int64)
    place[order] = np.arange(len(order)) - first[of[order]]
    words, whose = list[Ints](), list[Ints]()
    for kind, cells in said:
        own = cells[np.lexsort(cells.T[::-1])]
        words.append(np.concatenate([np.full((len(own), 1), kind), place[own]], 1).ravel())
        whose.append(of[own[:, 0]].repeat(1 + own.shape[1]))
    component = np.concatenate(whose)
    text = np.concatenate(words)[np.argsort(component, kind="stable")].astype(np.int32).tobytes()
    ends = (4 * np.bincount(component, minlength=len(sizes)).cumsum()).tolist()
    found = dict[bytes, list[int]]()
    for at, (begin, end) in enumerate(zip([0, *ends], ends)):
        found.setdefault(text[begin:end], []).append(at)
    for shape, like in found.items():
        yield shape, order[first[like][:, None] + np.arange(sizes[like[0]])]


def _roots(groups: Sequence[Ints], count: int) -> Ints:
    """Of each of ``count`` cells the smallest that it is joined with by groups ``[G, S]``; -1 where it is in none."""
    root, met = np.arange(count), np.zeros(count, dtype=bool)
    for each in groups:
        met[each.ravel()] = True
    left = np.concatenate([each[:, 0].repeat(each.shape[1] - 1) for each in groups])
    right = np.concatenate([each[:, 1:].ravel() for each in groups])
    while True:
        one, other = root[left], root[right]
        apart = one != other
        if not apart.any():
            return np.where(met, root, -1)
        left, right = left[apart], right[apart]
        np.minimum.at(root, np.maximum(one, other)[apart], np.minimum(one, other)[apart])
        while not np.array_equal(higher := root[root], root):
            root = higher


def _size(compiled: Compiled) -> int:
    """How many numbers it takes, about."""
    return sum(sum(own.numel() for own in method.follows) if isinstance(method, Layered) else 10 * len(method.labels)
               for method in compiled.methods)  # fmt: skip
