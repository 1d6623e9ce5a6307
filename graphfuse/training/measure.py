"""Metrics of a model on samples, one by one and on the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.loader import USUAL, Limits
from graphfuse.core.sample import Batch, Sample
from graphfuse.heads import MultiTask
from graphfuse.model import FusionModel, Ruled
from graphfuse.model.over_samples import OverSamples
from graphfuse.model.ruled import BROKEN, BROKEN_BEFORE, plain

AT_ONCE = 16_384  # samples


@dataclass(frozen=True)
class Measured:
    """What a head makes of scores, batch by batch; each part is computed when it is asked for.

    Attributes:
        head: Of the model.
        scored: The head's scores of each batch, and the batch, without features, so that a large set fits in memory.
        before: Scores of each batch before rules refined them, or ``None``; so of all batches if left out.
    """

    head: Any
    scored: Sequence[tuple[Tensor, Batch]]
    before: Sequence[Tensor | None] = ()

    def __add__(self, more: Measured) -> Measured:
        """Both, as this head measures them."""
        before = (*self.before, *[None] * (len(self.scored) - len(self.before)), *more.before)
        return Measured(self.head, [*self.scored, *more.scored], before)

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """Metric -> its value for each sample, ``float64 [n]``, NaN where it has none.

        Under ``"loss"`` it is each batch's mean loss.

        With hard rules also whether the answer breaks one: ``rules_broken``, and ``rules_broken_before`` of the answer
        that the head by itself would have given.
        """
        parts = dict[str, list[Tensor]]()
        for scores, batch in self.scored:
            found = self.head.measure(scores, batch)
            found["loss"] = self.head.loss(scores, batch).expand(len(batch))
            for name, x in found.items():
                parts.setdefault(name, []).append(x.cpu().double())
        values = {name: torch.cat(xs) for name, xs in parts.items()}
        if self._broken and self.head.hard.any():
            values |= {name: some.double() for name, (some, _) in zip((BROKEN_BEFORE, BROKEN), self._broken)}
        return values

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Metric -> its value on the whole: means of ``values``, and those that are no mean; of samples that know what
        it is of, and none where there is no such."""
        known = {name: x[~self.lacking[name]] if name in self.lacking else x for name, x in self.values.items()}
        means = {name: float(x.mean()) for name, x in known.items() if len(x)}
        return means | self.head.summary([scores for scores, _ in self.scored], [batch for _, batch in self.scored])

    @cached_property
    def lacking(self) -> dict[str, Tensor]:
        """Metric -> which samples do not know what it is of, ``bool [n]``; of one task each knows."""
        head = plain(self.head)
        if not isinstance(head, MultiTask):
            return {}
        each = [head.lacking(batch) for _, batch in self.scored]
        return {name: torch.cat([own[name] for own in each]) for name in each[0]}

    @cached_property
    def rules(self) -> dict[str, dict[str, float]]:
        """Rule -> the share of samples that break it, ``before`` the rules and ``after``; nothing without rules."""
        if not self._broken:
            return {}
        shares = (share.tolist() for _, share in self._broken)
        return {rule.name: {"before": before, "after": after}
                for rule, before, after in zip(self.head.rules.rules, *shares)}  # fmt: skip

    @cached_property
    def _broken(self) -> list[tuple[Tensor, Tensor]]:
        """Before the rules and after: which samples break a hard rule, ``bool [n]``, and each rule's share, ``[R]``.

        Nothing without rules.
        """
        if not isinstance(self.head, Ruled):
            return []
        told = zip(*(self.head.broken(*part) for part in self._parts()))
        return [(torch.cat([own[:, self.head.hard].any(1).cpu() for own in side]),
                 torch.stack([own.sum(0).cpu() for own in side]).sum(0).double() / sum(map(len, side)))
                for side in told]  # fmt: skip

    def _parts(self) -> Iterator[tuple[Tensor, Batch, Tensor | None]]:
        """Scores, whose they are, and those before; where a sample is a row, many batches at once, as looking at a rule
        costs much the same for few rows."""
        pairs = [(scores, batch, earlier) for (scores, batch), earlier in zip_longest(self.scored, self.before)]
        if not isinstance(self.head.over, OverSamples):
            yield from pairs
            return
        every = torch.cat([scores for scores, _, _ in pairs]).split(AT_ONCE)
        before = torch.cat([scores if earlier is None else earlier for scores, _, earlier in pairs]).split(AT_ONCE)
        names = [name for _, batch, _ in pairs for name in batch.names]
        facts = [known for _, batch, _ in pairs for known in batch.facts or ({},) * len(batch)]
        for place, (scores, earlier) in enumerate(zip(every, before)):
            own = slice(place * AT_ONCE, (place + 1) * AT_ONCE)
            yield scores, Batch(tuple(names[own]), {}, {}, facts=tuple(facts[own])), earlier

    @cached_property
    def answers(self) -> list[Answer]:
        """One a sample."""
        return [answer for scores, batch in self.scored for answer in self.head.answers(scores, batch)]


def look(model: FusionModel, samples: Sequence[Sample], limits: Limits = USUAL) -> Measured:
    """Answers samples, to be measured.

    Raises:
        InputError: There are no samples, or a target does not suit the head (named).
    """
    if not samples:
        raise InputError("There is no sample to evaluate on; the split is empty.")
    model.head.check(samples)
    return scored(model, samples, limits)


def scored(model: FusionModel, samples: Sequence[Sample], limits: Limits = USUAL) -> Measured:
    """As :func:`look`, of any number of samples whose targets are known to suit the head."""
    scores, before = list[tuple[Tensor, Batch]](), list[Tensor | None]()
    for output, batch in model.outputs(samples, limits, partial(model.collate, max_edges=limits.edges)):
        scores.append((output.scores, batch.without_features()))
        before.append(output.before)
    return Measured(model.head, scores, before)


def measure(
    model: FusionModel, samples: Sequence[Sample], batch_size: int = 64, batch_nodes: int | None = None
) -> dict[str, Tensor]:
    """Each metric of the model's head for each sample, ``[n]``; under ``"loss"`` each batch's mean loss.

    Raises:
        InputError: There are no samples, or a target does not suit the head (named).
    """
    return look(model, samples, Limits(batch_size, batch_nodes)).values


def evaluate(
    model: FusionModel, samples: Sequence[Sample], batch_size: int = 64, batch_nodes: int | None = None
) -> dict[str, float]:
    """The metrics of the model's head on samples, and their mean loss; ``batch_nodes`` as in ``gf.fit``.

    Raises:
        InputError: As :func:`measure`.
    """
    return look(model, samples, Limits(batch_size, batch_nodes)).metrics
