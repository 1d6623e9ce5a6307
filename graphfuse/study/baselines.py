"""What every fusion has to beat: the most common answer, and each modality alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.collate import collate
from graphfuse.core.sample import Sample
from graphfuse.core.seed import seeded
from graphfuse.heads import Classify, MultiLabel
from graphfuse.model import plain
from graphfuse.study.study import Study
from graphfuse.training import Measured, Run, Told, fit, scored

MAJORITY = "majority"
BATCH = 256


def majority(study: Study, seed: int, name: str = MAJORITY) -> tuple[Run, Told]:
    """Answers every sample alike, from what training targets are like; the run, and what it said."""
    head = study.head
    said = {split: constant(study, split) for split in ("valid", "test")}
    values = dict(zip([s.name for s in study.samples["test"]], said["test"].values[head.metric].tolist()))
    run = Run(name, seed, head.metric, head.metrics[head.metric], said["valid"].metrics, values,
              decides=(study.metric, head.metrics[study.metric]))  # fmt: skip
    return run, Told.of(run, said["test"], study.samples["test"])


def alone(study: Study, source: str, seed: int, out: Path) -> tuple[Run, Told]:
    """One modality alone under the same budget; a sample that lacks it gets the common answer.

    The kinds of the modality are joined by ``concat``, which with one kind is a classifier of the mean of its nodes.
    Where the rows that have it leave the deciding metric undefined, the task's own decides the epoch.
    """
    name, kinds = f"only {source}", study.sources[source]
    others = [kind for kind in study.encoders if kind not in kinds]
    seen = {split: [s.without(*others) for s in own] for split, own in study.samples.items()}
    having = {split: [s for s in own if s.nodes] for split, own in seen.items()}
    lacking = {split: [s for s, own in zip(study.samples[split], seen[split]) if not own.nodes] for split in seen}
    if not having["train"] or not having["valid"]:
        return majority(study, seed, name)
    budget = study.budget
    if study.metric not in constant(study, "valid", having["valid"]).metrics:
        budget["metric"] = None
    with seeded(seed):
        model = study.maker("concat", kinds)()
    history = fit(model, having["train"], having["valid"], out, seed=seed, **budget)
    valid = history.measured + constant(study, "valid", lacking["valid"])
    test = scored(model, having["test"]) + constant(study, "test", lacking["test"])
    samples = [*having["test"], *lacking["test"]]
    run = Run.of(name, seed, model, history, test, samples, study.spec.target.metric)
    # Its history is of the rows that have the modality: no curve to draw beside those of other methods.
    return replace(run, valid=valid.metrics, history=()), Told.of(run, test, samples)


def prior(head: Any, train: Sequence[Sample]) -> Tensor:
    """The scores that say what training targets are like, ``[C]``: log shares, log odds, or the mean."""
    head = plain(head)
    if isinstance(head, Classify | MultiLabel):
        counts = torch.full((len(head.labels),), 0.5)
        for sample in train:
            for label in sample.target if isinstance(sample.target, tuple) else (sample.target,):
                counts[head.labels.index(label)] += 1
        share = counts / (len(train) + 1)
        return share.log() if isinstance(head, Classify) else share.clamp(max=1 - 1e-6).logit()
    return torch.zeros(1)


def constant(study: Study, split: str, samples: Sequence[Sample] | None = None) -> Measured:
    """The common answer to samples of a split, all if left out; common in the rows that its rivals were trained on."""
    samples = study.samples[split] if samples is None else samples
    both = split == "test" and study.spec.training.refit
    scores = prior(study.head, [*study.samples["train"], *(study.samples["valid"] if both else [])])
    parts = [samples[i : i + BATCH] for i in range(0, len(samples), BATCH)]
    return Measured(study.head, [(scores.expand(len(part), -1), collate(part, study.schema())) for part in parts])
