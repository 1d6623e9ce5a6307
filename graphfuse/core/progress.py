"""A progress bar for long work: ``rich`` on a terminal, a plain line now and then elsewhere, nothing for short work."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PATIENCE = 3.0  # seconds that work may take before anything is shown
EVERY = 15.0  # seconds between plain lines
WHOSE = ContextVar("whose work it is", default="")


@contextmanager
def told_as(name: str) -> Iterator[None]:
    """Inside, plain lines tell of the work of ``name``, which goes on beside other work."""
    token = WHOSE.set(name)
    try:
        yield
    finally:
        WHOSE.reset(token)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Gives ``advance(count)``; shows on stderr how far ``what`` has come once it has taken three seconds."""
    whose = WHOSE.get()
    if whose:
        what = f"{whose}: {what}"
    shown = _Bar(what, total) if sys.stderr.isatty() and not whose else _Lines(what, total)
    try:
        yield shown.advance
    finally:
        shown.close()


class _Lines:
    """``what: 512 of 10000 (5 %), 40 s left``."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, total, 0
        self.start, self.next = time.monotonic(), PATIENCE

    def advance(self, count: int) -> None:
        self.done += count
        spent = time.monotonic() - self.start
        if spent >= self.next and self.done < self.total:
            self.next = spent + EVERY
            left = spent * (self.total - self.done) / max(self.done, 1)
            share = 100 * self.done // self.total
            line = f"{self.what}: {self.done} of {self.total} ({share} %), {left:.0f} s left"
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """A line has nothing to close."""


class _Bar:
    """A ``rich`` bar that appears late and leaves no trace."""

    def __init__(self, what: str, total: int):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(what, total=total)
        self.start, self.visible = time.monotonic(), False

    def advance(self, count: int) -> None:
        self.bar.advance(self.task, count)
        if not self.visible and time.monotonic() - self.start >= PATIENCE:
            self.bar.start()
            self.visible = True

    def close(self) -> None:
        if self.visible:
            self.bar.stop()
