"""Files that public sets come in, and the table that a benchmark makes of them, with the pictures that it names."""

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

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


def read_arrays(path: str | Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Some arrays of a ``.npz`` file; all if ``names`` is left out.

    Raises:
        InputError: The file is missing or broken, or lacks an array.
    """
    with _reading(path), np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in (file.files if names is None else names)}


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines.

    Raises:
        InputError: The file is missing or broken.
    """
    with _reading(path):
        return [json.loads(line) for line in Path(path).read_text("utf-8").split("\n") if line.strip()]


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is not the file that the set has under this name ({error}).") from error
