"""Looking a name up, and saying what was probably meant when it is not there."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from graphfuse.core.errors import InputError

Part = TypeVar("Part")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" Did you mean 'x' or 'y'?"`` with the nearest known names, then the known names if they are few."""
    names = [str(each) for each in known]
    folded = {each.casefold(): each for each in reversed(names)}
    near = [folded[each] for each in get_close_matches(str(name).casefold(), folded, n=3, cutoff=0.55)]
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return hint + (f" Known: {', '.join(names) or 'none'}." if len(names) <= 30 else "")


def look_up(catalog: Mapping[str, Part], name: str, what: str) -> Part:
    """The part called ``name``.

    Raises:
        InputError: No part has that name; says what it is a name of and which names are near.
    """
    if name not in catalog:
        raise InputError(f"There is no {what} called {name!r}.{did_you_mean(name, catalog)}")
    return catalog[name]
