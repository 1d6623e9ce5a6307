"""Any number of labels a sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads.marked import Marked, marked
from graphfuse.heads.metrics import macro_auc, macro_f1
from graphfuse.heads.readout import VectorScores


@dataclass(frozen=True)
class MultiLabel:
    """Any of ``labels``, none and all included; trained by binary cross-entropy a label.

    Scores: logits ``[B, C]``; a label is answered where its logit is positive. Target: a collection of labels.
    """

    labels: tuple[str, ...]
    metric: ClassVar[str] = "f1"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "f1": "max", "exact_match": "max", "macro_f1": "max", "auc": "max", "log_loss": "min",
    }  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise InputError(f"MultiLabel needs different labels, at least one, got {list(self.labels)}.")

    def config(self) -> dict[str, Any]:
        """The options as JSON values."""
        return {"labels": list(self.labels)}

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """Weights ``Fused -> [B, C]``."""
        return VectorScores(dim, len(self.labels))

    def check(self, samples: Iterable[Sample]) -> None:
        """Raises ``InputError`` with the sample's name where a target is no collection of known labels."""
        for sample in samples:
            if isinstance(sample.target, str) or not isinstance(sample.target, Iterable):
                raise InputError(f"Sample {sample.name!r}: target {sample.target!r} is not a collection of labels.")
            for label in sample.target:
                if label not in self.labels:
                    raise InputError(f"Sample {sample.name!r}: target {label!r} is not a label of the head."
                                     f"{did_you_mean(str(label), self.labels)}")  # fmt: skip

    def right(self, batch: Batch, device: torch.device) -> Tensor:
        """Which labels are right, ``bool [B, C]``."""
        return self.marks(batch.targets).to(device)

    def marks(self, targets: Sequence[Any]) -> Tensor:
        """Which labels are right by targets, ``bool [len(targets), C]``."""
        return targets.marks if isinstance(targets, Marked) else marked(targets, self.labels)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Binary cross-entropy, averaged over samples and labels."""
        right = self.right(batch, scores.device).to(scores.dtype)
        return nn.functional.binary_cross_entropy_with_logits(scores, right)

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The loss of each sample, by which confidence is calibrated."""
        right = self.right(batch, scores.device).to(scores.dtype)
        return nn.functional.binary_cross_entropy_with_logits(scores, right, reduction="none").mean(1)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """F1 of each sample's set of labels (1 where both are empty) and whether the set is exactly right."""
        right, said = self.right(batch, scores.device), scores > 0
        both, size = (right & said).sum(1), right.sum(1) + said.sum(1)
        f1 = torch.where(size > 0, 2 * both / size.clamp(min=1), 1.0)
        return {"f1": f1.to(scores.dtype), "exact_match": (right == said).all(1).to(scores.dtype)}

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """Macro F1, macro AUC (where defined) and log loss of a whole set, batch by batch."""
        cpu = torch.device("cpu")
        every, right = torch.cat(list(scores)).cpu(), torch.cat([self.right(batch, cpu) for batch in batches])
        found = {"macro_f1": macro_f1(right, every > 0), "auc": macro_auc(right, every)}
        found["log_loss"] = float(nn.functional.binary_cross_entropy_with_logits(every, right.to(every.dtype)))
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """How far the logits are from saying the opposite, summed, ``[B]``."""
        return scores.abs().sum(1)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The labels with a positive logit, and the probability of this very set."""
        p = scores.sigmoid()
        sure = torch.where(p > 0.5, p, 1 - p).prod(1).tolist()
        said = [tuple(label for label, s in zip(self.labels, row) if s > 0) for row in scores.tolist()]
        return [Answer(name, value, score) for name, value, score in zip(batch.names, said, sure)]
