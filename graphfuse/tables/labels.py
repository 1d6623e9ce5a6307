"""Which labels each row of a table has: a column of 0 and 1 for each, or one column with their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables.read import Frame

TRUTH = {"1": True, "true": True, "0": False, "false": False}


def marked(frame: Frame, labels: Sequence[str]) -> list[list[bool]]:
    """By a column a label.

    Raises:
        InputError: There is no such column, or a cell is neither 0 nor 1.
    """
    if lacking := [label for label in labels if label not in frame.columns]:
        more = f" (nor for {len(lacking) - 1} more)" if len(lacking) > 1 else ""
        raise InputError(f"{frame.path}: there is no column for the label {lacking[0]!r}{more}."
                         f"{did_you_mean(lacking[0], frame.columns)} One column with the names of labels is said by "
                         "--column.")  # fmt: skip
    return [[_truth(row[label], f"{row.place}, column {label}") for label in labels] for row in frame.rows]


def named(frame: Frame, labels: Sequence[str], column: str, separator: str) -> tuple[list[list[bool]], Counter[str]]:
    """By one column with their names, and how many rows have each name that is none of the labels.

    Raises:
        InputError: There is no such column, or a cell holds something else than names.
    """
    if column not in frame.columns:
        raise InputError(f"{frame.path}: there is no column {column!r}.{did_you_mean(column, frame.columns)}")
    found, unknown, known = list[list[bool]](), Counter[str](), set(labels)
    for row in frame.rows:
        own = set(names_of(row[column], separator, f"{row.place}, column {column}"))
        unknown.update(own - known)
        found.append([label in own for label in labels])
    return found, unknown


def names_of(cell: Any, separator: str, where: str) -> tuple[str, ...]:
    """The different names of a cell: a list of them, or a text with separators between; none where it is lacking.

    Raises:
        InputError: An item is not one value; the message begins with ``where``.
    """
    from graphfuse.encoders.table import category_of

    parts = cell.split(separator) if isinstance(cell, str) else cell
    parts = parts if isinstance(parts, list | tuple) else [] if parts is None else [parts]
    return tuple(dict.fromkeys(name for part in parts if (name := category_of(part, where))))


def _truth(cell: Any, where: str) -> bool:
    from graphfuse.encoders.table import category_of

    if cell is None:
        raise InputError(f"{where}: the cell is empty; 0 or 1 is needed.")
    if (found := TRUTH.get(category_of(cell, where))) is None:
        raise InputError(
            f"{where}: {cell!r} says neither that the label is there nor that it is not; 0 or 1 is needed."
        )
    return found
