"""The folder of a run: held by one process at a time, told apart from other runs, written when training is done."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.files import write_json, write_lines
from graphfuse.core.sample import Sample
from graphfuse.model import FusionModel
from graphfuse.model.folder import describe

if TYPE_CHECKING:
    from graphfuse.training.fit import History

LOCK, REFIT = ".lock", "refit"
PARTS = 256  # that samples are dealt into, of whose features sums are kept


@contextmanager
def alone(out: str | Path | None) -> Iterator[None]:
    """Holds a run folder against other processes; the system lets it go when this one ends, however it ends."""
    if out is None:
        yield
        return
    lock = FileLock(Path(out) / LOCK)
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise InputError(f"{out}: another process is training in this folder; wait for it or choose another.") from None
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}).") from error
    try:
        yield
    finally:
        lock.release()


def _plain(sample: Sample) -> list[tuple[str, str, list[Any]]]:
    """Facts of nodes as lists: of what is not measured, which is NaN, no sum could be compared."""
    return [(kind, name, x.tolist() if isinstance(x, Tensor) else list(x))
            for kind, own in sample.node_facts.items() for name, x in own.items()]  # fmt: skip


def identity(model: FusionModel, train: Sequence[Sample], valid: Sequence[Sample]) -> dict[str, Any]:
    """What makes a run this run: the model's parts, and the samples.

    Names, shapes, links, facts and targets count exactly. Numbers with a fraction count to five digits, since features
    that were computed with other threads differ in their last bits: as sums over a few samples each, in which every
    place has its own weight, so that neither their signs nor their order can change unseen.
    """
    told = describe(model)
    exact, sums = hashlib.blake2b(repr(len(train)).encode(), digest_size=16), dict[str, list[float]]()
    for place, sample in enumerate(chain(train, valid)):
        exact.update(repr(sample.name).encode())
        for field in (
            sample.nodes,
            sample.links,
            sample.spans,
            sample.weights,
            sample.facts,
            {"node facts": _plain(sample)},
            sample.target if isinstance(sample.target, Mapping) else {"target": sample.target},
        ):
            for key, value in field.items():
                exact.update(repr(key).encode())
                if not isinstance(value, Tensor):
                    exact.update(repr(value).encode())
                    continue
                exact.update(repr((value.dtype, tuple(value.shape))).encode())
                if value.is_floating_point():
                    _add(sums.setdefault(str(key), [0.0] * 2 * PARTS), value, place)
                else:
                    exact.update(value.detach().cpu().contiguous().numpy().tobytes())
    features = getattr(model.head, "features", None)
    if isinstance(features, Tensor):
        _add(sums.setdefault("labels", [0.0] * 2 * PARTS), features, 0)
    parts = {key: told[key] for key in ("model", "schema", "head", "encoders")}
    if model.rules is not None:
        parts |= {"rules": told["rules"], "rule text": str(model.rules)}
    return {**parts, "data": exact.hexdigest(), "features": sums}


def _add(sums: list[float], x: Tensor, place: int) -> None:
    """Adds what is above and what is below zero to the sums of a sample's part; it and each of its numbers weigh."""
    x = x.detach().cpu().double().nan_to_num().flatten()
    weights, own, part = _weights(len(x)), 1.5 + math.sin(78.233 * place), 2 * (place % PARTS)
    sums[part] += own * float(weights @ x.clamp(min=0))
    sums[part + 1] += own * float(weights @ x.clamp(max=0))


@lru_cache(maxsize=256)  # samples come in few sizes
def _weights(count: int) -> Tensor:
    """Fixed weights from 0.5 to 2.5, ``float64 [count]``, hardly two alike."""
    return 1.5 + torch.sin(12.9898 * torch.arange(count, dtype=torch.double))


def write_run(folder: Path, model: FusionModel, history: History, answers: list[Answer], budget: dict) -> None:
    """Writes a finished run: the model, its history, its metrics and answers on validation."""
    model.save_pretrained(folder, training=budget, best_epoch=history.best_epoch)
    write_lines(folder / "history.jsonl", [*history.rows, *({**row, "refit": True} for row in history.refit)])
    told = {"split": "validation", "best_epoch": history.best_epoch, **history.metrics}
    rules = history.measured.rules
    write_json(folder / "metrics.json", {**told, "rules": rules} if rules else told)
    lines = [{"name": a.name, "value": a.value, "score": a.score, **_each_score(a)} for a in answers]
    write_lines(folder / "predictions.jsonl", lines)


def _each_score(answer: Answer) -> dict[str, Any]:
    """How sure each task is, of several."""
    return {"scores": {name: own.score for name, own in answer.parts.items()}} if answer.parts else {}
