"""Independent work side by side, in processes of one thread each."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
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

    Each runs in a forked process with one thread: it sees what is in memory here without a copy, and only its result,
    which has to be picklable, comes back. Small models gain little from a second thread, so two pieces of work on two
    cores take little more time than one. Where processes cannot be forked safely (other systems than Linux, an
    accelerator, a launcher of several processes) or ``jobs`` is 1, the work is done here, one piece after another.

    Args:
        work: Name, as progress is told of it, and function without arguments.
        jobs: Processes at a time.

    Raises:
        InputError: ``jobs`` is below 1, as the work does, or a process was killed, most likely for want of memory.
    """
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; it must be at least 1.")
    return _in_turn(work) if jobs == 1 or len(work) < 2 or not _can_fork() else _forked(work, jobs)


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
                    own, process = running.pop(pipe)
                    found[own] = _received(pipe, process, work[own][0])
            yield found.pop(place)
    finally:
        for _, process in running.values():
            process.terminate()
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
            pipe.send((do(), None))
    except InputError as error:
        pipe.send((None, error))
    except KeyboardInterrupt:
        os._exit(130)
    except BaseException as error:
        summary = str(error).split("\n")[0] or type(error).__name__
        pipe.send((None, RuntimeError(f"{name}: {summary}\n{traceback.format_exc()}")))


def _received(pipe: Connection, process: Any, name: str) -> Any:
    try:
        value, error = pipe.recv()
    except EOFError:
        process.join()
        raise InputError(
            f"{name}: its process ended without a result (code {process.exitcode}), most likely for want of memory; "
            "take fewer jobs."
        ) from None
    process.join()
    if error is not None:
        raise error
    return value


def _can_fork() -> bool:
    import torch

    return sys.platform == "linux" and int(os.environ.get("WORLD_SIZE", 1)) == 1 and not torch.cuda.is_available()
