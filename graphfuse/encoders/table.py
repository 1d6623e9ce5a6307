"""``table``: the cells of a row, numbers and categories, a node each."""

import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.encoders.base import Encoder, is_lacking, place
from graphfuse.encoders.cache import Cache

FARTHEST = 10.0  # standard deviations at which a number is clipped, so that one slip of a pen outweighs nothing
MOST = 1000  # categories of a column
ALIKE = 10 * np.finfo(np.float64).eps  # a spread up to this share of the mean is rounding: the column is constant
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))(?:\.0+)?")


class Table(Encoder):
    """One node for each cell that is present: which column it is, and its value. A lacking cell is no node.

    A number has two places in the row, 1 and its standardised value, clipped to -10..10; a category has one for the
    column and one for itself. A category that training lacks has the column's place alone. So the linear map that a
    model lays over the nodes is exactly the feature tokenizer of FT-Transformer, up to a bias that all cells share.

    A value is a mapping from column to cell (a number, a text or ``None``); columns that are not named are passed over.

    Args:
        numeric: column -> mean and standard deviation, by which its numbers are standardised.
        categorical: column -> its categories.

    Shape: raw rows are the features, float32 ``[n, width]``; ``width`` is 2 a numeric column, 1 and the number of its
    categories a categorical one.
    Source: Gorishniy et al. 2021, "Revisiting deep learning models for tabular data", section 3.3, the feature
    tokenizer: ``b_j + x_j W_j`` for numbers, ``b_j + e_j W_j`` for categories.

    Raises:
        InputError: There is no column, one is both numeric and categorical, or its statistics are no finite numbers.
    """

    name = "table"

    def __init__(self, numeric: Mapping[str, Sequence[float]], categorical: Mapping[str, Sequence[str]]):
        super().__init__()
        self.numeric = {column: _statistics(column, pair) for column, pair in numeric.items()}
        self.categorical = {column: tuple(names) for column, names in categorical.items()}
        if not self.numeric and not self.categorical:
            raise InputError("A table needs at least one column, numeric or categorical.")
        if twice := sorted(self.numeric.keys() & self.categorical.keys()):
            raise InputError(f"Column {twice[0]!r} is both numeric and categorical; name it once.")
        self.starts: dict[str, int] = {}  # the place in a row that says the column; its value comes after it
        width = 0
        for column in (*self.numeric, *self.categorical):
            self.starts[column] = width
            width += 2 if column in self.numeric else 1 + len(self.categorical[column])
        self.width = self.raw_width = width
        self.codes = {
            c: {category_of(name, f"Column {c!r}"): i for i, name in enumerate(names, 1)}
            for c, names in self.categorical.items()
        }

    @classmethod
    def fitted(cls, rows: Sequence[Mapping[str, Any]], numeric: Sequence[str] = (), categorical: Sequence[str] = (),
               names: Sequence[str] | None = None) -> "Table":  # fmt: skip
        """A table whose means, standard deviations and categories are those of ``rows``, which are to be training rows.

        Raises:
            InputError: A cell is not of its column's type, a column has no cell at all, or too many categories.
        """
        cells = {
            column: [(row[column], place(names, i)) for i, row in enumerate(rows) if not is_lacking(row.get(column))]
            for column in (*numeric, *categorical)
        }
        for column, present in cells.items():
            if not present:
                raise InputError(f"Column {column!r}: no training row has a value in it; leave the column out.")
        found = {c: [number_of(cell, f"{where}, column {c}") for cell, where in cells[c]] for c in numeric}
        told = {c: sorted({category_of(cell, f"{where}, column {c}") for cell, where in cells[c]}) for c in categorical}
        for column, categories in told.items():
            if len(categories) > MOST:
                raise InputError(f"Column {column!r}: {len(categories)} different values are too many for categories "
                                 f"(at most {MOST}); read it as text, with the encoder text or ngrams.")  # fmt: skip
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large for a float is reported as such
            numbers_of = {column: (float(np.mean(xs)), float(np.std(xs))) for column, xs in found.items()}
        for column, pair in numbers_of.items():
            if not all(map(math.isfinite, pair)):
                raise InputError(f"Column {column!r}: its numbers are too large for a mean and a standard deviation; "
                                 "write them in a larger unit.")  # fmt: skip
        return cls({c: (mean, std if std > ALIKE * abs(mean) else 0.0) for c, (mean, std) in numbers_of.items()}, told)

    def config(self) -> dict[str, Any]:
        """The columns with what was learnt of them."""
        return {
            "numeric": {column: list(pair) for column, pair in self.numeric.items()},
            "categorical": {column: list(names) for column, names in self.categorical.items()},
        }

    def settings(self) -> dict[str, Any]:
        """The same as pairs, since the order of columns decides the features."""
        return {key: list(columns.items()) for key, columns in self.config().items()}

    def prepare(self, values: Sequence[Any], names: Sequence[str] | None = None) -> list[Tensor]:
        """Features of each row, ``[cells, width]`` float32: numeric columns first, in the order of the constructor.

        Raises:
            InputError: A cell is not a finite number in a numeric column, or not one value in a categorical one.
        """
        counts: list[int] = []
        ones: list[int] = []  # of each node, the place that says its column
        spots: list[tuple[int, int]] = []  # (node, place) of each value
        found: list[float] = []
        for i, value in enumerate(values):
            cells = self._present(value, place(names, i))
            for column, cell in cells:
                where = f"{place(names, i)}, column {column}"
                if column in self.numeric:
                    spots.append((len(ones), self.starts[column] + 1))
                    found.append(self._standardised(column, number_of(cell, where)))
                elif code := self.codes[column].get(category_of(cell, where)):
                    spots.append((len(ones), self.starts[column] + code))
                    found.append(1.0)
                ones.append(self.starts[column])
            counts.append(len(cells))
        rows = torch.zeros(len(ones), self.width)
        rows[torch.arange(len(ones)), torch.tensor(ones, dtype=torch.long)] = 1.0
        node, spot = torch.tensor(spots, dtype=torch.long).view(-1, 2).T
        rows[node, spot] = torch.tensor(found)
        return list(rows.split(counts))

    def unseen(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Categorical column -> its cells in ``rows`` whose category training lacks; columns without any are left out.

        Raises:
            InputError: A cell is not one value.
        """
        counts = {
            column: sum(
                category_of(row[column], column) not in codes for row in rows if not is_lacking(row.get(column))
            )
            for column, codes in self.codes.items()
        }
        return {column: count for column, count in counts.items() if count}

    def forward(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """The rows as they are."""
        return rows, offsets

    def encode(
        self, values: Sequence[Any], names: Sequence[str] | None = None, cache: Cache | bool = True
    ) -> list[Tensor]:
        """The same as ``prepare``."""
        return self.prepare(values, names)

    def _standardised(self, column: str, x: float) -> float:
        mean, std = self.numeric[column]
        return max(-FARTHEST, min(FARTHEST, (x - mean) / (std or 1.0)))

    def _present(self, value: Any, name: str) -> list[tuple[str, Any]]:
        if is_lacking(value):
            return []
        if not isinstance(value, Mapping):
            raise InputError(f"{name}: {value!r} is not a row of a table; a mapping from column to cell is needed.")
        return [(column, value[column]) for column in self.starts if not is_lacking(value.get(column))]


def number_of(cell: Any, name: str) -> float:
    """A cell of a numeric column as a finite number.

    Raises:
        InputError: It is not one; the message begins with ``name``.
    """
    try:
        x = float(cell) if isinstance(cell, numbers.Real) or (isinstance(cell, str) and "_" not in cell) else None
    except (ValueError, OverflowError):
        x = None
    if x is None:
        point = " (with a decimal point)" if isinstance(cell, str) and "," in cell else ""
        raise InputError(f"{name}: {cell!r} is not a number; write a number{point}, or leave the cell empty.")
    if not math.isfinite(x):
        raise InputError(f"{name}: {cell!r} is not a finite number; leave the cell empty where a value lacks.")
    return x


def category_of(cell: Any, name: str) -> str:
    """A cell of a categorical column as its category: a text without space around it.

    One value has one category, however a file writes it: ``3`` for 3, 3.0, "3" and "3.0", ``true`` for ``True`` and
    "TRUE". A code such as "007" stays as it is.

    Raises:
        InputError: It is not one value; the message begins with ``name``.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if found := WHOLE.fullmatch(text):
            return "0" if found[1] == "-0" else found[1]
        return text.lower() if text.lower() in ("true", "false") else text
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, numbers.Real):
        whole = not isinstance(cell, numbers.Integral) and float(cell).is_integer()
        return str(int(float(cell))) if whole else str(cell)
    raise InputError(f"{name}: {cell!r} is not one value; a text or a number is needed.")


def _statistics(column: str, pair: Sequence[float]) -> tuple[float, float]:
    try:
        mean, std = (float(x) for x in pair)
    except (TypeError, ValueError):
        mean = std = math.nan
    if not (math.isfinite(mean) and math.isfinite(std) and std >= 0):
        raise InputError(f"Column {column!r}: {pair!r} is not a mean and a standard deviation of at least 0.")
    return mean, std
