"""How far the raw scores of several rows are from changing what they make of a rule that may join them, in logits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from graphfuse.rules.diagram import TooLargeError, parted
from graphfuse.rules.facts import Facts
from graphfuse.rules.lifted import Ground, Lifted, groups_of
from graphfuse.rules.margin import Margins
from graphfuse.rules.normal import Tree, counted, denied, joined, labels_in, renumbered
from graphfuse.rules.together import spelt
from graphfuse.rules.truth import truth

MOST = 20_000
"""Of as many groundings it is found what it costs to change them together."""
AT_ONCE = 2**22
"""Logits of groundings that are looked at at once."""


@dataclass(frozen=True, eq=False)
class JointMargins:
    """Margins of rules over the cells of some rows; a *cell* is a label of a row, a place in the flattened logits.

    Attributes:
        logits: ``float64 [N, L]``.
        raw: What they say by themselves, ``bool [N, L]``.
        single: Whether an answer has exactly one label a row: what has others is no answer that a margin is about, and
            a logit is the half of what it costs to change a row.
        kept: What is made ready for single groundings.
        until: The ``monotonic()`` after which no diagram is begun.
        together: What is made ready for cells that groundings join.
    """

    logits: Tensor
    raw: Tensor
    single: bool
    kept: Margins
    until: float
    together: Margins = field(default_factory=lambda: Margins(0))

    def of(self, rule: Lifted, grounds: Sequence[Ground], facts: Facts | None) -> float | None:
        """As ``RuleResult.margin``, of all rows together.

        A rule for all things breaks where its cheapest grounding does; it comes to hold where all groundings do that
        share cells with broken ones. That something exists is the other way round, group by group.

        Returns:
            ``None`` where a diagram of a grounding, or of cells that groundings join, is beyond
            :data:`graphfuse.rules.margin.LARGEST` or the time; or more than :data:`MOST` would have to change together.
        """
        try:
            return self._every(grounds) if rule.every else self._some(rule, grounds, facts)
        except TooLargeError:
            return None

    def _every(self, grounds: Sequence[Ground]) -> float:
        if not all(bool(self._true(ground).all()) for ground in grounds):
            return -self._jointly(grounds)
        return min((self._least(ground, denied(ground.tree)) for ground in grounds), default=math.inf)

    def _some(self, rule: Lifted, grounds: Sequence[Ground], facts: Facts | None) -> float:
        many = len(groups_of(facts, self.logits).unique())
        parts = [own for own in rule.apart(grounds, facts, self.logits) if own]
        if len(parts) < many:  # nothing is there that it could be true of
            return -math.inf
        if lacks := [own for own in parts if not any(bool(self._true(ground).any()) for ground in own)]:
            return -math.fsum(min(self._least(ground, ground.tree) for ground in own) for own in lacks)
        return min((self._jointly([replace(ground, tree=denied(ground.tree)) for ground in own]) for own in parts),
                   default=math.inf)  # fmt: skip

    def _true(self, ground: Ground) -> Tensor:
        return truth(ground.tree, ground.take(self.raw).t())

    def _least(self, ground: Ground, wanted: Tree) -> float:
        """The least cost at which what is wanted is true of one of some groundings."""
        rows, least = ground.rows[list(ground.of)], math.inf  # [S, G]
        for alike, own in _patterns(rows, self.single):
            for part in own.split(max(1, AT_ONCE // max(2 * len(rows), self.logits.shape[1], 1))):
                columns = [(at, rows[place, part], column)
                           for place, (at, column) in enumerate(zip(alike, ground.columns))]  # fmt: skip
                least = min(least, float(self.kept.least(*self._beside(wanted, columns), self.until).min()))
        return least

    def _jointly(self, grounds: Sequence[Ground]) -> float:
        """The least cost at which what groundings say is true of all of them."""
        if any(ground.tree is False for ground in grounds):
            return math.inf
        if sum(map(len, grounds)) > MOST:
            raise TooLargeError
        labels, cost = self.logits.shape[1], 0.0
        trees = [tree for ground in grounds for tree in spelt(ground, labels)]
        true = torch.cat([self._true(ground) for ground in grounds]).tolist()
        said = [[cell // labels if self.single else cell for cell in labels_in(tree)] for tree in trees]
        root, parts = parted(said), dict[int, list[int]]()
        for place, cells in enumerate(said):
            parts.setdefault(root[cells[0]], []).append(place)
        alike = dict[tuple[Tree, tuple[int, ...], tuple[int, ...]], list[Sequence[int]]]()
        for places in parts.values():
            if not all(true[place] for place in places):  # else nothing has to change there
                cells = sorted({cell for place in places for cell in labels_in(trees[place])})
                number = {cell + 1: at for at, cell in enumerate(cells, 1)}
                wanted = joined("and", (renumbered(trees[place], number) for place in places))
                rows, columns = zip(*(divmod(cell, labels) for cell in cells))
                first = {row: at for at, row in reversed(list(enumerate(rows)))}
                alike.setdefault((wanted, tuple(first[row] for row in rows), columns), []).append(rows)
        for (wanted, same, columns), each in alike.items():
            said_of = zip(same, torch.tensor(each).unbind(1), columns)
            cost += float(self.together.least(*self._beside(wanted, list(said_of)), self.until).sum())
        return cost

    def _beside(self, wanted: Tree, columns: Sequence[tuple[int, Tensor, int]]) -> tuple[Tree, Tensor]:
        """What is wanted of some labels and, where one label a row is true, that it is; and their logits ``[G, n]``.

        The labels of a row that are not spoken of are one, with the best of their logits.

        Args:
            wanted: Its literal ``i`` is the ``i``-th of the columns.
            columns: Of each label a number that is the same where rows are, the rows ``[G]``, and its column.
        """
        values = [self.logits[rows, column] for _, rows, column in columns]
        if not self.single or not columns:
            return wanted, torch.stack(values, 1) if values else self.logits.new_zeros(1, 0)
        ones, places = list[Tree](), dict[int, list[int]]()
        for place, (row, _, _) in enumerate(columns):
            places.setdefault(row, []).append(place)
        for own in places.values():
            rest = self.logits[columns[own[0]][1]].index_fill(
                1, torch.tensor([columns[at][2] for at in own]), -math.inf
            )
            literals = [at + 1 for at in own]
            if len(own) == 1 < rest.shape[1]:  # it is true, or the best of the others is
                values[own[0]] = values[own[0]] - rest.amax(1)
                continue
            if len(own) < rest.shape[1]:
                values.append(rest.amax(1))
                literals.append(len(values))
            ones.append(counted(tuple(literals), 1, 1))
        return joined("and", [wanted, *ones]), torch.stack(values, 1)


def _patterns(rows: Tensor, single: bool) -> Iterator[tuple[Sequence[int], Tensor]]:
    """Groundings ``[S, G]`` by which of their labels are of one row: of each label the first of the same row, and the
    groundings' places. Where labels are independent that is no matter."""
    every = torch.arange(rows.shape[1])
    if not single or not len(rows):
        yield range(len(rows)), every
        return
    first = (rows[:, None] == rows[None]).int().argmax(1)  # [S, G]
    kinds, of = first.unique(dim=1, return_inverse=True)
    for number, kind in enumerate(kinds.t().tolist()):
        yield kind, every[of == number]
