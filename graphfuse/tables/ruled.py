"""Rules over the labels of a table, as a spec names them: joined with a head, and held against the table's targets."""

from __future__ import annotations

import warnings
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.tables.data import Data
from graphfuse.tables.spec import Spec


def ruled(spec: Spec, head: Any) -> tuple[Any, list[str]]:
    """The head joined with the spec's rules, and which of them say nothing new; as it is where the spec has none.

    Raises:
        InputError: The rules cannot be read, or do not suit the head.
    """
    from graphfuse.model import Ruled

    if spec.rules is None:
        return head, []
    with warnings.catch_warnings(action="always", record=True) as caught:
        joined = Ruled.of(head, spec.path.parent / spec.rules.file, spec.rules.mode, spec.rules.weight)
    return joined, [str(each.message) for each in caught]


def held_against(spec: Spec, data: Data) -> tuple[list[str], list[str]]:
    """What of the spec's rules would stop training on a table, and what may mislead.

    Labels of training and validation rows that break a hard rule would stop it, unless they are allowed; of test rows,
    rules that say nothing new and rules that no training row gives a case of are only told.
    """
    from graphfuse.heads import HEADS
    from graphfuse.model.rule_labels import labelled

    problems = list[str]()
    if spec.rules is None or len(data.labels) < 2:
        return problems, []
    try:
        head, told = ruled(spec, HEADS[spec.target.task](data.labels))
    except InputError as error:
        return [str(error)], []
    where, known = f"{spec.path}: [rules]", set(data.labels)
    for name, part in data.splits.items():
        rows = [i for i in part if data.targets[i] is not None and known.issuperset(_every(data.targets[i]))]
        found = labelled(head, (data.rows[i].place for i in rows), (data.targets[i] for i in rows))
        if wrong := found.said(f"{name} rows"):
            stops = name != "test" and spec.rules.broken_labels == "error"
            hint = '; mend them or the rules, or set broken_labels = "allow"' if stops else ""
            (problems if stops else told).append(f"{where} {wrong}{hint}.")
        if name == "train" and (silent := found.silent("training rows")):
            told.append(f"{where} {silent}.")
    return problems, told


def _every(target: Any) -> tuple[str, ...]:
    return target if isinstance(target, tuple) else (target,)
