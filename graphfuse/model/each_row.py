"""What ``Tag`` makes of scores where hard rules say which labels a node or a link may have."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

import torch
from torch import Tensor

from graphfuse.core.answer import Answer
from graphfuse.core.message import segment
from graphfuse.core.sample import Batch
from graphfuse.heads import Classify, Tag
from graphfuse.model.given import OneGiven, SeveralGiven
from graphfuse.model.observed import Asked
from graphfuse.rules import RuleSet, RuleWarning


@dataclass(frozen=True)
class EachRow:
    """What hard rules allow of each node or link by itself; called as ``Tag`` is.

    Attributes:
        head: By itself.
        given: What its ``each`` is given the rules.
    """

    head: Tag
    given: OneGiven | SeveralGiven

    @classmethod
    def of(cls, head: Tag, rules: RuleSet) -> EachRow:
        """Of the hard ones among the rules, each of which speaks of one node or link."""
        with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
            hard = Asked(replace(rules, rules=tuple(rule for rule in rules.rules if rule.hard)))
        return cls(
            head, OneGiven(head.each, hard) if isinstance(head.each, Classify) else SeveralGiven(head.each, hard)
        )

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, given the rules."""
        known, taught = self._taught(scores, batch)
        return self.given.loss(scores[known], taught) if len(taught) else 0 * scores.sum()

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, given the rules."""
        known, taught = self._taught(scores, batch)
        return self.given.log_loss(scores[known], taught)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The head's, of what is answered."""
        known, taught = self._taught(scores, batch)
        owner = self.head.owner(batch).to(scores.device)[known]
        found = self.given.measure(scores[known], taught)
        return {name: segment(x, owner, len(batch), "mean") for name, x in found.items()}

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """The head's, given the rules."""
        parts = [(x, *self._taught(x, batch)) for x, batch in zip(scores, batches)]
        return self.given.summary([x[known] for x, known, _ in parts], [taught for *_, taught in parts])

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, of what is answered."""
        said = self.given.said(scores, self.head.rows(batch))
        return segment(said, self.head.owner(batch).to(scores.device), len(batch))

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The head's: what is answered of each node or link, and the mean of the probabilities given the rules."""
        sizes = torch.bincount(self.head.owner(batch), minlength=len(batch)).tolist()
        every = iter(self.given.answers(scores, self.head.rows(batch)))
        parts = [list(islice(every, size)) for size in sizes]
        return [Answer(name, tuple(row.value for row in own), fmean(row.score or 0.0 for row in own) if own else None)
                for name, own in zip(batch.names, parts)]  # fmt: skip

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``[N, C] -> bool [N, C]``."""
        return self.given.chosen(scores, self.head.rows(batch))

    def _taught(self, scores: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
        """Which rows are known, and these as samples."""
        known, rows = self.head.known(batch).tolist(), self.head.rows(batch)
        taken = [row for row, own in enumerate(known) if own]
        return torch.tensor(known, dtype=torch.bool, device=scores.device), Batch(
            tuple(rows.names[row] for row in taken), {}, {}, targets=tuple(rows.targets[row] for row in taken),
            facts=tuple(rows.facts[row] for row in taken))  # fmt: skip
