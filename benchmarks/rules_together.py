"""Small networks of several seeds, trained at once: each layer is one batched product, as cheap as of one seed's rows.

A seed's weights, order and dropout are its own, whatever seeds stand beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.rules_net import Loss, Setting, network

Weights = list[Tensor]
"""Of each layer the weights ``[S, a, b]`` and the biases ``[S, 1, b]``, for ``S`` seeds."""


def constants(loss: Loss, y: np.ndarray) -> Tensor:
    """The logits ``[L]`` that cost least where they are the same for all rows of ``y [n, L]``; outputs start there.

    ``loss`` has to be linear in the labels. Half a row more is counted for each label and half a row less, as nothing
    is known to be never or always so.
    """
    rates = torch.from_numpy((y.sum(0, dtype=np.float64) + 0.5) / (len(y) + 1))[None]
    logits = rates.logit().requires_grad_()
    step = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        step.zero_grad()
        own = loss(logits, rates, rates) + 1e-6 * logits.square().sum()  # where a rate is its parent's it has no least
        own.backward()
        return own

    step.step(cost)
    return logits.detach()[0].float()


def train(
    x: np.ndarray, y: np.ndarray, setting: Setting, seeds: Sequence[int], loss: Loss, start: Tensor,
    told: Callable[[Weights], None] | None = None,
) -> tuple[Weights, float]:  # fmt: skip
    """Weights averaged over epochs, and the seconds of the processor that a seed took.

    The average forgets: the last epoch weighs one over one and a tenth of the epochs. ``start`` are the first biases of
    the outputs; ``told`` is called with the average after each epoch, its time not counted.

    Source: polynomial-decay averaging, Shamir & Zhang 2013, "Stochastic gradient descent for non-smooth optimization".
    """
    weights, draws = _first(x.shape[1], y.shape[1], setting, seeds, start), [_drawn(seed) for seed in seeds]
    features, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))
    step = torch.optim.Adam(weights, setting.rate, weight_decay=setting.decay, fused=True)
    average = [each.detach().clone() for each in weights]
    seconds = 0.0
    for epoch in range(1, setting.epochs + 1):
        begun = time.process_time()
        for rows in torch.stack([torch.randperm(len(x), generator=draw) for draw in draws]).split(setting.batch, 1):
            own, wanted = features[rows], labels[rows]
            logits = through(weights, own, lambda hidden: _dropped(hidden, setting.dropout, draws))
            step.zero_grad()
            # a mean over the rows of all seeds, of which each has its own gradient
            (loss(logits.flatten(0, 1), wanted.flatten(0, 1), own.flatten(0, 1)) * len(seeds)).backward()
            step.step()
        for mean, each in zip(average, weights):
            mean.lerp_(each.detach(), 1 / (1 + epoch / 10))
        seconds += time.process_time() - begun
        if told is not None:
            told(average)
    return average, seconds / len(seeds)


def through(weights: Weights, x: Tensor, drop: Callable[[Tensor], Tensor] = lambda hidden: hidden) -> Tensor:
    """``[S, B, d] -> [S, B, L]``."""
    *hidden, last = zip(weights[::2], weights[1::2])
    for weight, bias in hidden:
        x = drop(torch.baddbmm(bias, x, weight).relu())
    return torch.baddbmm(last[1], x, last[0])


@torch.no_grad()
def logits_of(weights: Weights, x: np.ndarray) -> Tensor:
    """``[n, d] -> [S, n, L]``."""
    return through(weights, torch.from_numpy(x).expand(len(weights[0]), *x.shape))


def _first(features: int, labels: int, setting: Setting, seeds: Sequence[int], start: Tensor) -> Weights:
    made = list[Weights]()
    for seed in seeds:
        torch.manual_seed(seed)
        layers = [each for each in network(features, labels, setting) if isinstance(each, nn.Linear)]
        layers[-1].bias.data = start
        made.append([part.detach() for each in layers for part in (each.weight.t(), each.bias[None])])
    return [torch.stack(each).requires_grad_() for each in zip(*made)]


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _dropped(hidden: Tensor, share: float, draws: Sequence[torch.Generator]) -> Tensor:
    """Dropout ``[S, B, h]``, each seed by its own draw."""
    kept = [torch.rand(hidden.shape[1:], generator=draw) >= share for draw in draws]
    return hidden * torch.stack(kept) / (1 - share)
