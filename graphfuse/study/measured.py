"""The rows of a table that a run is measured on, what it was trained on among them, and labels it does not know."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.core.files import read_json, sha256
from graphfuse.core.sample import Sample
from graphfuse.heads import MultiLabel
from graphfuse.model import FusionModel, Ruled, plain
from graphfuse.tables.data import load_rows, splits_of
from graphfuse.tables.facts import sorts_of
from graphfuse.tables.parts import Node
from graphfuse.tables.read import Frame, Row
from graphfuse.tables.spec import Spec
from graphfuse.tables.splits import told as told_splits
from graphfuse.tables.targets import targets_of
from graphfuse.training import Measured, look, scored


def labelled(folder: Path, told: Mapping[str, Any], frame: Frame, nodes: Sequence[Node], head: Any, split: str | None
             ) -> tuple[list[Row], list[Any], str]:  # fmt: skip
    """The rows of a split with their targets, and which split that is; trained rows among them are said on stderr.

    Splits are known where the table has the run's split column, or where the run drew them from this very table: then
    they are drawn again, and ``split`` left out is ``test``. Else it is ``all``.

    Raises:
        InputError: A column lacks, a target is wrong, the split is not known or has no row, or a label is not known and
            the run refuses such.
    """
    spec = Spec.from_dict({"table": frame.path.name, **{k: told[k] for k in ("target", "rows", "nodes")}}, frame.path)
    for role, column in (("target", spec.target.column), ("split", spec.rows.split)):
        if column not in frame.columns and (role == "target" or (column is not None and split not in (None, "all"))):
            raise InputError(f"{frame.path}: there is no {role} column {column!r}."
                             f"{did_you_mean(str(column), frame.columns)}")  # fmt: skip
    rows = load_rows(frame, nodes, spec.rows.id, sorts_of(head))
    parts, problems = _parts(spec, frame, rows, folder)
    split = split or ("test" if parts else "all")
    chosen = list(range(len(rows)))
    if split != "all":
        if not parts:
            raise InputError(f"--split {split}: the run drew its splits by shares, and not from this {frame.path}; "
                             "leave --split out to measure all rows.")  # fmt: skip
        chosen = look_up(parts, split, "split")
        _stop(problems)
    if not chosen:
        raise InputError(f"{frame.path}: no row is in the split {split}.")
    _say_trained(frame.path, read_json(folder / "config.json"), parts, chosen)
    rows = [rows[i] for i in chosen]
    targets, problems = targets_of(spec, rows)
    _stop(problems)
    return rows, [_known(target, row, spec, head) for target, row in zip(targets, rows)], split


def measured(model: FusionModel, samples: Sequence[Sample]) -> Measured:
    """As ``look``, and where several labels are right, one that the head lacks counts as missed, as in training.

    Its score is that of the sample's least likely label, and never one that would be answered.
    """
    if not isinstance(plain(model.head), MultiLabel):
        return look(model, samples)
    unknown = sorted({label for sample in samples for label in sample.target} - set(model.head.labels))
    if not unknown:
        return look(model, samples)

    def wider(scores: Tensor) -> Tensor:
        return torch.cat([scores, scores.amin(1, keepdim=True).clamp(max=0).expand(-1, len(unknown))], 1)

    found = scored(model, samples)
    before = [scores if scores is None else wider(scores) for scores in found.before]
    head: Any = MultiLabel((*model.head.labels, *unknown))
    if isinstance(model.head, Ruled):
        head = Ruled.of(head, model.head.rules, model.head.mode, model.head.weight)
    return Measured(head, [(wider(scores), batch) for scores, batch in found.scored], before)


def _parts(spec: Spec, frame: Frame, rows: Sequence[Row], folder: Path) -> tuple[dict[str, list[int]] | None, list]:
    """The rows of each split, ``None`` where they are not known, and what is wrong with them."""
    if spec.rows.split is not None:
        return told_splits(rows, spec.rows.split) if spec.rows.split in frame.columns else (None, [])
    path = folder / "run.json"
    run = read_json(path) if path.is_file() else {}
    if run.get("table", {}).get("sha256") != sha256(frame.path):
        return None, []
    parts, problems = splits_of(spec, rows, targets_of(spec, rows)[0])
    same = run.get("splits") == {name: len(part) for name, part in parts.items()}
    return (parts, problems) if same else (None, [])


def _say_trained(path: Path, config: Mapping[str, Any], parts: Mapping[str, list[int]] | None, chosen: Sequence[int]
                 ) -> None:  # fmt: skip
    if parts is None:
        print(f"{path}: which rows the model was trained on is not known; they may be among these {len(chosen)}.",
              file=sys.stderr)  # fmt: skip
        return
    refitted = bool(config.get("training", {}).get("refit"))
    trained = {i for name in (("train", "valid") if refitted else ("train",)) for i in parts[name]}
    if count := len(trained & set(chosen)):
        which = "train and valid (refit)" if refitted else "train"
        print(f"{path}: the model was trained on {count} of these {len(chosen)} rows, those of {which}.",
              file=sys.stderr)  # fmt: skip


def _known(target: Any, row: Row, spec: Spec, head: Any) -> Any:
    """The target; ``()`` where it is a label that the model lacks and that counts as wrong."""
    labels = getattr(head, "labels", ())
    every = target if isinstance(target, tuple) else (target,)
    wrong = [label for label in every if label not in labels] if labels else []
    if wrong and spec.target.unseen == "error":
        raise InputError(f"{row.place}, column {spec.target.column}: the model does not know the label {wrong[0]!r}."
                         f"{did_you_mean(str(wrong[0]), labels)}")  # fmt: skip
    return () if wrong and not isinstance(target, tuple) else target


def _stop(problems: Sequence[str]) -> None:
    if problems:
        raise InputError(problems[0])
