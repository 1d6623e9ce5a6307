"""The command line. Each command group is a file of this room; ``main`` is what the installed command calls."""

import os
import sys
from typing import Any

THREADS = {"GOMP_SPINCOUNT": "2000", "OPENBLAS_NUM_THREADS": "1"}
"""Set before torch is loaded unless the user did: two spinning thread pools make runs many times slower."""


def main() -> None:
    """Runs a command; exits with 0, with 2 where the user can mend it (one sentence on stderr), or with 1."""
    set_threads()
    sys.exit(run(sys.argv[1:]))


def set_threads() -> None:
    """Sets ``THREADS`` where the user did not; has to come before torch is loaded."""
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)


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
    except (typer.Abort, KeyboardInterrupt):
        print("graphfuse: stopped", file=sys.stderr)
        return 130
    return int(code or 0)
