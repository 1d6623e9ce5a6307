"""Opening all that the cells of a table name, and saying of each what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.core.progress import progress
from graphfuse.tables.cells import Value, path_problem, path_problems, paths_of, values_of
from graphfuse.tables.parts import Node
from graphfuse.tables.read import Row

SIZE = 32  # pixels of a side to which pictures are decoded here; enough to see that they open


@dataclass
class Looked:
    """What was seen.

    Attributes:
        problems: What would stop training, with row and column.
        warnings: What may be meant otherwise.
        digests: picture file -> a hash of its content, for those that open.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    digests: dict[str, bytes] = field(default_factory=dict)


def look_at(rows: Sequence[Row], training: Sequence[Row], nodes: Sequence[Node], folder: Path) -> Looked:
    """Opens and decodes every picture, reads every array and every cell of a table; each file once."""
    looked = Looked()
    for node in nodes:
        if node.files:
            looked.problems += path_problems(rows, [node], folder)
        if node.encoder == "table":
            looked.problems += _cell_problems(rows, training, node)
        elif node.encoder == "image":
            _look_at_pictures(rows, node, folder, looked)
        elif node.encoder == "vector":
            looked.problems += _feature_problems(rows, training, node, folder)
        else:
            for row in rows:
                looked.problems += _problem(values_of, node, row, folder)
    return looked


def _look_at_pictures(rows: Sequence[Row], node: Node, folder: Path, looked: Looked) -> None:
    from PIL import Image

    from graphfuse.encoders.content import digest
    from graphfuse.encoders.pixels import read_pixels

    done: set[str] = set()
    with progress("opening pictures", len(rows)) as advance:
        for row in rows:
            for path in paths_of(node, row):
                whole, where = folder / path, f"{row.place}, column {node.column}"
                if path in done or path_problem(path, folder):
                    continue  # told already
                done.add(path)
                if broken := _problem(read_pixels, str(whole), SIZE, where):
                    looked.problems += broken
                    continue
                looked.digests[path] = digest(whole.read_bytes())
                with Image.open(whole) as picture:
                    if max(picture.size) == 1:
                        looked.warnings.append(f"{where}: {path!r} is a picture of a single pixel; it shows nothing.")
            advance(1)


def _feature_problems(rows: Sequence[Row], training: Sequence[Row], node: Node, folder: Path) -> list[str]:
    """Every array that is no array, of another width than the first of training, or not finite."""
    from graphfuse.encoders import Vector

    problems: list[str] = []
    values: dict[int, list[Value]] = {}
    for row in rows:
        if not any(path_problem(path, folder) for path in paths_of(node, row)):
            wrong = _problem(values_of, node, row, folder)
            problems += wrong
            values[row.number] = [] if wrong else values_of(node, row, folder)
    width = node.options.get("width") or _width(node, [row for row in training if values.get(row.number)], folder)
    if width is None:
        torn = [each for own in values.values() for each in own if _problem(Vector(1).prepare, *zip(each))]
        problems += [] if problems else list(_halves(Vector(1), torn))
        return problems or [f"kind {node.kind}: no training row has features in the column {node.column!r}."]
    return problems + list(_halves(Vector(width), [each for own in values.values() for each in own]))


def _width(node: Node, training: Sequence[Row], folder: Path) -> int | None:
    """The width of the first features in training that can be read."""
    from graphfuse.tables.samples import width_of

    for row in training:
        with suppress(InputError):
            return width_of(node, [row], folder)
    return None


def _halves(encoder: Any, values: Sequence[Value]) -> Iterator[str]:
    """The problem of each value that has one: what reads well together is read once."""
    wrong = _problem(encoder.prepare, [each.value for each in values], [each.name for each in values])
    if len(values) < 2 or not wrong:
        yield from wrong
        return
    middle = len(values) // 2
    yield from _halves(encoder, values[:middle])
    yield from _halves(encoder, values[middle:])


def _cell_problems(rows: Sequence[Row], training: Sequence[Row], node: Node) -> list[str]:
    from graphfuse.encoders import Table
    from graphfuse.encoders.table import category_of, number_of

    problems: list[str] = []
    for read, columns in ((number_of, node.numeric), (category_of, node.categorical)):
        for column in columns:
            for row in rows:
                if row[column] is not None:
                    problems += _problem(read, row[column], f"{row.place}, column {column}")
    if not problems and training:
        found = _problem(Table.fitted, training, node.numeric, node.categorical)
        problems += [f"kind {node.kind}: {each}" for each in found]
    return problems


def _problem(read: Any, *arguments: Any) -> list[str]:
    """What a reader says is wrong, in a list, which is empty if nothing is."""
    try:
        read(*arguments)
    except InputError as error:
        return [str(error)]
    return []
