"""How sure a model says to be, brought in line with how often it is right."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from graphfuse.core.loader import USUAL, Limits
from graphfuse.core.sample import Sample
from graphfuse.heads.temperature import tempered
from graphfuse.model import FusionModel
from graphfuse.training.measure import Measured, scored

LOW, HIGH = 0.05, 20.0


def calibrate(model: FusionModel, valid: Sequence[Sample], limits: Limits = USUAL) -> Measured:
    """Sets the model's temperature to the one with the lowest log loss on validation, and measures the model there.

    A normal prior on the temperature's logarithm, of mean 0 and deviation 1, keeps a small or perfectly answered split
    from making a model wholly sure. No answer changes. Heads without a ``log_loss`` are left at 1.

    Source: temperature scaling (Guo et al. 2017, "On calibration of modern neural networks", section 4.2).
    """
    from scipy.optimize import minimize_scalar

    model.temperature.fill_(1.0)
    found = scored(model, valid, limits)
    if not hasattr(model.head, "log_loss"):
        return found
    exact = [(scores.cpu().double(), batch) for scores, batch in found.scored]

    def regret(log_temperature: float) -> float:
        each = ((tempered(model.head, scores, batch, math.exp(log_temperature)), batch) for scores, batch in exact)
        losses = [model.head.log_loss(scores, batch) for scores, batch in each]
        return float(torch.cat(losses).sum()) + log_temperature**2 / 2

    best = minimize_scalar(regret, bounds=(math.log(LOW), math.log(HIGH)), method="bounded")
    model.temperature.fill_(math.exp(best.x))
    return replace(found, scored=[(tempered(model.head, scores, batch, model.temperature), batch)
                                  for scores, batch in found.scored])  # fmt: skip
