"""What is made of a batch once, however often it is asked for."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import torch

from graphfuse.core.sample import Batch

T = TypeVar("T")
MOST = 64
"""Of so many batches it is kept: a loss and measures ask for the same again and again."""


class Kept(Generic[T]):
    """What was made of the last batches, by the batch itself; what is kept may not hold the batch.

    A copy, also in another process, begins empty.
    """

    def __init__(self) -> None:
        self._made = dict[int, tuple[weakref.ref[Batch], T]]()

    def of(self, batch: Batch, make: Callable[[Batch], T]) -> T:
        """What was made of this batch before, or is made now."""
        key, made = id(batch), self._made
        own = made.pop(key, None)
        if own is None or own[0]() is not batch:
            with torch.inference_mode(False):  # what is made under it could not be used in training
                own = weakref.ref(batch, partial(_forget, made, key)), make(batch)
            for old in list(made)[: 1 - MOST + len(made)] if len(made) >= MOST else ():
                made.pop(old, None)
        made[key] = own  # the last that was asked for
        return own[1]

    def __reduce__(self) -> tuple[type[Kept[T]], tuple[()]]:
        return type(self), ()


def _forget(made: dict[int, tuple[weakref.ref[Batch], T]], key: int, gone: weakref.ref[Batch]) -> None:
    """What was made of a batch that is no more, unless another has taken its place."""
    if key in made and made[key][0] is gone:
        del made[key]
