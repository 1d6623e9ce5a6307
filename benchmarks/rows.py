"""Rows of results: one JSON line each in ``benchmarks/rows/NAME.jsonl``."""

import json
from collections.abc import Iterable
from pathlib import Path

from graphfuse.core.files import write_text
from graphfuse.core.machine import machine

FOLDER = Path(__file__).parent / "rows"
FIELDS = ("task", "method", "metric", "mean", "std", "seeds", "split", "tuned_on", "origin", "seconds", "parameters",
          "command", "versions")  # fmt: skip
VERSIONED = ("graphfuse", "torch", "torch-geometric", "transformers")


def row(**values: object) -> dict[str, object]:
    """One row with every field; versions are those in use."""
    facts = machine()
    given = {"origin": "measured", "versions": {name: facts[name] for name in VERSIONED}, **values}
    return {field: given[field] for field in FIELDS}


def write(name: str, rows: Iterable[dict[str, object]], folder: Path = FOLDER) -> Path:
    """Replaces the rows of a benchmark by these."""
    path = folder / f"{name}.jsonl"
    write_text(path, "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows))
    return path


def read(name: str, folder: Path = FOLDER) -> list[dict]:
    """The rows of a benchmark; none if it was never run."""
    path = folder / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
