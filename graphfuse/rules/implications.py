"""Rules that say of pairs of labels that one implies the other, in any graph: the best answer by a minimum cut."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.cut import heaviest
from graphfuse.rules.diagram import Budget, TooLargeError, build
from graphfuse.rules.exact import Layered
from graphfuse.rules.levels import Ints, heights
from graphfuse.rules.order import Order

Steps = tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True, eq=False)
class Implied:
    """Over implications among groups of labels that are all alike.

    Attributes:
        order: The implications.
        upward: Those of children that stand equally high, the lowest first: child and parent.
        downward: Those of parents that stand equally low, the highest first: parent and child.
        budget: What the diagram may take that totals and marginals need.
    """

    order: Order
    upward: Steps
    downward: Steps
    budget: Budget
    name: str = "implications"

    @classmethod
    def of(cls, order: Order, budget: Budget) -> Implied:
        """Of implications without a cycle."""
        child, parent, groups = order.child, order.parent, order.groups
        with torch.inference_mode(False):  # what is made under it could not be used in training
            upward, downward = _steps(child, parent, groups), _steps(parent, child, groups)
            return cls(order, upward, downward, budget)

    @property
    def labels(self) -> tuple[int, ...]:
        """The places of the labels."""
        return self.order.labels

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """By bounds first, which settle most groups, and a minimum cut for the others.

        Of equals the one with the fewest true labels, or, of those that are flipped, false ones.
        """
        flipped = torch.from_numpy(self.order.flipped).to(off.device)[:, None]
        group = torch.from_numpy(self.order.group).to(off.device)
        gain = torch.where(flipped, off - on, on - off)
        weight = gain.new_zeros(self.order.groups, gain.shape[1]).index_add_(0, group, gain)
        bound = self._bounds(weight)
        true = bound > 0
        open_ = bound.isfinite()
        if open_.any():
            true[open_] = self._cut(weight, open_)
        chosen = true[group] != flipped
        return chosen, torch.where(chosen, on, off).sum(0)

    def total(self, off: Tensor, on: Tensor) -> Tensor:
        """By a diagram, if one is within the budget.

        Raises:
            InputError: None is.
        """
        return self._diagram.total(*self._layers(off, on))

    def models(self) -> int:
        """By a diagram, if one is within the budget.

        Raises:
            InputError: None is.
        """
        return self._diagram.models()

    def _bounds(self, weight: Tensor) -> Tensor:
        """Infinite where a group is settled, ``[G, B]``: above zero where it is true, below where it is false.

        A group is false if it brings nothing, even if all below it that bring something come along and each parent of
        these counts them for itself; it is true if it brings more than all above it that cost something, counted so.
        What these settle is known to the next round.
        """
        bound, left = weight, weight.numel() + 1
        upward, downward = (_on(steps, weight.device) for steps in (self.upward, self.downward))
        while True:
            below = _swept(bound, upward, low=0.0)
            bound = bound.masked_fill(below <= 0, -torch.inf).masked_fill(below == torch.inf, torch.inf)
            above = _swept(bound, downward, high=0.0)
            bound = bound.masked_fill(above > 0, torch.inf).masked_fill(above == -torch.inf, -torch.inf)
            before, left = left, int(bound.isfinite().sum())
            if left > 0.9 * before or not left:  # what is above the last that were found true is too
                return bound.masked_fill(_swept(bound, upward, low=0.0) == torch.inf, torch.inf)

    def _cut(self, weight: Tensor, open_: Tensor) -> Tensor:
        """What is true of the groups that are open."""
        free = open_.t().cpu().numpy()  # [B, G]
        number = np.cumsum(free).reshape(free.shape) - 1
        row, edge = np.nonzero(free[:, self.order.child] & free[:, self.order.parent])
        child, parent = number[row, self.order.child[edge]], number[row, self.order.parent[edge]]
        chosen = np.zeros(free.shape, np.bool_)
        chosen[free] = heaviest(weight.t().cpu().numpy()[free], np.nonzero(free)[0], child, parent)
        return torch.from_numpy(chosen).t().to(weight.device)[open_]

    @cached_property
    def _diagram(self) -> Layered:
        found = self._within_budget
        if found is None:
            budget = f"{self.budget.nodes} nodes and {self.budget.seconds:g} s"
            raise InputError(f"Totals, marginals and counts of {len(self.labels)} labels, some with more than one "
                             f"parent, are beyond a budget of {budget}; give RuleSet a larger one, or use answer and "
                             "loss, which work without.")  # fmt: skip
        return found

    @cached_property
    def _within_budget(self) -> Layered | None:
        """Sought once, also where there is none."""
        try:
            found = build(self.order.clauses(), [], self.budget)
        except TooLargeError:
            return None
        assert found is not None
        return Layered.of(found)

    def _layers(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        place = {label: at for at, label in enumerate(self.labels)}
        order = torch.tensor([place[label] for label in self._diagram.labels], device=off.device)
        return off[order], on[order]


def _swept(value: Tensor, steps: Steps, low: float | None = None, high: float | None = None) -> Tensor:
    """Each value with all that was added to those it is led to from, clamped."""
    found = value.clone()
    for first, then in steps:
        found.index_add_(0, then, found.index_select(0, first).clamp_(low, high))
    return found


def _on(steps: Steps, device: torch.device) -> Steps:
    return steps if device.type == "cpu" else tuple((first.to(device), then.to(device)) for first, then in steps)


def _steps(first: Ints, then: Ints, count: int) -> Steps:
    height = heights(first.tolist(), then.tolist(), count)[first]
    return tuple((torch.from_numpy(first[height == level]), torch.from_numpy(then[height == level]))
                 for level in range(height.max(initial=-1) + 1))  # fmt: skip
