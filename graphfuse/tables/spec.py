"""What a table is: its target, its nodes and how they are read, rules over its labels, how to fuse and to train."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.tables.checked import check_keys, checked, filled
from graphfuse.tables.parts import Fusion, Node, fusion_of, node_of, with_fusion
from graphfuse.tables.toml import parsed, set_value

METRICS = {
    "classify": ("accuracy", "macro_f1", "auc", "calibration_error", "log_loss"),
    "multilabel": ("f1", "exact_match", "macro_f1", "auc", "log_loss"),
    "regress": ("absolute_error", "squared_error", "r2"),
}
"""The metrics of each task that can choose the epoch; the first is the task's own."""
SECTIONS = ["table", "target", "rows", "nodes", "rules", "fusion", "training"]
SHARES = (0.7, 0.15, 0.15)


@dataclass(frozen=True)
class Target:
    """``[target]``: what is to be answered. ``metric`` left out is the task's own."""

    column: str
    task: str = field(default="classify", metadata={"known": tuple(METRICS)})
    separator: str = ";"
    metric: str | None = None
    class_weights: str = field(default="none", metadata={"known": ("none", "balanced")})
    unseen: str = field(default="error", metadata={"known": ("error", "wrong")})
    label_text: bool = False


@dataclass(frozen=True)
class Rows:
    """``[rows]``: what names a row, and which split it is in: by the column ``split``, or drawn by ``shares``."""

    id: str | None = None
    split: str | None = None
    shares: tuple[float, ...] | None = None
    seed: int = field(default=0, metadata={"low": 0})
    group: str | None = None


@dataclass(frozen=True)
class Rules:
    """``[rules]``: a file of rules over the labels, from the spec's folder, and how it is used (``gf.FusionModel``).

    ``broken_labels``: whether labels that break a hard rule stop training or are only told. ``facts``: columns whose
    cells rules may ask for.
    """

    file: str
    mode: str = field(default="exact", metadata={"known": ("exact", "loss", "refine")})
    weight: float = field(default=1.0, metadata={"above": 0})
    broken_labels: str = field(default="error", metadata={"known": ("error", "allow")})
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    """``[training]``: the budget. ``modality_dropout``: the share of kinds that a training sample is made to lack.

    ``refit``: train anew on training and validation rows, once validation has chosen the epoch.
    """

    epochs: int = field(default=30, metadata={"low": 1})
    batch_size: int = field(default=32, metadata={"low": 1, "below": 2**31})
    learning_rate: float = field(default=1e-3, metadata={"above": 0})
    weight_decay: float = field(default=0.01, metadata={"low": 0})
    patience: int = field(default=10, metadata={"low": 1})
    modality_dropout: float = field(default=0.0, metadata={"low": 0, "below": 1})
    refit: bool = False


@dataclass(frozen=True)
class Spec:
    """A spec, checked. ``path`` is its file; ``table`` the table's, relative ones from the spec's folder."""

    path: Path
    table: Path
    target: Target
    rows: Rows
    nodes: tuple[Node, ...]
    fusion: Fusion
    training: Training
    rules: Rules | None = None

    @classmethod
    def open(cls, path: str | Path, changes: Sequence[str] = (), fusion: str | None = None) -> Spec:
        """Reads a TOML file.

        Args:
            path: Its place.
            changes: Such as ``training.epochs=5``; they come over what the file says.
            fusion: In place of the file's; options of that one's own do not hold for it.

        Raises:
            InputError: There is no such file, it is not TOML (with the line), or a key or value is wrong (named, with
                the nearest that is right).
        """
        path = Path(path)
        values = parsed(path)
        if fusion is not None:
            values["fusion"] = with_fusion(values.get("fusion"), fusion)
            changes = [*changes, f'fusion.name="{fusion}"']
        for change in changes:
            set_value(values, change)
        return cls.from_dict(values, path, f"{path} (with {', '.join(changes)})" if changes else str(path))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: Path, where: str = "") -> Spec:
        """From what TOML says, or ``to_dict``; messages begin with ``where``.

        Raises:
            InputError: As ``open``.
        """
        where = where or str(path)
        check_keys(values, SECTIONS, f"{where}:")
        for needed in ("table", "target", "nodes"):
            if not values.get(needed):
                form = 'table = "table.csv"' if needed == "table" else f"[{needed}{'.KIND' * (needed == 'nodes')}]"
                raise InputError(f"{where}: there is no {form}; a spec needs it.")
        table = path.parent / checked(values["table"], str, f"{where}: table")
        check_keys(values["nodes"], values["nodes"], f"{where}: [nodes]")
        spec = cls(
            path,
            table,
            filled(Target, values["target"], f"{where}: [target]"),
            filled(Rows, values.get("rows", {}), f"{where}: [rows]"),
            tuple(node_of(kind, own, f"{where}: [nodes.{kind}]") for kind, own in values["nodes"].items()),
            fusion_of(values.get("fusion", {}), f"{where}: [fusion]"),
            filled(Training, values.get("training", {}), f"{where}: [training]"),
            filled(Rules, values["rules"], f"{where}: [rules]") if "rules" in values else None,
        )
        _check_target(spec.target, f"{where}: [target]")
        _check_rows(spec.rows, f"{where}: [rows]")
        if spec.rules is not None and spec.target.task == "regress":
            raise InputError(f"{where}: [rules] are over labels, which the task regress does not have; leave them out.")
        _check_use(spec, where)
        return spec

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; ``from_dict`` reads them again."""
        told = {
            "table": Path(os.path.relpath(self.table, self.path.parent)).as_posix(),
            "target": asdict(self.target),
            "rows": asdict(self.rows),
            "nodes": {node.kind: node.to_dict() for node in self.nodes},
            **({} if self.rules is None else {"rules": asdict(self.rules)}),
            "fusion": self.fusion.to_dict(),
            "training": asdict(self.training),
        }
        return _listed(told)


def _check_target(target: Target, where: str) -> None:
    """What one key of ``[target]`` says of another."""
    if target.metric is not None and target.metric not in METRICS[target.task]:
        near = did_you_mean(target.metric, METRICS[target.task])
        raise InputError(f"{where} metric: there is no metric {target.metric!r} of the task {target.task}.{near}")
    if not target.separator.strip():
        raise InputError(f"{where} separator is {target.separator!r}; a mark such as ';' is needed.")
    tasks = {"class_weights": ("classify",), "label_text": ("classify",), "unseen": ("classify", "multilabel")}
    for key, suited in tasks.items():
        if target.task not in suited and getattr(target, key) not in ("none", "error", False):
            raise InputError(f"{where} {key} is {getattr(target, key)!r}, which the task {target.task} does not have; "
                             "leave it out.")  # fmt: skip


def _check_rows(rows: Rows, where: str) -> None:
    if rows.split is not None and rows.shares is not None:
        raise InputError(f"{where} has both split and shares; the column split says already which row is in which.")
    shares = SHARES if rows.shares is None else rows.shares
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise InputError(f"{where} shares is {list(shares)}; three numbers above 0 that sum to 1 are needed, for "
                         "train, valid and test.")  # fmt: skip


def _check_use(spec: Spec, where: str) -> None:
    """No column may be an input and an answer at once."""
    reads = [(f"[nodes.{node.kind}]", node.columns) for node in spec.nodes]
    if spec.rules is not None:
        reads.append(("[rules] facts", spec.rules.facts))
    for where_read, columns in reads:
        for role, column in (("target", spec.target.column), ("split", spec.rows.split)):
            if column in columns:
                raise InputError(f"{where}: {where_read} reads the column {column!r}, which is the {role}; an "
                                 "answer must not be read from it.")  # fmt: skip


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _listed(each) for key, each in value.items() if each is not None}
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value
