"""Answers to the rows of a table, as a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.files import write_bytes

Write = Callable[[Sequence[Mapping[str, Any]], str], bytes]


def writer_of(out: Path) -> Write:
    """What makes the bytes of a file from rows and the separator of labels, by its suffix.

    Raises:
        InputError: Answers are not written to files of this suffix.
    """
    write = WRITERS.get(out.suffix.lower())
    if write is None:
        raise InputError(f"--out {out}: answers go to a file that ends in one of {' '.join(WRITERS)}.")
    return write


def write_answers(answers: Sequence[Answer], out: Path, column: str, separator: str) -> None:
    """Writes id, answer and confidence (where the head has one) a row.

    Args:
        answers: One a row.
        out: ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``.
        column: What the answers are called: as the target. Where that is ``id`` or ``confidence``, the other column of
            the name becomes ``row_id`` or ``answer_confidence``.
        separator: Between the labels of an answer where a cell is a text.

    Raises:
        InputError: As :func:`writer_of`, or the file cannot be written.
    """
    name = "row_id" if column == "id" else "id"
    sure = "answer_confidence" if column == "confidence" else "confidence"
    rows = [{name: a.name, column: a.value, sure: a.score} for a in answers]
    if all(a.score is None for a in answers):
        rows = [{key: value for key, value in row.items() if key != sure} for row in rows]
    write_bytes(out, writer_of(out)(rows, separator))


def _delimited(delimiter: str) -> Write:
    def write(rows: Sequence[Mapping[str, Any]], separator: str) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: separator.join(x) if isinstance(x, tuple) else x for k, x in row.items()})
        return text.getvalue().encode()

    return write


def _lines(rows: Sequence[Mapping[str, Any]], separator: str) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(rows: Sequence[Mapping[str, Any]], separator: str) -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame([dict(row) for row in rows]).to_parquet(buffer, index=False)
    return buffer.getvalue()


WRITERS: dict[str, Write] = {
    ".csv": _delimited(","), ".tsv": _delimited("\t"), ".jsonl": _lines, ".parquet": _parquet,
}  # fmt: skip
