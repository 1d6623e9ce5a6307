"""Several methods under one budget, each with every seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator

from graphfuse.core.errors import InputError
from graphfuse.core.files import write_lines
from graphfuse.core.jobs import at_a_time, side_by_side
from graphfuse.core.sample import Sample
from graphfuse.core.seed import seeded
from graphfuse.model import FusionModel
from graphfuse.training.comparison import Comparison, Run
from graphfuse.training.fit import check_splits, fit
from graphfuse.training.measure import evaluate, look
from graphfuse.training.missing import Groups, check_share, hide
from graphfuse.training.told import Told

MISSING = "missing.jsonl"
T = TypeVar("T")
Work = Sequence[tuple[str, Callable[[], T]]]
Splits = tuple[Sequence[Sample], Sequence[Sample], Sequence[Sample]]


def compare(
    methods: Mapping[str, Callable[[], FusionModel]],
    train: Sequence[Sample],
    valid: Sequence[Sample],
    test: Sequence[Sample],
    seeds: Iterable[int] = range(5),
    out: str | Path | None = None,
    jobs: int = 1,
    **budget: Any,
) -> Comparison:
    """Trains each method with each seed under one budget; the test split is looked at once, when all is chosen.

    Args:
        methods: Name -> function without arguments that makes an untrained model; called under the seed.
        train: Samples with targets.
        valid: Decides the epoch, as in :func:`fit`.
        test: Measured with the chosen weights.
        seeds: Of the initial weights, the order of samples and dropout.
        out: Folder for ``comparison.json``, ``answers.jsonl`` (what each run said of each test sample) and
            ``metrics.jsonl``; each run gets ``out/method/seed-N``, and one that was finished is not trained again.
        jobs: Runs at a time, each in a process of one thread; see :func:`graphfuse.core.jobs.side_by_side`. The last
            bits of the weights are those of one thread.
        budget: Options of :func:`fit`, the same for all methods.

    Raises:
        InputError: As :func:`fit`, or there is no method or no seed.
    """
    seeds = list(dict.fromkeys(seeds))
    if not methods or not seeds:
        raise InputError("compare needs at least one method and one seed.")
    comparison, told, out = Comparison(()), Told(), None if out is None else Path(out)
    for run, said in run_all(runs_of(methods, (train, valid, test), seeds, out, budget), jobs):
        comparison, told = comparison + Comparison((run,)), told + said
    if out is not None:
        comparison.save(out)
        told.save(out)
    return comparison


def run_all(work: Work[T], jobs: int) -> Iterator[T]:
    """:func:`side_by_side` for work that trains: what training loads late is loaded here, once for all processes."""
    if at_a_time(jobs) > 1:
        import sklearn.metrics  # noqa: F401

        torch.optim.AdamW([torch.zeros(1)])  # loads torch's compiler
        Accelerator()
    return side_by_side(work, jobs)


def runs_of(
    methods: Mapping[str, Callable[[], FusionModel]],
    splits: Splits,
    seeds: Iterable[int],
    out: Path | None,
    budget: Mapping[str, Any],
) -> Work[tuple[Run, Told]]:
    """The work of :func:`compare`, named: each gives a run and what it said of the test split."""
    return [
        (run_name(name, seed), partial(run_of, name, make, splits, seed, out and folder_of(out, name, seed), budget))
        for seed, (name, make) in product(seeds, methods.items())
    ]


def run_of(
    name: str,
    make: Callable[[], FusionModel],
    splits: Splits,
    seed: int,
    folder: Path | None,
    budget: Mapping[str, Any],
) -> tuple[Run, Told]:
    """One run of :func:`compare`, and what it said of the test split."""
    train, valid, test = splits
    with seeded(seed):
        model = make()
    check_splits(model, {"training": train, "validation": valid, "test": test})
    history = fit(model, train, valid, folder, seed=seed, **budget)
    measured = look(model, test)
    run = Run.of(name, seed, model, history, measured, test, budget.get("metric"))
    return run, Told.of(run, measured, test)


def folder_of(out: Path, method: str, seed: int) -> Path:
    """Where a run of a comparison lies."""
    return out / method / f"seed-{seed}"


def run_name(method: str, seed: int) -> str:
    """A run as its progress calls it."""
    return f"{method}, seed {seed}"


def compare_missing(
    methods: Mapping[str, Callable[[], FusionModel]],
    train: Sequence[Sample],
    valid: Sequence[Sample],
    test: Sequence[Sample],
    shares: Sequence[float],
    seeds: Iterable[int] = range(5),
    out: str | Path | None = None,
    together: Groups = (),
    jobs: int = 1,
    **budget: Any,
) -> list[dict[str, Any]]:
    """How each method fares when modalities are hidden at random, in training and in test: every pair of ``shares``.

    Validation is hidden as training is. A sample loses the same modalities for every method, and a larger share hides
    what a smaller one does, and more; see :func:`graphfuse.training.missing.hide`.

    Args:
        methods: As in :func:`compare`, and so are ``train``, ``valid``, ``test``, ``seeds`` and ``budget``.
        shares: Probabilities, 0 to 1, with which a modality is hidden.
        out: Folder for ``missing.jsonl``; runs with nothing hidden are those of :func:`compare` there.
        together: Kinds that come from one source and are hidden as one.
        jobs: As in :func:`compare`.

    Returns:
        Rows ``method, seed, train, test, metric, value``.

    Raises:
        InputError: As :func:`compare`, a share is not between 0 and 1, or the metric is not defined on the test split.
    """
    shares, work, out = list(dict.fromkeys(shares)), [], None if out is None else Path(out)
    for share in shares:
        check_share("compare_missing: a share", share)
    for seed, (name, make), share in product(dict.fromkeys(seeds), methods.items(), shares):
        folder, whose = out and folder_of(out, name, seed), run_name(name, seed)
        if share:
            folder, whose = folder and folder.with_name(f"{folder.name}-hidden-{share:g}"), f"{whose}, {share:g} hidden"
        splits = train, valid, test
        work.append((whose, partial(_missing, name, make, splits, share, shares, seed, folder, together, budget)))
    rows = [row for own in run_all(work, jobs) for row in own]
    if out is not None:
        write_lines(out / MISSING, rows)
    return rows


def _missing(
    name: str,
    make: Callable[[], FusionModel],
    splits: Splits,
    share: float,
    tested: Sequence[float],
    seed: int,
    folder: Path | None,
    together: Groups,
    budget: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Trained with one share hidden, tested with each share ``tested``: rows of :func:`compare_missing`."""
    with seeded(seed):
        model = make()
    train, valid = (hide(split, share, seed, together) for split in splits[:2])
    fit(model, train, valid, folder, seed=seed, together=together, **budget)
    metric, rows = budget.get("metric") or model.head.metric, []
    for at in tested:
        found = evaluate(model, hide(splits[2], at, seed, together))
        if metric not in found:
            raise InputError(f"compare_missing: {metric} is not defined on the test split; it may lack a label, or "
                             "have one only.")  # fmt: skip
        rows.append(
            {"method": name, "seed": seed, "train": share, "test": at, "metric": metric, "value": found[metric]}
        )
    return rows
