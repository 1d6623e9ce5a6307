import io
import sys

import pytest

from graphfuse.core import progress as module
from graphfuse.core.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when told."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_short_work_shows_nothing(clock, capsys):
    with progress("text: encoding", 10) as advance:
        clock[0] = 2.0
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_long_work_prints_a_line_now_and_then_to_stderr(clock, capsys):
    with progress("text: encoding", 100) as advance:
        for _ in range(100):
            clock[0] += 1
            advance(1)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "text: encoding: 3 of 100 (3 %), 97 s left"
    assert len(lines) == 7


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    with progress("text: encoding", 10) as advance:
        advance(5)
    assert "text: encoding" in terminal.getvalue()
    assert "5/10" in terminal.getvalue().replace(" ", "")
