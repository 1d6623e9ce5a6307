"""A first spec for a table: what each column seems to be, with the reason beside it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables.cells import items_of
from graphfuse.tables.profile import IDS, Guess, guess, number_in, words_of
from graphfuse.tables.read import Frame, read_table
from graphfuse.tables.toml import key_of, quoted

TARGETS = ("label", "labels", "target", "class", "y", "answer")
SEPARATORS = (";", "|")
OFTEN = 0.1  # the share of targets with a separator that makes the task multilabel
FEW = 20  # different whole numbers up to which a target is taken for labels
ROWS_SEEN = 10_000  # about 300 steps; a small table needs many epochs, a large one few
MODEL = """
[fusion]
name = "hgt"
dim = 128
layers = 2
dropout = 0.1

[training]
epochs = {epochs}  # {why}
batch_size = 32
learning_rate = 1e-3
weight_decay = 0.01
patience = {patience}
modality_dropout = 0.0
refit = false
"""


def infer(table: str | Path | Frame, target: str | None = None, folder: str | Path | None = None
          ) -> tuple[str, list[str]]:  # fmt: skip
    """The text of a spec for a table, and the reason for each column.

    Args:
        table: Its file, or what ``read_table`` gave.
        target: The column that is to be answered; guessed from its name if left out.
        folder: Where the spec will lie; the table's folder if left out.

    Raises:
        InputError: The table cannot be read, the target is unknown (with the nearest column) or cannot be guessed, or
            no column is left to learn from.
    """
    frame = table if isinstance(table, Frame) else read_table(table)
    target = _target(frame, target)
    guesses = [guess(c, [row[c] for row in frame.rows]) for c in frame.columns if c != target]
    guesses = _one_each(frame, guesses)
    task, why = _task([row[target] for row in frame.rows], target)
    if all(each.role in ("id", "split", "group", "out") for each in guesses):
        reasons = "; ".join(f"{each.column}: {each.why}" for each in guesses) or "it has no other column"
        raise InputError(f"{frame.path}: no column is left to learn {target!r} from ({reasons}).")
    place = os.path.relpath(frame.path, frame.path.parent if folder is None else folder)
    lines = [f"table = {quoted(Path(place).as_posix())}", "", "[target]", f"column = {quoted(target)}"]
    lines += [f"{key} = {quoted(value)}{f'  # {why}' if key == 'task' else ''}" for key, value in task.items()]
    lines += ["", "[rows]", *_rows(guesses), *_nodes(guesses, frame.columns)]
    reasons_told = [f"{target}: the target, {task['task']}: {why}"]
    reasons_told += [f"{each.column}: {_called(each)}: {each.why}" for each in guesses]
    return "\n".join(lines) + "\n" + _model(len(frame.rows)), reasons_told


def _model(rows: int) -> str:
    """Fusion and budget: more epochs for a smaller table."""
    epochs = min(100, max(20, round(ROWS_SEEN / rows)))
    return MODEL.format(epochs=epochs, patience=epochs // 2, why=f"for {rows:,} rows")


def _target(frame: Frame, target: str | None) -> str:
    if target is not None:
        if target not in frame.columns:
            raise InputError(f"{frame.path} has no column {target!r}.{did_you_mean(target, frame.columns)}")
        return target
    folded = {column.casefold(): column for column in reversed(frame.columns)}
    found = next((folded[name] for name in TARGETS if name in folded), None)
    if found is None:
        raise InputError(f"{frame.path}: no column is called {', '.join(TARGETS[:-1])} or {TARGETS[-1]}; say with "
                         f"--target which of these is to be answered: {', '.join(frame.columns)}.")  # fmt: skip
    return found


def _task(cells: Sequence[Any], column: str) -> tuple[dict[str, str], str]:
    """The task with its options, and why."""
    present = [cell for cell in cells if items_of(cell)]
    if any(isinstance(cell, list) for cell in present):
        return {"task": "multilabel"}, "cells are lists"
    for mark in SEPARATORS:
        several = [cell.split(mark) for cell in present if isinstance(cell, str) and mark in cell]
        parts = Counter(part.strip() for cell in present for part in str(cell).split(mark))
        if several and len(several) >= OFTEN * len(present) and 2 * len(parts) <= parts.total():
            return ({"task": "multilabel", "separator": mark},
                    f"{len(several)} of {len(present)} cells have {mark!r} in them, {len(parts)} labels")  # fmt: skip
    numbers = [number_in(cell) for cell in present]
    different = len({str(cell).strip() for cell in present})
    if present and None not in numbers:
        whole = all(x.is_integer() for x in numbers if x is not None)
        named = column.casefold() in ("label", "class") and different * FEW <= len(present)
        if different > (FEW if whole else FEW // 2) and not (whole and named):
            return {"task": "regress"}, f"{different} different numbers"
    return {"task": "classify"}, f"{different} different values"


def _one_each(frame: Frame, guesses: Sequence[Guess]) -> list[Guess]:
    """At most one id, split and group: the group best that is called an id, and what else may be one is a feature.

    Further ids and splits are left out.
    """
    groups = [each.column for each in guesses if each.role == "group"]
    group = next((column for column in groups if set(words_of(column)) & set(IDS)), groups[0] if groups else None)
    seen: set[str] = set()
    kept = []
    for each in guesses:
        if each.role == "group" and each.column != group:
            each = guess(each.column, [row[each.column] for row in frame.rows], group=False)
        if each.role in ("id", "split") and each.role in seen:
            each = Guess(each.column, "out", f"{each.why}: a second {each.role}")
        seen.add(each.role)
        kept.append(each)
    return kept


def _rows(guesses: Sequence[Guess]) -> list[str]:
    found = {each.role: each for each in guesses}
    lines = [
        f"{role} = {quoted(found[role].column)}  # {_comment(found[role].why)}"
        for role in ("id", "split", "group")
        if role in found
    ]
    if "id" not in found:
        lines.insert(0, '# id = "..."  # no column names the rows; they are named by their numbers')
    if "split" not in found:
        how = "rows of one group stay together" if "group" in found else "no column says train, valid and test"
        lines += [f"shares = [0.7, 0.15, 0.15]  # train, valid, test; {how}", "seed = 0"]
    return lines


def _nodes(guesses: Sequence[Guess], columns: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for each in guesses:
        if each.role not in ("id", "split", "group", "out", "numeric", "categorical"):
            lines += ["", f"[nodes.{key_of(each.column)}]  # {_comment(each.why)}"]
            lines += [f"encoder = {quoted(each.role)}", f"column = {quoted(each.column)}"]
    cells = {role: [each for each in guesses if each.role == role] for role in ("numeric", "categorical")}
    if any(cells.values()):
        kind = next(name for name in ("table", "cells", "table_cells") if name not in columns or name == "table_cells")
        lines += ["", f"[nodes.{kind}]", 'encoder = "table"']
        for role, own in cells.items():
            entries = [f"  {quoted(each.column)},  # {_comment(each.why)}" for each in own]
            lines += [f"{role} = [", *entries, "]"] if own else []
    out = [f"# {_comment(each.column)}: {_comment(each.why)}" for each in guesses if each.role == "out"]
    return [*lines, "", "# Left out:", *out] if out else lines


def _called(each: Guess) -> str:
    return {"out": "left out", "image": "pictures", "vector": "features"}.get(each.role, each.role)


def _comment(text: str) -> str:
    """Text that may stand in a TOML comment: one line without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
