"""``vector``: features that are ready, from arrays or ``.npy``/``.npz`` files."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.encoders.base import Encoder, is_lacking, place
from graphfuse.encoders.cache import Cache
from graphfuse.encoders.options import check_whole


class Vector(Encoder):
    """Ready features: a vector is one node, a matrix ``[n, width]`` is ``n`` nodes.

    A value is an array, a tensor, a list of numbers, or a path: ``features.npy``, ``features.npz#key``, or
    ``features.npz``, in which the sample's name is looked up (or which holds one array). Pickled objects are never
    read. Nothing is cached, since nothing is computed.

    Raises:
        InputError: ``width`` is not a whole number of at least 1.
    """

    name = "vector"

    def __init__(self, width: int):
        super().__init__()
        self.width = self.raw_width = check_whole("width", width, 1)

    def config(self) -> dict[str, Any]:
        """The options."""
        return {"width": self.width}

    def prepare(self, values: Sequence[Any], names: Sequence[str] | None = None) -> list[Tensor]:
        """Features of each value, ``[n, width]`` float32; none where the value is lacking.

        Raises:
            InputError: An array cannot be read, has another width, or has a number that is not finite.
        """
        opened: dict[str, Any] = {}  # each file is read once
        return [
            torch.empty(0, self.width) if is_lacking(value) else self._rows(value, place(names, i), opened)
            for i, value in enumerate(values)
        ]

    def forward(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """The rows as they are."""
        return rows, offsets

    def encode(
        self, values: Sequence[Any], names: Sequence[str] | None = None, cache: Cache | bool = True
    ) -> list[Tensor]:
        """The same as ``prepare``."""
        return self.prepare(values, names)

    def _rows(self, value: Any, name: str, opened: dict[str, Any]) -> Tensor:
        array = _look_in(value, name, opened) if isinstance(value, str | Path) else _as_array(value)
        if array.dtype.kind not in "buif":
            raise InputError(f"{name}: an array of type {array.dtype} is not numbers; real numbers are needed.")
        if array.ndim not in (1, 2):
            shape, width = list(array.shape), self.width
            raise InputError(f"{name}: the array has shape {shape}; [{width}] or [n, {width}] is needed.")
        if not array.size:
            return torch.empty(0, self.width)
        if array.shape[-1] != self.width:
            raise InputError(f"{name}: features of width {self.width} were expected, {array.shape[-1]} found.")
        with np.errstate(over="ignore"):  # too large for float32 is reported below
            rows = torch.from_numpy(np.array(array, dtype=np.float32, ndmin=2))
        if not rows.isfinite().all():
            row = int((~rows.isfinite().all(1)).nonzero()[0])
            raise InputError(f"{name}: row {row} of the features has NaN or infinity; every number must be finite.")
        return rows


def _as_array(value: Any) -> np.ndarray:
    try:
        return np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
    except ValueError:  # a ragged list
        return np.array(None)


def _look_in(path: str | Path, name: str, opened: dict[str, Any]) -> np.ndarray:
    """The array that ``path`` or ``path#key`` names."""
    file, key = file_and_key(str(path))
    if file not in opened:
        opened[file] = _read(file, name)
    content = opened[file]
    if isinstance(content, np.ndarray):
        return content
    if not key:
        key = name if name in content or len(content) != 1 else next(iter(content))
    if key not in content:
        raise InputError(f"{name}: {file} has no array {key!r}.{did_you_mean(key, content)}")
    return content[key]


def file_and_key(path: str) -> tuple[str, str]:
    """The file of ``features.npz#key`` and the key, "" where none is said; folders may have # in their names."""
    found = re.fullmatch(r"(.*?\.np[yz])#(.*)", path, re.IGNORECASE | re.DOTALL)
    return (found[1], found[2]) if found else (path, "")


def _read(file: str, name: str) -> np.ndarray | dict[str, np.ndarray]:
    try:
        content = np.load(Path(file).expanduser(), allow_pickle=False)
        return content if isinstance(content, np.ndarray) else dict(content)
    except FileNotFoundError as error:
        raise InputError(f"{name}: {file}: there is no such file; a .npy or .npz file is needed.") from error
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{name}: {file} is not a whole .npy or .npz file of plain arrays (pickled objects are never read); "
            "write it with numpy.save or numpy.savez."
        ) from error
