"""Rules of two labels each that join labels to a tree, answered exactly by messages from its leaves to its root.

Source: belief propagation, Pearl 1982, "Reverend Bayes on inference engines: a distributed hierarchical approach".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from graphfuse.rules.exact import NEVER, either
from graphfuse.rules.normal import Clause

TRUE, EITHER, NEITHER = 1, 2, 3
"""What a label may be where the one above it is known; 0 is false."""


@dataclass(frozen=True, eq=False)
class Level:
    """What the ``m`` labels of a level may be; those below the same one of the ``M`` labels above stand together.

    Attributes:
        parent: The place of the one above, in its level: ``[m]``.
        starts: Of each one above the first that it is above of: ``[M]``.
        may: What each may be if the one above is false, and if it is true: ``[2, m]``.
        source: The same as a row of what :meth:`Branched.values` joins: ``[2 m]``.
        flows: For false, true and either the row above that leads to it, ``[3 m]``; the last, of zeros, if none does.
        more: Where a second one does too, it; ``None`` where none has two.
    """

    parent: Tensor
    starts: Tensor
    may: Tensor
    source: Tensor
    flows: Tensor
    more: Tensor | None

    @classmethod
    def of(cls, parent: Sequence[int], may: Sequence[Sequence[int]], above: int) -> Level:
        """Of ``above`` labels in the level above."""
        many, up, kinds = len(parent), torch.tensor(parent), torch.tensor(may).t()
        source = torch.where(kinds == NEITHER, 3 * many, kinds * many + torch.arange(many))
        rows = torch.stack([up, up + above]).where(kinds != NEITHER, 2 * above)
        first, second = (torch.full((3, many), 2 * above) for _ in range(2))
        for true in (1, 0):
            at = kinds[true].clamp(max=EITHER), torch.arange(many)
            second[at] = first[at]
            first[at] = rows[true]
        more = second.flatten() if (second < 2 * above).any() else None
        return cls(up, torch.searchsorted(up, torch.arange(above)), kinds, source.flatten(), first.flatten(), more)

    def to(self, device: torch.device) -> Level:
        """On a device."""
        parts = ((part.name, getattr(self, part.name)) for part in fields(self))
        moved: dict[str, Any] = {name: own if own is None else own.to(device) for name, own in parts}
        return replace(self, **moved)


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
        may, near = _may(clauses), dict[int, list[int]]()
        for left, right in may:
            near.setdefault(left, []).append(right)
        if len(may) != 2 * (len(near) - 1):
            return None
        order, sizes, above = _from_the_middle(near)
        levels, models, start = list[Level](), [[1, 1] for _ in order], len(order)
        place = {label: at for at, label in enumerate(order)}
        for size, upper in zip(reversed(sizes[1:]), reversed(sizes[:-1])):
            start -= size
            parents = [above[label] for label in order[start : start + size]]
            own = [may[pair] for pair in zip(parents, order[start:])]
            for at, (parent, each) in enumerate(zip(parents, own), start):
                for true in (0, 1):
                    models[place[parent]][true] *= sum(models[at][value] for value in each[true])
            kinds = [[EITHER if len(values) == 2 else sum(values) if values else NEITHER for values in each]
                     for each in own]  # fmt: skip
            with torch.inference_mode(False):  # what is made under it could not be used in training
                levels.append(Level.of([place[parent] - start + upper for parent in parents], kinds, upper))
        return cls(tuple(order), tuple(sizes), tuple(reversed(levels)), sum(models[0]))

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
        found, never = [own[-1]], off.new_full((1, 1, off.shape[1]), NEVER)
        for level, upper in zip(reversed(self.on(off.device)), reversed(own[:-1])):
            below = found[-1]
            all_ = torch.cat([below.flatten(0, 1), join(below[0], below[1]), never[0]])
            said = all_.index_select(0, level.source).unflatten(0, (2, -1))
            found.append(upper + torch.stack([_summed(each, level) for each in said]))
        return found[::-1]

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """By maxima from the leaves up, then down along what was larger; of equals false is taken, the root first."""
        values = self.values(off, on, torch.maximum)
        larger = [value[1] > value[0] for value in values]
        chosen = larger[:1]
        for level, own in zip(self.on(off.device), larger[1:]):
            may = torch.where(chosen[-1].index_select(0, level.parent), level.may[1][:, None], level.may[0][:, None])
            chosen.append((may == TRUE) | (may == EITHER) & own)
        return torch.cat(chosen), values[0].amax((0, 1))

    def on(self, device: torch.device) -> tuple[Level, ...]:
        """The levels, on a device."""
        return self.levels if device.type == "cpu" else tuple(level.to(device) for level in self.levels)

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
        zero = grad.new_zeros(1, len(grad))
        for level, share in zip(tree.on(off.device), shares[1:]):
            above = torch.cat([flows[-1].flatten(0, 1), zero])
            led = above.index_select(0, level.flows)
            if level.more is not None:
                led += above.index_select(0, level.more)
            false, true, free = led.unflatten(0, (3, -1)).unbind()
            more = free * share
            flows.append(torch.stack([false + free - more, true + more]))
        return None, *torch.cat(flows, 1).unbind()


def _summed(said: Tensor, level: Level) -> Tensor:
    """What is said to each label above, ``[m, B] -> [M, B]``."""
    if said.requires_grad:  # of what is quick below there is no second derivative
        return said.new_zeros(len(level.starts), said.shape[1]).index_add(0, level.parent, said)
    every = torch.arange(len(said), device=said.device)
    return torch.nn.functional.embedding_bag(every, said, level.starts, mode="sum")


def _may(clauses: Iterable[Clause]) -> dict[tuple[int, int], list[list[int]]]:
    """Of a label and one that a clause joins it with: what that may be if the first is false, and if it is true."""
    found = dict[tuple[int, int], list[list[int]]]()
    for clause in clauses:
        for one, other in permutations(sorted(clause, key=abs)):
            own = found.setdefault((abs(one) - 1, abs(other) - 1), [[0, 1], [0, 1]])
            own[one < 0] = [value for value in own[one < 0] if value != (other < 0)]
    return found


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
