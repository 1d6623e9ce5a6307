"""One number a sample."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads.readout import VectorScores


@dataclass(frozen=True)
class Regress:
    """A number; trained by the squared error in units of ``scale``. Scores: ``[B, 1]`` in that unit, around ``mean``.

    Attributes:
        mean: Where predictions start from; the mean of the training targets is a good choice.
        scale: The unit of the network's output; the standard deviation of the training targets is a good choice.
    """

    mean: float = 0.0
    scale: float = 1.0
    metric: ClassVar[str] = "absolute_error"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "absolute_error": "min", "squared_error": "min", "r2": "max",
    }  # fmt: skip

    def __post_init__(self) -> None:
        if not (self.scale > 0 and math.isfinite(self.scale) and math.isfinite(self.mean)):
            raise InputError(f"Regress: mean {self.mean} and scale {self.scale} must be finite, the scale positive.")

    def config(self) -> dict[str, Any]:
        """The options as JSON values."""
        return asdict(self)

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """Weights ``Fused -> [B, 1]``, read by the other methods as ``mean + scale * score``."""
        return VectorScores(dim, 1)

    def check(self, samples: Iterable[Sample]) -> None:
        """Raises ``InputError`` with the sample's name where a target is not a finite number."""
        for sample in samples:
            if isinstance(sample.target, bool) or not isinstance(sample.target, numbers.Real):
                raise InputError(f"Sample {sample.name!r}: target {sample.target!r} is not a number.")
            if not math.isfinite(sample.target):
                raise InputError(f"Sample {sample.name!r}: target is {sample.target}; it must be finite.")

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Squared error in units of ``scale``, averaged over samples."""
        return (scores[:, 0] - self._targets(scores, batch)).square().mean()

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Absolute and squared error in the target's unit."""
        off = self.scale * (scores[:, 0] - self._targets(scores, batch))
        return {"absolute_error": off.abs(), "squared_error": off.square()}

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """The share of the targets' variance that is explained, R2; none where they do not vary."""
        said = torch.cat([x[:, 0].cpu().double() for x in scores])
        target = torch.cat([self._targets(said, batch) for batch in batches])
        spread = (target - target.mean()).square().sum()
        return {"r2": float(1 - (target - said).square().sum() / spread)} if spread > 0 else {}

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The number itself, ``[B]``."""
        return scores[:, 0]

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The number in the target's unit."""
        return [Answer(name, self.mean + self.scale * x) for name, x in zip(batch.names, scores[:, 0].tolist())]

    def _targets(self, scores: Tensor, batch: Batch) -> Tensor:
        """As the scores are: from the mean, in units of ``scale``; worked out in double precision."""
        return scores.new_tensor([(float(target) - self.mean) / self.scale for target in batch.targets])
