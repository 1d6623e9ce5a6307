"""From the rows of a table to samples: the encoders that a spec names, fitted on training rows, and what they give."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Sample
from graphfuse.encoders import ENCODERS, Encoder, Table, Vector
from graphfuse.encoders.vector import file_and_key
from graphfuse.tables.cells import path_problems, values_of
from graphfuse.tables.data import Data, load, load_rows
from graphfuse.tables.facts import facts_of
from graphfuse.tables.parts import Node, node_of
from graphfuse.tables.read import Row
from graphfuse.tables.spec import Spec

PLACES = {"text": "model", "image": "weights"}
"""Options that may be a path, from the spec's folder, else from here; kept whole, so that a run opens anywhere."""
NAMED = ("minilm", "default", "random")  # values of these that are never a path

__all__ = ["Data", "encoders_of", "load", "load_rows", "preprocessing", "reopen", "samples_of"]


def encoders_of(spec: Spec, data: Data) -> dict[str, Encoder]:
    """kind -> encoder. What one learns of the table (means, categories, the width of features) is of training rows.

    Raises:
        InputError: An option is wrong, a model is not there, or a column has nothing to learn from.
    """
    encoders = {}
    for node in spec.nodes:
        try:
            encoders[node.kind] = _made(node, spec, data)
            _ = encoders[node.kind].width  # of a model that is not there, this says so
        except InputError as error:
            message = str(error)
            placed = message.startswith((data.path.name, str(spec.path)))
            raise InputError(message if placed else f"{spec.path}: [nodes.{node.kind}] {message}") from error
    return encoders


def samples_of(rows: Sequence[Row], nodes: Sequence[Node], encoders: Mapping[str, Encoder], folder: Path,
               targets: Sequence[Any] | None = None, asked: Mapping[str, type] = MappingProxyType({})
               ) -> list[Sample]:  # fmt: skip
    """One sample a row, named by its id; a kind whose cells are lacking is absent from it.

    A frozen encoder's features come from the cache or are computed; of a trained one the sample carries raw rows.

    Args:
        rows: Of ``Data`` or ``load_rows``.
        nodes: The kinds.
        encoders: kind -> encoder.
        folder: The table's, from which paths in cells start.
        targets: One a row, if there are any.
        asked: Columns that rules ask for, as ``sorts_of`` gives them.

    Raises:
        InputError: A cell cannot be read; names row and column. That files exist is checked before anything is read.
    """
    folder = Path(folder)
    if problem := next(path_problems(rows, nodes, folder), None):
        raise InputError(problem)
    known = facts_of(rows, asked)
    features = {node.kind: _features(rows, node, encoders[node.kind], folder) for node in nodes}
    for i, row in enumerate(rows):
        if not any(len(own[i]) for own in features.values()):
            raise InputError(f"{row.place}: no encoder finds anything in it, neither a word nor a number, picture or "
                             "array; fill a cell, or drop the row.")  # fmt: skip
    every = zip(rows, [None] * len(rows) if targets is None else targets, known, strict=True)
    return [
        Sample(row.name, {kind: own[i] for kind, own in features.items() if len(own[i])}, target=target, facts=facts)
        for i, (row, target, facts) in enumerate(every)
    ]


def located(node: Node, spec: Spec) -> dict[str, str]:
    """The option of a kind that names a file or folder which is there, as its whole path; else none."""
    key = PLACES.get(node.encoder, "")
    if (option := node.options.get(key)) in (None, *NAMED):
        return {}
    places = [folder / Path(str(option)).expanduser() for folder in (spec.path.parent, Path())]
    return next(({key: str(path.resolve())} for path in places if path.exists()), {})


def width_of(node: Node, rows: Sequence[Row], folder: Path) -> int:
    """The width of the first features in rows, whose files are known to be there.

    Raises:
        InputError: No row has features, or the first cannot be read.
    """
    for value, name in itertools.chain.from_iterable(values_of(node, row, folder) for row in rows):
        array = _array(value, name)
        if array.ndim in (1, 2) and array.size:
            return array.shape[-1]
        Vector(1).prepare([array], [name])  # says what is wrong with an array of another shape
    raise InputError(f"no training row has features in the column {node.column!r}; leave the kind out.")


def preprocessing(spec: Spec, encoders: Mapping[str, Encoder]) -> dict[str, Any]:
    """All that a new table needs to be read as this one was, as JSON values; ``reopen`` reads them.

    Keys: ``nodes`` (kind -> its section of the spec), ``encoders`` (kind -> their settings and what they learnt),
    ``ids`` (kind -> id of a frozen encoder, which changes with its weights), ``target`` and ``rows`` (of the spec).
    """
    told = spec.to_dict()
    settings = {kind: encoder.config() for kind, encoder in encoders.items()}
    ids = {kind: encoder.id for kind, encoder in encoders.items() if not encoder.trainable}
    return {"nodes": told["nodes"], "encoders": settings, "ids": ids, "target": told["target"], "rows": told["rows"]}


def reopen(told: Mapping[str, Any], trained: Mapping[str, Encoder] | None = None
           ) -> tuple[tuple[Node, ...], dict[str, Encoder]]:  # fmt: skip
    """Kinds and encoders from ``preprocessing``; ``trained`` are those that a model has already.

    Raises:
        InputError: It is not what ``preprocessing`` gives, or a model that an encoder needs is not there or is another.
    """
    try:
        nodes = tuple(node_of(kind, own, f"[nodes.{kind}]") for kind, own in told["nodes"].items())
        made = dict(trained or {})
        for node in nodes:
            if node.kind not in made:
                made[node.kind] = ENCODERS[node.encoder](**told["encoders"][node.kind])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"This is not how a table was read ({error!r}); train the model again.") from error
    for kind, own in told.get("ids", {}).items():
        if kind not in (trained or {}) and made[kind].id != own:
            raise InputError(f"[nodes.{kind}]: its encoder is another now than in training, by its weights or version; "
                             "bring that back, or train the model again.")  # fmt: skip
    return nodes, {node.kind: made[node.kind] for node in nodes}


def _made(node: Node, spec: Spec, data: Data) -> Encoder:
    rows, options = data.of("train"), dict(node.options)
    if node.encoder == "table":
        return Table.fitted(rows, node.numeric, node.categorical, [row.place for row in rows])
    if node.encoder == "vector" and "width" not in options:
        if problem := next(path_problems(rows, [node], data.folder), None):
            raise InputError(problem)
        options["width"] = width_of(node, rows, data.folder)
    return ENCODERS[node.encoder](**options | located(node, spec))


def _array(value: Any, name: str) -> np.ndarray:
    try:
        if not isinstance(value, str):
            return np.asarray(value, dtype=np.float64)
        file, key = file_and_key(value)
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            return content[key or content.files[0]]
    except Exception as error:  # whatever a torn file makes the reader raise: the encoder names it
        Vector(1).prepare([value], [name])
        raise InputError(f"{name}: the features cannot be read ({error}).") from error


def _features(rows: Sequence[Row], node: Node, encoder: Encoder, folder: Path) -> list[Tensor]:
    """The nodes of a kind of each row, ``[n, width]``; raw rows where the encoder is trained."""
    if node.encoder == "table":
        return encoder.encode(rows, [row.place for row in rows])
    values = [values_of(node, row, folder) for row in rows]
    if encoder.trainable and node.encoder == "text":
        _check_single(values)
    flat = list(itertools.chain.from_iterable(values))
    read = encoder.prepare if encoder.trainable else encoder.encode
    found = iter(read([each.value for each in flat], [each.name for each in flat]))
    empty = torch.empty(0, encoder.raw_width if encoder.trainable else encoder.width)
    parts = [list(itertools.islice(found, len(own))) for own in values]
    return [own[0] if len(own) == 1 else torch.cat(own) if own else empty for own in parts]


def _check_single(values: Sequence[Sequence[Any]]) -> None:
    """A trained text encoder reads all tokens of a sample as one text."""
    for own in values:
        if len(own) > 1:
            raise InputError(f"{own[1].name}: a text encoder that is trained reads one text a cell, and here are "
                             f"{len(own)}; join them, or set trainable = false.")  # fmt: skip
