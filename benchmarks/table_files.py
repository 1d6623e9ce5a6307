"""A table that a benchmark makes: ``table.jsonl`` with the pictures that it names beside it."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.core.files import write_text


def write_table(
    rows: Iterable[Mapping[str, Any]], pictures: str | Path | None, folder: str | Path, column: str = "image"
) -> Path:
    """Writes ``table.jsonl`` and copies what ``column`` names from the folder ``pictures``; gives the table's path.

    A picture is looked up by its file name, and keeps the path of its cell. Nothing is copied where ``pictures`` is
    ``None``; a cell may be empty or lack.

    Raises:
        InputError: A picture is missing.
    """
    rows, folder = list(rows), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    named = sorted({row[column] for row in rows if row.get(column)}) if pictures is not None else []
    for image in named:
        source, target = Path(pictures or "") / Path(image).name, folder / image
        if not source.is_file():
            raise InputError(f"{source}: there is no such picture, but the table names it.")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.stat().st_size != source.stat().st_size:
            shutil.copyfile(source, target)
    table = folder / "table.jsonl"
    write_text(table, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return table
