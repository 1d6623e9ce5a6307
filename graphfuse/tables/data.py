"""The rows of a spec's table with their names, targets and splits, and all that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables import splits as split
from graphfuse.tables.cells import items_of
from graphfuse.tables.parts import Node
from graphfuse.tables.read import Frame, Row, read_table
from graphfuse.tables.spec import SHARES, Spec
from graphfuse.tables.targets import labels_of, metric_problem, targets_of


@dataclass(frozen=True)
class Data:
    """A table, ready to be encoded.

    Attributes:
        path: Its file; paths in its cells are relative to the folder.
        rows: Each a mapping from column to cell, with its ``place`` in the file and the ``name`` of its sample.
        targets: One a row: a label, a tuple of labels (multilabel), a number (regress). A label that training lacks is
            ``()`` where the spec says ``unseen = "wrong"``.
        splits: ``train``, ``valid`` and ``test`` -> numbers of rows.
        labels: Those of training, sorted; for multilabel also unseen ones that are to count as wrong; none for regress.
        notes: What a user may want to know, such as a guessed encoding.
        problems: Why nothing can be trained on it; none in what ``load`` gives.
    """

    path: Path
    rows: list[Row]
    targets: list[Any]
    splits: dict[str, list[int]]
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the table lies."""
        return self.path.parent

    def of(self, name: str) -> list[Row]:
        """The rows of a split."""
        return [self.rows[i] for i in self.splits[name]]


def load(spec: Spec) -> Data:
    """The table of a spec, checked.

    Raises:
        InputError: The first problem: a column that is not there, an id twice, a split word that is none, an empty
            split, a target that lacks or does not suit, a label that training lacks, a row without any node.
    """
    data = examine(spec)
    if data.problems:
        more = len(data.problems) - 1
        raise InputError(data.problems[0] + (f" (And {more} more; `graphfuse check` lists them.)" if more else ""))
    return data


def load_rows(
    table: str | Path | Frame, nodes: Sequence[Node], id: str | None = None, facts: Collection[str] = ()
) -> list[Row]:
    """The rows of a table that need have neither target nor split, to predict.

    Args:
        table: Its file, or what ``read_table`` gave.
        nodes: The kinds that are read.
        id: The column that names rows where the table has it; else they are named by their number.
        facts: The columns that rules ask for.

    Raises:
        InputError: The first problem, as in ``load``.
    """
    frame = table if isinstance(table, Frame) else read_table(table)
    asked = [("facts that rules ask for", column) for column in facts]
    problems = list(_unknown(str(frame.path), [*_read_by(nodes), *asked], frame.columns))
    if not problems:
        named = _name(frame.rows, id if id in frame.columns else None)
        problems = [*named, *_without_nodes(frame.rows, nodes)]
    if problems:
        raise InputError(problems[0])
    return frame.rows


def examine(spec: Spec) -> Data:
    """The table of a spec with all its problems; where columns lack, nothing else is looked at.

    Raises:
        InputError: The table cannot be read.
    """
    frame = read_table(spec.table)
    plan = {"id": spec.rows.id, "split": spec.rows.split, "group": spec.rows.group}
    wanted = [("[target] column", spec.target.column), *((f"[rows] {key}", c) for key, c in plan.items() if c)]
    wanted += [("[rules] facts", column) for column in (spec.rules.facts if spec.rules else ())]
    unknown = list(_unknown(str(spec.path), [*wanted, *_read_by(spec.nodes)], frame.columns))
    if unknown:
        return Data(frame.path, frame.rows, [None] * len(frame.rows), {name: [] for name in split.SPLITS}, (),
                    frame.notes, tuple(unknown))  # fmt: skip
    problems = [*_name(frame.rows, spec.rows.id), *_without_nodes(frame.rows, spec.nodes)]
    targets, wrong = targets_of(spec, frame.rows)
    problems += wrong
    splits, wrong = splits_of(spec, frame.rows, targets)
    problems += [*wrong, *metric_problem(spec, targets, splits["valid"])]
    if spec.target.task == "regress":
        return Data(frame.path, frame.rows, targets, splits, (), frame.notes, tuple(problems))
    targets, labels, wrong = labels_of(spec, frame.rows, targets, splits)
    return Data(frame.path, frame.rows, targets, splits, labels, frame.notes, (*problems, *wrong))


def splits_of(spec: Spec, rows: Sequence[Row], targets: Sequence[Any]) -> tuple[dict[str, list[int]], list[str]]:
    """The numbers of the rows in each split, told by a column or drawn, and what is wrong with them.

    A draw is a function of rows, targets (those of ``targets_of``), shares and seed: made again, it is the same.
    """
    plan, problems = spec.rows, list[str]()
    if plan.split is not None:
        splits, problems = split.told(rows, plan.split)
        how = f"column {plan.split}"
    else:
        strata = targets if spec.target.task == "classify" and plan.group is None else None
        splits = split.drawn(rows, plan.shares or SHARES, plan.seed, plan.group, strata)
        how = f"{len(rows)} rows by shares" + (f", those of one {plan.group} together" if plan.group else "")
    for name, part in splits.items():
        if not part:
            problems.append(f"{spec.table.name}: no row is in the split {name} ({how}); each split needs some.")
    return splits, problems


def _read_by(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    return [(f"[nodes.{node.kind}]", column) for node in nodes for column in node.columns]


def _unknown(where: str, wanted: Sequence[tuple[str, str]], columns: Sequence[str]) -> Iterator[str]:
    for role, column in wanted:
        if column not in columns:
            yield f"{where}: {role}: the table has no column {column!r}.{did_you_mean(column, columns)}"


def _name(rows: Sequence[Row], column: str | None) -> Iterator[str]:
    """Names the samples of rows by their ids; gives what is wrong with these."""
    from graphfuse.encoders.table import category_of

    if column is None:
        return
    seen: dict[str, Row] = {}
    for row in rows:
        where = f"{row.place}, column {column}"
        if row[column] is None:
            yield f"{where}: the cell is empty; each row needs an id, or leave id out of the spec."
            continue
        try:
            row.name = category_of(row[column], where)
        except InputError as error:
            yield str(error)
            continue
        if first := seen.get(row.name):
            yield f"{where}: {row.name!r} is the id of row {first.number} already; ids must differ."
        seen.setdefault(row.name, row)


def _without_nodes(rows: Sequence[Row], nodes: Sequence[Node]) -> Iterator[str]:
    columns = list(dict.fromkeys(column for node in nodes for column in node.columns))
    for row in rows:
        if not any(items_of(row[column]) for column in columns):
            yield f"{row.place}: every column that is read is empty ({', '.join(columns)}); fill one, or drop the row."
