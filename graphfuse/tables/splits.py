"""Which rows are in which split: told by a column, or drawn by shares."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.tables.read import Row

SPLITS = ("train", "valid", "test")
WORDS = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What may stand in a split column, in any case."""


def told(rows: Sequence[Row], column: str) -> tuple[dict[str, list[int]], list[str]]:
    """The numbers of the rows in each split as a column says, and what is wrong in it."""
    splits: dict[str, list[int]] = {name: [] for name in SPLITS}
    problems = []
    for i, row in enumerate(rows):
        cell = row[column]
        split = WORDS.get(str(cell).strip().casefold())
        if split:
            splits[split].append(i)
        elif cell is None:
            problems.append(f"{row.place}, column {column}: the cell is empty; train, valid or test is needed.")
        else:
            problems.append(f"{row.place}, column {column}: {cell!r} is no split.{did_you_mean(str(cell), WORDS)}")
    return splits, problems


def drawn(rows: Sequence[Row], shares: Sequence[float], seed: int, group: str | None,
          strata: Sequence[Any] | None) -> dict[str, list[int]]:  # fmt: skip
    """The numbers of the rows in each split, drawn by ``shares`` from ``seed``.

    Rows with the same cell in the column ``group`` stay together; a row without one is a group of its own. Rows of
    equal ``strata`` (labels), if given, are spread alike, the first of each to train. No split is left empty if there
    are three rows or groups.
    """
    numbers = list(range(len(rows)))
    random.Random(seed).shuffle(numbers)
    if group is not None:
        together: dict[Any, list[int]] = {}
        for i in numbers:
            together.setdefault(i if rows[i][group] is None else str(rows[i][group]).strip(), []).append(i)
        parts = sorted(together.values(), key=len, reverse=True)  # large ones first, so that the rest can even out
    else:
        parts = [[i] for i in sorted(numbers, key=lambda i: str(strata[i]) if strata else "")]
    splits: dict[str, list[int]] = {name: [] for name in SPLITS}
    done, seen = 0, set()
    for place, part in enumerate(parts):
        done += len(part)
        lacking = {name: share * done - len(splits[name]) for name, share in zip(SPLITS, shares)}
        empty = [name for name in SPLITS if not splits[name]]
        if strata and str(strata[part[0]]) not in seen:
            seen.add(str(strata[part[0]]))
            lacking = {"train": 1.0}
        if len(parts) - place <= len(empty):
            lacking = dict.fromkeys(empty, 1.0)
        splits[max(lacking, key=lacking.__getitem__)] += part
    return {name: sorted(part) for name, part in splits.items()}
