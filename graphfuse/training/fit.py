"""Training: a seed, a validation split, the best epoch, and a run folder that can be taken up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch.utils.data import ConcatDataset

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.loader import USUAL
from graphfuse.core.sample import Sample
from graphfuse.model import FusionModel
from graphfuse.model.rule_labels import check_labels
from graphfuse.training.calibrate import calibrate
from graphfuse.training.course import course, limits_of
from graphfuse.training.measure import Measured
from graphfuse.training.missing import Groups, check_share
from graphfuse.training.run_folder import REFIT, alone, identity, write_run


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes:
        rows: One an epoch: ``epoch, train_loss, learning_rate, seconds`` and ``valid_*`` for each metric; with rules in
            the model ``rules``: rule -> share of validation answers that break it, ``before`` the rules and ``after``.
        best_epoch: The one whose weights the model has now, chosen on the validation split.
        metrics: The validation metrics of that epoch.
        measured: What that epoch's model made of the validation split.
        refit: Rows of the training anew on training and validation samples, without ``valid_*``; empty without it.
    """

    rows: tuple[dict[str, Any], ...]
    best_epoch: int
    metrics: dict[str, float]
    measured: Measured = field(compare=False, repr=False)
    refit: tuple[dict[str, Any], ...] = ()

    @property
    def seconds(self) -> float:
        """Of all training."""
        return sum(row["seconds"] for row in (*self.rows, *self.refit))


def fit(
    model: FusionModel,
    train: Sequence[Sample],
    valid: Sequence[Sample],
    out: str | Path | None = None,
    *,
    epochs: int = 20,
    seed: int = 0,
    batch_size: int = 32,
    batch_nodes: int | None = None,
    max_edges: int | None = None,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.01,
    patience: int | None = None,
    metric: str | None = None,
    modality_dropout: float = 0.0,
    together: Groups = (),
    refit: bool = False,
    allow_broken_labels: bool = False,
) -> History:
    """Trains a model and leaves it, in eval mode, with the weights of its best epoch on the validation split.

    AdamW under one cycle of the learning rate (a tenth of the steps up, a cosine down), gradients clipped to norm 1.
    Runs on what ``accelerate`` finds: one device, or several under ``accelerate launch``.

    Args:
        model: Changed in place. Seed its initial weights yourself, as in ``with gf.seeded(0): model = ...``.
        train: Samples with targets.
        valid: Samples with targets, of other names; they decide the epoch and when to stop, nothing else does.
        out: Run folder: model, ``history.jsonl``, ``metrics.json``, ``predictions.jsonl`` (of the validation split) and
            a checkpoint after each epoch. A folder with a checkpoint of the same run is taken up where it stopped.
        epochs: At most.
        seed: Of the order of samples and of dropout.
        batch_size: Samples a step.
        batch_nodes: Nodes a step at most, beside ``batch_size``, for samples of very different sizes: a batch takes the
            next sample as long as it stays within both. A sample that has more is a batch by itself.
        max_edges: Of a batch at most; one that would have more is refused before memory is taken for it. Pairs of
            relations that join all of a sample's nodes count, and links.
        learning_rate: At its highest.
        weight_decay: Of AdamW.
        patience: Stop after this many epochs without a better one; never, if left out.
        metric: Of the head; decides the epoch. The head's own if left out.
        modality_dropout: Probability with which each modality of a sample is hidden in a training step, never all.
        together: Kinds that come from one source, such as two encodings of one text, and are hidden as one.
        refit: Once validation has chosen the epoch, train the same initial weights anew, on training and validation
            samples together, up to that epoch. Metrics, answers and temperature remain those of the model that had not
            seen the validation split.
        allow_broken_labels: Only warn of training and validation labels that break a hard rule of the model. Such a
            sample teaches nothing where the rules' mode is ``exact``.

    A rule that says "if", whose left side is true for no training sample, is named in a ``RuleWarning``. So are labels
    that alone satisfy all rules, where these are a loss and no training sample has a label: all may be answered one.
    Afterwards the model's temperature is calibrated on the validation split, where the head has a confidence.

    Raises:
        InputError: A split is empty, a name occurs twice, a target does not suit the head or breaks a hard rule, a
            limit is below 1, a batch has too many edges, the loss is not finite, ``out`` holds another run, or another
            process trains there.
    """
    check_splits(model, {"training": train, "validation": valid})
    check_labels(model, {"training": train, "validation": valid}, allow_broken_labels)
    _check_budget(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, patience=patience)
    check_share("fit: modality_dropout", modality_dropout)
    metric = model.head.metric if metric is None else metric
    look_up(model.head.metrics, metric, "metric of this head")
    budget = {"epochs": epochs, "seed": seed, "batch_size": batch_size,
              "batch_nodes": batch_nodes, "max_edges": max_edges, "learning_rate": learning_rate,
              "weight_decay": weight_decay, "patience": patience, "metric": metric,
              "modality_dropout": modality_dropout, "together": [list(kinds) for kinds in together],
              "refit": refit}  # fmt: skip
    limits_of(budget)
    accelerator = Accelerator()
    with alone(out if accelerator.is_main_process else None):
        return _train(accelerator, model, train, valid, None if out is None else Path(out), budget)


def _train(accelerator: Any, model: FusionModel, train: Sequence[Sample], valid: Sequence[Sample], folder: Path | None,
           budget: dict[str, Any]) -> History:  # fmt: skip
    model.temperature.fill_(1.0)
    changing = {key: value for key, value in budget.items() if key != "max_edges"}  # which says how to fail
    run = {**changing, **identity(model, train, valid)} if folder else {}
    start = {name: x.detach().clone() for name, x in model.state_dict().items()} if budget["refit"] else {}
    told = course(accelerator, model, train, valid, folder, budget, run)
    model.load_state_dict(told.best)
    measured, again = calibrate(model, valid, replace(limits_of(budget), samples=USUAL.samples)), []
    if budget["refit"]:
        temperature = model.temperature.clone()
        model.load_state_dict(start)
        apart = None if folder is None else folder / REFIT
        both: Any = ConcatDataset[Any]([train, valid])  # type: ignore[list-item]  # any sequence does; none is read
        again = course(accelerator, model, both, [], apart, budget, run, told.best_epoch).rows
        model.temperature.copy_(temperature)
    model.eval()
    history = History(tuple(told.rows), told.best_epoch, measured.metrics, measured, tuple(again))
    if folder and accelerator.is_main_process:
        write_run(folder, model, history, measured.answers, budget)
    return history


def check_splits(model: FusionModel, splits: dict[str, Sequence[Sample]]) -> None:
    """Raises ``InputError`` where a split is empty, a name occurs twice or a target does not suit the head."""
    seen: dict[str, str] = {}
    for split, samples in splits.items():
        if not samples:
            raise InputError(f"The {split} split is empty; it needs at least one sample.")
        for sample in samples:
            if sample.name in seen:
                raise InputError(f"Sample name {sample.name!r} occurs twice, in the {seen[sample.name]} split and in "
                                 f"the {split} split; names must differ.")  # fmt: skip
            seen[sample.name] = split
        model.head.check(samples)


def _check_budget(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise InputError(f"fit: {name} is {value}; it must be above 0.")
