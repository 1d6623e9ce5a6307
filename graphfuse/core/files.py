"""Writing files whole or not at all, and reading JSON with errors that name the file."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graphfuse.core.errors import InputError


def write_all(files: Mapping[Path, bytes]) -> None:
    """Writes several files, all or none: each to a temporary file beside its place, then all are moved there.

    Raises:
        InputError: The disk is full or a folder cannot be written; what stood there is untouched.
    """
    parts: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            parts[path] = _written_beside(path, data)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        place = next((path for path in files if path not in parts), next(iter(files)))
        raise InputError(f"{place}: cannot be written ({error.strerror or error}); what was there is kept.") from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """A file of bytes, whole or not at all."""
    write_all({path: data})


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """A JSON file in UTF-8, keys in the order given, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """A file of JSON lines in UTF-8, whole or not at all."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        InputError: The file is missing or is not JSON; names the file and the line.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON ({error.msg}).") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from None


def sha256(path: Path) -> str:
    """The SHA-256 checksum of a file, as hexadecimal digits.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _written_beside(path: Path, data: bytes) -> Path:
    """A temporary file in the folder of ``path`` that holds ``data`` on the disk; none is left on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
