"""Rules over what a head says of the nodes of a kind, or of the links of a relation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from graphfuse.core.message import segment, segment_softmax
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads import Choose, Classify, Tag
from graphfuse.heads.by_row import ByRow
from graphfuse.model.all_rows import AllRows, broken_by_labels, known_labels
from graphfuse.model.among import Among
from graphfuse.model.each_row import each_row
from graphfuse.model.given import chosen
from graphfuse.model.one_node import OneNode, alone
from graphfuse.model.over_samples import LEAST, of_one, weighed
from graphfuse.rules import Facts, Refine, RuleSet
from graphfuse.rules.alone import each_alone


@dataclass(frozen=True)
class OverNodes:
    """What :class:`graphfuse.model.Ruled` makes of ``Choose`` and ``Tag``; a *row* is a node, or a link.

    Of ``Choose`` there is one label, ``answer``, which one node of a sample has: what rules cost is of the softmax over
    its nodes, exactly. Of ``Tag`` with ``Classify``, rules that join rows take its probabilities as independent.

    Raises:
        InputError: Rules cannot refine, or ask for what there is not.
            Each method that is given a batch: a fact is of another sort than rules compare it with; names the sample.
    """

    head: Choose | Tag
    rules: RuleSet
    mode: str

    def __post_init__(self) -> None:
        if self.mode == "refine":
            self.rules.refine(torch.zeros(0, len(self.rules.labels)), self.among.nothing(),
                              torch.ones(len(self.rules.rules)))  # fmt: skip
        _ = self.among, self.answering

    @cached_property
    def among(self) -> Among:
        """What rules ask of a batch."""
        return Among(self.rules, self.head.kind if isinstance(self.head, Choose) else self.head.of)

    @property
    def sorts(self) -> Mapping[str, type]:
        """Fact that rules ask for -> ``str`` or ``float``."""
        return self.among.sorts

    @cached_property
    def answering(self) -> Choose | Tag | OneNode | ByRow | AllRows:
        """The head that answers: conditioned on hard rules in mode ``exact``."""
        if self.mode != "exact":
            return self.head
        if isinstance(self.head, Choose):
            return OneNode(self.head, self.among)
        joining = any(rule.hard and not of_one(rule.says) for rule in self.rules.rules)
        return AllRows.of(self.head, self.among) if joining else each_row(self.head, self.among)

    def check_schema(self, schema: Schema) -> None:
        """Raises ``InputError`` where rules speak of a relation that the schema does not give."""
        self.among.check(schema)

    def check(self, samples: Iterable[Sample]) -> None:
        """As the head's; facts are looked at batch by batch."""
        self.head.check(samples)

    def cost(self, scores: Tensor, batch: Batch) -> Tensor:
        """The rules' loss, ``[]``."""
        if isinstance(self.head, Tag):
            return self.rules.loss(self._logits(scores), self.among.facts(batch))
        owner, broken = self.among.owner(batch).to(scores.device), alone(self.among, batch).to(scores.device)
        p = segment_softmax(scores.double()[:, None], owner, len(batch))
        holds = segment(p * ~broken, owner, len(batch))  # [B, R]
        some, fine = (segment(x.double(), owner, len(batch)) > 0 for x in (broken, ~broken))
        says = some & fine  # what no node breaks is no grounding, and of what each breaks nothing is to be learned
        cost = -(holds.clamp(min=LEAST).log() * says).sum(0) / says.sum(0).clamp(min=1)
        return weighed(self.rules, cost).to(scores.dtype)

    def refined(self, refine: Refine, scores: Tensor, batch: Batch) -> Tensor:
        """Scores that rules have pushed, of the shape of the scores."""
        return refine(scores.view(len(scores), len(self.rules.labels)), self.among.facts(batch)).view(scores.shape)

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``bool [N, L]``."""
        return self._said(self.answering, scores, batch)

    def by_itself(self, scores: Tensor, batch: Batch) -> Tensor:
        """What the head answers without rules, ``bool [N, L]``."""
        return self._said(self.head, scores, batch)

    def of_right(self, batch: Batch, rules: RuleSet) -> Tensor:
        """Which rules, over the same labels, the targets of each sample break, ``bool [B, R]``.

        Of ``Choose``, those that its first right node breaks, and none where another breaks no hard one. Of ``Tag``,
        those that known rows break.
        """
        if isinstance(self.head, Choose):
            return self._of_right_node(batch, rules, self.among.facts(batch), self.among.owner(batch))
        return broken_by_labels(self.head, rules, self.among, batch)

    def fires(self, batch: Batch, sides: RuleSet) -> Tensor:
        """As :meth:`of_right` of left sides, but labels that are not known are taken as false."""
        if isinstance(self.head, Choose):
            return self.of_right(batch, sides)
        broken = sides.violations(known_labels(self.head, batch)[1], self.among.facts(batch))
        return segment(broken.long(), self.among.owner(batch), len(batch)) > 0

    def _of_right_node(self, batch: Batch, rules: RuleSet, facts: Facts, owner: Tensor) -> Tensor:
        assert isinstance(self.head, Choose)
        rows = self.head.right(batch, torch.device("cpu")).nonzero()[:, 0]
        broken, of = each_alone(rules, facts, len(owner))[rows], owner[rows]
        hard = torch.tensor([rule.hard for rule in rules.rules], dtype=torch.bool)
        fine = segment((~broken[:, hard].any(1)).long(), of, len(batch)) > 0
        found, first = torch.zeros(len(batch), len(hard), dtype=torch.bool), of.diff(prepend=of.new_tensor([-1])) > 0
        found[of[first]] = broken[first]
        return found & ~(fine[:, None] & hard)

    def broken(self, scores: Tensor, batch: Batch, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """Which rules a sample's answer would break without rules, and which it breaks: ``bool [B, R]`` each."""
        facts, owner = self.among.facts(batch), self.among.owner(batch)

        def by_sample(said: Tensor) -> Tensor:
            return segment(self.rules.violations(said.cpu(), facts).long(), owner, len(batch)) > 0

        after = by_sample(self.chosen(scores, batch))
        if self.answering is self.head and before is None:
            return after, after
        return by_sample(self.by_itself(scores if before is None else before, batch)), after

    def facts_of(self, sample: Sample) -> set[str]:
        """The names of what is known of a sample and of its nodes or links."""
        return {*sample.facts, *sample.node_facts.get(self.among.kind, {})}

    def _said(self, head: Choose | Tag | OneNode | ByRow | AllRows, scores: Tensor, batch: Batch) -> Tensor:
        if isinstance(head, OneNode | ByRow | AllRows):
            return head.chosen(scores, batch)
        if isinstance(head, Tag):
            return chosen(head.each, scores)
        found = torch.zeros(len(scores), 1, dtype=torch.bool, device=scores.device)
        found[[row for row in head.best(scores, batch) if row is not None]] = True
        return found

    def _logits(self, scores: Tensor) -> Tensor:
        """Of each label by itself, ``[N, C]``."""
        if not isinstance(self.head, Tag) or not isinstance(self.head.each, Classify):
            return scores
        return against_others(scores)


def against_others(scores: Tensor) -> Tensor:
    """The log odds of each of several labels of which one is true against all others, ``[N, C] -> float64 [N, C]``."""
    exact = scores.double()
    best = torch.zeros_like(exact, dtype=torch.bool).scatter_(1, exact.argmax(1, keepdim=True), True)
    every, rest = exact.logsumexp(1, keepdim=True), exact.masked_fill(best, -torch.inf).logsumexp(1, keepdim=True)
    share = (exact - every).exp().masked_fill(best, 0.0)  # at most a half
    return exact - torch.where(best, rest, every + (-share).log1p())
