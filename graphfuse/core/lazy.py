"""Sequences of which an entry is made where it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T", covariant=True)


class Lazy(Sequence[T]):
    """``size`` entries by their place, as ``make`` gives each; a slice is a tuple."""

    def __init__(self, size: int, make: Callable[[int], T]):
        self.size = size
        self.make = make

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return tuple(map(self.make, range(self.size)[at]))
        return self.make(range(self.size)[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and tuple(self) == tuple(other)

    def __reduce__(self) -> tuple[type[tuple], tuple[tuple[T, ...]]]:
        return tuple, (tuple(self),)  # what makes entries may go nowhere else

    def taken(self, places: Sequence[int]) -> Lazy[T]:
        """The entries of these places."""
        return Lazy(len(places), lambda at: self.make(places[at]))
