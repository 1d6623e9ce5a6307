"""Where the public sets lie, which are not part of the repository."""

import os
from pathlib import Path

from graphfuse.core.errors import InputError

ROOT = Path(__file__).resolve().parent.parent


def data_folder(part: str = "") -> Path:
    """The folder that ``GRAPHFUSE_DATA`` names (``../shared/data`` if left out), or a part of it.

    Raises:
        InputError: There is none.
    """
    folder = Path(os.environ.get("GRAPHFUSE_DATA") or ROOT.parent / "shared" / "data") / part
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder; set GRAPHFUSE_DATA to the one that holds the public sets."
        )
    return folder
