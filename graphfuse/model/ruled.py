"""A head joined with rules over its labels: trained with them, answered under them, measured against them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads import Classify, MultiLabel
from graphfuse.model.given import OneGiven, SeveralGiven, chosen
from graphfuse.model.observed import Asked
from graphfuse.rules import Exists, Label, Measured, Rule, RuleSet, RuleWarning
from graphfuse.rules.language import parse
from graphfuse.rules.vocabulary import Vocabulary

MODES = ("exact", "loss", "refine")
LEAST = 1e-300  # probability, of which a logarithm is taken
BROKEN_BEFORE, BROKEN = "rules_broken_before", "rules_broken"


@dataclass(frozen=True)
class Ruled:
    """``Classify`` or ``MultiLabel`` with rules over its labels; has all that a head has, in the same meaning.

    Rules may ask for facts of a sample (``Sample.facts``): what it lacks satisfies no comparison but ``!=``.
    Mode ``exact`` conditions outputs on the hard rules (:mod:`graphfuse.model.given`): no answer breaks one. Mode
    ``loss`` adds ``weight`` times what each rule costs by itself, soft ones too, and answers as without rules. Mode
    ``refine`` is given scores that rules have pushed, soft ones too, by :class:`graphfuse.rules.Refine` in the model.

    Attributes:
        head: By itself.
        rules: Over the head's labels, in their order.
        mode: One of :data:`MODES`.
        weight: Of the rules beside the head's own loss, in mode ``loss``.

    Raises:
        InputError: The head has no labels that rules could speak of, the rules speak of others or of several things,
            there is no such mode, or rules do not suit it. Each method that is given a batch: a sample's facts are of
            another sort than rules compare them with, or leave it no answer; names the sample.
    """

    head: Classify | MultiLabel
    rules: RuleSet
    mode: str = "exact"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"There is no rule_mode {self.mode!r}.{did_you_mean(self.mode, MODES)}")
        if isinstance(self.weight, bool) or not isinstance(self.weight, Real) or not 0 < self.weight < math.inf:
            raise InputError(f"rule_weight is {self.weight!r}; it must be above 0.")
        if self.weight != 1 and self.mode != "loss":
            raise InputError(f"rule_weight is {self.weight}, but it is of rule_mode 'loss' only; leave it out.")
        if self.mode == "exact" and not self.hard.any():
            raise InputError(f"{self.rules.source or 'Rules'}: rule_mode 'exact' is of hard rules, and here is none; "
                             "take rule_mode='loss'.")  # fmt: skip
        for rule in self.rules.rules:
            self._check_rule(rule)
        if self.mode == "exact" and isinstance(self.head, MultiLabel):
            try:
                self.rules.check_totals()
            except InputError as error:
                raise InputError("rule_mode 'exact' needs totals, which are beyond the budget; give the rules a larger "
                                 f"one, or take rule_mode='loss'. {error}") from error  # fmt: skip
        if self.mode == "refine":
            rows, facts = self.asked.rehearsed()
            self.rules.refine(torch.zeros(rows, len(self.labels)), facts, torch.ones(len(self.rules.rules)))
        _ = self._base
        if self.mode == "loss" and not self.asked.sorts and not isinstance(self.head, MultiLabel):
            self._check_alone(Batch(("",), {}, {}))

    @classmethod
    def of(cls, head: Any, rules: RuleSet | str | Path, mode: str = "exact", weight: float = 1.0) -> Ruled:
        """From rules over labels of the head in any order, or the path of a rule file."""
        if not isinstance(head, Classify | MultiLabel):
            raise InputError(f"FusionModel: rules speak of the labels of Classify or MultiLabel; the head is "
                             f"{type(head).__name__}.")  # fmt: skip
        own = over(rules, tuple(map(str, head.labels)))
        try:
            parse(str(own), Vocabulary(own.labels))
        except InputError as error:
            raise InputError(f"Rules are saved with a model as text, and these do not read back: {error}") from None
        return cls(head, own, mode, weight)

    @property
    def labels(self) -> tuple[str, ...]:
        """The head's."""
        return self.head.labels

    @property
    def features(self) -> Any:
        """The head's, if it has any."""
        return getattr(self.head, "features", None)

    @property
    def metric(self) -> str:
        """The head's."""
        return self.head.metric

    @property
    def metrics(self) -> Mapping[str, Literal["max", "min"]]:
        """The head's, and the shares of samples whose answer breaks a hard rule, before the rules and after."""
        own: dict[str, Literal["max", "min"]] = {BROKEN_BEFORE: "min", BROKEN: "min"}
        return {**self.head.metrics, **(own if self.hard.any() else {})}

    @cached_property
    def asked(self) -> Asked:
        """What the rules ask of facts."""
        return Asked(self.rules)

    @cached_property
    def hard(self) -> Tensor:
        """Which rules are, ``bool [R]``."""
        return torch.tensor([rule.hard for rule in self.rules.rules], dtype=torch.bool)

    def config(self) -> dict[str, Any]:
        """How the rules are used, as JSON values; the head has its own, and the rules are a text."""
        return {"mode": self.mode, "weight": self.weight, "budget": self.rules.budget._asdict()}

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """The head's weights."""
        return self.head.build(dim, schema)

    def check(self, samples: Iterable[Sample]) -> None:
        """As the head's, and of facts; whether labels break rules :mod:`graphfuse.model.rule_labels` says."""
        if not self.asked.sorts:
            self.head.check(samples)
            return
        names, facts = list[str](), list[Mapping[str, float | str]]()

        def noted() -> Iterator[Sample]:
            for sample in samples:
                names.append(sample.name)
                facts.append(sample.facts)
                yield sample

        self.head.check(noted())
        batch = Batch(tuple(names), {}, {}, facts=tuple(facts))
        if isinstance(self._base, OneGiven):
            self._base.allowed(batch)
        elif isinstance(self._base, SeveralGiven):
            self.asked.check_possible(batch)
        elif self.mode == "loss" and isinstance(self.head, Classify):
            self._check_alone(batch)
        else:
            self.asked.facts(batch)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """As the mode says, ``[]``; scores that are NaN give NaN, as by the head alone, and no error of the rules."""
        if scores.isnan().any():
            return self.head.loss(scores, batch)
        own = self._base.loss(scores, batch)
        return own + self.weight * self._cost(scores, batch) if self.mode == "loss" else own

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """As the head's, given the rules in mode ``exact``."""
        return self._base.log_loss(scores, batch)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """As the head's, of what is answered; what is broken is of :meth:`broken`."""
        return self._base.measure(scores, batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """As the head's, given the rules in mode ``exact``."""
        return self._base.summary(scores, batches)

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """As the head's, of what is answered."""
        return self._base.said(scores, batch)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """As the head's; confidence is the probability given the rules in mode ``exact``."""
        return self._base.answers(scores, batch)

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``[B, L] -> bool [B, L]``."""
        base = self._base
        return base.chosen(scores, batch) if isinstance(base, SeveralGiven | OneGiven) else chosen(base, scores)

    def broken(self, scores: Tensor, batch: Batch, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Which rules each sample's answer would break without rules, and which it breaks: ``bool [B, R]`` each.

        Args:
            scores: Of the model.
            batch: Whose; its names and facts alone are looked at.
            before: Those before rules refined them; ``scores`` if left out.
        """
        facts = self.asked.facts(batch)
        after = self.rules.violations(self.chosen(scores, batch), facts)
        if self._base is self.head and before is None:
            return after, after
        return self.rules.violations(chosen(self.head, scores if before is None else before), facts), after

    @cached_property
    def _base(self) -> Classify | MultiLabel | SeveralGiven | OneGiven:
        """What answers."""
        if self.mode != "exact":
            return self.head
        return (
            OneGiven(self.head, self.asked) if isinstance(self.head, Classify) else SeveralGiven(self.head, self.asked)
        )

    def _check_rule(self, rule: Rule) -> None:
        """Raises ``InputError`` where a rule says more than which labels and facts of one sample go together."""
        atoms, where = list(rule.says.atoms()), f"{self.rules.source or 'Rules'}: rule {rule.name!r}"
        alone = all(isinstance(atom, Label | Measured) for atom in atoms) and not isinstance(rule.says, Exists)
        if not alone or len({variable for atom in atoms for variable in atom.variables}) > 1:
            raise InputError(f"{where} speaks of several things or of how they are related, and a model answers "
                             "samples one by one; use it beside the model, by rules.loss or rules.refine.")  # fmt: skip
        if rule.weight is None and self.mode == "loss":
            raise InputError(f"{where}: its weight is to be learned, which rule_mode 'refine' does; for 'loss' give it "
                             "a number.")  # fmt: skip

    def _cost(self, scores: Tensor, batch: Batch) -> Tensor:
        """The rules' loss; of one label a sample, with the probabilities of the softmax."""
        if isinstance(self.head, MultiLabel) or not self.rules.rules:
            return self.rules.loss(scores, self.asked.facts(batch))
        p, cost = scores.double().softmax(1), scores.new_zeros(len(self.rules.rules), dtype=torch.double)
        said = cost
        for rows, broken in self._check_alone(batch):
            own, wrong = p[rows.to(p.device)], broken.to(p.device)
            says = wrong.any(0)  # what no label breaks is no grounding, as in rules.loss
            cost = cost - says * (own @ (~wrong).double()).clamp(min=LEAST).log().sum(0)
            said = said + says * len(rows)
        weights = cost.new_tensor([1.0 if rule.hard else rule.weight for rule in self.rules.rules])
        return (weights * cost / said.clamp(min=1)).mean().to(scores.dtype)

    def _check_alone(self, batch: Batch) -> list[tuple[Tensor, Tensor]]:
        """As ``Asked.each_alone``; raises ``InputError`` where a rule holds for no label."""
        found = list(self.asked.each_alone(batch))
        for rows, broken in found:
            if (never := broken.all(0)).any():
                name = self.rules.rules[int(never.int().argmax())].name
                raise self.asked.impossible(batch, int(rows[0]), f"rule {name!r} holds for no label that alone is "
                                            "true, as Classify answers")  # fmt: skip
        return found


def over(rules: RuleSet | str | Path, labels: tuple[str, ...]) -> RuleSet:
    """Rules over these labels in this order: read from a file, or mapped by name.

    Raises:
        InputError: A label is not among them; gives the nearest.
    """
    if isinstance(rules, str | Path):
        return RuleSet.read(rules, labels)
    if not isinstance(rules, RuleSet):
        raise InputError(f"rules is a {type(rules).__name__}; a gf.RuleSet or the path of a rule file is needed.")
    if rules.labels == labels:
        return rules
    for label in rules.labels:
        if label not in labels:
            raise InputError(f"{rules.source or 'Rules'}: their label {label!r} is not a label of the head."
                             f"{did_you_mean(label, labels)}")  # fmt: skip
    with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
        return replace(rules, labels=labels)


def plain(head: Any) -> Any:
    """A head without the rules that it is joined with."""
    return head.head if isinstance(head, Ruled) else head
