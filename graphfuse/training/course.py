"""One course of training: epochs over samples, each saved, the best on validation kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from graphfuse.core.errors import InputError
from graphfuse.core.loader import USUAL, Limits, batches
from graphfuse.core.progress import progress as progress_bar
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.seed import seeded
from graphfuse.model import FusionModel
from graphfuse.training import checkpoint
from graphfuse.training.measure import look
from graphfuse.training.missing import rng_of, thinned


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
    limits = limits_of(budget)
    order = _Order(len(train), seed, limits, limits.sizes(train), accelerator)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    steps = list(accumulate((order.steps(epoch) for epoch in range(1, epochs + 1)), initial=0))  # before each epoch
    rate = partial(_rate, highest=budget["learning_rate"], total=steps[-1])
    with progress_bar("training" if valid else "training anew on validation too", steps[last]) as advance:
        advance(steps[len(told.rows)])
        for epoch in range(len(told.rows) + 1, last + 1):
            if told.done:
                break
            start, drawn = time.perf_counter(), seed * 1_000_003 + epoch
            joined = partial(_joined, model, budget, drawn)
            with seeded(drawn):
                torch.empty((), dtype=torch.int64).random_()  # as a torch DataLoader draws: earlier runs come out again
                loader = batches(train, order.parts(epoch), joined, accelerator.device)
                loss = _epoch(accelerator, prepared, optimizer, loader, rate, steps[epoch - 1], advance)
            if not math.isfinite(loss):
                raise InputError(f"Epoch {epoch}: the training loss is {loss}; lower learning_rate ({rates['lr']}).")
            row: dict[str, Any] = {"epoch": epoch, "train_loss": loss, "learning_rate": rate(steps[epoch] - 1)}
            if valid:
                found = look(model, valid, replace(limits, samples=USUAL.samples))
                row |= {f"valid_{name}": value for name, value in found.metrics.items()}
                row |= {"rules": found.rules} if found.rules else {}
            told.rows.append({**row, "seconds": round(time.perf_counter() - start, 3)})
            if valid:
                _keep_best(model, told, budget["metric"])
            told.done = epoch == last or (bool(valid) and patience is not None and epoch - told.best_epoch >= patience)
            if folder and accelerator.is_main_process:
                checkpoint.save(folder, model, optimizer, told, run)
    accelerator.unwrap_model(prepared, keep_fp32_wrapper=False)  # or mixed precision would stay on the model
    return told


def limits_of(budget: dict[str, Any]) -> Limits:
    """How large a batch may be by a budget of :func:`graphfuse.training.fit`."""
    return Limits(budget["batch_size"], budget["batch_nodes"], budget["max_edges"])


def _joined(model: FusionModel, budget: dict[str, Any], drawn: int, samples: list[Sample]) -> Batch:
    share, together = budget["modality_dropout"], budget["together"]
    thin = [thinned(s, share, rng_of(drawn, s.name), together) for s in samples] if share else samples
    return model.collate(thin, budget["max_edges"])


def _epoch(accelerator: Any, model: Any, optimizer: Any, loader: Iterable[Batch], rate: Callable[[int], float],
           step: int, advance: Callable[[int], None]) -> float:  # fmt: skip
    model.train()
    plain = accelerator.unwrap_model(model)
    losses, count = [], 0
    for batch in loader:
        batch = batch.to(accelerator.device)
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


class _Order:
    """The batches of an epoch: a function of seed and epoch alone, so that a run can be taken up anywhere.

    Several processes take them in turn; the first ones come again where the last turn is not full.
    """

    def __init__(self, size: int, seed: int, limits: Limits, sizes: list[int] | None, accelerator: Any):
        self.size, self.seed, self.limits, self.sizes = size, seed, limits, sizes
        self.process, self.processes = accelerator.process_index, accelerator.num_processes

    def parts(self, epoch: int) -> list[list[int]]:
        """The places of the samples of each batch."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        every = self.limits.parts(torch.randperm(self.size, generator=generator).tolist(), self.sizes)
        own = range(self.process, self.processes * math.ceil(len(every) / self.processes), self.processes)
        return [every[place % len(every)] for place in own]

    def steps(self, epoch: int) -> int:
        """How many batches."""
        if self.sizes is not None:
            return len(self.parts(epoch))
        return math.ceil(math.ceil(self.size / self.limits.samples) / self.processes)
