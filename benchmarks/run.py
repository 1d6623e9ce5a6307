"""Runs a benchmark by name and writes its rows.

Each benchmark is a module of this folder with a function ``run(out, seeds, quick, command) -> rows``.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

from graphfuse.cli import prepare_process
from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError

BENCHMARKS = {
    "atlas": "accuracy of every method of the demo",
    "survival": "training killed at random moments and taken up again, compared bit for bit",
    "batching": "building a batch, against one HeteroData a sample and PyG's Batch",
}


def main(words: list[str]) -> int:
    prepare_process()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Runs a benchmark and writes its rows."
    )
    parser.add_argument("name", help="; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items()))
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0 (default 5)")
    parser.add_argument("--quick", action="store_true", help="a small size; its rows are written beside, not in place")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON lines")
    parser.add_argument("--out", type=Path, default=None, help="folder of the runs (default runs/bench-NAME)")
    options = parser.parse_args(words)
    try:
        look_up(BENCHMARKS, options.name, "benchmark")
        if options.seeds < 1:
            raise InputError(f"--seeds is {options.seeds}; it must be at least 1.")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    module = importlib.import_module(f"benchmarks.{options.name}")  # loads torch
    rows = importlib.import_module("benchmarks.rows")
    out = options.out or Path("runs") / f"bench-{options.name}{'-quick' if options.quick else ''}"
    found = module.run(out, range(options.seeds), options.quick, f"python -m benchmarks.run {' '.join(words)}")
    path = rows.write(options.name, found, out if options.quick else rows.FOLDER)
    for each in found:
        value = f"{each['mean']:.4g} ± {each['std']:.2g}"
        name = f"{each['task']:<10} {each['method']:<18} {each['metric']:<36}"
        print(json.dumps(each, ensure_ascii=False) if options.json else f"{name} {value}")
    print(f"rows: {path}; python -m benchmarks.table renders them", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
