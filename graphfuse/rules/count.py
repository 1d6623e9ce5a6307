"""How many of some labels are true, exactly: no clauses, however many labels there are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from graphfuse.rules.exact import NEVER, either

PAIRED = 4
"""The highest degree up to which polynomials are multiplied in pairs."""
USUAL = 1e4
"""No logarithm of a probability that is not extreme is larger."""
FEW = 8
"""So many are sought one after the other, which is quicker than sorting all."""


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
        lacks, has, low, high = self._sides(off, on)
        if high == 1 and bool((lacks > -USUAL).all()):  # the sum of all that are false is as precise as each
            none, one = lacks.sum(0), (has - lacks).logsumexp(0)
            return none + (one if low else either(torch.zeros_like(one), one))
        found = _in_turn(lacks, has, high) if high > PAIRED else _in_pairs(lacks, has, high)
        return reduce(either, found[low : high + 1].unbind())

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """The literals that gain most, as many as gain at all and are allowed; of equals the earlier are true."""
        wanted = torch.tensor(self.wanted, device=on.device)[:, None]
        gain = torch.where(wanted, on - off, off - on)
        many = (gain > 0).sum(0).clamp(self.low, self.high)
        chosen = _most(gain, many, self.high) == wanted
        return chosen, torch.where(chosen, on, off).sum(0)

    def models(self) -> int:
        """By binomials."""
        return sum(math.comb(len(self.labels), k) for k in range(self.low, self.high + 1))

    def _sides(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor, int, int]:
        """Weights of literals that are false, and true; and the range: of the false ones if those are fewer."""
        wanted, many = torch.tensor(self.wanted, device=on.device)[:, None], len(self.labels)
        lacks, has = torch.where(wanted, off, on), torch.where(wanted, on, off)
        if many - self.low < self.high:
            return has, lacks, many - self.high, many - self.low
        return lacks, has, self.low, self.high


def _most(gain: Tensor, many: Tensor, high: int) -> Tensor:
    """The ``many [B]`` largest of ``[n, B]``, no more than ``high``; of equals the earlier: ``bool [n, B]``."""
    if high > FEW:
        order = gain.argsort(dim=0, descending=True, stable=True)
        places = torch.arange(len(order), device=order.device)[:, None].expand_as(order)
        return torch.empty_like(order).scatter_(0, order, places) < many
    found = torch.zeros_like(gain, dtype=torch.bool)
    for taken in range(high):
        at = gain.argmax(0, keepdim=True)  # the first of equals
        found.scatter_(0, at, many[None] > taken)
        gain = gain.scatter(0, at, -torch.inf) if taken + 1 < high else gain
    return found


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
