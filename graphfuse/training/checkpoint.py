"""Where training stands, in one file that is written whole or not at all."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from graphfuse.core.errors import InputError
from graphfuse.core.files import write_bytes

FILE = "checkpoint.safetensors"


@dataclass
class Progress:
    """What training has come to after some epochs: the rows of its history and the best weights so far."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    done: bool = False


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, run: dict) -> None:
    """Writes weights, optimizer state and progress; a disk that is full leaves the previous checkpoint.

    Args:
        folder: Of the run.
        model: Its weights as they are now.
        optimizer: Its state as it is now.
        progress: Best weights and history.
        run: What the run is, compared by :func:`load`.
    """
    tensors = {f"model.{name}": x for name, x in model.state_dict().items()}
    tensors |= {f"best.{name}": x for name, x in progress.best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(x) for name, x in state.items()}
    told = {"rows": progress.rows, "best_epoch": progress.best_epoch, "done": progress.done, "run": run}
    whole = {name: x.detach().cpu().clone(memory_format=torch.contiguous_format) for name, x in tensors.items()}
    data = safetensors.torch.save(whole, {"progress": json.dumps(told)})
    write_bytes(folder / FILE, data)


def load(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, run: dict) -> Progress:
    """Fills model and optimizer from a run's checkpoint and gives its progress; a new one if there is none.

    Raises:
        InputError: The file is damaged, or it is of another run: names what differs.
    """
    path = folder / FILE
    if not path.is_file():
        return Progress()
    try:
        with safetensors.safe_open(path, "pt") as file:
            told = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error}); delete it to train anew.") from error
    for key in run | told["run"]:
        old, new = told["run"].get(key), run.get(key)
        if not _same(old, new):
            raise InputError(f"{folder}: holds another run ({key} was {_short(old)}, now {_short(new)}); choose "
                             "another folder or delete this one.")  # fmt: skip
    try:
        model.load_state_dict(_under("model.", tensors))
    except RuntimeError as error:
        raise InputError(f"{folder}: holds another run (its weights do not fit this model); choose another folder or "
                         "delete this one.") from error  # fmt: skip
    described = optimizer.state_dict()
    described["state"] = {}
    for name, x in _under("optimizer.", tensors).items():
        number, key = name.split(".", 1)
        described["state"].setdefault(int(number), {})[key] = x
    optimizer.load_state_dict(described)
    return Progress(told["rows"], _under("best.", tensors), told["best_epoch"], told["done"])


def _same(old: Any, new: Any) -> bool:
    """Whether two values of JSON are the same, numbers with a fraction to five digits."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=1e-5, abs_tol=1e-9)
    return old == new


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
