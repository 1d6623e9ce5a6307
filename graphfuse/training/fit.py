"""Training: a seed, a validation split, the best epoch, and a run folder that can be taken up again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, Sampler

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.progress import progress as progress_bar
from graphfuse.core.sample import Batch, Sample, collate
from graphfuse.core.seed import seeded
from graphfuse.model import FusionModel
from graphfuse.training import checkpoint
from graphfuse.training.calibrate import calibrate
from graphfuse.training.measure import evaluate
from graphfuse.training.missing import check_share, thinned
from graphfuse.training.run_folder import alone, identity, write_run


@dataclass(frozen=True)
class History:
    """What happened in training.

    Attributes:
        rows: One an epoch: ``epoch, train_loss, learning_rate, seconds`` and ``valid_*`` for each metric.
        best_epoch: The one whose weights the model has now, chosen on the validation split.
        metrics: The validation metrics of that epoch.
    """

    rows: tuple[dict[str, Any], ...]
    best_epoch: int
    metrics: dict[str, float]


def fit(
    model: FusionModel,
    train: Sequence[Sample],
    valid: Sequence[Sample],
    out: str | Path | None = None,
    *,
    epochs: int = 20,
    seed: int = 0,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.01,
    patience: int | None = None,
    metric: str | None = None,
    modality_dropout: float = 0.0,
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
        learning_rate: At its highest.
        weight_decay: Of AdamW.
        patience: Stop after this many epochs without a better one; never, if left out.
        metric: Of the head; decides the epoch. The head's own if left out.
        modality_dropout: Probability with which each modality of a sample is hidden in a training step, never all.

    Afterwards the model's temperature is calibrated on the validation split, where the head has a confidence.

    Raises:
        InputError: A split is empty, a name occurs twice, a target does not suit the head, the loss is not finite,
            ``out`` holds another run, or another process trains there.
    """
    check_splits(model, {"training": train, "validation": valid})
    _check_budget(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, patience=patience)
    check_share("fit: modality_dropout", modality_dropout)
    metric = model.head.metric if metric is None else metric
    look_up(model.head.metrics, metric, "metric of this head")
    budget = {"epochs": epochs, "seed": seed, "batch_size": batch_size, "learning_rate": learning_rate,
              "weight_decay": weight_decay, "patience": patience, "metric": metric,
              "modality_dropout": modality_dropout}  # fmt: skip
    accelerator = Accelerator()
    with alone(out if accelerator.is_main_process else None):
        return _train(accelerator, model, train, valid, None if out is None else Path(out), budget)


def _train(accelerator: Any, model: FusionModel, train: Sequence[Sample], valid: Sequence[Sample], folder: Path | None,
           budget: dict[str, Any]) -> History:  # fmt: skip
    epochs, seed, batch_size, patience = (budget[key] for key in ("epochs", "seed", "batch_size", "patience"))
    learning_rate, weight_decay, dropout = (
        budget[key] for key in ("learning_rate", "weight_decay", "modality_dropout")
    )
    run = {**budget, **identity(model, train, valid)} if folder else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    told = checkpoint.load(folder, model, optimizer, run) if folder else checkpoint.Progress()
    order = _Order(len(train), seed)
    joined = partial(_joined, model=model, dropout=dropout)
    loader: Any = DataLoader(train, batch_size, sampler=order, collate_fn=joined)  # type: ignore[arg-type]
    prepared, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    steps = len(loader)
    rate = partial(_rate, highest=learning_rate, total=epochs * steps)
    with progress_bar("training", epochs * steps) as advance:
        advance(len(told.rows) * steps)
        for epoch in range(len(told.rows) + 1, epochs + 1):
            if told.done:
                break
            order.epoch, start = epoch, time.perf_counter()
            with seeded(seed * 1_000_003 + epoch):
                loss = _epoch(accelerator, prepared, optimizer, loader, rate, (epoch - 1) * steps, advance)
            if not math.isfinite(loss):
                raise InputError(f"Epoch {epoch}: the training loss is {loss}; lower learning_rate ({learning_rate}).")
            row = {"epoch": epoch, "train_loss": loss, "learning_rate": rate(epoch * steps - 1)}
            row |= {f"valid_{name}": value for name, value in evaluate(model, valid).items()}
            told.rows.append({**row, "seconds": round(time.perf_counter() - start, 3)})
            _keep_best(model, told, budget["metric"])
            told.done = epoch == epochs or (patience is not None and epoch - told.best_epoch >= patience)
            if folder and accelerator.is_main_process:
                checkpoint.save(folder, model, optimizer, told, run)
    model.load_state_dict(told.best)
    model.eval()
    measured = calibrate(model, valid)
    history = History(tuple(told.rows), told.best_epoch, measured.metrics)
    if folder and accelerator.is_main_process:
        write_run(folder, model, history, measured.answers, budget)
    return history


def _joined(samples: Sequence[Sample], model: FusionModel, dropout: float) -> Batch:
    return collate([thinned(s, dropout) for s in samples] if dropout else samples, model.schema)


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


def _epoch(accelerator: Any, model: Any, optimizer: Any, loader: Any, rate: Callable[[int], float], step: int,
           advance: Callable[[int], None]) -> float:  # fmt: skip
    model.train()
    plain = accelerator.unwrap_model(model)
    total, count = torch.zeros((), device=accelerator.device, dtype=torch.float64), 0
    for batch in loader:
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = plain.head.loss(model(batch).scores, batch)
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.detach() * len(batch)
        count, step = count + len(batch), step + 1
        advance(1)
    return float(accelerator.reduce(total / count, "mean"))


def _keep_best(model: FusionModel, told: checkpoint.Progress, metric: str) -> None:
    """Takes the last epoch's weights where it is the best so far: by the metric, then by the lower loss."""
    sign = 1.0 if model.head.metrics[metric] == "max" else -1.0
    if f"valid_{metric}" not in told.rows[-1]:
        raise InputError(
            f"fit: {metric} is not defined on the validation split; it may lack a label, or have one only."
        )

    def rank(row: dict[str, Any]) -> tuple[float, float]:
        return sign * row[f"valid_{metric}"], -row["valid_loss"]

    if not told.best_epoch or rank(told.rows[-1]) > rank(told.rows[told.best_epoch - 1]):
        told.best_epoch = len(told.rows)
        told.best = {name: x.detach().cpu().clone() for name, x in model.state_dict().items()}


def _rate(step: int, highest: float, total: int) -> float:
    """The learning rate of a step: a tenth of the steps up to the highest, then a cosine down to a hundredth of it."""
    warm = max(1, total // 10)
    if step < warm:
        return highest * (step + 1) / warm
    return highest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm))))


class _Order(Sampler[int]):
    """The samples' order in an epoch: a function of seed and epoch alone, so that a run can be taken up anywhere."""

    def __init__(self, size: int, seed: int):
        self.size, self.seed, self.epoch = size, seed, 0

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(torch.randperm(self.size, generator=generator).tolist())

    def __len__(self) -> int:
        return self.size


def _check_budget(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise InputError(f"fit: {name} is {value}; it must be above 0.")
