"""Options of constructors, checked once with a clear sentence."""

from collections.abc import Sequence
from typing import Any

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError


def check_whole(what: str, value: Any, low: int, high: int | None = None) -> int:
    """The option ``value`` if it is a whole number in ``low..high``.

    Raises:
        InputError: It is not.
    """
    if isinstance(value, int) and not isinstance(value, bool) and low <= value and (high is None or value <= high):
        return value
    bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise InputError(f"{what} is {value!r}; it must be a whole number {bounds}.")


def check_one_of(what: str, value: Any, known: Sequence[str]) -> str:
    """The option ``value`` if it is one of the ``known`` words.

    Raises:
        InputError: It is not.
    """
    return look_up(dict(zip(known, known)), value, what)
