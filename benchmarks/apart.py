"""Runs work in a process of its own, whose memory is as a user's script would find it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

KEPT = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296",
        "MALLOC_TOP_PAD_": "268435456"}  # fmt: skip
"""With these, glibc gives no freed memory back to the system."""


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What ``work`` gives in a fork of this process, which so far has only imported: nothing taken, nothing freed."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        return pool.submit(work, *given).result()


def fresh(module: str, asked: Mapping[str, Any], kept: bool = False) -> Any:
    """What ``python -m module`` prints as JSON; freed memory is kept only if ``kept``, whatever this process does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    environment.pop("GLIBC_TUNABLES", None)
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(asked)], stdout=subprocess.PIPE, text=True, check=True,
        cwd=Path(__file__).parent.parent, env={**environment, **(KEPT if kept else {})},
    )  # fmt: skip
    return json.loads(done.stdout)
