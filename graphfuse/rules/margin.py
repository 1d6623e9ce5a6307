"""How far the raw scores of a sample are from changing what they make of a rule, in logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from time import monotonic

import torch
from torch import Tensor

from graphfuse.rules.compiled import Compiled
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import NEVER, odds
from graphfuse.rules.normal import Tree, denied, labels_in

LARGEST = Budget(20_000, 2.0)
"""What the diagram of one rule may take here: a margin is no guarantee that is worth a wait."""


@dataclass(frozen=True, eq=False)
class Margins:
    """Margins of rules over ``count`` labels; the diagrams that some need are kept from sample to sample."""

    count: int
    built: dict[Tree, Compiled | set[int] | None] = field(default_factory=dict)

    def of(self, tree: Tree, row: Sequence[float], until: float) -> float | None:
        """By how much the log weight of the best answer in which a rule holds exceeds that of the best where it fails.

        One of the two is the raw scores themselves; so the size is the least sum of ``|logit|`` whose flipping changes
        whether the rule holds, and the sign says whether it does. What evidence would have to change for is infinite.

        Args:
            tree: The rule, as :func:`graphfuse.rules.normal.tree_of`.
            row: The logit of each label; above 0 is true.
            until: The ``monotonic()`` after which no diagram is begun.

        Returns:
            ``None`` where a label occurs twice, so that a diagram is needed, and :data:`LARGEST` or the time is too
            little.
        """
        try:
            true, cost = _change(tree, row, lambda wanted: self._jointly(wanted, row, until))
        except TooLargeError:
            return None
        return cost if true else -cost

    def _jointly(self, wanted: Tree, row: Sequence[float], until: float) -> float:
        """The least sum of ``|logit|`` to flip so that a tree is true."""
        return float(self.least(wanted, torch.tensor([row], dtype=torch.double), until))

    def least(self, wanted: Tree, logits: Tensor, until: float) -> Tensor:
        """The least sum of ``|logit|`` to flip in each row so that a tree is true, ``[B, n] -> float64 [B]``.

        Raises:
            TooLargeError: It takes a diagram beyond :data:`LARGEST`, or one that is not there when the time is up.
        """
        if isinstance(wanted, bool):
            return logits.new_full((len(logits),), 0.0 if wanted else math.inf, dtype=torch.double)
        if wanted not in self.built:
            if monotonic() > until:
                raise TooLargeError
            try:
                self.built[wanted] = Compiled.of([wanted], self.count, LARGEST)
            except TooLargeError:
                self.built[wanted] = None
        compiled = self.built[wanted]
        if compiled is None:
            raise TooLargeError
        return to_flip(compiled, logits)


def to_flip(compiled: Compiled | set[int], logits: Tensor) -> Tensor:
    """The least sum of ``|logit|`` to flip in each row so that all holds, ``[B, n] -> float64 [B]``."""
    if isinstance(compiled, set):
        return logits.new_full((len(logits),), math.inf, dtype=torch.double)
    cost = logits.new_zeros(len(logits), dtype=torch.double)
    with torch.no_grad():
        for method in compiled.methods:
            value = method.best(*odds(logits[:, list(method.labels)]))[1]
            cost += torch.where(value < NEVER / 2, math.inf, -value)
    return cost


def _change(tree: Tree, row: Sequence[float], jointly: Callable[[Tree], float]) -> tuple[bool, float]:
    """Whether the raw scores make a tree true, and the least cost of the opposite.

    What has to hold of several parts at once is a sum if no label is in two of them, else what ``jointly`` says.
    """
    if isinstance(tree, bool):
        return tree, math.inf
    if isinstance(tree, int):
        logit = row[abs(tree) - 1]
        return (logit > 0) == (tree > 0), abs(logit)
    kind, parts = tree[:2]
    each = [_change(part, row, jointly) for part in parts]
    if kind == "not":
        return not each[0][0], each[0][1]
    if kind in ("and", "or"):
        deciding = kind == "or"  # one such part decides
        turned = [cost for true, cost in each if true == deciding]
        if not turned:
            return not deciding, min(cost for _, cost in each)
        # The parts that do not decide stay as they are, unless they share a label with one that turns.
        return deciding, sum(turned) if _disjoint(parts) else jointly(denied(tree) if deciding else tree)
    if kind == "iff":
        true = each[0][0] == each[1][0]
        return true, min(each[0][1], each[1][1]) if _disjoint(parts) else jointly(denied(tree) if true else tree)
    low, high = tree[2:]
    many = sum(true for true, _ in each)
    holds = low <= many <= high
    if not _disjoint(parts):
        return holds, jointly(denied(tree) if holds else tree)
    if holds:
        return True, min(_moved(each, many, low - 1), _moved(each, many, high + 1))
    return False, _moved(each, many, low if many < low else high)


def _moved(each: Sequence[tuple[bool, float]], many: int, to: int) -> float:
    """The least cost of having ``to`` parts true where ``many`` are."""
    if not 0 <= to <= len(each):
        return math.inf
    return sum(nsmallest(abs(to - many), (cost for true, cost in each if true == (to < many))))


def _disjoint(parts: Sequence[Tree]) -> bool:
    """Whether no label is in two parts."""
    if all(type(part) is int for part in parts):
        return len(set(map(abs, parts))) == len(parts)
    own = [set(labels_in(part)) for part in parts]
    return len(set().union(*own)) == sum(map(len, own))
