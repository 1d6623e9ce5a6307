"""One course of training: epochs over samples, each saved, the best on validation kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from graphfuse.core.collate import collate
from graphfuse.core.errors import InputError
from graphfuse.core.progress import progress as progress_bar
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.seed import seeded
from graphfuse.model import FusionModel
from graphfuse.training import checkpoint
from graphfuse.training.measure import evaluate
from graphfuse.training.missing import Groups, thinned


def course(
    accelerator: Any,
    model: FusionModel,
    train: Sequence[Sample],
    valid: Sequence[Sample],
    folder: Path | None,
    budget: dict[str, Any],
    run: dict[str, Any],
    until: int | None = None,
) -> checkpoint.Progress:
    """Trains a model, from where the folder's checkpoint stands, and gives what it came to.

    Args:
        accelerator: That the course runs on.
        model: Changed in place: it ends as the last epoch leaves it.
        train: Samples with targets.
        valid: Measured after each epoch, for the best to be kept; none if empty.
        folder: Of the checkpoint.
        budget: As :func:`graphfuse.training.fit` takes it.
        run: What the run is, compared with the checkpoint's.
        until: The last epoch of the course, whose learning rates are those of all ``epochs``.
    """
    epochs, seed, patience = budget["epochs"], budget["seed"], budget["patience"]
    last = until or epochs
    rates = {"lr": budget["learning_rate"], "weight_decay": budget["weight_decay"]}
    optimizer: Any = torch.optim.AdamW(model.parameters(), **rates)
    told = checkpoint.load(folder, model, optimizer, run) if folder else checkpoint.Progress()
    order = _Order(len(train), seed)
    joined = partial(_joined, model, budget["modality_dropout"], budget["together"])
    loader: Any = DataLoader(train, budget["batch_size"], sampler=order, collate_fn=joined)  # type: ignore[arg-type]
    prepared, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    steps = len(loader)
    rate = partial(_rate, highest=budget["learning_rate"], total=epochs * steps)
    with progress_bar("training" if valid else "training anew on validation too", last * steps) as advance:
        advance(len(told.rows) * steps)
        for epoch in range(len(told.rows) + 1, last + 1):
            if told.done:
                break
            order.epoch, start = epoch, time.perf_counter()
            with seeded(seed * 1_000_003 + epoch):
                loss = _epoch(accelerator, prepared, optimizer, loader, rate, (epoch - 1) * steps, advance)
            if not math.isfinite(loss):
                raise InputError(f"Epoch {epoch}: the training loss is {loss}; lower learning_rate ({rates['lr']}).")
            row = {"epoch": epoch, "train_loss": loss, "learning_rate": rate(epoch * steps - 1)}
            row |= {f"valid_{name}": value for name, value in (evaluate(model, valid) if valid else {}).items()}
            told.rows.append({**row, "seconds": round(time.perf_counter() - start, 3)})
            if valid:
                _keep_best(model, told, budget["metric"])
            told.done = epoch == last or (bool(valid) and patience is not None and epoch - told.best_epoch >= patience)
            if folder and accelerator.is_main_process:
                checkpoint.save(folder, model, optimizer, told, run)
    accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)  # or mixed precision would stay on the model
    return told


def _joined(model: FusionModel, dropout: float, together: Groups, samples: Sequence[Sample]) -> Batch:
    return collate([thinned(s, dropout, None, together) for s in samples] if dropout else samples, model.schema)


def _epoch(accelerator: Any, model: Any, optimizer: Any, loader: Any, rate: Callable[[int], float], step: int,
           advance: Callable[[int], None]) -> float:  # fmt: skip
    model.train()
    plain = accelerator.unwrap_model(model)
    losses, count = [], 0
    for batch in loader:
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = plain.head.loss(model(batch).scores, batch)
        optimizer.zero_grad()
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach() * len(batch))
        count, step = count + len(batch), step + 1
        advance(1)
    mean = float(torch.stack(losses).cpu().double().sum()) / count
    if accelerator.num_processes == 1:
        return mean
    return float(accelerator.reduce(torch.tensor(mean, device=accelerator.device), "mean"))


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
