"""Metrics of a model on samples, one by one and on average."""

from collections.abc import Sequence

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Sample
from graphfuse.model import FusionModel


def measure(model: FusionModel, samples: Sequence[Sample], batch_size: int = 64) -> dict[str, Tensor]:
    """Each metric of the model's head for each sample, ``[n]``; under ``"loss"`` each batch's mean loss.

    Raises:
        InputError: There are no samples, or a target does not suit the head (named).
    """
    if not samples:
        raise InputError("There is no sample to evaluate on; the split is empty.")
    model.head.check(samples)
    parts: dict[str, list[Tensor]] = {}
    with model.answering():
        for start in range(0, len(samples), batch_size):
            batch = model.collate(samples[start : start + batch_size])
            scores = model(batch.to(model.device)).scores
            values = model.head.measure(scores, batch)
            values["loss"] = model.head.loss(scores, batch).expand(len(batch))
            for name, x in values.items():
                parts.setdefault(name, []).append(x.detach().cpu().double())
    return {name: torch.cat(xs) for name, xs in parts.items()}


def evaluate(model: FusionModel, samples: Sequence[Sample], batch_size: int = 64) -> dict[str, float]:
    """The metrics of the model's head on samples, and their loss, as means over samples.

    Raises:
        InputError: As :func:`measure`.
    """
    return {name: float(x.mean()) for name, x in measure(model, samples, batch_size).items()}
