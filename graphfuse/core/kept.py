"""What is made of a batch once, however often it is asked for."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

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
        own = self._made.pop(id(batch), None)
        if own is None or own[0]() is not batch:
            own = weakref.ref(batch), make(batch)
            left = [(key, each) for key, each in self._made.items() if each[0]() is not None]
            self._made = dict(left[1 - MOST :])
        self._made[id(batch)] = own  # the last that was asked for
        return own[1]

    def __reduce__(self) -> tuple[type[Kept[T]], tuple[()]]:
        return type(self), ()
