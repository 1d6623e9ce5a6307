"""One label a sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads.marked import Marked, marked
from graphfuse.heads.metrics import calibration_error, macro_auc, macro_f1
from graphfuse.heads.readout import VectorScores


@dataclass(frozen=True)
class Classify:
    """Exactly one of ``labels``; trained by cross-entropy. Scores: logits ``[B, C]``. Target: a label.

    A target may also be a tuple of labels of which each is right; then the loss is that of their summed probability. An
    empty one (no label is right, as where training never saw it) teaches nothing and is measured as wrong.

    Attributes:
        labels: Two or more.
        weights: Of each label in the loss, as :func:`balanced` gives; all alike if left out.
        features: What each label means, ``[C, w]``, such as the text embedding of its words; labels of like meaning
            then share what they learn. In a saved model they are with the weights, and here is their width.
    """

    labels: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    features: Tensor | int | None = field(default=None, compare=False, repr=False)
    metric: ClassVar[str] = "accuracy"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "accuracy": "max", "macro_f1": "max", "auc": "max", "calibration_error": "min", "log_loss": "min",
    }  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise InputError(f"Classify needs at least two different labels, got {list(self.labels)}.")
        if self.weights is not None:
            object.__setattr__(self, "weights", tuple(map(float, self.weights)))
            if len(self.weights) != len(self.labels) or not all(w > 0 and math.isfinite(w) for w in self.weights):
                raise InputError(f"Classify: weights {list(self.weights)}; {len(self.labels)} positive numbers are "
                                 "needed, one a label.")  # fmt: skip
        if isinstance(self.features, Tensor) and (self.features.ndim != 2 or len(self.features) != len(self.labels)):
            raise InputError(f"Classify: features have shape {list(self.features.shape)}; [{len(self.labels)}, w] is "
                             "needed, a row a label.")  # fmt: skip

    def config(self) -> dict[str, Any]:
        """The options as JSON values."""
        width = self.features.shape[1] if isinstance(self.features, Tensor) else self.features
        return {"labels": list(self.labels), "weights": self.weights, "features": width}

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """Weights ``Fused -> [B, C]``."""
        return VectorScores(dim, len(self.labels), self.features)

    def check(self, samples: Iterable[Sample]) -> None:
        """Raises ``InputError`` with the sample's name where a target is not a known label."""
        for sample in samples:
            for label in _every(sample.target):
                if label not in self.labels:
                    raise InputError(f"Sample {sample.name!r}: target {label!r} is not a label of the head."
                                     f"{did_you_mean(str(label), map(str, self.labels))}")  # fmt: skip

    def right(self, batch: Batch, device: torch.device) -> Tensor:
        """Which labels are right, ``bool [B, C]``."""
        return self.marks(batch.targets).to(device)

    def marks(self, targets: Sequence[Any]) -> Tensor:
        """Which labels are right by targets, ``bool [len(targets), C]``."""
        if isinstance(targets, Marked):
            return targets.marks
        if any(issubclass(kind, tuple) for kind in set(map(type, targets))):
            return marked([_every(target) for target in targets], self.labels)
        return marked(list(zip(targets)), self.labels)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log of the right labels' probability, averaged over samples, each weighted as its label."""
        right = self.right(batch, scores.device)
        if self.weights is None:
            return _mean(_minus_log(scores, right))
        own = (right * scores.new_tensor(self.weights)).sum(1) / right.sum(1).clamp(min=1)
        return _mean(_minus_log(scores, right), own[right.any(1)])

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The loss without weights of each sample that has a right label, by which confidence is calibrated."""
        return _minus_log(scores, self.right(batch, scores.device))

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Accuracy: 1 where the best label is right, else 0."""
        right = self.right(batch, scores.device)
        return {"accuracy": right.gather(1, scores.argmax(1, keepdim=True))[:, 0].to(scores.dtype)}

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """Macro F1, macro AUC (where defined), calibration error and log loss of a whole set, batch by batch."""
        cpu = torch.device("cpu")
        every, right = torch.cat(list(scores)).cpu(), torch.cat([self.right(batch, cpu) for batch in batches])
        p, best = every.double().softmax(1), every.argmax(1, keepdim=True)
        said = torch.zeros_like(right).scatter(1, best, True)
        found = {"macro_f1": macro_f1(right, said), "auc": macro_auc(right, p)}
        found["calibration_error"] = calibration_error(p.amax(1), right.gather(1, best)[:, 0])
        found["log_loss"] = float(_mean(_minus_log(every, right)))
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The score of the label that is answered, ``[B]``."""
        return scores.amax(1)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The best label and its probability."""
        best, index = scores.softmax(1).max(1)
        return [Answer(n, self.labels[i], p) for n, i, p in zip(batch.names, index.tolist(), best.tolist())]


def balanced(labels: Sequence[str], targets: Iterable[str]) -> tuple[float, ...]:
    """The weight of each label that makes all count alike: samples / (labels * samples of the label)."""
    counts = dict.fromkeys(labels, 0)
    for target in targets:
        for label in _every(target):
            counts[label] += 1
    total = sum(counts.values())
    return tuple(total / (len(counts) * max(count, 1)) for count in counts.values())


def _minus_log(scores: Tensor, right: Tensor) -> Tensor:
    """Minus the log of the right labels' probability of each sample that has one."""
    known = right.any(1)
    return -scores.log_softmax(1).masked_fill(~right, -torch.inf)[known].logsumexp(1)


def _mean(values: Tensor, weights: Tensor | None = None) -> Tensor:
    if weights is None:
        return values.sum() / max(len(values), 1)
    return (weights * values).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def _every(target: object) -> tuple:
    return target if isinstance(target, tuple) else (target,)
