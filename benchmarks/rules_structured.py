"""Rules of the structured sets as text: orders of sushi, and paths on a grid as far as degrees say what one is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks.rules_data import Clause

ITEMS, SIDE = 4, 4
EDGES = [(SIDE * r + c, SIDE * r + c + 1) for r in range(SIDE) for c in range(SIDE - 1)] + [
    (SIDE * r + c, SIDE * r + SIDE + c) for c in range(SIDE) for r in range(SIDE - 1)
]
"""Of the grid, in the order of its label bits: along the rows, then down the columns."""
TOUCH = [[e for e, ends in enumerate(EDGES) if node in ends] for node in range(SIDE * SIDE)]


def _groups() -> list[list[int]]:
    """Label ``4 i + j`` of sushi is true where item ``i`` is at place ``j``: those of one item, and of one place."""
    places = np.arange(ITEMS * ITEMS).reshape(ITEMS, ITEMS)
    return [*places.tolist(), *places.T.tolist()]


def sushi_clauses() -> list[Clause]:
    """One of each group, and no two."""
    pairs = [(-a - 1, -b - 1) for group in _groups() for a in group for b in group if a < b]
    return [*(tuple(k + 1 for k in group) for group in _groups()), *pairs]


def _sushi() -> tuple[str, list[str]]:
    labels = [f"item{i}_at{j}" for i in range(ITEMS) for j in range(ITEMS)]
    rules = [f"hard r{g}: exactly_one({', '.join(labels[k] for k in group)})" for g, group in enumerate(_groups())]
    return "\n".join(rules), labels


def _grid() -> tuple[str, list[str]]:
    """An end of the path has one of its edges, any other node two or none; ends are known by infinite logits."""
    edges, ends = [f"edge_{a}_{b}" for a, b in EDGES], [f"end_{node}" for node in range(SIDE * SIDE)]
    rules = []
    for end, touch in zip(ends, TOUCH):
        listed = ", ".join(edges[e] for e in touch)
        rules.append(f"hard {end}_has_one: {end} <-> exactly_one({listed})")
        if len(touch) > 2:
            rules.append(f"hard {end}_has_at_most_two: at_most(2, {listed})")
    return "\n".join(rules), [*edges, *ends]


SUSHI, GRID = _sushi(), _grid()
"""Text and labels."""


def grid_holds(answers: np.ndarray) -> np.ndarray:
    """Whether degrees are right, ``bool [B, 40] -> bool [B]``."""
    degree = np.stack([answers[:, touch].sum(1) for touch in TOUCH], 1)
    ends = answers[:, len(EDGES) :]
    good: np.ndarray = np.where(ends, degree == 1, (degree == 0) | (degree == 2)).all(1)
    return good


def grid_path(answers: np.ndarray) -> np.ndarray:
    """Whether degrees are right and all edges hang together: then they are one path."""
    joined = [_joined([EDGES[e] for e in np.flatnonzero(row[: len(EDGES)])]) for row in answers]
    return grid_holds(answers) & np.array(joined)


def _joined(edges: Sequence[tuple[int, int]]) -> bool:
    reached, left = set(edges[0]) if edges else set(), list(edges)
    while near := [edge for edge in left if reached.intersection(edge)]:
        reached.update(*near)
        left = [edge for edge in left if edge not in near]
    return not left


def known(logits: Tensor, x: Tensor) -> Tensor:
    """Logits of edges ``[B, 24]`` beside what inputs ``[B, 40]`` tell, as evidence ``[B, 40]``.

    An edge that is not there is false; which nodes are ends is known.
    """
    there, ends = x[:, : len(EDGES)] > 0, x[:, len(EDGES) :] > 0
    told = torch.full_like(ends, torch.inf, dtype=logits.dtype).where(ends, -torch.inf)
    return torch.cat([logits.masked_fill(~there, -torch.inf), told], 1)
