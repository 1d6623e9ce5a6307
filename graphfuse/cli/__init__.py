"""The command line. Each command group is a file of this room; ``main`` is what the installed command calls."""

import ctypes
import os
import sys
from typing import Any

THREADS = {"GOMP_SPINCOUNT": "2000", "OPENBLAS_NUM_THREADS": "1"}
"""Set before torch is loaded unless the user did: two spinning thread pools make runs many times slower."""
KEEP_MEMORY = {-1: 2**31 - 1, -3: 2**30}
"""glibc's options: trim (-1) and map apart (-3) only what is larger than this, in bytes."""


def main() -> None:
    """Runs a command; exits with 0, with 2 where the user can mend it (one sentence on stderr), or with 1."""
    prepare_process()
    sys.exit(run(sys.argv[1:]))


def prepare_process() -> None:
    """Sets ``THREADS`` where the user did not, before torch is loaded, and keeps freed memory where glibc is used.

    glibc gives every large block back to the system and asks for it again a moment later; a third of the time of
    training on a CPU went into the page faults.
    """
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
    if "MALLOC_MMAP_THRESHOLD_" not in os.environ and sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        for option, size in KEEP_MEMORY.items():
            if mallopt is not None:
                mallopt(option, size)


def run(words: list[str]) -> int:
    """Runs the command that ``words`` say and gives its exit code."""
    import typer

    from graphfuse.cli.app import app
    from graphfuse.core.errors import InputError

    # typer carries click within it from some version on, so that the class is found by way of typer's own.
    wrong_use: Any = next(each for each in typer.BadParameter.__mro__ if each.__name__ == "ClickException")
    try:
        code = app(words or ["--help"], standalone_mode=False, prog_name="graphfuse")
    except InputError as error:
        print(f"graphfuse: {error}", file=sys.stderr)
        return 2
    except wrong_use as error:
        context = getattr(error, "ctx", None)
        said = error.format_message().rstrip(".")
        print(f"graphfuse: {said}; see {context.command_path if context else 'graphfuse'} --help.", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error):
            raise
        said = str(error).split("\n")[0] or "an allocation failed"
        print(f"graphfuse: not enough memory ({said}); lower batch_size, dim or the width of a kind.", file=sys.stderr)
        return 2
    except (typer.Abort, KeyboardInterrupt):
        print("graphfuse: stopped", file=sys.stderr)
        return 130
    if code == 130:  # typer's own answer to Ctrl-C, in newer versions
        print("graphfuse: stopped", file=sys.stderr)
    return int(code or 0)
