"""A table of a file: CSV, TSV, JSON lines or Parquet, as rows that know where they stand."""

from __future__ import annotations

import codecs
import json
import math
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables.decode import decode
from graphfuse.tables.separated import check_twice, separated

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
SHEETS = {b"PK\x03\x04": "a spreadsheet or a zip file", b"\xd0\xcf\x11\xe0": "an old spreadsheet"}


class Row(dict[str, Any]):
    """The cells of a row by column, ``None`` where a cell is lacking, with where it stands.

    Attributes:
        number: The line of the file at which it begins; in Parquet the row, from 1.
        place: What messages call it, ``table.csv row 8``.
        name: Of its sample: the cell of the id column, else ``row 8``.
    """

    def __init__(self, cells: dict[str, Any], number: int, file: str):
        super().__init__(cells)
        self.number, self.place, self.name = number, f"{file} row {number}", f"row {number}"


@dataclass(frozen=True)
class Frame:
    """A table that was read.

    Attributes:
        path: Its file; paths in its cells are relative to the folder.
        columns: In the order of the file.
        rows: At least one.
        notes: What a user may want to know, such as a guessed encoding.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]
    notes: tuple[str, ...] = ()


def read_table(path: str | Path) -> Frame:
    """Reads a table. An empty cell is lacking; ``NA`` and ``None`` are texts like any other.

    Raises:
        InputError: There is no such file, its suffix is unknown, or it is not what its suffix says (with the line).
    """
    path = Path(path)
    if not path.is_file():
        if path.is_dir():
            raise InputError(f"{path}: this is a folder; a table is a file that ends in one of {' '.join(SUFFIXES)}.")
        near = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{path}: there is no such file.{did_you_mean(path.name, near).partition(' Known:')[0]}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: a table ends in one of {' '.join(SUFFIXES)}, not in {suffix or 'nothing'}; "
                         "a spreadsheet can be exported as CSV.")  # fmt: skip
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise InputError(f"{path}: the file is empty; a table needs a header and rows.")
    if suffix == ".parquet":
        return _framed(path, *_parquet(path))
    if sheet := SHEETS.get(data[:4]):
        raise InputError(f"{path}: this is {sheet}, not {suffix[1:].upper()}; export it as CSV and give that file.")
    text, notes = decode(data, path)
    if suffix == ".jsonl":
        return _framed(path, *_json_lines(path, text), notes)
    columns, records, said = separated(path, text, "\t" if suffix == ".tsv" else None)
    return _framed(path, columns, records, (*notes, *said))


def _framed(path: Path, columns: tuple[str, ...], numbered: list[tuple[int, dict[str, Any]]],
            notes: tuple[str, ...] = ()) -> Frame:  # fmt: skip
    rows = [Row({c: _plain(cells.get(c)) for c in columns}, number, path.name) for number, cells in numbered]
    if not rows:
        raise InputError(f"{path}: there is a header but no row; a table needs rows.")
    return Frame(path, columns, rows, notes)


def _json_lines(path: Path, text: str) -> tuple[tuple[str, ...], list]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits, too
            reason = getattr(error, "msg", str(error))
            raise InputError(f"{path}:{number}: not valid JSON ({reason}); each line is one object.") from None
        if "\\ud" in line.lower() and _halved(cells):
            raise InputError(
                f"{path}:{number}: a text has half of a character, a lone \\ud8.. or \\udc..; mend the line."
            )
        if not isinstance(cells, dict):
            kind = type(cells).__name__
            raise InputError(f'{path}:{number}: a {kind} is not a row; each line is one object, {{"column": cell}}.')
        rows.append((number, cells))
    return tuple(dict.fromkeys(column for _, cells in rows for column in cells)), rows


def _halved(cells: Any) -> bool:
    """Whether a text in it has a lone surrogate, which no file can be written with."""
    try:
        json.dumps(cells, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _parquet(path: Path) -> tuple[tuple[str, ...], list]:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path).read()
        cells = table.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"{path}: this is not a whole Parquet file ({reason}); write it again.") from error
    columns = tuple(name for name in table.column_names if not name.startswith("__index_level_"))  # of pandas
    check_twice(str(path), columns)
    return columns, list(enumerate(cells, 1))


def _plain(cell: Any) -> Any:
    """A cell as a text, a number or a list of them; ``None`` where it is lacking."""
    if isinstance(cell, str):
        return cell if cell.strip() else None
    if isinstance(cell, Decimal):  # a whole one may have more digits than a float holds
        cell = int(cell) if cell.is_finite() and cell == cell.to_integral_value() else float(cell)
    if isinstance(cell, date | time):
        return cell.isoformat()
    return None if (isinstance(cell, float) and math.isnan(cell)) or cell == [] else cell
