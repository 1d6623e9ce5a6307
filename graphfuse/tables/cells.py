"""Cells as the values that encoders read, and whether the files that they name may be opened."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables.parts import Node
from graphfuse.tables.read import Row

ARRAY = re.compile(r"\.np[yz](#.*)?$", re.IGNORECASE)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")


class Value(NamedTuple):
    """What an encoder reads, and what messages call it."""

    value: Any
    name: str


def items_of(cell: Any) -> list[Any]:
    """The values of a cell: those of a list that are not empty, else itself; none where it is lacking."""
    items = cell if isinstance(cell, list | tuple) else [cell]
    return [item for item in items if item is not None and not (isinstance(item, str) and not item.strip())]


def values_of(node: Node, row: Row, folder: Path) -> list[Value]:
    """The values of a row for the encoder of a kind that reads one column, files by their whole path.

    Raises:
        InputError: A cell of features is neither numbers nor a file of them, or its file lacks the row's array.
    """
    cell, where = row[str(node.column)], f"{row.place}, column {node.column}"
    folder = folder.absolute()  # else an encoder would take a folder called ~ for the user's
    if node.encoder == "vector" and _is_numbers(cell):
        return [Value(cell, where)]
    items = items_of(cell)
    names = [where] if len(items) == 1 else [f"{where}, item {i}" for i in range(1, len(items) + 1)]
    if node.encoder == "image":
        return [Value(str(folder / x.strip()) if isinstance(x, str) else x, n) for x, n in zip(items, names)]
    if node.encoder == "vector":
        return [Value(_features(x, row.name, folder, n), n) for x, n in zip(items, names)]
    return [Value(x if isinstance(x, str) else _worded(x, n), n) for x, n in zip(items, names)]


def path_problems(rows: Sequence[Row], nodes: Sequence[Node], folder: Path) -> Iterator[str]:
    """What is wrong with the files that cells name: each has to be there, and inside the table's folder."""
    found: dict[str, str | None] = {}  # each file is looked for once
    for node in nodes:
        for row in rows if node.files else ():
            if node.encoder == "image":
                wrong = [item for item in items_of(row[str(node.column)]) if not isinstance(item, str)]
                yield from (f"{row.place}, column {node.column}: {x!r} is not the path of a picture." for x in wrong)
            for path in paths_of(node, row):
                if path not in found:
                    found[path] = path_problem(path, folder)
                if problem := found[path]:
                    yield f"{row.place}, column {node.column}: {_shown(path)!r} {problem}"


def path_problem(path: str, folder: Path) -> str | None:
    """What is wrong with a path that a cell names; ``None`` if it may be opened."""
    home = os.path.realpath(folder)
    if os.path.isabs(path) or re.match(r"[A-Za-z]:[\\/]", path):
        return "is an absolute path; write it relative to the table's folder."
    if re.match(r"[a-z]+://", path, re.IGNORECASE):
        return "is an address; download the file into the table's folder."
    whole = os.path.join(folder, path)
    outside = os.path.relpath(whole, folder).split(os.sep)[0] == os.pardir
    if not outside and os.path.isdir(whole):
        return "is a folder; a file is needed."
    if not outside and not os.path.isfile(whole):
        turned = os.path.isfile(whole.replace("\\", "/"))
        return "is no file here; write / between folders." if turned else "is missing; there is no such file."
    if outside or os.path.commonpath([home, os.path.realpath(whole)]) != home:
        return "leads out of the table's folder; put the file inside it."
    return None


def paths_of(node: Node, row: Row) -> list[str]:
    """The files that a cell names, as it names them, without the key of an array."""
    items = [item.strip() for item in items_of(row[str(node.column)]) if isinstance(item, str)]
    return [item.partition("#")[0] for item in items if ARRAY.search(item)] if node.encoder == "vector" else items


def numbers_in(text: str) -> list[float] | None:
    """The numbers of ``[0.1, 0.2]``, ``0.1 0.2`` or ``0.1;0.2``; ``None`` where it is something else."""
    words = re.split(r"[\s,;]+", text.strip().strip("[]()").strip())
    return [float(word) for word in words] if all(map(NUMBER.match, words)) else None


def _shown(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"


def _is_numbers(cell: Any) -> bool:
    """Whether a list is one array and not several texts."""
    return isinstance(cell, list | tuple) and bool(cell) and not any(isinstance(item, str) for item in cell)


def _features(item: Any, name: str, folder: Path, where: str) -> Any:
    if not isinstance(item, str):
        return [item]
    if not ARRAY.search(item):
        numbers = numbers_in(item)
        if numbers is None:
            raise InputError(f"{where}: {_shown(item)!r} is neither numbers such as '0.1 0.2' nor a .npy or .npz file.")
        return numbers
    file, _, key = item.strip().partition("#")
    path = folder / file
    if key or path.suffix.lower() != ".npz":
        return f"{path}#{key}" if key else str(path)
    arrays = _arrays(str(path), path.stat().st_mtime_ns)
    if name not in arrays and len(arrays) > 1:
        raise InputError(f"{where}: {file} has no array {name!r}.{did_you_mean(name, arrays)}")
    return f"{path}#{name}" if name in arrays or not arrays else str(path)


@lru_cache(64)
def _arrays(path: str, changed: int) -> tuple[str, ...]:
    """The names of the arrays in a file; none where it is torn, which its reader says better."""
    try:
        with zipfile.ZipFile(path) as file:
            return tuple(name.removesuffix(".npy") for name in file.namelist())
    except (OSError, zipfile.BadZipFile):
        return ()


def _worded(item: Any, where: str) -> str:
    from graphfuse.encoders.table import category_of

    return category_of(item, where)
