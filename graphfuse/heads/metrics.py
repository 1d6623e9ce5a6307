"""Metrics of a whole set, which are no mean over its samples."""

import math

import torch
from torch import Tensor

BINS = 10  # of equal width, for the calibration error


def macro_f1(right: Tensor, said: Tensor) -> float:
    """The mean of the labels' F1, over the labels that are right or said somewhere: two masks ``bool [n, C]``."""
    from sklearn.metrics import f1_score

    seen = (right | said).any(0)
    if not seen.any():
        return 1.0
    return float(f1_score(right[:, seen].numpy(), said[:, seen].numpy(), average="macro", zero_division=0.0))


def macro_auc(right: Tensor, scores: Tensor) -> float:
    """The mean of the labels' areas under the ROC curve: ``bool [n, C], float [n, C]``.

    Over the labels that are right for some samples and wrong for others; NaN where there is none.
    """
    from sklearn.metrics import roc_auc_score

    both = right.any(0) & ~right.all(0)
    if not both.any():
        return math.nan
    return float(roc_auc_score(right[:, both].numpy(), scores[:, both].double().numpy(), average="macro"))


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """How far confidence is from accuracy, ``float [n], bool [n]``: the mean over bins, weighted by their size.

    Source: expected calibration error (Guo et al. 2017, "On calibration of modern neural networks", eq. 3).
    """
    place = (confidence.double() * BINS).long().clamp(max=BINS - 1)
    gap = torch.zeros(BINS, dtype=torch.double).index_add_(0, place, right.double() - confidence.double())
    return float(gap.abs().sum() / max(len(confidence), 1))
