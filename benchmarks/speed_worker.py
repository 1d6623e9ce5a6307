"""Does the measures of ``benchmarks.speed`` and prints what they found as JSON; started by it as a fresh process.

Each is done in a fork of this process, which does nothing but import: none finds memory that another one freed.
"""

import json
import sys
import time

import torch

from benchmarks.apart import apart
from benchmarks.measures import MEASURES, known

THREADS = 2


def measured(method: str, seed: int, quick: bool, device: str) -> dict[str, float]:
    """What a measure finds, and the seconds that it took."""
    torch.set_num_threads(THREADS)
    start = time.perf_counter()
    return {**MEASURES[method](seed, quick, device), "seconds": time.perf_counter() - start}


def main(asked: dict) -> None:
    """``asked``: seeds, quick, device, and the methods if not all."""
    found: dict[str, list[dict[str, float]]] = {}
    for method in asked["methods"] or MEASURES:
        if not known(method):
            print(f"left out, for there is no such fusion yet: {method}", file=sys.stderr)
            continue
        found[method] = [apart(measured, method, seed, asked["quick"], asked["device"]) for seed in asked["seeds"]]
        print(f"measured: {method}", file=sys.stderr, flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
