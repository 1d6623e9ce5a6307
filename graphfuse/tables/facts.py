"""Cells as facts of samples, which rules ask for: numbers where they compare them with numbers, else words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.tables.read import Row


def sorts_of(head: Any) -> Mapping[str, type]:
    """The columns that a head's rules ask for -> ``float`` or ``str``; none of a head without rules."""
    from graphfuse.model import Ruled

    return head.sorts if isinstance(head, Ruled) else {}


def facts_of(rows: Sequence[Row], sorts: Mapping[str, type]) -> list[dict[str, float | str]]:
    """The facts of each row; what an empty cell would say is lacking.

    Raises:
        InputError: A cell is no number where one is compared, or is not one value.
    """
    found, problems = looked_up(rows, sorts)
    if problems:
        raise InputError(problems[0])
    return found


def looked_up(rows: Sequence[Row], sorts: Mapping[str, type]) -> tuple[list[dict[str, float | str]], list[str]]:
    """As :func:`facts_of`, with all that is wrong with cells; these are lacking."""
    from graphfuse.encoders.table import category_of, number_of

    found, problems = [], list[str]()
    for row in rows:
        own = dict[str, float | str]()
        for column, sort in sorts.items():
            if row[column] is None:
                continue
            where = f"{row.place}, column {column}, which rules compare with {'words' if sort is str else 'numbers'}"
            try:
                own[column] = (category_of if sort is str else number_of)(row[column], where)
            except InputError as error:
                problems.append(str(error))
        found.append(own)
    return found, problems
