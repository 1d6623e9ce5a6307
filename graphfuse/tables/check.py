"""Whatever would stop training on a table, all of it, and whatever may mislead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.tables.cells import items_of
from graphfuse.tables.data import Data, examine
from graphfuse.tables.look import look_at
from graphfuse.tables.parts import Node
from graphfuse.tables.read import Row
from graphfuse.tables.ruled import held_against
from graphfuse.tables.spec import Spec
from graphfuse.tables.splits import SPLITS

CALLED = {"train": "training", "valid": "validation", "test": "test"}
SHOWN = 100  # problems, warnings or labels that the terminal gets; ``to_dict`` has all


@dataclass(frozen=True)
class Findings:
    """What ``check`` found.

    Attributes:
        table: Its file.
        splits: split -> rows.
        filled: column -> cells that are not empty.
        labels: label -> split -> rows; none for regress. Rows without a label (multilabel) are under ``(none)``,
            those whose label training lacks and that count as wrong under ``(unseen)``.
        problems: What would stop training.
        warnings: What would not, but may be a mistake.
    """

    table: str
    splits: dict[str, int]
    filled: dict[str, int]
    labels: dict[str, dict[str, int]]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """For the terminal."""
        rows = ", ".join(f"{count} {CALLED[name]}" for name, count in self.splits.items())
        lines = [f"{self.table}: {rows}"]
        lines += ["cells filled: " + ", ".join(f"{column} {count}" for column, count in self.filled.items())]
        label_lines = [
            f"label {label!r}: {sum(counts.values())} ({'/'.join(str(counts[name]) for name in SPLITS)})"
            for label, counts in sorted(self.labels.items(), key=lambda item: -sum(item[1].values()))
        ]
        lines += _cut(label_lines, "labels")
        lines += _cut([f"warning: {each}" for each in self.warnings], "warnings")
        lines += _cut([f"problem: {each}" for each in self.problems], "problems")
        return [*lines, f"{_count(self.problems, 'problem')}, {_count(self.warnings, 'warning')}"]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, whole."""
        return {**asdict(self), "problems": list(self.problems), "warnings": list(self.warnings)}


def check(spec: Spec) -> Findings:
    """Reads the whole table, opens every file that it names, and compares the splits.

    Raises:
        InputError: The table cannot be read at all.
    """
    data = examine(spec)
    filled = {column: sum(bool(items_of(row[column])) for row in data.rows) for column in data.rows[0]}
    splits = {name: len(part) for name, part in data.splits.items()}
    facts = spec.rules.facts if spec.rules else ()
    if any(column not in filled for columns in (facts, *(node.columns for node in spec.nodes)) for column in columns):
        return Findings(str(data.path), splits, filled, {}, data.problems, data.notes)
    looked = look_at(data.rows, data.of("train"), spec.nodes, data.folder)
    broken, told = held_against(spec, data)
    problems = dict.fromkeys((*data.problems, *looked.problems, *_options(spec), *_fusion(spec), *broken))
    warnings = [*data.notes, *looked.warnings, *_never_trained(spec, data), *_repeated(spec, data, looked.digests),
                *told]  # fmt: skip
    if spec.rows.group is not None:
        warnings += _shared_groups(data, spec.rows.group)
    return Findings(str(data.path), splits, filled, _labels(spec, data), tuple(problems), tuple(warnings))


def _options(spec: Spec) -> list[str]:
    """What encoders say against their options and files of weights; nothing is loaded or fetched."""
    from graphfuse.encoders import ENCODERS
    from graphfuse.encoders.image import Image
    from graphfuse.tables.samples import located

    problems = []
    for node in spec.nodes:
        options = {key: value for key, value in node.options.items() if key != "trainable"} | located(node, spec)
        try:
            made = ENCODERS[node.encoder](**options) if node.encoder not in ("table", "vector") else None
            if isinstance(made, Image):
                made.weights_id()
        except InputError as error:
            problems.append(f"{spec.path}: [nodes.{node.kind}] {error}")
    return problems


def _fusion(spec: Spec) -> list[str]:
    """What the fusion says against its options; it is built without numbers."""
    import torch

    from graphfuse.core.relations import AllPairs
    from graphfuse.core.schema import Schema
    from graphfuse.model import find_fusion

    kinds, plan = [node.kind for node in spec.nodes], spec.fusion
    schema = Schema(dict.fromkeys(kinds, 1), [AllPairs(source, target) for source in kinds for target in kinds])
    try:
        with torch.device("meta"):
            find_fusion(plan.name)(plan.dim, schema, layers=plan.layers, **plan.options)
    except InputError as error:
        return [f"{spec.path}: [fusion] {error}"]
    return []


def _labels(spec: Spec, data: Data) -> dict[str, dict[str, int]]:
    empty = "(none)" if spec.target.task == "multilabel" else "(unseen)"
    counts: Counter[tuple[str, str]] = Counter()
    for name, part in data.splits.items():
        for i in part:
            target = data.targets[i]
            labels = target if isinstance(target, tuple) else (target,)
            counts.update((name, label) for label in (labels or (empty,)) if isinstance(label, str))
    told = sorted({label for _, label in counts})
    return {label: {name: counts[name, label] for name in SPLITS} for label in told}


def _never_trained(spec: Spec, data: Data) -> list[str]:
    training = data.of("train")
    return [
        f"kind {node.kind}: no training row has it ({', '.join(node.columns)}), so that it is never learnt."
        for node in spec.nodes
        if training and not any(items_of(row[column]) for row in training for column in node.columns)
    ]


def _shared_groups(data: Data, column: str) -> list[str]:
    found = {name: {str(r[column]).strip() for r in data.of(name) if r[column] is not None} for name in SPLITS}
    shared = [(one, other, sorted(found[one] & found[other])) for one, other in combinations(SPLITS, 2)]
    return [
        f"{len(both)} values of the column {column} are in both the {CALLED[one]} and the {CALLED[other]} split "
        f"({both[0]!r} for one), so that a test may ask what training has seen."
        for one, other, both in shared
        if both
    ]


def _repeated(spec: Spec, data: Data, digests: dict[str, bytes]) -> list[str]:
    """Rows of one split that show what a row of another split does."""
    first: dict[str, dict[Any, Row]] = {}
    keys = {i: _content(spec.nodes, row, digests) for i, row in enumerate(data.rows)}
    for name, part in data.splits.items():
        own = first.setdefault(name, {})
        for i in part:
            own.setdefault(keys[i], data.rows[i])
    warnings = []
    for before, name in combinations(SPLITS, 2):
        again = [i for i in data.splits[name] if keys[i] is not None and keys[i] in first[before]]
        if again:
            here, there = data.rows[again[0]], first[before][keys[again[0]]]
            warnings.append(f"{len(again)} of {len(data.splits[name])} {CALLED[name]} rows repeat a {CALLED[before]} "
                            f"row ({here.place} repeats row {there.number}).")  # fmt: skip
    return warnings


def _content(nodes: Sequence[Node], row: Row, digests: dict[str, bytes]) -> tuple | None:
    """What a row shows, ``None`` if nothing: texts without their spacing, pictures by content, features, cells."""
    single = [(node, item) for node in nodes if node.column is not None for item in items_of(row[node.column])]
    told = {
        (node.column, digests.get(item.strip(), item) if node.encoder == "image" else " ".join(item.split()))
        if isinstance(item, str)
        else (node.column, repr(item))
        for node, item in single
    }
    tables = [node for node in nodes if node.column is None]
    told |= {(c, str(row[c]).strip()) for node in tables for c in node.columns if row[c] is not None}
    return tuple(sorted(told, key=repr)) or None


def _cut(lines: list[str], what: str) -> list[str]:
    return [*lines[:SHOWN], f"... and {len(lines) - SHOWN} more {what}"] if len(lines) > SHOWN else lines


def _count(items: Sequence[str], word: str) -> str:
    return f"{len(items) or 'no'} {word}{'s' if len(items) != 1 else ''}"
