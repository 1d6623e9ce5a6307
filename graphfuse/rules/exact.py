"""Exact answers over independent outputs that have to satisfy constraints: best assignment, total, marginals.

All in float64, over ``[n, B]``: label after label, a row of the batch in each column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from graphfuse.rules.diagram import Diagram
from graphfuse.rules.heaviest import Heaviest

NEVER, LEAST = -1e30, -1e25
"""Stands for the logarithm of 0: sums of it stay finite, so gradients do; and the least that is none."""
SAFE = 600.0
"""The product of numbers whose logarithms sum up to no more is a float64 without loss."""
USUAL = 1e4
"""No logarithm of a probability that is not extreme is larger."""


class Method(Protocol):
    """How the labels of one component are answered exactly."""

    @property
    def name(self) -> str:
        """Its name, for people."""
        ...

    @property
    def labels(self) -> tuple[int, ...]:
        """The places of the labels, ``n`` of them."""
        ...

    def total(self, off: Tensor, on: Tensor) -> Tensor:
        """The logarithm of the summed weights of all that is allowed, ``[B]``.

        ``off`` and ``on``, ``[n, B]``: the logarithm of each label's weight where it is false, and where it is true.
        """
        ...

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """The heaviest that is allowed, ``bool [n, B]``, and the logarithm of its weight ``[B]``."""
        ...

    def models(self) -> int:
        """How many are allowed."""
        ...


@dataclass(frozen=True, eq=False)
class Layered:
    """Over a decision diagram, layer after layer.

    Attributes:
        labels: What each layer decides.
        follows: Of each node of each layer the next one if the label is false, then if it is true: ``[2, W + 1]``. The
            last of each layer leads nowhere.
        count: How many assignments are allowed.
    """

    labels: tuple[int, ...]
    follows: tuple[Tensor, ...]
    count: int
    name: str = "decision diagram"

    @classmethod
    def of(cls, diagram: Diagram) -> Layered:
        """Of a diagram."""
        widths = [*(len(own) for own in diagram.false[1:]), 1]
        follows = [np.stack([np.append(false, width), np.append(true, width)])
                   for false, true, width in zip(diagram.false, diagram.true, widths)]  # fmt: skip
        with torch.inference_mode(False):  # what is made under it could not be used in training
            return cls(diagram.order, tuple(map(torch.from_numpy, follows)), diagram.models())

    @cached_property
    def doubled(self) -> tuple[Tensor, ...]:
        """As ``follows``, of two layers in one by what both labels are, ``[4, W + 1]`` each; of an odd number of layers
        the first goes with a label that is always false."""
        with torch.inference_mode(False):
            each = [torch.tensor([[0, 1], [1, 1]]), *self.follows][1 - len(self.follows) % 2 :]
            return tuple(second[:, first].transpose(0, 1).flatten(0, 1) for first, second in zip(each[::2], each[1::2]))

    @cached_property
    def heaviest(self) -> Heaviest:
        """Made ready for best answers."""
        return Heaviest.of(self.follows)

    def total(self, off: Tensor, on: Tensor) -> Tensor:
        """By sums from the last layer up; its gradient by what flows down from the first."""
        sizes = (off.detach().abs() + on.detach().abs()).sum(0) + len(off)
        way = _Product if within(sizes, SAFE) else _Total
        total: Tensor = way.apply(self, off, on)
        return total

    def plainly(self, off: Tensor, on: Tensor) -> Tensor:
        """The same in operations that can be differentiated again and again."""
        value = _ends(off)
        for layer in reversed(range(len(self.labels))):
            false, true = _taken(value, self.follows[layer]).unbind()
            value = either(false + off[layer], true + on[layer])
        return value[0]

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """By maxima from the last layer up, then down along what was larger; of equals false is taken."""
        return self.heaviest.paths(off, on, _ends(off))

    def models(self) -> int:
        """Found with the diagram."""
        return self.count


def _sides(off: Tensor, on: Tensor) -> Sequence[Tensor]:
    """Of each layer both weights, ``[2, 1, B]``."""
    sides: Sequence[Tensor] = torch.stack([off, on], 1)[:, :, None].unbind()
    return sides


def _taken(value: Tensor, follows: Tensor) -> Tensor:
    """Of what the next layer is worth ``[W', B]`` what follows each node, if false and if true: ``[2, W + 1, B]``."""
    return value.index_select(0, follows.to(value.device).view(-1)).unflatten(0, follows.shape)


class _Total(torch.autograd.Function):
    """A few operations a layer, of small tensors: what autograd would keep of each costs more than the operation."""

    @staticmethod
    def forward(ctx: Any, diagram: Layered, off: Tensor, on: Tensor) -> Tensor:
        ctx.save_for_backward(off, on)
        ctx.diagram, ctx.sides = diagram, list[Tensor]()
        value = _ends(off)
        for follows, own in zip(reversed(diagram.follows), reversed(_sides(off, on))):
            both = _taken(value, follows).add_(own)
            value = torch.logaddexp(both[0], both[1])
            ctx.sides.append(both)
        return value[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        off, on = ctx.saved_tensors
        if torch.is_grad_enabled():  # of which a gradient is wanted too
            return None, *torch.autograd.grad(ctx.diagram.plainly(off, on), (off, on), grad, create_graph=True)
        flow, found, sides = grad[None], list[Tensor](), ctx.sides[::-1]
        widths = [*(both.shape[1] for both in sides[1:]), 2]
        for follows, both, width in zip(ctx.diagram.follows, sides, widths):
            true = flow * (both[1, : len(flow)] - both[0, : len(flow)]).sigmoid_()
            parted = torch.stack([flow - true, true])  # [2, W, B]
            found.append(parted.sum(1))
            into = follows[:, : len(flow)].to(off.device).reshape(-1)
            flow = off.new_zeros(width, off.shape[1]).index_add_(0, into, parted.flatten(0, 1))
        return None, *torch.stack(found, 1).unbind()


class _Product(torch.autograd.Function):
    """As :class:`_Total`, of the weights themselves, which takes no exponentials: where no product of them can be 0.

    Two layers at a time: as many numbers by half as many operations. What leads nowhere is worth 0, and so are its
    shares, whatever flows there.
    """

    @staticmethod
    def forward(ctx: Any, diagram: Layered, off: Tensor, on: Tensor) -> Tensor:
        ctx.save_for_backward(off, on)
        each = torch.stack([off, on], 1).exp_()
        if len(off) % 2:
            each = torch.cat([each.new_tensor([[[1.0], [0.0]]]).expand(1, 2, off.shape[1]), each])
        own = (each[::2, :, None] * each[1::2, None]).flatten(1, 2)[:, :, None].unbind()  # [4, 1, B] each
        ctx.diagram, ctx.own, ctx.sides = diagram, own, list[Tensor]()
        value = off.new_tensor([[1.0], [0.0]]).expand(2, off.shape[1])
        for follows, weight in zip(reversed(diagram.doubled), reversed(own)):
            sides = _taken(value, follows).mul_(weight)
            value = sides.sum(0)
            ctx.sides.append(sides)
        ctx.value = value[0]
        return value[0].log()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        off, on = ctx.saved_tensors
        if torch.is_grad_enabled():  # of which a gradient is wanted too
            return None, *torch.autograd.grad(ctx.diagram.plainly(off, on), (off, on), grad, create_graph=True)
        share, found, sides = torch.stack([grad / ctx.value, torch.zeros_like(grad)]), list[Tensor](), ctx.sides[::-1]
        widths = [*(own.shape[1] for own in sides[1:]), 2]
        for follows, own, side, width in zip(ctx.diagram.doubled, ctx.own, sides, widths):
            found.append((side * share).sum(1))
            into = follows.to(off.device).view(-1)
            share = off.new_zeros(width, off.shape[1]).index_add_(0, into, (own * share).flatten(0, 1))
        both = torch.stack(found).unflatten(1, (2, 2))  # [pairs, 2, 2, B]
        each = torch.stack([both.sum(2), both.sum(1)], 1).flatten(0, 1)[-len(off) :]
        return None, *each.unbind(1)


class _Either(torch.autograd.Function):
    """torch's own has no second derivative where one side is :data:`NEVER`."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return torch.logaddexp(left, right)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        left, right = ctx.saved_tensors
        share = (left - right).sigmoid()
        return grad * share, grad * (1 - share)


def either(left: Tensor, right: Tensor) -> Tensor:
    """``log(exp(left) + exp(right))``."""
    found: Tensor = _Either.apply(left, right)
    return found


def _ends(like: Tensor) -> Tensor:
    """What the node after the last layer is worth, and what leads nowhere, ``[2, B]``."""
    return like.new_tensor([[0.0], [NEVER]]).expand(2, like.shape[1])


def weights(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms of the probabilities of false and true, by logits ``[B, n] -> [n, B]`` each; infinite is evidence."""
    off, on = _Weights.apply(logits.t().to(torch.double, memory_format=torch.contiguous_format))
    return off, on


class _Weights(torch.autograd.Function):
    """Both by one logarithm; their gradient is what flows to true, less the probability of all that flows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x)
        both = x.abs().neg_().exp_().log1p_()
        off, on = x.clamp(min=0).neg_().sub_(both), x.clamp(max=0).sub_(both)
        return (off, on) if within(x, USUAL) else _bounded(x, off, on)

    @staticmethod
    def backward(ctx: Any, off: Tensor, on: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return on - (off + on) * x.sigmoid()


def odds(logits: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`weights` up to a factor a row: what a label says by itself weighs 1, what it does not by its logit.

    So nothing small is lost beside a large logit that is followed.
    """
    x = logits.t().to(torch.double, memory_format=torch.contiguous_format)
    off, on = x.clamp(min=0).neg_(), x.clamp(max=0)
    return (off, on) if within(x, USUAL) else _bounded(x, off, on)


def _bounded(x: Tensor, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
    """Weights in place, so that they are finite: no less than :data:`LEAST`, and :data:`NEVER` against evidence."""
    off.clamp_(min=LEAST).masked_fill_(x == torch.inf, NEVER)
    return off, on.clamp_(min=LEAST).masked_fill_(x == -torch.inf, NEVER)


def within(x: Tensor, limit: float) -> bool:
    """Whether no number is as far from 0 as the limit."""
    low, high = x.detach().aminmax() if x.numel() else (x.new_zeros(()),) * 2
    return -limit < float(low) and float(high) < limit


def impossible(value: Tensor) -> Sequence[int]:
    """Rows whose evidence allows nothing."""
    if within(value, -NEVER / 2):
        return []
    rows: list[int] = (value < NEVER / 2).nonzero()[:, 0].tolist()
    return rows
