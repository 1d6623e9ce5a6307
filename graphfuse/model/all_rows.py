"""What ``Tag`` makes of scores where hard rules join nodes or links: all of them are answered together, exactly."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphfuse.core.answer import Answer
from graphfuse.core.message import segment
from graphfuse.core.sample import Batch
from graphfuse.heads import Classify, Tag
from graphfuse.model.among import Among
from graphfuse.rules import Exists, Facts, Label, Rule, RuleSet, RuleWarning, exactly_one

LEAST = 1e-12
"""The least marginal of which a logarithm is taken."""


@dataclass(frozen=True)
class AllRows:
    """The most probable labels of all rows of a sample that hard rules allow together; called as ``Tag`` is.

    ``Classify`` adds the rule that exactly one label of a row is true. What is learned is the probability of the known
    labels given the rules: those that are not known are summed over. A sample whose known labels break a hard rule
    teaches nothing. Confidence, and metrics of a whole set, are of marginals.

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
        own = [Rule(name, exactly_one(*map(Label, among.rules.labels)))] if isinstance(head.each, Classify) else []
        with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
            return cls(head, among, replace(among.rules, rules=(*hard, *own)))

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log probability of the known labels given the rules, over known rows, and labels of several."""
        own, known = self._lost(scores, batch)
        many = 1 if isinstance(self.head.each, Classify) else len(self.head.labels)
        return own.sum() / max(int(known.sum()) * many, 1)

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of each sample, all its known rows together."""
        return self._lost(scores, batch)[0]

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The head's, of what is answered."""
        return self.head.measure(self._signed(scores, batch), batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """The head's, of marginals."""
        sure = [self.rules.marginals(own.double(), self.among.facts(batch)).clamp(LEAST, 1 - LEAST)
                for own, batch in zip(scores, batches)]  # fmt: skip
        one = isinstance(self.head.each, Classify)
        return self.head.summary([p.log() if one else p.logit() for p in sure], batches)

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The log odds of what is answered against its opposite, before rules, summed over a sample's rows."""
        said = (scores * self._signed(scores, batch)).sum(1)
        return segment(said, self.head.owner(batch).to(scores.device), len(batch))

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The head's, and the mean over rows of how probable what is answered is by marginals."""
        p, chosen = self.rules.marginals(scores.double(), self.among.facts(batch)), self.chosen(scores, batch)
        sure = torch.where(chosen, p, 1.0 if isinstance(self.head.each, Classify) else 1 - p).prod(1)
        owner = self.head.owner(batch).to(scores.device)
        mean = segment(sure, owner, len(batch), "mean").tolist()
        said = self.head.answers(self._signed(scores, batch), batch)
        return [replace(own, score=None if own.score is None else score) for own, score in zip(said, mean)]

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``[N, C] -> bool [N, C]``."""
        return self.rules.answer(scores, self.among.facts(batch))

    def _signed(self, scores: Tensor, batch: Batch) -> Tensor:
        return 2 * self.chosen(scores, batch).to(scores.dtype) - 1

    def _lost(self, scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Minus the log probability of each sample's known labels given the rules, and which rows are known."""
        facts, owner, exact = self.among.facts(batch), self.head.owner(batch).to(scores.device), scores.double()
        known, right = known_labels(self.head, batch)
        broken = broken_by_labels(self.rules, facts, owner.cpu(), len(batch), known, right).any(1)
        known = (known & ~broken[owner.cpu()]).to(scores.device)
        signs = 2 * right.to(exact) - 1
        own = (logsigmoid(signs * exact) * known[:, None]).sum(1)
        given = torch.where(known[:, None], signs * torch.inf, exact)
        own = own + self.rules.log_partition(given, facts) - self.rules.log_partition(exact, facts)
        return -segment(own, owner, len(batch)).to(scores.dtype), known


def known_labels(head: Tag, batch: Batch) -> tuple[Tensor, Tensor]:
    """Which rows are known, ``bool [N]``, and which labels of them are right, ``bool [N, C]``."""
    known = head.known(batch).cpu()
    right = torch.zeros(len(known), len(head.labels), dtype=torch.bool)
    told = tuple(target for target, own in zip(head.rows(batch).targets, known.tolist()) if own)
    right[known] = head.each.right(Batch(("",) * len(told), {}, {}, targets=told), torch.device("cpu"))
    return known, right


def broken_by_labels(rules: RuleSet, facts: Facts, owner: Tensor, many: int, known: Tensor, right: Tensor) -> Tensor:
    """Which rules the known labels of each of so many samples break, ``bool [B, R]``.

    That something exists is looked at where all are known.
    """
    found = segment(rules.violations(right[known], facts.among(known)).long(), owner[known], many) > 0
    somewhere = torch.tensor([isinstance(rule.says, Exists) for rule in rules.rules], dtype=torch.bool)
    return found & ~((segment((~known).long(), owner, many) > 0)[:, None] & somewhere)
