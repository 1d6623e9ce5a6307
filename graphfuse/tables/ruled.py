"""Rules over labels and facts of a table, as a spec names them: joined with a head, and held against its targets."""

from __future__ import annotations

import warnings
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables.data import Data
from graphfuse.tables.facts import looked_up, sorts_of
from graphfuse.tables.spec import Spec


def ruled(spec: Spec, head: Any) -> tuple[Any, list[str]]:
    """The head joined with the spec's rules, and which of them say nothing new; as it is where the spec has none.

    Raises:
        InputError: The rules cannot be read, do not suit the head, or ask for what is none of the spec's facts.
    """
    from graphfuse.model import Ruled
    from graphfuse.model.observed import measured

    if spec.rules is None:
        return head, []
    with warnings.catch_warnings(action="always", record=True) as caught:
        joined = Ruled.of(head, spec.path.parent / spec.rules.file, spec.rules.mode, spec.rules.weight)
    for rule in joined.rules.rules:
        for atom in measured(rule.says):
            if atom.feature not in spec.rules.facts:
                where = f"{joined.rules.source}{f':{rule.line}' if rule.line else ''}: rule {rule.name!r}"
                near = did_you_mean(atom.feature, spec.rules.facts) if spec.rules.facts else ""
                raise InputError(f"{where} asks for {atom.feature!r}, which is none of the columns that facts of "
                                 f"[rules] names.{near}")  # fmt: skip
    unused = [column for column in spec.rules.facts if column not in joined.sorts]
    notes = [f"{spec.path}: [rules] facts: no rule asks for {column!r}; leave it out." for column in unused]
    return joined, [str(each.message) for each in caught] + notes


def held_against(spec: Spec, data: Data) -> tuple[list[str], list[str]]:
    """What of the spec's rules would stop training on a table, and what may mislead.

    Facts that rules cannot compare, or that leave no answer, would stop it, and labels of training and validation rows
    that break a hard rule, unless they are allowed. Of those of test rows, of rules that say nothing new and of rules
    that no training row gives a case of is only told.
    """
    from graphfuse.core.sample import Sample
    from graphfuse.heads import HEADS
    from graphfuse.model.rule_labels import labelled

    if spec.rules is None or len(data.labels) < 2:
        return [], []
    try:
        head, told = ruled(spec, HEADS[spec.target.task](data.labels))
    except InputError as error:
        return [str(error)], []
    facts, problems = looked_up(data.rows, sorts_of(head))
    try:
        head.check(Sample(row.place, {}, target=(), facts=own) for row, own in zip(data.rows, facts))
    except InputError as error:
        problems.append(str(error))
    where, known = f"{spec.path}: [rules]", set(data.labels)
    for name, part in data.splits.items():
        rows = [i for i in part if data.targets[i] is not None and known.issuperset(_every(data.targets[i]))]
        found = labelled(head, ((data.rows[i].place, data.targets[i], facts[i]) for i in rows))
        if wrong := found.said(f"{name} rows"):
            stops = name != "test" and spec.rules.broken_labels == "error"
            hint = '; mend them or the rules, or set broken_labels = "allow"' if stops else ""
            (problems if stops else told).append(f"{where} {wrong}{hint}.")
        if name == "train" and (silent := found.silent("training rows")):
            told.append(f"{where} {silent}.")
        if name == "train":
            told += [f"{where} rules ask for a column that no training row fills: {fact}" for fact in found.lacking]
    return problems, told


def _every(target: Any) -> tuple[str, ...]:
    return target if isinstance(target, tuple) else (target,)
