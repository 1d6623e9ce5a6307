"""Explanations as text and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

WIDE = 40
"""Characters of a name, beyond which it is cut short."""


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells, each column as wide as its widest."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def cut(name: str) -> str:
    """A name on one line, cut short where it is long."""
    name = " ".join(name.split())
    return name if len(name) <= WIDE else f"{name[: WIDE - 1].rstrip()}…"


def plain(value: Any) -> Any:
    """A value as JSON has it: an infinite number is the text ``"inf"`` or ``"-inf"``."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value
