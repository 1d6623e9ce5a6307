"""Samples in a folder: written one by one, and read where they lie, so that a set may be larger than memory.

``store.json`` says what is there. All tensors of one place, type and number of axes (``nodes`` of ``text`` in float32,
say) are a *column*: ``N.data`` holds their numbers one after another, ``N.index`` a row a sample, ``int64``: where its
own begin, -1 where it has none, then its shape. ``samples.jsonl`` has a line a sample, name and target, and
``samples.index`` where each line begins, and the end.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.files import read_json, write_json
from graphfuse.core.sample import Sample

FORMAT = "graphfuse samples, version 1"
FIELDS = ("nodes", "links", "spans", "weights")
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
)}  # fmt: skip


class SampleStore(Sequence[Sample]):
    """The samples of a folder that :meth:`write` made, each made when it is asked for, its tensors views of the files.

    Goes wherever a list of samples goes, as in ``gf.fit(model, store, valid)``; the system reads what is looked at and
    lets it go again. Tensors may be written to, which changes no file.

    Raises:
        InputError: The folder is no store, or a file of it is missing, cut off or altered in size.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        told = read_json(self.folder / "store.json")
        form = told.get("format") if isinstance(told, dict) else None
        if form != FORMAT:
            raise InputError(f"{self.folder}: is no store of the form {FORMAT!r}; its store.json says {form!r}.")
        try:
            self._size, length = int(told["samples"]), int(told["bytes"])
            parts = [(c["field"], _key(c["key"]), DTYPES[c["dtype"]], int(c["axes"]), int(c["numbers"]))
                     for c in told["columns"]]  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            path = self.folder / "store.json"
            raise InputError(f"{path}: does not describe a store of samples ({error!r}).") from error
        self._begins = _mapped(self.folder / "samples.index", torch.int64, self._size + 1)
        self._lines = _mapped(self.folder / "samples.jsonl", torch.uint8, length)
        self._columns = [
            (field, key, _mapped(self.folder / f"{place}.data", dtype, numbers),
             _mapped(self.folder / f"{place}.index", torch.int64, self._size * (1 + axes)).view(self._size, 1 + axes))
            for place, (field, key, dtype, axes, numbers) in enumerate(parts)
        ]  # fmt: skip

    @classmethod
    def write(cls, folder: str | Path, samples: Iterable[Sample]) -> SampleStore:
        """Writes samples to a new folder, whole or not at all, and opens it; holds one sample at a time.

        Args:
            folder: That is not there yet, or empty.
            samples: Any number, from a list, a generator, ...; targets may be ``None``, text, numbers, tensors, and
                tuples and lists of these but tensors; or a mapping, text -> one of all these.

        Raises:
            InputError: The folder is in use, the disk is full, or a sample has what cannot be written (named).
        """
        folder = Path(folder)
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise InputError(f"{folder}: is there already; delete it or choose another folder.")
        beside = None
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            _write(beside, samples)
            beside.chmod(0o755)
            beside.replace(folder)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror or error}).") from error
        finally:
            if beside is not None:
                shutil.rmtree(beside, ignore_errors=True)
        return cls(folder)

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> Sample: ...

    @overload
    def __getitem__(self, place: slice) -> list[Sample]: ...

    def __getitem__(self, place: int | slice) -> Sample | list[Sample]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(self._size))]
        at = place + self._size if place < 0 else place
        if not 0 <= at < self._size:
            raise IndexError(f"{self.folder}: there is no sample {place}; there are {self._size}.")
        fields: dict[str, dict[Any, Tensor]] = {field: {} for field in (*FIELDS, "node_facts", "target")}
        try:
            begin, end = self._begins[at : at + 2].tolist()
            line = json.loads(self._lines[begin:end].numpy().tobytes())
            for field, key, data, index in self._columns:
                first, *shape = index[at].tolist()
                if first >= 0:
                    fields[field][key] = data[first : first + math.prod(shape)].view(shape)
            target, of_nodes = fields.pop("target"), line.get("node_facts", {})
            for (kind, name), numbers in fields.pop("node_facts").items():
                of_nodes.setdefault(kind, {})[name] = numbers
            return Sample(line["name"], **fields, target=target[""] if "" in target else _plain(line["target"], target),
                          facts=line.get("facts", {}), node_facts=of_nodes)  # fmt: skip
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise InputError(f"{self.folder}: sample {at} is damaged ({error}); write the store anew.") from error

    def __iter__(self) -> Iterator[Sample]:
        return (self[place] for place in range(self._size))


def _write(folder: Path, samples: Iterable[Sample]) -> None:
    columns: dict[tuple[Any, ...], _Column] = {}
    size = begin = 0
    with ExitStack() as open_files:
        lines, index = (open_files.enter_context(_File(folder / f"samples.{end}")) for end in ("jsonl", "index"))
        for sample in samples:
            for field, key, x in _tensors_of(sample):
                place = (field, key, x.dtype, x.ndim)
                if place not in columns:
                    if str(x.dtype).removeprefix("torch.") not in DTYPES:
                        raise InputError(f"Sample {sample.name!r}, {field} {key!r}: a store has no {x.dtype}.")
                    data, rows = (open_files.enter_context(_File(folder / f"{len(columns)}.{end}"))
                                  for end in ("data", "index"))  # fmt: skip
                    columns[place] = _Column(data, rows, x.ndim)
                columns[place].add(size, x)
            facts = {name: value if isinstance(value, str) else float(value) for name, value in sample.facts.items()}
            words = {kind: {name: list(values) for name, values in own.items() if not isinstance(values, Tensor)}
                     for kind, own in sample.node_facts.items()}  # fmt: skip
            told = {"name": sample.name, "target": _json(sample), **({"facts": facts} if facts else {}),
                    **({"node_facts": words} if any(words.values()) else {})}  # fmt: skip
            line = json.dumps(told, ensure_ascii=False).encode() + b"\n"
            lines.write(line)
            index.write(np.int64(begin).tobytes())
            size, begin = size + 1, begin + len(line)
        index.write(np.int64(begin).tobytes())
        for column in columns.values():
            column.fill(size)
    described = [{"field": field, "key": key, "dtype": str(dtype).removeprefix("torch."), "axes": axes,
                  "numbers": column.numbers} for (field, key, dtype, axes), column in columns.items()]  # fmt: skip
    write_json(folder / "store.json", {"format": FORMAT, "samples": size, "bytes": begin, "columns": described})


class _Column:
    """Tensors of one place, type and number of axes, as they are written."""

    def __init__(self, data: BinaryIO, index: BinaryIO, axes: int):
        self.data, self.index, self.axes = data, index, axes
        self.rows = self.numbers = 0

    def add(self, sample: int, x: Tensor) -> None:
        self.fill(sample)
        self.index.write(np.array([self.numbers, *x.shape], dtype=np.int64).tobytes())
        self.data.write(x.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        self.rows, self.numbers = self.rows + 1, self.numbers + x.numel()

    def fill(self, sample: int) -> None:
        """Says of the samples up to one that they have no such tensor."""
        for start in range(self.rows, sample, 65536):
            self.index.write(np.full((min(65536, sample - start), 1 + self.axes), -1, dtype=np.int64).tobytes())
        self.rows = sample


class _File:
    """A new file, on the disk when it is closed."""

    def __init__(self, path: Path):
        self.file = path.open("wb")

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(self, *error: object) -> None:
        with self.file:
            self.file.flush()
            os.fsync(self.file.fileno())


def _tensors_of(sample: Sample) -> Iterator[tuple[str, Any, Tensor]]:
    for field in FIELDS:
        for key, x in getattr(sample, field).items():
            yield field, key, x
    for kind, own in sample.node_facts.items():
        for name, values in own.items():
            if isinstance(values, Tensor):
                yield "node_facts", (kind, name), values
    if isinstance(sample.target, Tensor):
        yield "target", "", sample.target
    if isinstance(sample.target, Mapping):
        for part, own in sample.target.items():
            if isinstance(own, Tensor):
                yield "target", part, own


def _json(sample: Sample) -> Any:
    """The target as JSON tells it: a tuple as ``{"tuple": [..]}``, a mapping as ``{"parts": {..}}``, and a tensor as
    ``None``, as it is a column."""

    def told(value: Any) -> Any:
        if value is None or type(value) in (str, bool, int, float):
            return value
        if type(value) in (tuple, list):
            return {type(value).__name__: [told(each) for each in value]}
        raise InputError(f"Sample {sample.name!r}: a store has no target of type {type(value).__name__}; it has None, "
                         "text, numbers, tensors, tuples and lists of these but tensors, and a mapping, text -> one of "
                         "these.")  # fmt: skip

    def whole(value: Any) -> Any:
        return None if isinstance(value, Tensor) else told(value)

    if not isinstance(sample.target, Mapping):
        return whole(sample.target)
    if wrong := [part for part in sample.target if not isinstance(part, str) or not part]:
        raise InputError(f"Sample {sample.name!r}: the target has a part {wrong[0]!r}; a text is needed.")
    return {"parts": {part: whole(own) for part, own in sample.target.items()}}


def _plain(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What :func:`_json` told, with the tensors of its parts."""
    if not isinstance(value, dict):
        return value
    ((name, each),) = value.items()
    if name == "parts":
        return {part: tensors[part] if part in tensors else _plain(own, {}) for part, own in each.items()}
    return {"tuple": tuple, "list": list}[name](_plain(own, {}) for own in each)


def _key(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def _mapped(path: Path, dtype: torch.dtype, count: int) -> Tensor:
    """A file's numbers, read when they are looked at."""
    try:
        found = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); the store is not whole.") from error
    if count < 0 or found != count * dtype.itemsize:
        raise InputError(f"{path}: has {found} bytes, not {count * dtype.itemsize}; the store is not whole.")
    return torch.from_file(str(path), shared=False, size=count, dtype=dtype) if count else torch.empty(0, dtype=dtype)
