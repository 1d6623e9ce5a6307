"""One small network for all rules: trained with them or without, under the same budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From logits and labels ``[B, L]`` and features ``[B, d]`` to ``[]``."""


@dataclass(frozen=True)
class Setting:
    """A network and how long it is trained.

    Attributes:
        width: Of its hidden layers.
        hidden: How many there are.
    """

    width: int
    dropout: float
    rate: float
    epochs: int
    hidden: int = 1
    batch: int = 128
    decay: float = 1e-5


def network(features: int, labels: int, setting: Setting) -> nn.Sequential:
    """Layers with ReLU and dropout; its initial weights are those of torch's generator."""
    widths = [features, *[setting.width] * setting.hidden]
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU(), nn.Dropout(setting.dropout))]
    return nn.Sequential(*layers, nn.Linear(widths[-1], labels))


def cross_entropy(logits: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Summed over the labels, the mean over rows: the likelihood of independent outputs."""
    return binary_cross_entropy_with_logits(logits, y, reduction="none").sum(1).mean()


def train(
    x: np.ndarray, y: np.ndarray, setting: Setting, seed: int, loss: Loss,
    told: Callable[[nn.Module], None] | None = None,
) -> tuple[nn.Module, float]:  # fmt: skip
    """A trained network, and the seconds of the processor that it took; weights, order and dropout are the seed's.

    ``told`` is called with the network after each epoch, its time not counted.
    """
    torch.manual_seed(seed)
    model, order = network(x.shape[1], y.shape[1], setting), torch.Generator().manual_seed(seed)
    features, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))
    step = torch.optim.Adam(model.parameters(), setting.rate, weight_decay=setting.decay)
    seconds = 0.0
    for _ in range(setting.epochs):
        start = time.process_time()
        model.train()
        for rows in torch.randperm(len(x), generator=order).split(setting.batch):
            step.zero_grad()
            loss(model(features[rows]), labels[rows], features[rows]).backward()
            step.step()
        seconds += time.process_time() - start
        if told is not None:
            told(model.eval())
    return model.eval(), seconds


@contextmanager
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from a second thread, and lose much where others have work for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@torch.no_grad()
def logits_of(model: nn.Module, x: np.ndarray) -> Tensor:
    """``[n, L]``, in batches."""
    return torch.cat([model(part) for part in torch.from_numpy(x).split(1024)])


def exact_match(answers: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each row whether all its labels are right, ``bool [n]``: its mean is the subset accuracy."""
    right: np.ndarray = (answers == y).all(1)
    return right


def area(scores: np.ndarray, y: np.ndarray) -> float:
    """Under the curve of precision and recall over all entries together: micro-averaged average precision."""
    return float(average_precision_score(y.ravel(), scores.ravel()))


def parameters_of(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
