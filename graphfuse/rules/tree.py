"""Rules of two labels each that join labels to a tree, answered exactly by messages from its leaves to its root.

Source: belief propagation, Pearl 1982, "Reverend Bayes on inference engines: a distributed hierarchical approach".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphfuse.rules.exact import NEVER, either
from graphfuse.rules.normal import Clause

Sides = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Level:
    """How the ``m`` labels of a level limit the labels of the level above.

    Places count the labels of a level that are false and then, once more, those that are true.

    Attributes:
        forced: Places of this level, and places above with which they have to be: ``[2, F]``.
        free: Labels of this level, and places above with which they may be either: ``[2, R]``.
        never: Places above with which a label can be neither.
    """

    forced: Tensor
    free: Tensor
    never: Tensor


@dataclass(frozen=True, eq=False)
class Branched:
    """Over a tree of labels, level by level from one in the middle of its longest path.

    Attributes:
        labels: Level by level.
        sizes: How many labels each level has; the first has one.
        levels: All but the first.
        count: How many assignments are allowed.
    """

    labels: tuple[int, ...]
    sizes: tuple[int, ...]
    levels: tuple[Level, ...]
    count: int
    name: str = "tree"

    @classmethod
    def of(cls, clauses: Sequence[Clause]) -> Branched | None:
        """Of clauses of two literals that join all their labels; ``None`` where they do so in more ways than one."""
        barred = dict[Sides, set[tuple[bool, bool]]]()  # of two labels, which pairs of truth values are not allowed
        for clause in clauses:
            one, other = sorted(clause, key=abs)
            barred.setdefault((abs(one) - 1, abs(other) - 1), set()).add((one < 0, other < 0))
        near = dict[int, list[int]]()
        for left, right in barred:
            near.setdefault(left, []).append(right)
            near.setdefault(right, []).append(left)
        if len(barred) != len(near) - 1:
            return None
        both = barred | {(right, left): {(b, a) for a, b in pairs} for (left, right), pairs in barred.items()}
        order, sizes, above = _from_the_middle(near)
        levels, models, start = list[list[list[Sides]]](), [[1, 1] for _ in order], len(order)
        place = {label: at for at, label in enumerate(order)}
        for size, upper in zip(reversed(sizes[1:]), reversed(sizes[:-1])):
            start -= size
            forced, free, never = list[Sides](), list[Sides](), list[Sides]()
            for at in range(start, start + size):
                parent = above[order[at]]
                up = place[parent] - (start - upper)
                for true in (False, True):
                    may = [own for own in (False, True) if (true, own) not in both[parent, order[at]]]
                    into = up + upper * true
                    if len(may) == 2:
                        free.append((at - start, into))
                    else:
                        (forced if may else never).append((at - start + size * (may == [True]), into))
                    models[place[parent]][true] *= sum(models[at][own] for own in may)
            levels.append([forced, free, never])
        with torch.inference_mode(False):  # what is made under it could not be used in training
            made = [[torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t() for pairs in level] for level in levels]
            found = tuple(Level(forced, free, never[1]) for forced, free, never in reversed(made))
        return cls(tuple(order), tuple(sizes), found, sum(models[0]))

    def total(self, off: Tensor, on: Tensor) -> Tensor:
        """By sums from the leaves up; its gradient by what flows down from the root."""
        total: Tensor = _Total.apply(self, off, on)
        return total

    def plainly(self, off: Tensor, on: Tensor) -> Tensor:
        """The same in operations that can be differentiated again and again."""
        root = self.values(off, on, either)[0]
        return either(root[0, 0], root[1, 0])

    def values(self, off: Tensor, on: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
        """Of each level what a label and all below it weigh if it is false, and if it is true: ``[2, m, B]``."""
        own = torch.stack([off, on]).split(self.sizes, 1)
        found = [own[-1]]
        for level, upper in zip(reversed(self.levels), reversed(own[:-1])):
            below = found[-1]
            into, value = upper.flatten(0, 1), below.flatten(0, 1)
            forced, free = level.forced.to(off.device), level.free.to(off.device)
            into = into.index_add(0, forced[1], value.index_select(0, forced[0]))
            if free.numel():
                into = into.index_add(0, free[1], join(below[0], below[1]).index_select(0, free[0]))
            if level.never.numel():
                into = into.index_add(
                    0, level.never.to(off.device), into.new_full((len(level.never), into.shape[1]), NEVER)
                )
            found.append(into.unflatten(0, (2, -1)))
        return found[::-1]

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """By maxima from the leaves up, then down along what was larger; of equals false is taken, the root first."""
        values = self.values(off, on, torch.maximum)
        chosen = [values[0][1] > values[0][0]]  # [m, B]
        for level, value in zip(self.levels, values[1:]):
            above = torch.cat([~chosen[-1], chosen[-1]])  # whether it came so, of each place
            forced = level.forced.to(off.device)
            larger = value[1] > value[0]
            must = above.new_zeros(2 * len(larger), above.shape[1], dtype=torch.long)
            must = must.index_add(0, forced[0], above.index_select(0, forced[1]).long()) > 0
            false, true = must.unflatten(0, (2, -1)).unbind()
            chosen.append(torch.where(false | true, true, larger))
        return torch.cat(chosen), values[0].amax((0, 1))

    def models(self) -> int:
        """Counted with the tree."""
        return self.count


class _Total(torch.autograd.Function):
    """A few operations a level: what autograd would keep of each costs more than the operation."""

    @staticmethod
    def forward(ctx: Any, tree: Branched, off: Tensor, on: Tensor) -> Tensor:
        ctx.save_for_backward(off, on)
        values = tree.values(off, on, torch.logaddexp)
        ctx.tree, ctx.more = tree, torch.cat([value[1] - value[0] for value in values])
        return torch.logaddexp(values[0][0, 0], values[0][1, 0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        off, on = ctx.saved_tensors
        tree = ctx.tree
        if torch.is_grad_enabled():  # of which a gradient is wanted too
            return None, *torch.autograd.grad(tree.plainly(off, on), (off, on), grad, create_graph=True)
        shares = ctx.more.sigmoid().split(tree.sizes)  # of what may be either, how much is true
        true = grad * shares[0]
        flows = [torch.stack([grad - true, true])]
        for level, share in zip(tree.levels, shares[1:]):
            above = flows[-1].flatten(0, 1)
            forced, free = level.forced.to(off.device), level.free.to(off.device)
            either = torch.zeros_like(share).index_add_(0, free[0], above.index_select(0, free[1]))
            true = either * share
            flow = torch.cat([either - true, true])
            flows.append(flow.index_add_(0, forced[0], above.index_select(0, forced[1])).unflatten(0, (2, -1)))
        return None, *torch.cat(flows, 1).unbind()


def _from_the_middle(near: dict[int, list[int]]) -> tuple[list[int], list[int], dict[int, int]]:
    """Labels level by level from one in the middle of a longest path, how many a level has, and what is above each."""
    end = _levels(near, min(near))[0][-1]
    order, _, above = _levels(near, end)
    path = [order[-1]]
    while path[-1] != end:
        path.append(above[path[-1]])
    return _levels(near, min(path[(len(path) - 1) // 2], path[len(path) // 2]))


def _levels(near: dict[int, list[int]], root: int) -> tuple[list[int], list[int], dict[int, int]]:
    level, above = [root], {root: root}
    order, sizes = list[int](), list[int]()
    while level:
        order += level
        sizes.append(len(level))
        following = list[int]()
        for label in level:
            for other in near[label]:
                if other not in above:
                    above[other] = label
                    following.append(other)
        level = following
    return order, sizes, above
