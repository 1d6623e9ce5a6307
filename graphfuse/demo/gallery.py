"""Which country does a picture show? Frozen features compared under a metric that few countries taught.

The gallery holds bad copies of every country's own drawing, for the drawing belongs to the knowledge graph. The metric,
which says what differs between pictures of one country and should not count, is learned on training countries alone;
it carries over to countries it never saw. For a training country a metric learned without it is used, so that training
sees links as good as those of the test, and no better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.demo.facts import Facts
from graphfuse.demo.pictures import degrade, degrade_outline, draw_flag

WIDTH = 512
"""Principal components that are kept."""
SHRINK = 0.1
"""Share of the mean variance that is added to each, since there are fewer pictures than dimensions."""
SHARP = 30.0
"""What a cosine is multiplied by before the softmax; chosen on one draw, looking at its held-back countries."""
FOLDS = 3


@dataclass(frozen=True)
class Metric:
    """A linear discriminant metric and one prototype a country under it.

    Shape: ``middle [w]``, ``directions [w, k]``, ``prototypes [C, k]`` of length one.
    Source: Fisher's linear discriminant with shrinkage: within-class whitening of principal components.
    """

    middle: Tensor
    directions: Tensor
    centre: Tensor
    prototypes: Tensor

    def log_p(self, pictures: Tensor) -> Tensor:
        """Log-probability of each country given a picture's features, ``[n, w] -> [n, C]``."""
        points = _unit((pictures - self.middle) @ self.directions - self.centre)
        return (SHARP * points @ self.prototypes.T).log_softmax(1)


@dataclass(frozen=True)
class Gallery:
    """One kind of picture (flags or outlines) of all countries that have it.

    ``codes``: the countries, ``C`` of them. ``metrics``: for each fold of training countries one that was learned
    without them, and last the one that was learned on all training countries. ``fold``: code -> which to use.
    """

    codes: tuple[str, ...]
    metrics: tuple[Metric, ...]
    fold: dict[str, int]

    @classmethod
    def of(cls, codes: Sequence[str], copies: Tensor, training: Sequence[str]) -> Gallery:
        """From features of degraded copies ``[C, R, w]`` of the countries ``codes``."""
        known = [code for code in codes if code in set(training)]
        fold = {code: place % FOLDS for place, code in enumerate(known)}
        features = spread(copies)
        taught = [torch.tensor([code in fold and fold[code] != k for code in codes]) for k in range(FOLDS + 1)]
        return cls(tuple(codes), tuple(_learn(features, countries) for countries in taught), fold)

    def log_p(self, pictures: Tensor, shown: Sequence[str | None]) -> Tensor:
        """Log-probability of each country ``[n, C]``; ``shown`` only decides which metric did not learn from it."""
        features, which = spread(pictures), torch.tensor([self.fold.get(code or "", FOLDS) for code in shown])
        out = torch.zeros(len(features), len(self.codes), dtype=features.dtype)
        for number, metric in enumerate(self.metrics):
            rows = (which == number).nonzero()[:, 0]
            out[rows] = metric.log_p(features[rows])
        return out


def spread(regions: Tensor) -> Tensor:
    """Region features ``[.., n, w]`` joined, dampened by a square root and scaled to length one, ``[.., n * w]``."""
    return _unit(regions.flatten(-2).clamp(min=0).sqrt())


def reference_copies(facts: Facts, level: float, copies: int) -> dict[str, tuple[list[str], list[Any]]]:
    """Degraded copies of each country's own flag and outline: kind -> codes, and pictures country after country."""
    flags = {code: draw_flag(facts.flags[code]) for code in facts.codes}
    rngs = {c: [np.random.default_rng((ord(c[0]), ord(c[1]), n)) for n in range(copies)] for c in facts.codes}
    outlined = [code for code in facts.codes if code in facts.outlines]
    return {
        "flag": (list(facts.codes), [degrade(flags[c], level, rng) for c in facts.codes for rng in rngs[c]]),
        "outline": (outlined, [degrade_outline(facts.outlines[c], level, r) for c in outlined for r in rngs[c]]),
    }


def _principal(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Middle ``[w]`` and principal directions ``[w, k]`` of pictures ``[n, w]``."""
    middle = pictures.mean(0)
    values, vectors = torch.linalg.eigh((pictures - middle) @ (pictures - middle).T)
    kept = slice(-min(WIDTH, len(pictures) - 1), None)
    return middle, (pictures - middle).T @ (vectors[:, kept] / values[kept].clamp(min=1e-6).sqrt())


def _learn(features: Tensor, taught: Tensor) -> Metric:
    """A metric from the countries ``taught`` (``bool [C]``) and prototypes of all, from ``[C, R, w]``."""
    middle, directions = _principal(features[taught].flatten(0, 1))
    points = ((features - middle) @ directions).double()  # [C, R, k]
    within = (points - points.mean(1, keepdim=True))[taught].flatten(0, 1)
    scatter = within.T @ within / len(within)
    scatter = scatter + SHRINK * scatter.diagonal().mean() * torch.eye(len(scatter))
    whiten = torch.linalg.inv(torch.linalg.cholesky(scatter)).T.to(scatter)
    means = points.mean(1) @ whiten  # [C, k]
    centre = means[taught].mean(0)
    return Metric(middle, directions @ whiten.float(), centre.float(), _unit(means - centre).float())


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)
