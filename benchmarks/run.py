"""Runs a benchmark by name and writes its rows.

A benchmark is a function ``run(name, out, seeds, quick, command) -> rows`` of a module of this folder; those
that train models take ``jobs`` too, ``speed`` the ``device``, the rows of which are a file of their own, and ``rules``
and ``atlas`` the ``parts`` to be measured anew.
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
    "atlas": "accuracy of every method of the demo, and what rules change",
    "batching": "building a batch, against one HeteroData a sample and PyG's Batch",
    "survival": "training killed at random moments and taken up again, compared bit for bit",
    "features": "features of texts and pictures read from the cache, against computing them",
    "speed": "layers, batches and training against PyG: time and memory",
    "rules": "rules as a guarantee and as a loss: exact, how quick, and what they add, beside peers",
    "slake_en": "medical questions about pictures, English",
    "slake_en_rules": "the same under rules of what a question may be answered by, and with few labels",
    "slake_zh": "medical questions about pictures, Chinese",
    "vqa_rad": "questions about radiology, the published split, which leaks",
    "vqa_rad_strict": "the same without reworded test questions in training",
    "vqa_rad_unseen": "the same with no picture of the test in training",
    "rosmap": "Alzheimer's from three omics, the official split",
    "rosmap_cv": "the same by ten repeats of five-fold cross-validation",
    "recipes_en": "tags of English dishes from words and pictures",
    "recipes_zh": "category of Chinese dishes from words and pictures",
    "cremad_votes": "emotion from judgements of voice and of face",
}
OWN = ("atlas", "batching", "survival", "features", "speed", "rules", "slake_en_rules")
"""Those with a module of their name; all others are tables, in ``benchmarks.tables``."""
TIMED = ("batching", "survival", "features", "speed")
"""Those that go one at a time, for they measure time or kill what runs."""

RULES = ("speed", "exact", "learn", "hierarchies", "relations")
"""Parts of ``rules``."""
ATLAS = ("plain", "rules", "modes", "labels")
"""Parts of ``atlas``: methods without rules; one fusion without rules and with them, exactly; with them in training, as
a loss or refined; and with few labels."""
PARTS = {"rules": RULES, "atlas": ATLAS}


def main(words: list[str]) -> int:
    prepare_process()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Runs a benchmark and writes its rows."
    )
    parser.add_argument("name", help="; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items()))
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0 (default 5)")
    parser.add_argument("--quick", action="store_true", help="a small size; its rows are written beside, not in place")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, one thread each, where models are trained")
    parser.add_argument("--device", default=None, help="of speed alone: cpu (default) or cuda")
    each = "; ".join(f"{name}: {', '.join(own)}" for name, own in PARTS.items())
    parser.add_argument("--parts", default=None, help=f"what to measure anew, of {each} (default all)")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON lines")
    parser.add_argument("--out", type=Path, default=None, help="folder of the runs (default runs/bench-NAME)")
    options = parser.parse_args(words)
    try:
        look_up(BENCHMARKS, options.name, "benchmark")
        if options.seeds < 1:
            raise InputError(f"--seeds is {options.seeds}; it must be at least 1.")
        if options.name in TIMED and options.jobs != 1:
            raise InputError(f"--jobs: {options.name} goes one at a time; leave it out.")
        if options.device is not None and options.name != "speed":
            raise InputError(f"--device: {options.name} has no choice of it, speed alone has; leave it out.")
        if options.parts is not None and options.name not in PARTS:
            raise InputError(f"--parts: {options.name} has none, only {' and '.join(PARTS)} have; leave it out.")
        for part in options.parts.split(",") if options.parts else ():
            look_up(dict.fromkeys(PARTS[options.name]), part, f"part of {options.name}")
        if options.device not in (None, "cpu", "cuda"):
            raise InputError(f"--device is {options.device!r}; it may be cpu or cuda.")
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    module = importlib.import_module(f"benchmarks.{options.name if options.name in OWN else 'tables'}")  # loads torch
    rows = importlib.import_module("benchmarks.rows")
    out = options.out or Path("runs") / f"bench-{options.name}{'-quick' if options.quick else ''}"
    command = f"python -m benchmarks.run {' '.join(words)}"
    more = {} if options.name in TIMED else {"jobs": options.jobs}
    if options.name == "speed":
        more = {"device": options.device or "cpu"}
    if options.parts:
        more["parts"] = options.parts.split(",")
    try:
        found = module.run(options.name, out, range(options.seeds), options.quick, command, **more)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    path = rows.write(str(found[0]["task"]), found, out if options.quick else rows.FOLDER)
    for each in found:
        value = f"{each['mean']:.4g} ± {each['std']:.2g}"
        name = f"{each['task']:<14} {each['method']:<18} {each['metric']:<36}"
        print(json.dumps(each, ensure_ascii=False) if options.json else f"{name} {value}")
    print(f"rows: {path}; python -m benchmarks.table renders them", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
