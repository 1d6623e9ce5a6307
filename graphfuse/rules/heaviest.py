"""The heaviest path through the layers of a decision diagram, for each row of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 1 << 22
"""Nodes, each for one row, that are looked at together: so memory is bounded, and an int32 numbers them."""


@dataclass(frozen=True, eq=False)
class Heaviest:
    """Made ready once; the last node of each layer leads nowhere.

    Attributes:
        widths: How many nodes each layer has, ``N`` in all.
        follows: Of each layer what follows each node in the next, if its label is false and then if it is true:
            ``[2 W]``.
        false: Of each node what follows if its label is false, numbered through all layers: ``int32 [N, 1]``.
        further: How much further on is what follows if it is true, ``int32 [N, 1]``.
    """

    widths: tuple[int, ...]
    follows: tuple[Tensor, ...]
    false: Tensor
    further: Tensor

    @classmethod
    def of(cls, follows: Sequence[Tensor]) -> Heaviest:
        """Of ``[2, W]`` a layer: what follows each node in the next."""
        widths = tuple(own.shape[1] for own in follows)
        with torch.inference_mode(False):  # what is made under it could not be used in training
            starts = torch.tensor(widths).cumsum(0)
            every = torch.cat([own + start for own, start in zip(follows, starts)], 1).int()
            by_node = tuple(own.t().reshape(-1) for own in follows)
            return cls(widths, by_node, every[0, :, None], (every[1] - every[0])[:, None])

    @torch.no_grad()
    def paths(self, off: Tensor, on: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """What each label is on the heaviest path, ``bool [n, B]``, and what that weighs, ``[B]``.

        By maxima from the last layer up, then down along what was larger; of equals false is taken.

        Args:
            off: What each label weighs if it is false, ``[n, B]``.
            on: And if it is true.
            ends: What the node after the last layer weighs, and what leads nowhere: ``[2, B]``.
        """
        rows = max(1, MOST // sum(self.widths))
        if off.shape[1] > rows:
            parts = [self.paths(*own) for own in zip(*(each.split(rows, 1) for each in (off, on, ends)))]
            return torch.cat([chosen for chosen, _ in parts], 1), torch.cat([value for _, value in parts])
        larger, value = self._larger(off, on, ends)
        return self._down(larger), value

    def _larger(self, off: Tensor, on: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Of each node whether true weighs more than false, ``bool [N, B]``, and what the first one weighs, ``[B]``."""
        sides = off.new_empty(sum(self.widths), 2, off.shape[1])
        false, true = sides.unbind(1)
        parts = (sides.flatten(0, 1).split([2 * width for width in self.widths]), sides.split(self.widths),
                 false.split(self.widths), true.split(self.widths), torch.stack([off, on], 1).unbind())  # fmt: skip
        for follows, taken, both, if_false, if_true, own in zip(*map(reversed, (self.follows, *parts))):
            torch.index_select(value, 0, follows.to(value.device), out=taken)
            both.add_(own)
            value = torch.maximum(if_false, if_true)
        return true > false, value[0]

    def _down(self, larger: Tensor) -> Tensor:
        """Of each layer what the label is at the node that is come to, ``[n, B]``.

        A node of a row is known by its place in ``larger``, so that each layer is one look at what follows.
        """
        rows, device = larger.shape[1], larger.device
        column = torch.arange(rows, dtype=torch.int32, device=device)
        further, false = (each.to(device) * rows for each in (self.further, self.false))
        after, places = larger.int().mul_(further).add_(false).add_(column).view(-1), [column]
        for _ in self.widths[1:]:
            places.append(after.index_select(0, places[-1]))
        return larger.view(-1).index_select(0, torch.cat(places)).view(-1, rows)
