"""A run folder applied to another table: answers for it, or metrics where it has the target."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.core.files import write_bytes
from graphfuse.model import FusionModel
from graphfuse.tables.data import load_rows
from graphfuse.tables.parts import Node
from graphfuse.tables.read import Row, read_table
from graphfuse.tables.samples import reopen, samples_of
from graphfuse.tables.spec import Spec
from graphfuse.tables.splits import told as told_splits
from graphfuse.tables.targets import targets_of
from graphfuse.training import look

SUFFIXES = {".csv": ",", ".tsv": "\t"}


def predict(folder: str | Path, table: str | Path, out: Path) -> list[Answer]:
    """Answers every row of a table, which needs no target, and writes id, answer and confidence a row.

    Args:
        folder: Of a run.
        table: With the columns that the run reads; paths in it start from its folder.
        out: A ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file.

    Raises:
        InputError: The folder is not that of a run on a table, the table cannot be read, or ``out`` has another suffix.
    """
    writers = {**dict.fromkeys(SUFFIXES, _delimited), ".jsonl": _lines, ".parquet": _parquet}
    write = writers.get(Path(out).suffix.lower())
    if write is None:
        raise InputError(f"--out {out}: answers go to a file that ends in one of {' '.join(writers)}.")
    if Path(out).exists() and Path(table).exists() and Path(out).samefile(table):
        raise InputError(f"--out {out}: is the table itself; choose another name for the answers.")
    model, told = opened(folder)
    nodes, encoders = reopen(told, dict(model.encoders.items()))  # type: ignore[arg-type]
    rows = load_rows(table, nodes, told["rows"].get("id"))
    answers = model.predict(samples_of(rows, nodes, encoders, Path(table).parent))
    column = told["target"]["column"]
    said = [{"id": a.name, column: a.value, "confidence": a.score} for a in answers]
    if all(row["confidence"] is None for row in said):
        said = [{key: value for key, value in row.items() if key != "confidence"} for row in said]
    write_bytes(Path(out), write(said, Path(out)))
    return answers


def evaluate(folder: str | Path, table: str | Path, split: str | None = None) -> tuple[dict[str, float], int, str]:
    """Metrics of a run on a table with the target column: on one split, or on all rows.

    Args:
        folder: Of a run.
        table: With the columns that the run reads, and the target.
        split: ``train``, ``valid``, ``test`` or ``all``. Left out: the test rows where the table has the run's split
            column, else all.

    Returns:
        metric -> value, how many rows, and which.

    Raises:
        InputError: As :func:`predict`, a target is not one that the model knows, or there is no such split.
    """
    model, told = opened(folder)
    nodes, encoders = reopen(told, dict(model.encoders.items()))  # type: ignore[arg-type]
    split_column = told["rows"].get("split")
    if split is None:
        split = "test" if split_column in read_table(table).columns else "all"
    rows, targets = _labelled(told, Path(table), nodes, model.head, split)
    samples = samples_of(rows, nodes, encoders, Path(table).parent, targets)
    return look(model, samples).metrics, len(samples), split


def opened(folder: str | Path) -> tuple[FusionModel, Mapping[str, Any]]:
    """The model of a run on a table, and how it reads tables.

    Raises:
        InputError: A file is missing or altered, or the run was not made from a table.
    """
    model = FusionModel.from_pretrained(folder)
    config = json.loads((Path(folder) / "config.json").read_text("utf-8"))
    if "preprocessing" not in config:
        raise InputError(f"{folder}: this model was not trained on a table by `graphfuse train`, so how to read one is "
                         "not known; use it from Python.")  # fmt: skip
    return model, config["preprocessing"]


def _labelled(told: Mapping[str, Any], table: Path, nodes: Sequence[Node], head: Any, split: str
              ) -> tuple[list[Row], list[Any]]:  # fmt: skip
    """The rows of a split with their targets; a label that the model lacks is named, or counts as wrong."""
    columns = read_table(table).columns
    for role in ("target", "split"):
        column = told["target"]["column"] if role == "target" else told["rows"].get("split")
        if column is None and split != "all":
            raise InputError(f"--split {split}: the run drew its splits by shares, so no column says them; measure "
                             "all rows of a table of its own, or name a split column in the spec.")  # fmt: skip
        if (role == "target" or split != "all") and column not in columns:
            raise InputError(f"{table}: there is no {role} column {column!r}.{did_you_mean(str(column), columns)}")
    rows = load_rows(table, nodes, told["rows"].get("id"))
    if split != "all":
        parts, problems = told_splits(rows, told["rows"]["split"])
        _stop(problems)
        rows = [rows[i] for i in look_up(parts, split, "split")]
    if not rows:
        raise InputError(f"{table}: no row is in the split {split}.")
    spec = Spec.from_dict({"table": table.name, "target": told["target"], "nodes": told["nodes"]}, table)
    targets, problems = targets_of(spec, rows)
    _stop(problems)
    return rows, [_known(target, row, spec, head) for target, row in zip(targets, rows)]


def _known(target: Any, row: Row, spec: Spec, head: Any) -> Any:
    labels = getattr(head, "labels", ())
    every = target if isinstance(target, tuple) else (target,)
    wrong = [label for label in every if label not in labels] if labels else []
    if wrong and spec.target.unseen == "error":
        raise InputError(f"{row.place}, column {spec.target.column}: the model does not know the label {wrong[0]!r}."
                         f"{did_you_mean(str(wrong[0]), labels)}")  # fmt: skip
    return tuple(label for label in every if label in labels) if wrong else target


def _stop(problems: Sequence[str]) -> None:
    if problems:
        raise InputError(problems[0])


def _delimited(rows: Sequence[Mapping[str, Any]], out: Path) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=SUFFIXES[out.suffix.lower()], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return ";".join(value) if isinstance(value, tuple) else value


def _lines(rows: Sequence[Mapping[str, Any]], out: Path) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(rows: Sequence[Mapping[str, Any]], out: Path) -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    pd.DataFrame([dict(row) for row in rows]).to_parquet(buffer, index=False)
    return buffer.getvalue()
