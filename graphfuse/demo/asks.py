"""What a question asks for, told from its words alone by a small model: the fact ``asks``, by which rules go.

The type of a question of the test is never looked at: the model learns from training questions, whose type is known,
validation chooses its epoch, and what it says becomes the fact of every question of every split, those of the training
too. Where it is not sure there is no such fact, and rules that ask for it say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from graphfuse.core.sample import Sample
from graphfuse.core.schema import Schema
from graphfuse.core.seed import seeded
from graphfuse.demo.question_types import TYPES
from graphfuse.heads import Classify
from graphfuse.model import FusionModel
from graphfuse.training import fit

if TYPE_CHECKING:
    from graphfuse.demo.atlas import Reading

FOLDER = "what is asked"
SURE = 0.9
"""Confidence from which on its word counts. On validation questions of seed 0 it is then right of 99 in 100 and silent
on 8; from .5 on it is right of 98 and silent on 1. A hard rule that goes by a wrong word forbids the right answer."""
BATCH, STEPS, EPOCHS = 32, 500, 60
"""Steps of training, in as many epochs as that takes, ``EPOCHS`` at most: five of the full size."""
RATE = 2e-3


def learned(readings: Mapping[str, Sequence[Reading]], seed: int, folder: Path | None = None) -> FusionModel:
    """A model of what is asked, trained on the words of the training questions; taken up where ``folder`` has it.

    Args:
        readings: Of ``"train"`` and ``"valid"``, which chooses the epoch.
        seed: Of its weights, order and dropout.
        folder: Where it is kept.
    """
    train, valid = ([_sample(each, each.question.type) for each in readings[split]] for split in ("train", "valid"))
    with seeded(seed):
        width = train[0].nodes["text"].shape[1]
        model = FusionModel(Schema({"text": width}), Classify(tuple(TYPES)), "concat", dim=64, layers=1, dropout=0.3)
    epochs = min(EPOCHS, max(1, round(STEPS * BATCH / len(train))))
    fit(model, train, valid, folder, seed=seed, epochs=epochs, batch_size=BATCH, learning_rate=RATE)
    return model


def told(model: FusionModel, readings: Sequence[Reading]) -> list[Reading]:
    """The readings with what each asks, as far as the model is sure; of one without words it is not known."""
    worded = [place for place, reading in enumerate(readings) if len(reading.words)]
    out = list(readings)
    for place, said in zip(worded, model.predict([_sample(readings[place]) for place in worded])):
        sure = said.score is not None and said.score >= SURE
        out[place] = replace(readings[place], asks=said.value if sure else None)
    return out


def right(readings: Sequence[Reading]) -> tuple[float, float]:
    """Of how many questions it is said what they ask, and of how many of these it is so."""
    said = [reading for reading in readings if reading.asks is not None]
    return len(said) / len(readings), sum(r.asks == r.question.type for r in said) / max(len(said), 1)


def _sample(reading: Reading, target: str | None = None) -> Sample:
    return Sample(reading.question.name, {"text": reading.words}, target=target)
