"""What was found of the last batches, as training and measures ask for it again and again."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeVar

from graphfuse.core.sample import Batch

T = TypeVar("T")
Recent = list[tuple[weakref.ref[Batch], T]]
KEPT = 64
"""Batches, of which it is kept."""


def recent(kept: Recent[T], batch: Batch, find: Callable[[Batch], T]) -> T:
    """What is kept of this very batch, or is found of it now and kept."""
    for place, (of, found) in enumerate(kept):
        if of() is batch:
            kept.append(kept.pop(place))
            return found
    found = find(batch)
    kept.append((weakref.ref(batch), found))
    kept[:] = [own for own in kept if own[0]() is not None][-KEPT:]
    return found
