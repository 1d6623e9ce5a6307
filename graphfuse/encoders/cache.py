"""Features on disk, found again by the content of a value and the encoder that read it.

A folder per encoder id holds *packs*: safetensors files of many entries (``keys [n, 16]`` bytes, ``ends [n]``,
``crc [n]``, ``rows [N, width]``). A pack is written whole under a temporary name and then renamed, and never changed,
so processes can share the folder; a torn or altered entry is not returned and will be computed again.
"""

import os
import shutil
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

KEY_BYTES = 16  # length of a content key
SMALL = 4 << 20  # bytes up to which a pack may be folded into a later one
UNREADABLE = (SafetensorError, OSError, RuntimeError)  # torn, or deleted meanwhile (torch: RuntimeError)
MANY = 32  # packs in a folder beyond which small ones are folded


def default_folder() -> Path:
    """``$GRAPHFUSE_CACHE``, else ``graphfuse`` in the user's cache folder of this platform."""
    if chosen := os.environ.get("GRAPHFUSE_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Caches"
    else:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "graphfuse"


class Cache:
    """Features by encoder id and content key, in ``folder`` (by default ``default_folder()``).

    Neither reading nor writing ever fails: a folder that cannot be used costs one warning and the time to compute.
    """

    _warned = False  # one warning a process, whichever cache met the trouble

    def __init__(self, folder: str | Path | None = None):
        self.folder = Path(folder) if folder else default_folder()

    def get(self, encoder: str, keys: Iterable[bytes]) -> dict[bytes, Tensor]:
        """The entries that are present and whole, each ``[n, width]`` float32 on the CPU."""
        wanted, found = set(keys), dict[bytes, Tensor]()
        for pack in self._packs(encoder):
            if not wanted:
                break
            found |= _read(pack, wanted)
            wanted -= found.keys()
        return found

    def put(self, encoder: str, entries: Mapping[bytes, Tensor]) -> None:
        """Stores ``entries`` (each ``[n, width]`` float32) as one pack; a full disk or a closed folder warns once."""
        if not entries:
            return
        try:
            place = self.folder / "features" / encoder
            place.mkdir(parents=True, exist_ok=True)
            folded = self._foldable(encoder)
            whole = dict(entries)
            for pack in folded:
                whole = _read(pack) | whole
            _write(place, whole)
            for pack in folded:
                pack.unlink(missing_ok=True)
        except OSError as error:
            self._warn(
                f"{self.folder}: features are not cached ({error.strerror or error}); "
                "free some space there, or name another folder in GRAPHFUSE_CACHE."
            )

    def stats(self) -> dict[str, Any]:
        """``{"folder", "bytes", "entries", "encoders": {id: {"bytes", "entries"}}}``."""
        places = sorted(self._features.iterdir()) if self._features.is_dir() else []
        encoders = {}
        for place in places:
            packs = self._packs(place.name)
            encoders[place.name] = {"bytes": sum(_size(p) for p in packs), "entries": sum(_count(p) for p in packs)}
        total = {unit: sum(each[unit] for each in encoders.values()) for unit in ("bytes", "entries")}
        return {"folder": str(self.folder), **total, "encoders": encoders}

    def clear(self) -> int:
        """Deletes all cached features, and nothing else; returns how many bytes were freed."""
        files = [path for path in self._features.rglob("*") if path.is_file()] if self._features.is_dir() else []
        freed = sum(map(_size, files))
        shutil.rmtree(self._features, ignore_errors=True)
        return freed

    @property
    def _features(self) -> Path:
        return self.folder / "features"

    def _packs(self, encoder: str) -> list[Path]:
        try:
            return sorted((self._features / encoder).glob("*.safetensors"))
        except OSError:
            return []

    def _foldable(self, encoder: str) -> list[Path]:
        packs = self._packs(encoder)
        return [pack for pack in packs if _size(pack) <= SMALL] if len(packs) >= MANY else []

    def _warn(self, message: str) -> None:
        if not Cache._warned:
            Cache._warned = True
            warnings.warn(message, UserWarning, stacklevel=4)


def _write(place: Path, entries: Mapping[bytes, Tensor]) -> None:
    rows = [entry.contiguous() for entry in entries.values()]
    fields = {
        "keys": torch.from_numpy(np.frombuffer(b"".join(entries), np.uint8).reshape(-1, KEY_BYTES).copy()),
        "ends": torch.tensor([len(entry) for entry in rows]).cumsum(0),
        "crc": torch.tensor([_crc(entry) for entry in rows]),
        "rows": torch.cat(rows),
    }
    pack = save(fields)
    handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=place)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pack)
        os.replace(temporary, Path(temporary).with_suffix(".safetensors"))
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(pack: Path, wanted: set[bytes] | None = None) -> dict[bytes, Tensor]:
    """The whole entries of a pack, only the ``wanted`` ones if given; none if the file is gone or torn."""
    try:
        with safe_open(pack, "pt") as file:
            keys, ends, crc = (file.get_tensor(name) for name in ("keys", "ends", "crc"))
            chosen = [(i, key) for i, key in enumerate(_split(keys)) if wanted is None or key in wanted]
            rows = file.get_tensor("rows") if chosen else torch.empty(0)
    except UNREADABLE:
        return {}
    bounds, checks = [0, *ends.tolist()], crc.tolist()
    entries = ((key, rows[bounds[i] : bounds[i + 1]].clone(), checks[i]) for i, key in chosen)
    return {key: entry for key, entry, check in entries if _crc(entry) == check}


def _crc(entry: Tensor) -> int:
    return zlib.crc32(entry.numpy().data)


def _split(keys: Tensor) -> Iterator[bytes]:
    joined = keys.numpy().tobytes()
    return (joined[i : i + KEY_BYTES] for i in range(0, len(joined), KEY_BYTES))


def _count(pack: Path) -> int:
    try:
        with safe_open(pack, "pt") as file:
            return file.get_slice("keys").get_shape()[0]
    except UNREADABLE:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
