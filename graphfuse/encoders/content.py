"""Content hashes of values and files, and where packages keep their files."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from graphfuse.encoders.cache import KEY_BYTES


def digest(content: bytes) -> bytes:
    """A content key for the cache."""
    return hashlib.blake2b(content, digest_size=KEY_BYTES).digest()


def digest_files(paths: Sequence[Path]) -> str:
    """One hash of the names and contents of files, as hex."""
    whole = hashlib.blake2b(digest_size=KEY_BYTES)
    for path in sorted(paths):
        whole.update(path.name.encode())
        with open(path, "rb") as file:
            whole.update(hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=KEY_BYTES)).digest())
    return whole.hexdigest()


def package_folder(package: str) -> Path | None:
    """Where an installed package lies, found without running its code; ``None`` if it is not installed."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None
