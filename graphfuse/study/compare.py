"""Fusions compared on a table, beside the most common answer and each modality alone, under one budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from hashlib import blake2b
from itertools import product
from pathlib import Path

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.files import write_json, write_lines
from graphfuse.core.jobs import at_a_time
from graphfuse.core.machine import peak_memory
from graphfuse.fusion import FUSIONS
from graphfuse.model import FusionModel
from graphfuse.report import write_report
from graphfuse.study.baselines import MAJORITY, alone, constant, majority
from graphfuse.study.facts import complete, facts_of
from graphfuse.study.story import tell
from graphfuse.study.study import SPLITS, Study
from graphfuse.study.train import fresh
from graphfuse.tables.spec import Spec
from graphfuse.training import Comparison, Run, Told, compare_missing
from graphfuse.training.compare import MISSING, folder_of, run_all, run_name, runs_of
from graphfuse.training.missing import check_share


def compare(spec: Spec, fusions: Sequence[str], seeds: Sequence[int], out: Path, missing: Sequence[float] = (),
            resume: bool = False, command: str = "", jobs: int = 1) -> Comparison:  # fmt: skip
    """Trains each fusion with each seed, and each modality alone; writes rows, curves and the page.

    Args:
        spec: Table, kinds and budget; the fusion it names is not added to ``fusions``, but its options hold for it.
        fusions: Names in ``gf.FUSIONS``.
        seeds: Of initial weights, order and dropout.
        out: Folder of the comparison; what was finished there is not trained again with ``resume``.
        missing: Shares, 0 to 1, with which modalities are hidden at random in training and in test, every pair.
        resume: Take up or complete what is in the folder.
        command: Recorded.
        jobs: Runs at a time, each in a process of one thread; see :func:`graphfuse.training.compare`.

    Raises:
        InputError: A fusion is unknown, a share is not between 0 and 1, or as :func:`graphfuse.study.train`.
    """
    if not fusions or not seeds:
        raise InputError("compare needs at least one fusion and one seed.")
    for name in fusions:
        look_up(FUSIONS, name, "fusion")
    missing = list(dict.fromkeys(missing))
    for share in missing:
        check_share("--missing", share)
    fresh(out, resume)
    if (out / "config.json").exists():
        raise InputError(f"{out}: holds a run of `graphfuse train`, not a comparison; choose another folder.")
    study = Study.open(spec)
    train, valid, test = (study.samples[split] for split in SPLITS)
    methods = {name: study.maker(name) for name in dict.fromkeys(fusions)}
    if missing and study.metric not in constant(study, "test").metrics:
        raise InputError(f"--missing: {study.metric} is not defined on the test split; it may lack a label, or have "
                         "one only.")  # fmt: skip
    work = list[tuple[str, Callable[[], tuple[Run, Told]]]]()
    for seed in seeds:
        work.append((run_name(MAJORITY, seed), partial(majority, study, seed)))
        if len(study.sources) > 1:
            work += [(run_name(f"only {source}", seed), partial(alone, study, source, seed, _folder(out, source, seed)))
                     for source in study.sources]  # fmt: skip
        work += runs_of(methods, (train, valid, test), [seed], out, study.budget)
    runs, told = list[Run](), Told()
    for run, said in run_all(work, jobs):
        runs.append(run)
        told += said
    comparison = Comparison(tuple(runs))
    comparison.save(out)
    told.save(out)
    _keep_missing(out, methods, seeds)
    if missing:
        compare_missing(methods, train, valid, test, missing, seeds, out, jobs=jobs, **study.budget)
    for name, seed in product(methods, seeds):
        complete(folder_of(out, name, seed), study, command)
    chosen = Comparison(tuple(run for run in runs if run.method in methods)).chosen()
    models = {seed: FusionModel.from_pretrained(folder_of(out, chosen, seed)) for seed in seeds}
    tell(out, study, comparison, models, command, at_a_time(jobs))
    facts = facts_of(study, seeds[0], command, at_a_time(jobs)) | {"seeds": list(seeds), "config": spec.to_dict()}
    write_json(out / "run.json", {**facts, "peak_memory": peak_memory()})
    write_report(out)
    return comparison


def _keep_missing(out: Path, methods: Collection[str], seeds: Collection[int]) -> None:
    """Of the curves of a comparison that is taken up those of methods and seeds that are still in it."""
    if not (out / MISSING).exists():
        return
    rows = [json.loads(line) for line in (out / MISSING).read_text("utf-8").splitlines()]
    kept = [row for row in rows if row["method"] in methods and row["seed"] in seeds]
    write_lines(out / MISSING, kept) if kept else (out / MISSING).unlink()


def _folder(out: Path, source: str, seed: int) -> Path:
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in source)[:40]
    own = "" if safe == source else f"-{blake2b(source.encode(), digest_size=4).hexdigest()}"
    return folder_of(out, f"only-{safe}{own}", seed)
