"""CSV and TSV: which delimiter, the records with their lines, and numbers with decimal commas."""

from __future__ import annotations

import csv
import io
import re
from contextlib import suppress
from itertools import islice
from pathlib import Path

from graphfuse.core.errors import InputError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
LOOKED_AT = 20  # records that tell the delimiter
SAID = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)  # the first line, as Excel writes it
COMMA = re.compile(r"[-+]?\d+(,\d+)?([eE][-+]?\d+)?")
THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
Records = list[tuple[int, dict[str, str]]]


def separated(path: Path, text: str, delimiter: str | None) -> tuple[tuple[str, ...], Records, tuple[str, ...]]:
    """The header, the records each with the line at which it begins, and notes; ``None``: by what fits best.

    A first line such as ``sep=;`` says the delimiter and is no header.

    Raises:
        InputError: A quote is torn, a record has another number of fields than the header, or a column is there twice.
    """
    lines = list(io.StringIO(text, newline=""))  # quoted line breaks stay as they are
    if said := SAID.fullmatch(lines[0]):
        delimiter, lines[0] = said[1], "\n"
        if delimiter not in DELIMITERS:
            raise InputError(f"{path}:1: sep={delimiter} is none of {', '.join(DELIMITERS.values())}; save the table "
                             "with one of them.")  # fmt: skip
    delimiter = delimiter or max(DELIMITERS, key=lambda each: _fit(lines, each))
    (line, header), *records = _records(path, lines, delimiter) or [(1, [])]
    columns = tuple(name.strip() or f"column {i}" for i, name in enumerate(header, 1))
    check_twice(f"{path}:{line}", columns)
    for line, fields in records:
        if len(fields) != len(columns):
            word, found = DELIMITERS[delimiter], f"{len(fields)} field{'s' if len(fields) != 1 else ''}"
            raise InputError(f"{path}:{line}: the row has {found}, but the header has {len(columns)} (separated by "
                             f"{word}); a field with a {word} in it needs quotes.")  # fmt: skip
    rows = [(line, dict(zip(columns, fields))) for line, fields in records]
    return columns, rows, _with_points(path, columns, rows) if delimiter == ";" else ()


def _with_points(path: Path, columns: tuple[str, ...], rows: Records) -> tuple[str, ...]:
    """Puts points for decimal commas where all of a column are such numbers (1,234 may be thousands); says where."""
    changed = []
    for column in columns:
        filled = [cells for _, cells in rows if cells[column].strip()]
        commas = [cells[column].strip() for cells in filled if "," in cells[column]]
        if not commas or all(map(THOUSANDS.fullmatch, commas)):
            continue
        if all(COMMA.fullmatch(cells[column].strip()) for cells in filled):
            changed.append(column)
            for cells in filled:
                cells[column] = cells[column].replace(",", ".")
    return (f"{path}: decimal commas were read as decimal points in: {', '.join(changed)}.",) if changed else ()


def _records(path: Path, lines: list[str], delimiter: str) -> list[tuple[int, list[str]]]:
    """Each record that is not blank, with its first line."""
    before = csv.field_size_limit(2**31 - 1)  # a limit of the whole process, put back below
    reader, records, line = csv.reader(lines, delimiter=delimiter, strict=True), [], 1
    try:
        for fields in reader:
            if len(fields) > 1 or (fields and fields[0].strip()):
                records.append((line, fields))
            line = reader.line_num + 1
    except csv.Error as error:
        start = _torn(lines, line, delimiter)
        raise InputError(f"{path}:{start}: a quote opens here and is not closed before a {DELIMITERS[delimiter]} or "
                         'the end of a line; a quote inside quotes is written twice, "".') from error  # fmt: skip
    finally:
        csv.field_size_limit(before)
    return records


def _torn(lines: list[str], line: int, delimiter: str) -> int:
    """The line at which the badly closed quote of the record opens that begins at ``line``."""
    text, at = "".join(lines[line - 1 :]), 0
    field = re.compile(rf'"[^"]*(?:""[^"]*)*"(?=[{delimiter}\r\n]|\Z)|(?!")[^{delimiter}\r\n]*')
    while at < len(text) and (found := field.match(text, at)):
        at = found.end() + 1
    return line + len(list(io.StringIO(text[:at], newline=""))) - (at > 0 and text[at - 1] not in "\r\n")


def _fit(lines: list[str], delimiter: str) -> tuple[int, int]:
    """How well a delimiter suits: the columns that it gives, and how many of the first records have as many."""
    sizes: list[int] = []
    with suppress(csv.Error):
        sizes.extend(len(fields) for fields in islice(csv.reader(lines, delimiter=delimiter), LOOKED_AT) if fields)
    return (sizes[0], sizes.count(sizes[0])) if sizes else (0, 0)


def check_twice(where: str, columns: tuple[str, ...]) -> None:
    """Raises ``InputError`` where two columns have one name."""
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        places = " and ".join(str(i) for i, name in enumerate(columns, 1) if name == twice)
        raise InputError(f"{where}: the column {twice!r} is there more than once, as columns {places}; "
                         "names must differ.")  # fmt: skip
