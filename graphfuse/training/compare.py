"""Several methods under one budget, each with every seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Sample
from graphfuse.core.seed import seeded
from graphfuse.model import FusionModel
from graphfuse.training.comparison import Comparison, Run
from graphfuse.training.fit import check_splits, fit
from graphfuse.training.measure import measure


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
        out: Folder; each run gets ``out/method/seed-N``, and one that was finished there is not trained again.
        budget: Options of :func:`fit`, the same for all methods.

    Raises:
        InputError: As :func:`fit`, or there is no method or no seed.
    """
    seeds = list(seeds)
    if not methods or not seeds:
        raise InputError("compare needs at least one method and one seed.")
    runs = []
    for seed in seeds:
        for name, make in methods.items():
            with seeded(seed):
                model = make()
            check_splits(model, {"training": train, "validation": valid, "test": test})
            folder = None if out is None else Path(out) / name / f"seed-{seed}"
            history = fit(model, train, valid, folder, seed=seed, **budget)
            runs.append(Run.of(name, seed, model, history, measure(model, test), test))
    comparison = Comparison(tuple(runs))
    if out is not None:
        comparison.save(out)
    return comparison
