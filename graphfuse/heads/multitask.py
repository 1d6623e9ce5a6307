"""Several tasks at once, such as the findings of image regions and the diagnosis of the patient."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads.regress import Regress
from graphfuse.heads.task import (
    TASKS,
    Known,
    Task,
    is_known,
    known_of,
    read_parts,
    read_weights,
    shape_of,
    who_knows,
)

MEAN = "mean"


@dataclass(frozen=True)
class MultiTask:
    """Several heads over one fusion, each a *part* with a name.

    Scores: those of the parts, end to end, ``[S]``; :meth:`split` gives each its own. Target: a mapping, part -> what
    that head expects. A part that is lacking, or ``None``, is not known of a sample: it teaches nothing there and is
    not measured, so that samples may have the labels of different parts. The loss is the weighted sum of those of the
    parts, each over the samples of a batch that know it.

    Metrics are those of the parts, ``"diagnosis: accuracy"``. Where the own metric of each part is best at its
    greatest, ``"mean"`` is the mean of these over the parts that a sample knows, and chooses the epoch. A number has an
    error in a unit of its own, which nothing could be added to: where one of the parts is a ``Regress``, the first
    part's own metric chooses, unless ``metric`` says otherwise.

    Source: Caruana 1997, "Multitask learning".

    Attributes:
        parts: Name -> ``Classify``, ``MultiLabel``, ``Regress``, ``Choose`` or ``Tag``; also its ``config()``, with its
            name in ``gf.HEADS`` under ``head``.
        weights: Part -> what its loss weighs, 1 if left out.
        metric: ``"mean"``, or the own metric of a part. By others of ``metrics`` ``gf.fit(metric=..)`` chooses.
    """

    parts: Mapping[str, Task]
    weights: Mapping[str, float] | None = None
    metric: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", read_parts(self.parts))
        object.__setattr__(self, "weights", read_weights(self.weights, self.parts))
        if (many := Counter(self.labels)) and max(many.values()) > 1:
            label = many.most_common(1)[0][0]
            raise InputError(f"MultiTask: two labels would be called {label!r}, as one that several parts have is "
                             "called by its part; give one of them another name.")  # fmt: skip
        own = [f"{name}: {part.metric}" for name, part in self.parts.items()]
        decide = [MEAN, *own] if MEAN in self.metrics else own
        object.__setattr__(self, "metric", self.metric or decide[0])
        if self.metric not in decide:
            raise InputError(f"MultiTask: metric is {self.metric!r}; it is one of {', '.join(map(repr, decide))}, and "
                             "gf.fit(metric=..) may choose the epoch by others.")  # fmt: skip

    @property
    def metrics(self) -> Mapping[str, Literal["max", "min"]]:
        """Those of the parts, and their mean."""
        own = {f"{name}: {metric}": best for name, part in self.parts.items() for metric, best in part.metrics.items()}
        alike = all(part.metrics[part.metric] == "max" for part in self.parts.values())
        return {MEAN: "max", **own} if alike else own

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The labels of each part that has any, as rules call them; one that several parts have is ``part.label``."""
        own = {name: part.labels for name, part in self.parts.items() if not isinstance(part, Regress)}
        many = Counter(label for labels in own.values() for label in labels)
        return {name: tuple(f"{name}.{label}" if many[label] > 1 else str(label) for label in labels)
                for name, labels in own.items()}  # fmt: skip

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of all parts, one part after the other, as rules call them."""
        return tuple(label for labels in self.groups.values() for label in labels)

    @property
    def features(self) -> Tensor | None:
        """What labels mean, of all parts that are given it, end to end, ``[F]``."""
        given = [getattr(part, "features", None) for part in self.parts.values()]
        own = [x.flatten() for x in given if isinstance(x, Tensor)]
        return torch.cat(own) if own else None

    def config(self) -> dict[str, Any]:
        """The options as JSON values."""
        called = {kind: name for name, kind in TASKS.items()}
        parts = {name: {"head": called[type(part)], **part.config()} for name, part in self.parts.items()}
        return {"parts": parts, "weights": self.weights, "metric": self.metric}

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """Weights ``Fused -> [S]``."""
        made = list[nn.Module]()
        for name, part in self.parts.items():
            try:
                made.append(part.build(dim, schema))
            except InputError as error:
                raise InputError(f"Part {name!r}: {error}") from None
        return _Scores(made)

    def split(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The scores of each part, in its shape."""
        shapes = {name: shape_of(part, batch) for name, part in self.parts.items()}
        if (many := sum(map(math.prod, shapes.values()))) != len(scores):
            raise InputError(
                f"MultiTask: there are {len(scores)} scores, and the samples with their nodes and links "
                f"need {many}; an encoder that is trained with the model must give a node for each row."
            )
        each = scores.split([math.prod(shape) for shape in shapes.values()])
        return {name: x.view(shape) for (name, shape), x in zip(shapes.items(), each)}

    def tempered(self, scores: Tensor, batch: Batch, temperature: Tensor | float) -> Tensor:
        """Scores divided by a temperature, ``[S]``; a number has no probability, and stays as it is."""
        if not any(isinstance(part, Regress) for part in self.parts.values()):
            return scores / temperature
        each = self.split(scores, batch).items()
        return _joined([x if isinstance(self.parts[name], Regress) else x / temperature for name, x in each])

    def check(self, samples: Iterable[Sample]) -> None:
        """Raises ``InputError`` with the sample's name, and the part's, where a target is none to learn from."""
        for sample in samples:
            target = sample.target
            if not isinstance(target, Mapping):
                raise InputError(f"Sample {sample.name!r}: target {target!r:.80} is not a mapping, part -> what is "
                                 f"right; the parts are {', '.join(map(repr, self.parts))}.")  # fmt: skip
            if unknown := [name for name in target if name not in self.parts]:
                raise InputError(f"Sample {sample.name!r}: the target has a part {unknown[0]!r}, which the head has "
                                 f"not.{did_you_mean(str(unknown[0]), self.parts)}")  # fmt: skip
            known = {name: own for name, own in target.items() if is_known(self.parts[name], own)}
            if not known:
                raise InputError(f"Sample {sample.name!r}: the target of no part is known, so it can neither teach nor "
                                 "be measured.")  # fmt: skip
            for name, own in known.items():
                try:
                    self.parts[name].check([replace(sample, target=own)])
                except InputError as error:
                    raise InputError(f"Part {name!r}: {error}") from None

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The weighted sum of the parts' losses; of a part that no sample knows, 0."""
        total, weights = 0 * scores.sum(), self.weights or {}
        for name, own in self.known(scores, batch).items():
            if own.who.any():
                total = total + weights.get(name, 1.0) * self.parts[name].loss(own.scores, own.batch)
        return total

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Those of the parts that have one, end to end, each of the samples or rows that know it."""
        found = [scores[:0]]
        for name, own in self.known(scores, batch).items():
            part = self.parts[name]
            if not isinstance(part, Regress) and own.who.any():
                found.append(part.log_loss(own.scores, own.batch))
        return torch.cat(found)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Those of the parts, NaN where a sample does not know one, and the mean of their own metrics."""
        found = dict[str, Tensor]()
        for name, own in self.known(scores, batch).items():
            for metric, x in self.parts[name].measure(own.scores, own.batch).items():
                found[f"{name}: {metric}"] = _placed(x, own)
        if MEAN in self.metrics:
            each = torch.stack([found[f"{name}: {part.metric}"] for name, part in self.parts.items()])
            told = torch.stack([own.who for own in self.known(scores, batch).values()]).to(each.device)
            found = {MEAN: each.masked_fill(~told, 0.0).sum(0) / told.sum(0), **found}
        return found

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """Those of the parts, over what is known of a whole set."""
        every, found = [self.known(x, batch) for x, batch in zip(scores, batches)], dict[str, float]()
        for name, part in self.parts.items():
            own = [each[name] for each in every if each[name].who.any()]
            told = part.summary([x.scores for x in own], [x.batch for x in own]) if own else {}
            found |= {f"{name}: {metric}": value for metric, value in told.items()}
        return found

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """Those of the parts, summed, ``[B]``."""
        bare = replace(batch, targets=())
        each = [self.parts[name].said(x, bare) for name, x in self.split(scores, batch).items()]
        return torch.stack(each).sum(0)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """Part -> what it answers, and the mean of the confidences of the parts that have one; each part's own answer
        is under ``parts``."""
        bare = replace(batch, targets=())  # a part has targets of its own
        each = {name: self.parts[name].answers(x, bare) for name, x in self.split(scores, batch).items()}
        return [several(name, {part: own[place] for part, own in each.items()})
                for place, name in enumerate(batch.names)]  # fmt: skip

    def lacking(self, batch: Batch) -> dict[str, Tensor]:
        """Metric of :meth:`measure` -> which samples do not know what it is of, ``bool [B]``."""
        targets, found = batch.targets or (None,) * len(batch), dict[str, Tensor]()
        each = {name: ~who_knows(part, batch, [(target or {}).get(name) for target in targets])
                for name, part in self.parts.items()}  # fmt: skip
        for name, part in self.parts.items():
            found |= {f"{name}: {metric}": each[name] for metric in part.metrics}
        return {**found, MEAN: torch.stack(list(each.values())).all(0)}

    def known(self, scores: Tensor, batch: Batch) -> dict[str, Known]:
        """Of each part what is known of a batch."""
        targets = [target or {} for target in batch.targets or (None,) * len(batch)]
        return {name: known_of(self.parts[name], x, batch, [own.get(name) for own in targets])
                for name, x in self.split(scores, batch).items()}  # fmt: skip


class _Scores(nn.Module):
    """The scores of several heads end to end: ``Fused -> [S]``."""

    def __init__(self, parts: Iterable[nn.Module]):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, fused: Fused) -> Tensor:
        return _joined([part(fused) for part in self.parts])


def several(name: str, parts: Mapping[str, Answer]) -> Answer:
    """The answers of several parts to one sample as one."""
    sure = [own.score for own in parts.values() if own.score is not None]
    value = {part: own.value for part, own in parts.items()}
    return Answer(name, value, fmean(sure) if sure else None, parts=parts)


def _placed(values: Tensor, own: Known) -> Tensor:
    """A value for each sample of the batch, ``[B]``, NaN where there is none."""
    if len(values) == len(own.who):
        return values.masked_fill(~own.who, torch.nan)
    found = values.new_full((len(own.who),), torch.nan)
    found[own.who] = values
    return found


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.reshape(-1) for x in parts])
