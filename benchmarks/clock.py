"""Seconds of several ways to do the same, run in turn, and the memory that one of them takes."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import torch

from graphfuse.core.errors import InputError

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def in_turn(
    ways: Sequence[Callable[[], object]], repeats: int, device: str = "cpu", before: int = 0,
    timer: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:  # fmt: skip
    """Seconds of each run of each way, by turns, after a warm-up: what slows the machine slows all of them.

    With ``before``, right before each run that counts the same way goes so many times: it finds its memory and code at
    hand, as one that is called again and again, and not what another way left. The timer ``time.process_time`` counts
    what the processor did for this process alone: with one thread that is what passes where nothing else runs.
    """
    seen: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, own in zip(ways, seen):
            for _ in range(before):
                way()
            wait(device)
            start = timer()
            way()
            wait(device)
            if turn:
                own.append(timer() - start)
    return seen


def compared(seconds: Sequence[Sequence[float]], parameters: int = 0) -> dict[str, float]:
    """Metrics of runs of ours and of the stock way."""
    ours, stock = ([1000 * each for each in own] for own in seconds)
    return {
        "times faster than stock": median(stock) / median(ours), "milliseconds, ours": median(ours),
        "milliseconds, stock": median(stock), "least milliseconds, ours": min(ours),
        "least milliseconds, stock": min(stock), "parameters": parameters,
    }  # fmt: skip


def wait(device: str) -> None:
    """Until the accelerator has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_of(way: Callable[[], object], device: str = "cpu") -> int:
    """Bytes that a run takes at its most, beyond what the process holds before; of a fresh process only.

    Main memory that was once taken and freed would be taken again unseen.
    """
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        way()
        wait(device)
        return torch.cuda.max_memory_allocated() - before
    with suppress(OSError):  # a system may not allow it; then what was freed before may count
        CLEAR.write_text("5")  # what the process has had at its most begins anew
    before = resident("VmRSS")
    way()
    return resident("VmHWM") - before


def resident(name: str) -> int:
    """Bytes of main memory that this process has now (``VmRSS``) or has had at its most (``VmHWM``).

    The system's ``ru_maxrss`` would do for neither: what is now it does not say, and of a process that was started by
    another one it counts the memory of that one too.
    """
    if not STATUS.is_file():
        raise InputError(f"{STATUS} is needed to know the memory of a process; measure on Linux.")
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
