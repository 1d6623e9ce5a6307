"""What ``Tag`` makes of scores where hard rules join nodes or links: all of them are answered together, exactly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.message import segment
from graphfuse.core.sample import Batch
from graphfuse.heads import Classify, Tag
from graphfuse.model.among import Among
from graphfuse.rules import Exists, Facts, Label, Rule, RuleSet, RuleWarning, exactly_one
from graphfuse.rules.alike import ImpossibleError
from graphfuse.rules.known import known_loss

LEAST = 1e-12
"""The least marginal of which a logarithm is taken."""


@dataclass(frozen=True)
class AllRows:
    """The most probable labels of all rows of a sample that hard rules allow together; called as ``Tag`` is.

    ``Classify`` adds the rule that exactly one label of a row is true. What is learned is the probability of the known
    labels given the rules: those that are not known are summed over. Where known labels break hard rules, however far
    these reach, what is joined there teaches nothing. Confidence, and metrics of a whole set, are of marginals.

    Attributes:
        head: By itself.
        among: What rules ask of a batch.
        rules: The hard ones.
    """

    head: Tag
    among: Among
    rules: RuleSet

    @classmethod
    def of(cls, head: Tag, among: Among) -> AllRows:
        """Of the hard ones among the rules."""
        hard, name = [rule for rule in among.rules.rules if rule.hard], "one label"
        while any(rule.name == name for rule in hard):
            name += "*"
        one = isinstance(head.each, Classify)
        if isinstance(head.each, Classify) and head.each.weights is not None:
            raise InputError("Classify has weights, for which the probability of all labels together has no place; "
                             "leave them out, or make rules that join nodes or links soft.")  # fmt: skip
        own = [Rule(name, exactly_one(*map(Label, among.rules.labels)))] if one else []
        with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
            return cls(head, among, replace(among.rules, rules=(*hard, *own)))

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log probability of the known labels given the rules, over known rows, and labels of several."""
        own, bad = self._lost(scores, batch)
        many = int((known_labels(self.head, batch)[0] & ~bad.cpu()).sum())
        return own.sum() / max(many * (1 if isinstance(self.head.each, Classify) else len(self.head.labels)), 1)

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of each sample, all its known rows together."""
        return segment(self._lost(scores, batch)[0], self.head.owner(batch).to(scores.device), len(batch))

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The head's, of what is answered."""
        return self.head.measure(2 * self.chosen(scores, batch).to(scores.dtype) - 1, batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """The head's, of marginals; what breaks a rule is left out."""
        one, sure, left = isinstance(self.head.each, Classify), list[Tensor](), list[Batch]()
        for own, batch in zip(scores, batches):
            p = self._ask(self.rules.marginals, own.double(), batch).clamp(LEAST, 1 - LEAST)
            sure.append(p.log() if one else p.logit())
            left.append(self._without(batch, self._lost(own, batch)[1]))
        return self.head.summary(sure, left)

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The scores of what is answered, of several labels their log odds against the opposite, summed by sample."""
        chosen = self.chosen(scores, batch)
        signs = chosen if isinstance(self.head.each, Classify) else 2 * chosen.to(scores.dtype) - 1
        return segment((scores * signs).sum(1), self.head.owner(batch).to(scores.device), len(batch))

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The head's, and the mean over rows of how probable what is answered is by marginals."""
        p, chosen = self._ask(self.rules.marginals, scores.double(), batch), self.chosen(scores, batch)
        sure = torch.where(chosen, p, 1.0 if isinstance(self.head.each, Classify) else 1 - p).prod(1)
        mean = segment(sure, self.head.owner(batch).to(scores.device), len(batch), "mean").tolist()
        said = self.head.answers(2 * chosen.to(scores.dtype) - 1, batch)
        return [replace(own, score=None if own.score is None else score) for own, score in zip(said, mean)]

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``[N, C] -> bool [N, C]``."""
        return self._ask(self.rules.answer, scores, batch)

    def _lost(self, scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """As :func:`graphfuse.rules.known.known_loss`, ``[N], bool [N]``; of several right labels of a row, one is."""
        known, right = known_labels(self.head, batch)
        told = 2 * right.long() - 1
        if isinstance(self.head.each, Classify):
            told[right & (right.sum(1, keepdim=True) > 1)] = 0
        told = (told * known[:, None]).to(scores.device)
        return self._ask(lambda own, facts: known_loss(self.rules, own, told, facts), scores, batch)

    def _ask(self, ask: Callable[[Tensor, Facts], Any], scores: Tensor, batch: Batch) -> Any:
        """What rules make of scores; names the sample whose facts leave no answer."""
        try:
            return ask(scores, self.among.facts(batch))
        except ImpossibleError as error:
            name = batch.names[int(self.among.owner(batch)[error.row])]
            raise InputError(f"Sample {name!r}: {error}") from None

    def _without(self, batch: Batch, bad: Tensor) -> Batch:
        """A batch in which some rows are not known."""
        if not bad.any() or not batch.targets:
            return batch
        sizes = torch.bincount(self.among.owner(batch), minlength=len(batch)).tolist()
        targets = [[None if wrong else own for own, wrong in zip(target, part.tolist())]
                   for target, part in zip(batch.targets, bad.cpu().split(sizes))]  # fmt: skip
        return replace(batch, targets=tuple(targets))


def known_labels(head: Tag, batch: Batch) -> tuple[Tensor, Tensor]:
    """Which rows are known, ``bool [N]``, and which labels of them are right, ``bool [N, C]``.

    Of ``Classify``, a row of which no label is right is not known.
    """
    rows = head.look(batch)
    right = torch.zeros(len(rows.known), len(head.labels), dtype=torch.bool)
    right[rows.known] = rows.right
    return rows.known & right.any(1) if isinstance(head.each, Classify) else rows.known, right


def broken_by_labels(head: Tag, rules: RuleSet, among: Among, batch: Batch) -> Tensor:
    """Which rules the known labels of each sample break, ``bool [B, R]``.

    Of a row of which several may be right, none is known. That something exists is looked at where all are known.
    """
    facts, owner, (known, right) = among.facts(batch), among.owner(batch), known_labels(head, batch)
    if isinstance(head.each, Classify):
        known = known & (right.sum(1) == 1)
    found = segment(rules.violations(right[known], facts.among(known)).long(), owner[known], len(batch)) > 0
    somewhere = torch.tensor([isinstance(rule.says, Exists) for rule in rules.rules], dtype=torch.bool)
    return found & ~((segment((~known).long(), owner, len(batch)) > 0)[:, None] & somewhere)
