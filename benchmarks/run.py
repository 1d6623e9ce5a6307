"""Runs a benchmark by name and writes its rows.

    python -m benchmarks.run atlas --seeds 5       accuracy of every method of the demo
    python -m benchmarks.run batching              construction against per-sample HeteroData and PyG's Batch
"""

import os

from graphfuse.cli import THREADS

for _name, _value in THREADS.items():  # before torch is loaded
    os.environ.setdefault(_name, _value)

import argparse
import json
import sys
from pathlib import Path

from benchmarks import atlas, batching, rows
from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError

BENCHMARKS = {"atlas": atlas.run, "batching": batching.run}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("name", help=f"one of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0 (default 5)")
    parser.add_argument("--quick", action="store_true", help="a small size; its rows are written beside, not in place")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON lines")
    parser.add_argument("--out", type=Path, default=None, help="folder of the runs (default runs/bench-NAME)")
    options = parser.parse_args(words)
    try:
        run = look_up(BENCHMARKS, options.name, "benchmark")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    out = options.out or Path("runs") / f"bench-{options.name}{'-quick' if options.quick else ''}"
    command = f"python -m benchmarks.run {' '.join(words)}"
    found = run(out, range(options.seeds), options.quick, command)
    path = rows.write(options.name, found, out if options.quick else rows.FOLDER)
    for each in found:
        if options.json:
            print(json.dumps(each, ensure_ascii=False))
        else:
            print(f"{each['task']:<20} {each['method']:<20} {each['metric']:<28} {each['mean']:.4g} ± {each['std']:.2g}")
    print(f"rows: {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
