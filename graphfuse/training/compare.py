"""Several methods under one budget, each with every seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.core.files import write_lines
from graphfuse.core.sample import Sample
from graphfuse.core.seed import seeded
from graphfuse.model import FusionModel
from graphfuse.training.comparison import Comparison, Run
from graphfuse.training.fit import check_splits, fit
from graphfuse.training.measure import evaluate, look
from graphfuse.training.missing import Groups, hide
from graphfuse.training.told import Told

MISSING = "missing.jsonl"


def compare(
    methods: Mapping[str, Callable[[], FusionModel]],
    train: Sequence[Sample],
    valid: Sequence[Sample],
    test: Sequence[Sample],
    seeds: Iterable[int] = range(5),
    out: str | Path | None = None,
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
        budget: Options of :func:`fit`, the same for all methods.

    Raises:
        InputError: As :func:`fit`, or there is no method or no seed.
    """
    runs, told = runs_of(methods, train, valid, test, seeds, out, **budget)
    comparison = Comparison(tuple(runs))
    if out is not None:
        comparison.save(out)
        told.save(out)
    return comparison


def runs_of(
    methods: Mapping[str, Callable[[], FusionModel]],
    train: Sequence[Sample],
    valid: Sequence[Sample],
    test: Sequence[Sample],
    seeds: Iterable[int],
    out: str | Path | None,
    **budget: Any,
) -> tuple[list[Run], Told]:
    """The runs of :func:`compare`, and what each said of the test split."""
    seeds = list(seeds)
    if not methods or not seeds:
        raise InputError("compare needs at least one method and one seed.")
    runs, told = list[Run](), Told()
    for seed in seeds:
        for name, make in methods.items():
            with seeded(seed):
                model = make()
            check_splits(model, {"training": train, "validation": valid, "test": test})
            folder = None if out is None else Path(out) / name / f"seed-{seed}"
            history = fit(model, train, valid, folder, seed=seed, **budget)
            measured = look(model, test)
            runs.append(Run.of(name, seed, model, history, measured, test, budget.get("metric")))
            told += Told.of(runs[-1], measured, test)
    return runs, told


def compare_missing(
    methods: Mapping[str, Callable[[], FusionModel]],
    train: Sequence[Sample],
    valid: Sequence[Sample],
    test: Sequence[Sample],
    shares: Sequence[float],
    seeds: Iterable[int] = range(5),
    out: str | Path | None = None,
    together: Groups = (),
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

    Returns:
        Rows ``method, seed, train, test, metric, value``.

    Raises:
        InputError: As :func:`compare`, a share is not between 0 and 1, or the metric is not defined on the test split.
    """
    rows = []
    for seed in seeds:
        hidden = {share: [hide(split, share, seed, together) for split in (train, valid, test)] for share in shares}
        for name, make in methods.items():
            for share, (seen, checked, _) in hidden.items():
                with seeded(seed):
                    model = make()
                folder = f"seed-{seed}" + (f"-hidden-{share:g}" if share else "")
                own = None if out is None else Path(out) / name / folder
                fit(model, seen, checked, own, seed=seed, together=together, **budget)
                metric = budget.get("metric") or model.head.metric
                for at, (_, _, asked) in hidden.items():
                    found = evaluate(model, asked)
                    if metric not in found:
                        raise InputError(f"compare_missing: {metric} is not defined on the test split; it may lack a "
                                         "label, or have one only.")  # fmt: skip
                    rows.append({"method": name, "seed": seed, "train": share, "test": at, "metric": metric,
                                 "value": found[metric]})  # fmt: skip
    if out is not None:
        write_lines(Path(out) / MISSING, rows)
    return rows
