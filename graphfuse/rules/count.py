"""How many of some labels are true, exactly: no clauses, however many labels there are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from graphfuse.rules.exact import LEAST, NEVER, USUAL, either, weights, within

PAIRED = 4
"""The highest degree up to which polynomials are multiplied in pairs."""
FOLDS = 3
"""So often small numbers are put together in pairs before a logarithm is taken."""


@dataclass(frozen=True, eq=False)
class Counted:
    """From ``low`` to ``high`` of some literals are true.

    Attributes:
        labels: Which.
        wanted: Whether each counts where its label is true, or where it is false.
    """

    labels: tuple[int, ...]
    wanted: tuple[bool, ...]
    low: int
    high: int
    name: str = "count"

    def total(self, off: Tensor, on: Tensor) -> Tensor:
        """By products of polynomials: coefficient ``k`` is what weighs all that have ``k`` true.

        Of one label at most by one sum; of low degree in pairs, which takes few steps; of high degree label after
        label, which takes few numbers.
        """
        lacks, has = self._literals(off, on)
        fewer, low, high = self._range()
        if fewer:
            lacks, has = has, lacks
        if high == 1 and bool((lacks > -USUAL).all()):  # the sum of all that are false is as precise as each
            none, one = lacks.sum(0), (has - lacks).logsumexp(0)
            return none + (one if low else either(torch.zeros_like(one), one))
        found = _in_turn(lacks, has, high) if high > PAIRED else _in_pairs(lacks, has, high)
        return reduce(either, found[low : high + 1].unbind())

    def of_logits(self, x: Tensor) -> Tensor | None:
        """:meth:`total` by logits ``[n, B]``, which is quicker; ``None`` if more than one counts or one is extreme."""
        fewer, low, high = self._range()
        if high != 1 or not within(x, USUAL):
            return None
        literals = self._facing(x)
        found: Tensor = _OneAtMost.apply(-literals if fewer else literals, low)
        return found

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """The literals that gain most, as many as gain at all and are allowed; of equals the earlier are true."""
        chosen = self._best(on - off)
        return chosen, torch.where(chosen, on, off).sum(0)

    def best_of_logits(self, x: Tensor) -> Tensor | None:
        """What :meth:`best` chooses by logits ``[n, B]``, which is quicker; ``None`` if one is evidence or as large."""
        return self._best(x) if within(x, -LEAST) else None

    def _best(self, gain: Tensor) -> Tensor:
        """By what labels gain where they are true."""
        gain = self._facing(gain)
        many = (gain > 0).sum(0).clamp(self.low, self.high) if self.low < self.high else None
        chosen = _most(gain, many, self.high)
        return chosen if all(self.wanted) else chosen == self._wanted(gain)

    def models(self) -> int:
        """By binomials."""
        return sum(math.comb(len(self.labels), k) for k in range(self.low, self.high + 1))

    def _wanted(self, like: Tensor) -> Tensor:
        return torch.tensor(self.wanted, device=like.device)[:, None]

    def _facing(self, x: Tensor) -> Tensor:
        """What is said of labels, of the literals."""
        return x if all(self.wanted) else torch.where(self._wanted(x), x, -x)

    def _literals(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of literals that are false, and true."""
        if all(self.wanted):
            return off, on
        wanted = self._wanted(on)
        return torch.where(wanted, off, on), torch.where(wanted, on, off)

    def _range(self) -> tuple[bool, int, int]:
        """Whether fewer are false than true, and how many are of those that are fewer."""
        many = len(self.labels)
        if many - self.low < self.high:
            return True, many - self.high, many - self.low
        return False, self.low, self.high


class _OneAtMost(torch.autograd.Function):
    """The logarithm of the probability that ``low`` to one of independent literals are true: ``[n, B] -> [B]``.

    What all weigh that are false, and the summed odds of each that is true. Its gradient is the share of each in these,
    less its probability.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: int) -> Tensor:
        most = x.amax(0) if low else x.amax(0).clamp(min=0)
        share = (x - most).exp_()
        odds = share.sum(0) if low else share.sum(0).add_(most.neg().exp_())
        ctx.save_for_backward(x, share.div_(odds))
        ctx.low = low
        room = x.clamp(min=0)
        first = most - room.sum(0)
        return first + (odds.log_() - _log1p_sum(torch.abs(x, out=room).neg_().exp_()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, share = ctx.saved_tensors
        if torch.is_grad_enabled():  # of which a gradient is wanted too
            lacks, has = weights(x.t())
            one = (has - lacks).logsumexp(0)
            plain = lacks.sum(0) + (one if ctx.low else either(torch.zeros_like(one), one))
            return torch.autograd.grad(plain, x, grad, create_graph=True)[0], None
        return x.sigmoid().sub_(share).mul_(-grad), None


def _log1p_sum(small: Tensor) -> Tensor:
    """``log1p(small).sum(0)`` of numbers from 0 to 1, by few logarithms: ``log1p(a + b + a b)`` is the sum of two.

    Takes the room of what it is given.
    """
    total = torch.zeros_like(small[0])
    for _ in range(FOLDS):
        half = len(small) // 2
        if len(small) % 2:
            total += small[-1].log1p()
        small, other = small[:half], small[half : 2 * half]
        small.addcmul_(small, other).add_(other)
    return total + small.log1p_().sum(0)


def _most(gain: Tensor, many: Tensor | None, high: int) -> Tensor:
    """The ``many [B]`` largest of ``[n, B]``, or ``high`` of them, which is no less; of equals the earlier.

    Those above the last that is taken, and of those that equal it as many as are left. Shape: ``bool [n, B]``.
    """
    if not high or not gain.numel():
        return torch.zeros_like(gain, dtype=torch.bool)
    largest = gain.amax(0, keepdim=True) if high == 1 else gain.topk(high, 0).values
    if many is None:
        edge, many = largest[-1:], gain.new_full((), high, dtype=torch.long)
    else:
        edge = torch.cat([largest.new_full((1, largest.shape[1]), torch.inf), largest]).gather(0, many[None])
    chosen = gain >= edge
    over = chosen.sum(0) - many
    if over.any():
        equal = gain == edge
        chosen &= ~equal | (equal.cumsum(0) <= equal.sum(0) - over)
    return chosen


def _in_turn(lacks: Tensor, has: Tensor, high: int) -> Tensor:
    """Coefficients up to ``high`` of a product over labels, ``[n, B] -> [high + 1, B]``."""
    found = torch.stack([lacks[0], has[0]])
    never = found.new_full((1, found.shape[1]), NEVER)
    for without, with_ in zip(lacks[1:], has[1:]):
        found = either(torch.cat([found + without, never]), torch.cat([never, found + with_]))[: high + 1]
    return found


def _in_pairs(lacks: Tensor, has: Tensor, high: int) -> Tensor:
    """As :func:`_in_turn`."""
    found = torch.stack([lacks, has])  # [degree + 1, n, B]
    while found.shape[1] > 1:
        if found.shape[1] % 2:
            one = torch.cat([found.new_zeros(1, 1, 1), found.new_full((len(found) - 1, 1, 1), NEVER)])
            found = torch.cat([found, one.expand(-1, 1, found.shape[2])], 1)
        left, right = found[:, ::2], found[:, 1::2]
        found = torch.stack([_coefficient(left, right, k) for k in range(min(2 * len(left) - 1, high + 1))])
    return found[:, 0]


def _coefficient(left: Tensor, right: Tensor, k: int) -> Tensor:
    pairs = [left[i] + right[k - i] for i in range(max(0, k - len(right) + 1), min(k, len(left) - 1) + 1)]
    return reduce(either, pairs)
