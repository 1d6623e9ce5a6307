"""The command line. Each command group is a file of this room; ``main`` is what the installed command calls."""

import os
import sys

THREADS = {"GOMP_SPINCOUNT": "2000", "OPENBLAS_NUM_THREADS": "1"}
"""Set before torch is loaded unless the user did: two spinning thread pools make runs many times slower."""


def main() -> None:
    """Runs a command; exits with 0, with 2 where the user can mend it (one sentence on stderr), or with 1."""
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Runs the command that ``words`` say and gives its exit code."""
    import click

    from graphfuse.cli.app import app
    from graphfuse.core.errors import InputError

    try:
        code = app(words, standalone_mode=False, prog_name="graphfuse")
    except InputError as error:
        print(f"graphfuse: {error}", file=sys.stderr)
        return 2
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        print("graphfuse: stopped", file=sys.stderr)
        return 130
    return int(code or 0)
