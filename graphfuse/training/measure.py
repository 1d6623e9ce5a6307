"""Metrics of a model on samples, one by one and on the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample
from graphfuse.model import FusionModel


@dataclass(frozen=True)
class Measured:
    """What a model makes of samples with targets, in one pass.

    Attributes:
        values: Metric -> its value for each sample, ``float64 [n]``; under ``"loss"`` each batch's mean loss.
        metrics: Metric -> its value on the whole: means of ``values``, and those that are no mean.
        answers: One a sample.
    """

    values: dict[str, Tensor]
    metrics: dict[str, float]
    answers: list[Answer]


def look(model: FusionModel, samples: Sequence[Sample], batch_size: int = 64) -> Measured:
    """Answers samples and measures the answers.

    Raises:
        InputError: There are no samples, or a target does not suit the head (named).
    """
    if not samples:
        raise InputError("There is no sample to evaluate on; the split is empty.")
    model.head.check(samples)
    return measured(model.head, scores_of(model, samples, batch_size))


def measured(head: Any, scored: Sequence[tuple[Tensor, Batch]]) -> Measured:
    """What a head makes of scores, batch by batch."""
    parts, answers = dict[str, list[Tensor]](), list[Answer]()
    for scores, batch in scored:
        values = head.measure(scores, batch)
        values["loss"] = head.loss(scores, batch).expand(len(batch))
        for name, x in values.items():
            parts.setdefault(name, []).append(x.cpu().double())
        answers += head.answers(scores, batch)
    joined = {name: torch.cat(xs) for name, xs in parts.items()}
    whole = head.summary([scores for scores, _ in scored], [batch for _, batch in scored])
    return Measured(joined, {**{name: float(x.mean()) for name, x in joined.items()}, **whole}, answers)


def scores_of(model: FusionModel, samples: Sequence[Sample], batch_size: int = 64) -> list[tuple[Tensor, Batch]]:
    """The head's scores, batch by batch, with the batch (on the CPU)."""
    found = []
    with model.answering():
        for start in range(0, len(samples), batch_size):
            batch = model.collate(samples[start : start + batch_size])
            found.append((model(batch.to(model.device)).scores, batch))
    return found


def measure(model: FusionModel, samples: Sequence[Sample], batch_size: int = 64) -> dict[str, Tensor]:
    """Each metric of the model's head for each sample, ``[n]``; under ``"loss"`` each batch's mean loss.

    Raises:
        InputError: There are no samples, or a target does not suit the head (named).
    """
    return look(model, samples, batch_size).values


def evaluate(model: FusionModel, samples: Sequence[Sample], batch_size: int = 64) -> dict[str, float]:
    """The metrics of the model's head on samples, and their mean loss.

    Raises:
        InputError: As :func:`measure`.
    """
    return look(model, samples, batch_size).metrics
