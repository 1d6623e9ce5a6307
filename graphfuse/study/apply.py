"""A run folder applied to another table: answers for it, or metrics where it has the target."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.files import read_json
from graphfuse.encoders import Encoder, Table
from graphfuse.explain import under_rules
from graphfuse.model import FusionModel, Ruled
from graphfuse.rules import Explanation, JointExplanation
from graphfuse.study.answers import write_answers, writer_of
from graphfuse.study.measured import labelled, measured
from graphfuse.tables.data import load_rows
from graphfuse.tables.facts import sorts_of
from graphfuse.tables.read import Frame, Row, read_table
from graphfuse.tables.samples import reopen, samples_of


def predict(folder: str | Path, table: str | Path, out: Path) -> list[Answer]:
    """Answers every row of a table, which needs no target, and writes id, answer and confidence a row.

    How the table was read, and categories that training lacks, are noted on stderr.

    Args:
        folder: Of a run.
        table: With the columns that the run reads and its rules ask for; paths in it start from its folder.
        out: A ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file.

    Raises:
        InputError: The folder is not that of a run on a table, the table cannot be read, or ``out`` has another suffix.
    """
    out, table = Path(out), Path(table)
    writer_of(out)
    if out.exists() and table.exists() and out.samefile(table):
        raise InputError(f"--out {out}: is the table itself; choose another name for the answers.")
    model, told = opened(folder)
    nodes, encoders = reopen(told, dict(model.encoders.items()))  # type: ignore[arg-type]
    facts = sorts_of(model.head)
    rows = load_rows(_read(table), nodes, told["rows"].get("id"), facts)
    samples = samples_of(rows, nodes, encoders, table.parent, asked=facts)
    _say_unseen(table, rows, encoders)
    answers = model.predict(samples)
    write_answers(answers, out, told["target"]["column"], told["target"].get("separator", ";"))
    return answers


def explain(folder: str | Path, table: str | Path, name: str) -> tuple[Explanation | JointExplanation, str]:
    """What the rules of a run make of its scores for one row of a table, and how the run uses them (its ``rule_mode``).

    Args:
        folder: Of a run that was trained with rules.
        table: With the columns that the run reads.
        name: Of the row: its id, or ``row 8`` by its line where the table has no ids.

    Raises:
        InputError: As :func:`predict`, the run has no rules, or no row has the name (with the nearest).
    """
    model, told = opened(folder)
    if not isinstance(model.head, Ruled):
        raise InputError(
            f"{folder}: this model was trained without rules; a section [rules] in the spec gives it some."
        )
    nodes, encoders = reopen(told, dict(model.encoders.items()))  # type: ignore[arg-type]
    facts = sorts_of(model.head)
    rows = load_rows(_read(Path(table)), nodes, told["rows"].get("id"), facts)
    named = {row.name: row for row in rows}
    if name not in named:
        raise InputError(f"{table}: no row is called {name!r}.{did_you_mean(name, named)}")
    (sample,) = samples_of([named[name]], nodes, encoders, Path(table).parent, asked=facts)
    return under_rules(model, sample), model.head.mode


def evaluate(folder: str | Path, table: str | Path, split: str | None = None) -> tuple[dict[str, float], int, str]:
    """Metrics of a run on a table with the target column: on one split, or on all rows.

    As :func:`predict`, and it is noted on stderr how many of the rows the model was trained on.

    Args:
        folder: Of a run.
        table: With the columns that the run reads, and the target.
        split: ``train``, ``valid``, ``test`` or ``all``. Left out: the test rows where the table has the run's split
            column or is the one that the run drew its splits from, else all.

    Returns:
        metric -> value, how many rows, and which.

    Raises:
        InputError: As :func:`predict`, a target is not one that the model knows, or there is no such split.
    """
    model, told = opened(folder)
    nodes, encoders = reopen(told, dict(model.encoders.items()))  # type: ignore[arg-type]
    frame = _read(Path(table))
    rows, targets, split = labelled(Path(folder), told, frame, nodes, model.head, split)
    samples = samples_of(rows, nodes, encoders, frame.path.parent, targets, sorts_of(model.head))
    _say_unseen(frame.path, rows, encoders)
    return measured(model, samples).metrics, len(samples), split


def opened(folder: str | Path) -> tuple[FusionModel, Mapping[str, Any]]:
    """The model of a run on a table, and how it reads tables.

    Raises:
        InputError: A file is missing or altered, or the run was not made from a table.
    """
    model = FusionModel.from_pretrained(folder)
    config = read_json(Path(folder) / "config.json")
    if "preprocessing" not in config:
        raise InputError(f"{folder}: this model was not trained on a table by `graphfuse train`, so how to read one is "
                         "not known; use it from Python.")  # fmt: skip
    return model, config["preprocessing"]


def _read(table: Path) -> Frame:
    """The table; what had to be guessed is said on stderr."""
    frame = read_table(table)
    for note in frame.notes:
        print(note, file=sys.stderr)
    return frame


def _say_unseen(table: Path, rows: Sequence[Row], encoders: Mapping[str, Encoder]) -> None:
    for encoder in encoders.values():
        for column, count in encoder.unseen(rows).items() if isinstance(encoder, Table) else ():
            filled = sum(row[column] is not None for row in rows)
            print(f"{table}: column {column}: {count} of {filled} cells have a category that training lacks.",
                  file=sys.stderr)  # fmt: skip
