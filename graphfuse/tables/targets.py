"""What each row is to be answered by, and which labels there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables.labels import names_of
from graphfuse.tables.read import Row
from graphfuse.tables.spec import Spec

LARGEST = 1e30  # of a number that is to be answered; weights are of 32 bits


def targets_of(spec: Spec, rows: Sequence[Row]) -> tuple[list[Any], list[str]]:
    """The target of each row (``None`` where it is wrong), and what is wrong with them.

    A label for classify, a tuple of different labels for multilabel, a number for regress.
    """
    targets, problems = [], []
    for row in rows:
        try:
            targets.append(_target(spec, row))
        except InputError as error:
            targets.append(None)
            problems.append(str(error))
    return targets, problems


def _target(spec: Spec, row: Row) -> Any:
    from graphfuse.encoders.table import category_of, number_of

    column, cell = spec.target.column, row[spec.target.column]
    where = f"{row.place}, column {column}"
    if spec.target.task == "multilabel":
        return names_of(cell, spec.target.separator, where)
    if cell is None:
        raise InputError(f"{where}: the target is empty; fill it, or leave the row out (`predict` needs no target).")
    if spec.target.task == "classify":
        return category_of(cell, where)
    number = number_of(cell, where)
    if abs(number) > LARGEST:
        raise InputError(f"{where}: {cell!r} is too large to be learnt; write the target in a larger unit.")
    return number


def metric_problem(spec: Spec, targets: Sequence[Any], valid: Sequence[int]) -> list[str]:
    """What keeps the spec's metric from choosing the epoch: ``auc`` and ``r2`` need validation rows that differ."""
    counts = Counter(label for i in valid for label in _every(targets[i]))
    some = any(count < len(valid) for count in counts.values()) if spec.target.task != "regress" else len(counts) > 1
    if spec.target.metric not in ("auc", "r2") or some or not valid:
        return []
    return [f"{spec.path}: [target] metric {spec.target.metric} is not defined, since all validation rows have the "
            "same target; take another metric, or more rows."]  # fmt: skip


def labels_of(spec: Spec, rows: Sequence[Row], targets: list[Any], splits: Mapping[str, Sequence[int]]
            ) -> tuple[list[Any], tuple[str, ...], list[str]]:  # fmt: skip
    """Targets with unseen labels as the spec wants them, the labels in their order, and what is wrong with them."""
    several, column = spec.target.task == "multilabel", spec.target.column
    seen = {label for i in splits["train"] for label in _every(targets[i])}
    labels = sorted(seen)
    problems = []
    if splits["train"] and len(labels) < (1 if several else 2):
        found = f"only the label {labels[0]!r}" if labels else "no label"
        problems.append(f"{spec.table.name}, column {column}: the training rows have {found}; "
                        f"{'one' if several else 'two'} or more are needed.")  # fmt: skip
    unseen: dict[str, list[tuple[str, Row]]] = {}
    targets = list(targets)
    for name in ("valid", "test"):
        for i in splits[name]:
            for label in (label for label in _every(targets[i]) if label not in seen):
                unseen.setdefault(label, []).append((name, rows[i]))
                if spec.target.unseen == "wrong" and not several:
                    targets[i] = ()
    if spec.target.unseen == "wrong":
        return targets, tuple(sorted([*labels, *unseen]) if several else labels), problems
    for label, places in unseen.items():
        name, row = places[0]
        near = did_you_mean(label, labels).partition(" Known:")[0]
        again = f" ({len(places)} rows have it)" if len(places) > 1 else ""
        problems.append(f"{row.place}, column {column}: the label {label!r} is in the split {name}, but no training "
                        f"row has it{again}; move one to train, mend it, or set unseen = \"wrong\".{near}")  # fmt: skip
    return targets, tuple(labels), problems


def _every(target: Any) -> tuple[str, ...]:
    return target if isinstance(target, tuple) else () if target is None else (target,)
