"""Work side by side: the results of one after another, errors as they are raised, and no process left behind."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
import torch

from graphfuse.core import progress as progress_module
from graphfuse.core.errors import InputError
from graphfuse.core.jobs import at_a_time, side_by_side
from graphfuse.core.progress import progress

forked = pytest.mark.skipif(
    sys.platform != "linux" or torch.accelerator.is_available(),
    reason="processes are forked on Linux without accelerator",
)


def slow_then_fast(place: int) -> tuple[int, int, int]:
    time.sleep(0.2 if place == 0 else 0)
    return place, os.getpid(), torch.get_num_threads()


@forked
def test_results_come_in_the_order_of_the_work_each_from_a_process_of_one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = list(side_by_side([(str(i), partial(slow_then_fast, i)) for i in range(5)], 2))
    finally:
        torch.set_num_threads(before)
    assert [place for place, _, _ in found] == [0, 1, 2, 3, 4]
    assert len({pid for _, pid, _ in found} - {os.getpid()}) == 5
    assert {threads for _, _, threads in found} == {1}


def test_one_job_works_in_this_process():
    assert {pid for _, pid, _ in side_by_side([("a", partial(slow_then_fast, 1))] * 2, 1)} == {os.getpid()}


@forked
def test_as_many_as_asked_are_at_work_at_a_time():
    meet = multiprocessing.get_context("fork").Barrier(3)
    work = [(str(i), partial(meet.wait, 20)) for i in range(3)]
    assert sorted(side_by_side(work, 3)) == [0, 1, 2]


@forked
def test_no_more_than_asked_are_at_work_at_a_time():
    meet = multiprocessing.get_context("fork").Barrier(3)
    with pytest.raises(RuntimeError, match="BrokenBarrierError"):
        list(side_by_side([(str(i), partial(meet.wait, 0.5)) for i in range(3)], 2))


class AtLineError(InputError):
    def __init__(self, path: str, line: int):
        super().__init__(f"{path}, line {line}: no.")


class LockedError(InputError):
    def __init__(self, said: str):
        super().__init__(said)
        self.lock = threading.Lock()  # cannot be pickled


def raising(error: BaseException) -> None:
    raise error


def ended(how: int) -> None:
    os.kill(os.getpid(), how)


@forked
@pytest.mark.parametrize(
    ("does", "error", "says"),
    [
        (partial(raising, InputError("row 3: no.")), InputError, "row 3: no.$"),
        (partial(raising, KeyError("lost")), KeyError, "'lost'$"),
        (partial(raising, MemoryError()), MemoryError, "$"),
        (partial(raising, AtLineError("a.csv", 3)), InputError, "a.csv, line 3: no.$"),
        (partial(raising, LockedError("held.")), InputError, "held.$"),
        (partial(ended, signal.SIGKILL), InputError, "mine: its process was killed.*fewer jobs"),
        (partial(ended, signal.SIGUSR1), RuntimeError, r"mine: its process ended without a result \(code -10\)"),
        (partial(threading.Lock), TypeError, "cannot pickle"),
    ],
)
def test_an_error_comes_as_it_was_raised_and_ends_the_rest(does, error, says):
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # as of a program that ends its own way
    start = time.monotonic()
    try:
        with pytest.raises(error) as raised:
            list(side_by_side([("mine", does), ("rest", partial(time.sleep, 60))], 2))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert re.match(says, str(raised.value))
    assert time.monotonic() - start < 30
    assert not multiprocessing.active_children()
    if does.func is raising:
        assert "mine, in a process of its own:\nTraceback" in raised.value.__notes__[0]


@forked
def test_tensors_come_back_by_value():
    found = list(side_by_side([(str(i), partial(torch.full, (3,), float(i))) for i in range(2)], 2))
    assert [x.tolist() for x in found] == [[0.0] * 3, [1.0] * 3]


@forked
def test_a_process_that_may_have_none_of_its_own_works_in_turn():
    inner = partial(slow_then_fast, 1)
    outer = [(str(i), lambda: list(side_by_side([("a", inner), ("b", inner)], 2))) for i in range(2)]
    for found in side_by_side(outer, 2):
        assert len({pid for _, pid, _ in found}) == 1


@pytest.mark.parametrize("size", ["", "1", "2"])
def test_under_a_launcher_of_several_processes_nothing_is_forked(monkeypatch, size):
    monkeypatch.setenv("WORLD_SIZE", size)
    assert at_a_time(1) == 1
    assert at_a_time(3) == (1 if size == "2" or sys.platform != "linux" or torch.accelerator.is_available() else 3)


def test_jobs_below_one_are_refused():
    with pytest.raises(InputError, match="jobs is 0"):
        side_by_side([], 0)


def long_work() -> None:
    with progress("training", 4) as advance:
        advance(2)


@forked
def test_progress_says_whose_it_is(monkeypatch, capfd):
    monkeypatch.setattr(progress_module, "PATIENCE", 0.0)
    list(side_by_side([("hgt, seed 0", long_work), ("sage, seed 1", long_work)], 2))
    lines = sorted(capfd.readouterr().err.splitlines())
    assert [line.split(" of ")[0] for line in lines] == ["hgt, seed 0: training: 2", "sage, seed 1: training: 2"]


LEFT = """
import os, sys, time
from graphfuse.core.jobs import side_by_side
def wait():
    print(os.getpid(), flush=True)
    time.sleep(60)
list(side_by_side([("a", wait), ("b", wait)], 2))
"""


@forked
def test_a_killed_parent_leaves_no_process_behind():
    parent = subprocess.Popen([sys.executable, "-c", LEFT], stdout=subprocess.PIPE, text=True)
    children = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    end = time.monotonic() + 20
    while any(alive(pid) for pid in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in children)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
