"""Independent work side by side, in processes of one thread each."""

from __future__ import annotations

import copy
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from graphfuse.core.errors import InputError
from graphfuse.core.progress import told_as

T = TypeVar("T")
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def side_by_side(work: Sequence[tuple[str, Callable[[], T]]], jobs: int) -> Iterator[T]:
    """What each piece of work returns, in the given order, ``jobs`` of them at work at a time.

    Each runs in a forked process with one thread: it sees what is in memory here, and only its result, which has to be
    picklable, comes back. Small models gain little from a second thread, so two pieces of work on two cores take little
    more time than one. Where :func:`at_a_time` is 1, the work is done here, one piece after another. The first error,
    in time, ends the work that goes on beside it.

    Args:
        work: Name and function without arguments; a forked one tells its progress under the name.
        jobs: Processes at a time.

    Raises:
        InputError: ``jobs`` is below 1, or a process was killed, most likely for want of memory.
        Exception: What the work raises, with the traceback from the process as a note; a ``RuntimeError`` in its place
            where it cannot be pickled.
    """
    jobs = at_a_time(jobs)
    return _in_turn(work) if jobs == 1 or len(work) < 2 else _forked(work, jobs)


def at_a_time(jobs: int) -> int:
    """``jobs`` where processes can be forked safely, else 1: not on other systems than Linux, beside an accelerator, in
    a daemonic process, or under a launcher of several processes.

    Raises:
        InputError: ``jobs`` is below 1.
    """
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; it must be at least 1.")
    if sys.platform != "linux" or int(os.environ.get("WORLD_SIZE") or 1) > 1:
        return 1
    import torch

    lonely = multiprocessing.current_process().daemon or torch.accelerator.is_available()
    return 1 if lonely else jobs


def _in_turn(work: Sequence[tuple[str, Callable[[], T]]]) -> Iterator[T]:
    for _, do in work:
        yield do()


def _forked(work: Sequence[tuple[str, Callable[[], T]]], jobs: int) -> Iterator[T]:
    fork, found = multiprocessing.get_context("fork"), dict[int, T]()
    running = dict[Connection, tuple[int, Any]]()
    started = 0
    try:
        for place in range(len(work)):
            while place not in found:
                while started < len(work) and len(running) < jobs:
                    here, there = fork.Pipe(duplex=False)
                    process = fork.Process(target=_child, args=(*work[started], there, os.getpid()), daemon=True)
                    with warnings.catch_warnings():  # threads that wait in a pool do no harm: no child ever uses it
                        warnings.simplefilter("ignore", DeprecationWarning)
                        process.start()
                    there.close()
                    running[here] = started, process
                    started += 1
                ready = wait(list(running))
                for pipe in [pipe for pipe in running if pipe in ready]:
                    own, process = running[pipe]
                    found[own] = _received(pipe, process, work[own][0])
                    del running[pipe]
            yield found.pop(place)
    finally:
        for _, process in running.values():
            process.kill()  # whatever the caller does on other signals
        for _, process in running.values():
            process.join()


def _child(name: str, do: Callable[[], Any], pipe: Connection, parent: int) -> None:
    import torch

    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        os._exit(1)
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        with told_as(name):
            result = pickle.dumps((do(), None))  # by value: torch's own way leaves tensors with the process
    except KeyboardInterrupt:
        os._exit(130)
    except BaseException as error:
        result = pickle.dumps((None, _portable(error, name)))
    pipe.send_bytes(result)


def _portable(error: BaseException, name: str) -> BaseException:
    """The error with its traceback as a note; one in its place where it cannot be made again from its arguments."""
    told = f"{name}, in a process of its own:\n{traceback.format_exc()}"
    try:
        pickle.dumps(error)
        copy.copy(error)
    except Exception:  # an error of anyone may fail in any way to be pickled or made again
        kind = InputError if isinstance(error, InputError) else RuntimeError
        error = kind(str(error) or type(error).__name__)
    error.add_note(told)
    return error


def _received(pipe: Connection, process: Any, name: str) -> Any:
    try:
        value, error = pipe.recv()
    except (EOFError, OSError):
        process.join()
        if process.exitcode == -signal.SIGKILL:
            raise InputError(
                f"{name}: its process was killed, most likely for want of memory; take fewer jobs."
            ) from None
        raise RuntimeError(f"{name}: its process ended without a result (code {process.exitcode}).") from None
    process.join()
    if error is not None:
        raise error
    return value
