"""One label a sample."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.graph import Schema
from graphfuse.core.sample import Batch, Sample
from graphfuse.heads.readout import VectorScores


@dataclass(frozen=True)
class Classify:
    """Exactly one of ``labels``; trained by cross-entropy. Scores: logits ``[B, C]``. Target: a label.

    A target may also be a tuple of labels of which each is right; then the loss is that of their summed probability.
    """

    labels: tuple[str, ...]
    metric: ClassVar[str] = "accuracy"
    best: ClassVar[Literal["max", "min"]] = "max"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise InputError(f"Classify needs at least two different labels, got {list(self.labels)}.")

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """Weights ``Fused -> [B, C]``."""
        return VectorScores(dim, len(self.labels))

    def check(self, samples: Iterable[Sample]) -> None:
        """Raises ``InputError`` with the sample's name where a target is not a known label."""
        for sample in samples:
            for label in _every(sample.target):
                if label not in self.labels:
                    raise InputError(f"Sample {sample.name!r}: target {label!r} is not a label of the head."
                                     f"{did_you_mean(str(label), map(str, self.labels))}")  # fmt: skip

    def right(self, batch: Batch, device: torch.device) -> Tensor:
        """Which labels are right, ``bool [B, C]``."""
        place = {label: number for number, label in enumerate(self.labels)}
        right = torch.zeros(len(batch), len(self.labels), dtype=torch.bool)
        for row, target in enumerate(batch.targets):
            right[row, [place[label] for label in _every(target)]] = True
        return right.to(device)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log of the right labels' probability, averaged over samples."""
        right = self.right(batch, scores.device)
        known = right.any(1)
        log_p = scores.log_softmax(1).masked_fill(~right, -torch.inf)[known].logsumexp(1)
        return -log_p.sum() / known.sum().clamp(min=1)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Accuracy: 1 where the best label is right, else 0."""
        right = self.right(batch, scores.device)
        return {"accuracy": right.gather(1, scores.argmax(1, keepdim=True))[:, 0].to(scores.dtype)}

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The score of the label that is answered, ``[B]``."""
        return scores.amax(1)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The best label and its probability."""
        best, index = scores.softmax(1).max(1)
        return [Answer(n, self.labels[i], p) for n, i, p in zip(batch.names, index.tolist(), best.tolist())]


def _every(target: object) -> tuple:
    return target if isinstance(target, tuple) else (target,)
