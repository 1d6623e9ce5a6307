"""What a run folder says of itself: ``run.json`` for programs, the model card for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphfuse.core.files import read_json, sha256, write_json, write_text
from graphfuse.core.machine import machine, peak_memory
from graphfuse.model import FusionModel
from graphfuse.report import model_card
from graphfuse.study.study import SPLITS, Study
from graphfuse.tables.samples import preprocessing

SUMMED = ("config.json", "model.safetensors", "rules.txt", "history.jsonl", "metrics.json", "predictions.jsonl")


def finish(folder: Path, model: FusionModel, study: Study, metrics: Mapping[str, Mapping[str, float]], seed: int,
           command: str) -> None:  # fmt: skip
    """Completes the folder of a trained run: how tables are read, ``run.json`` with checksums, and the card.

    Args:
        folder: That ``gf.fit`` wrote.
        model: As trained.
        study: What it was trained on.
        metrics: split -> metric -> value.
        seed: Of the run.
        command: That made it.
    """
    config = complete(folder, study, command)
    write_json(folder / "metrics.json", {"best_epoch": config["best_epoch"], **metrics})
    facts = facts_of(study, seed, command) | {
        "metrics": metrics,
        **({} if model.rules is None else {"rules": str(model.rules)}),
        "temperature": round(float(model.temperature), 4),
        "sha256": {name: sha256(folder / name) for name in SUMMED if (folder / name).exists()},
    }
    write_json(folder / "run.json", {**facts, "config": study.spec.to_dict(), "peak_memory": peak_memory()})
    write_text(folder / "README.md", model_card(config, {**facts, "hardware": _hardware(facts["machine"])}))


def complete(folder: Path, study: Study, command: str) -> dict[str, Any]:
    """Adds to a saved model how its table is read, so that it answers other tables; gives its ``config.json``."""
    told = read_json(folder / "config.json")
    kept = {key: told[key] for key in ("training", "best_epoch")}
    model = FusionModel.from_pretrained(folder)
    model.save_pretrained(folder, **kept, preprocessing=preprocessing(study.spec, study.encoders), command=command)
    return read_json(folder / "config.json")


def facts_of(study: Study, seed: int, command: str, jobs: int = 1) -> dict[str, Any]:
    """What is known before training: data, target, versions, machine."""
    facts = machine(jobs)
    columns = {node.kind: {"encoder": node.encoder, **_read(node)} for node in study.spec.nodes}
    rows = study.data.of("train")
    named = dict.fromkeys(column for node in study.spec.nodes for column in node.columns)
    return {
        "name": f"{study.spec.target.column} from {study.data.path.name}",
        "command": command,
        "seed": seed,
        "target": {"column": study.spec.target.column, "task": study.spec.target.task},
        "table": {"file": study.data.path.name, "sha256": sha256(study.data.path)},
        "splits": {split: len(study.samples[split]) for split in SPLITS},
        "cells": {
            column: {"filled": sum(row[column] is not None for row in rows), "rows": len(rows)} for column in named
        },
        "labels": list(study.data.labels),
        "columns": columns,
        "versions": {k: v for k, v in facts.items() if k not in ("system", "threads", "accelerator", "extra demo")},
        "machine": {key: facts[key] for key in ("system", "threads", "accelerator")},
    }


def _read(node: Any) -> dict[str, Any]:
    if node.column is not None:
        return {"column": node.column}
    return {"numeric": list(node.numeric), "categorical": list(node.categorical)}


def _hardware(facts: Mapping[str, str]) -> str:
    return f"{facts['system']}, {facts['threads']}, accelerator: {facts['accelerator']}"
