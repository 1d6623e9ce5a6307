"""Scores that agree with a hierarchy: no label below the labels that it implies."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.levels import CycleError, heights


def max_constraint(scores: Tensor, edges: Tensor) -> Tensor:
    """Of each label the largest score of the label itself and of all labels below it, however far.

    Takes one step a level of the hierarchy, not one a pair of labels. The gradient goes to the label that the score
    came from; of equals to the label itself, then to what came from its child that is first in ``edges``.

    Shape: ``scores [B, L], edges int64 [2, E] -> [B, L]``, in the type of the scores. The first row of ``edges`` is the
    child, the second the parent; a label may have many parents.
    Source: max constraint module, Giunchiglia & Lukasiewicz 2020, "Coherent hierarchical multi-label classification
    networks", equation 2.

    Raises:
        InputError: Scores or edges have another shape or type, edges speak of a label that is not there, or form a
            cycle; names the label.
    """
    if scores.ndim != 2 or not scores.is_floating_point():
        raise InputError(f"Scores are {scores.dtype} {list(scores.shape)}; expected floating point numbers [B, L].")
    if edges.ndim != 2 or len(edges) != 2 or edges.dtype != torch.long:
        raise InputError(
            f"Edges are {edges.dtype} {list(edges.shape)}; expected torch.int64 [2, E], child over parent."
        )
    steps = _steps(edges.cpu().numpy().tobytes(), scores.shape[1])
    found: Tensor = _Largest.apply(scores, steps)
    return found


class _Largest(torch.autograd.Function):
    """Keeps where each score came from, so that its gradient takes one step whatever the hierarchy."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, steps: tuple[tuple[Tensor, Tensor], ...]) -> Tensor:
        value = scores.t().clone(memory_format=torch.contiguous_format)  # [L, B]
        origin = torch.arange(len(value), device=value.device)[:, None].repeat(1, value.shape[1])
        for labels, among in steps:
            labels, among = labels.to(value.device), among.to(value.device)
            best, which = value.index_select(0, among.flatten()).unflatten(0, among.shape).max(1)
            value.index_copy_(0, labels, best)
            came = origin.index_select(0, among.flatten()).unflatten(0, among.shape)
            origin.index_copy_(0, labels, came.gather(1, which[:, None])[:, 0])
        ctx.save_for_backward(origin)
        return value.t()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (origin,) = ctx.saved_tensors
        return torch.zeros_like(grad.t(), memory_format=torch.contiguous_format).scatter_add(
            0, origin, grad.t()
        ).t(), None


@lru_cache(maxsize=32)
def _steps(edges: bytes, count: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """From low to high: labels ``[m]``, and each with its children ``[m, k]``, the label itself first and in gaps.

    Labels of one step stand equally high and have about equally many children, so that few are gaps.
    """
    child, parent = np.frombuffer(edges, dtype=np.int64).reshape(2, -1).tolist()
    for label in (*child, *parent):
        if not 0 <= label < count:
            raise InputError(f"Edges speak of label {label}; expected 0 to {count - 1}, a column of the scores each.")
    try:
        height = heights(child, parent, count).tolist()
    except CycleError as error:
        raise InputError(f"Edges form a cycle through label {error.node}; expected a hierarchy.") from None
    below: dict[int, list[int]] = {}
    for low, high in zip(child, parent):
        below.setdefault(high, [high]).append(low)
    steps: dict[tuple[int, int], list[int]] = {}
    for label, among in below.items():
        steps.setdefault((height[label], (len(among) - 1).bit_length()), []).append(label)
    found = []
    for _, labels in sorted(steps.items()):
        widest = max(len(below[label]) for label in labels)
        padded = [below[label] + [label] * (widest - len(below[label])) for label in labels]
        with torch.inference_mode(False):  # what is made under it could not be used in training
            found.append((torch.tensor(labels), torch.tensor(padded)))
    return tuple(found)
