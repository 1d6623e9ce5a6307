"""Rules over what a head says of each sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads import Classify, MultiLabel
from graphfuse.model.given import OneGiven, SeveralGiven, chosen
from graphfuse.model.observed import Asked
from graphfuse.rules import Exists, Label, Measured, Refine, RuleSet

LEAST = 1e-300  # probability, of which a logarithm is taken


@dataclass(frozen=True)
class OverSamples:
    """What :class:`graphfuse.model.Ruled` makes of ``Classify`` and ``MultiLabel``.

    Raises:
        InputError: The rules speak of several things, are beyond the budget of totals, or leave no answer. Each method
            that is given a batch: a sample's facts are of another sort than rules compare them with, or leave it no
            answer; names the sample.
    """

    head: Classify | MultiLabel
    rules: RuleSet
    mode: str

    def __post_init__(self) -> None:
        for rule in self.rules.rules:
            if not of_one(rule.says):
                where = f"{self.rules.source or 'Rules'}: rule {rule.name!r}"
                raise InputError(f"{where} speaks of several things or of how they are related, and "
                                 f"{type(self.head).__name__} answers samples one by one; give a head that answers of "
                                 "nodes, Tag or Choose, or use the rule beside the model, by rules.loss or "
                                 "rules.refine.")  # fmt: skip
        if self.mode == "exact" and isinstance(self.head, MultiLabel):
            try:
                self.rules.check_totals()
            except InputError as error:
                raise InputError("rule_mode 'exact' needs totals, which are beyond the budget; give the rules a larger "
                                 f"one, or take rule_mode='loss'. {error}") from error  # fmt: skip
        if self.mode == "refine":
            rows, facts = self.asked.rehearsed()
            self.rules.refine(torch.zeros(rows, len(self.rules.labels)), facts, torch.ones(len(self.rules.rules)))
        _ = self.answering
        if self.mode == "loss" and not self.asked.sorts and isinstance(self.head, Classify):
            self._each_alone(Batch(("",), {}, {}))

    @cached_property
    def asked(self) -> Asked:
        """What the rules ask of facts."""
        return Asked(self.rules)

    @property
    def sorts(self) -> Mapping[str, type]:
        """Fact that rules ask for -> ``str`` or ``float``."""
        return self.asked.sorts

    @cached_property
    def answering(self) -> Classify | MultiLabel | SeveralGiven | OneGiven:
        """The head that answers: conditioned on hard rules in mode ``exact``."""
        if self.mode != "exact":
            return self.head
        return (
            OneGiven(self.head, self.asked) if isinstance(self.head, Classify) else SeveralGiven(self.head, self.asked)
        )

    def check_schema(self, schema: Schema) -> None:
        """Any will do, as rules speak of no relation."""

    def check(self, samples: Iterable[Sample]) -> None:
        """As the head's, and of facts; whether labels break rules :mod:`graphfuse.model.rule_labels` says."""
        if not self.sorts:
            self.head.check(samples)
            return
        names, facts = list[str](), list[Mapping[str, float | str]]()

        def noted() -> Iterator[Sample]:
            for sample in samples:
                names.append(sample.name)
                facts.append(sample.facts)
                yield sample

        self.head.check(noted())
        batch, answering = Batch(tuple(names), {}, {}, facts=tuple(facts)), self.answering
        if isinstance(answering, OneGiven):
            answering.allowed(batch)
        elif isinstance(answering, SeveralGiven):
            self.asked.check_possible(batch)
        elif self.mode == "loss" and isinstance(self.head, Classify):
            self._each_alone(batch)
        else:
            self.asked.facts(batch)

    def cost(self, scores: Tensor, batch: Batch) -> Tensor:
        """The rules' loss, ``[]``; of one label a sample, with the probabilities of the softmax."""
        if isinstance(self.head, MultiLabel) or not self.rules.rules:
            return self.rules.loss(scores, self.asked.facts(batch))
        p, cost = scores.double().softmax(1), scores.new_zeros(len(self.rules.rules), dtype=torch.double)
        said = cost
        for rows, broken in self._each_alone(batch):
            own, wrong = p[rows.to(p.device)], broken.to(p.device)
            says = wrong.any(0)  # what no label breaks is no grounding, as in rules.loss
            cost = cost - says * (own @ (~wrong).double()).clamp(min=LEAST).log().sum(0)
            said = said + says * len(rows)
        return weighed(self.rules, cost / said.clamp(min=1)).to(scores.dtype)

    def refined(self, refine: Refine, scores: Tensor, batch: Batch) -> Tensor:
        """Scores that rules have pushed, ``[B, L]``."""
        return refine(scores, self.asked.facts(batch))

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``bool [B, L]``."""
        own = self.answering
        return own.chosen(scores, batch) if isinstance(own, SeveralGiven | OneGiven) else chosen(own, scores)

    def broken(self, scores: Tensor, batch: Batch, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """Which rules answers would break without rules, and which they break: ``bool [B, R]`` each."""
        facts = self.asked.facts(batch)
        after = self.rules.violations(self.chosen(scores, batch), facts)
        if self.answering is self.head and before is None:
            return after, after
        return self.rules.violations(chosen(self.head, scores if before is None else before), facts), after

    def _each_alone(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """As ``Asked.each_alone``; raises ``InputError`` where a rule holds for no label."""
        found = list(self.asked.each_alone(batch))
        for rows, broken in found:
            if (never := broken.all(0)).any():
                name = self.rules.rules[int(never.int().argmax())].name
                raise self.asked.impossible(batch, int(rows[0]), f"rule {name!r} holds for no label that alone is "
                                            "true, as Classify answers")  # fmt: skip
        return found


def of_one(says: Any) -> bool:
    """Whether an expression is said of each thing by itself."""
    atoms = list(says.atoms())
    alone = all(isinstance(atom, Label | Measured) for atom in atoms) and not isinstance(says, Exists)
    return alone and len({variable for atom in atoms for variable in atom.variables}) <= 1


def weighed(rules: RuleSet, costs: Tensor) -> Tensor:
    """The mean of what rules cost, ``[R] -> []``, each times its weight, which a hard rule has of 1."""
    return (costs.new_tensor([1.0 if rule.hard else rule.weight for rule in rules.rules]) * costs).mean()
