"""A head joined with rules over its labels: trained with them, answered under them, measured against them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
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
from graphfuse.heads import Choose, Classify, MultiLabel, MultiTask, Tag
from graphfuse.heads.temperature import tempered
from graphfuse.model.over_nodes import OverNodes
from graphfuse.model.over_samples import OverSamples
from graphfuse.model.over_tasks import OverTasks
from graphfuse.rules import Refine, RuleSet, RuleWarning
from graphfuse.rules.language import parse
from graphfuse.rules.vocabulary import Vocabulary

MODES = ("exact", "loss", "refine")
BROKEN_BEFORE, BROKEN = "rules_broken_before", "rules_broken"


@dataclass(frozen=True)
class Ruled:
    """A head with rules over its labels; has all that a head has, in the same meaning.

    Rules of ``Classify`` and ``MultiLabel`` speak of a sample, those of ``Tag`` and ``Choose`` of its nodes or links,
    and of how these are related, those of ``MultiTask`` of all that its parts have labels of. They may ask for facts
    (``Sample.facts``, ``Sample.node_facts``): what is not known satisfies no comparison but ``!=``. Mode
    ``exact`` conditions outputs on the hard rules (see :mod:`graphfuse.model.given`, :mod:`graphfuse.model.one_node`,
    :mod:`graphfuse.model.tasks_given`): no answer breaks one. Mode ``loss`` adds ``weight``
    times what each rule costs by itself, soft ones too, and answers as without rules. Mode ``refine`` is given scores
    that rules have pushed, soft ones too, by :class:`graphfuse.rules.Refine` in the model.

    Attributes:
        head: By itself.
        rules: Over the head's labels, in their order.
        mode: One of :data:`MODES`.
        weight: Of the rules beside the head's own loss, in mode ``loss``.

    Raises:
        InputError: The head has no labels that rules could speak of, the rules speak of others or of what the head does
            not, there is no such mode, or rules do not suit it. Each method that is given a batch: facts are of another
            sort than rules compare them with, or leave a sample no answer; names the sample.
    """

    head: Classify | MultiLabel | Choose | Tag | MultiTask
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
            if not rule.hard and rule.weight is None and self.mode == "loss":
                raise InputError(f"{self.rules.source or 'Rules'}: rule {rule.name!r}: its weight is to be learned, "
                                 "which rule_mode 'refine' does; for 'loss' give it a number.")  # fmt: skip
        _ = self.over

    @classmethod
    def of(cls, head: Any, rules: RuleSet | str | Path, mode: str = "exact", weight: float = 1.0) -> Ruled:
        """From rules over labels of the head in any order, or the path of a rule file."""
        if not isinstance(head, Classify | MultiLabel | Choose | Tag | MultiTask) or not head.labels:
            raise InputError(f"FusionModel: rules speak of the labels of Classify, MultiLabel, Tag, Choose or MultiTask"
                             f"; the head is {type(head).__name__}{' of numbers alone' * isinstance(head, MultiTask)}."
                             )  # fmt: skip
        own = over(rules, tuple(map(str, head.labels)), head.groups if isinstance(head, MultiTask) else None)
        try:
            parse(str(own), Vocabulary(own.labels))
        except InputError as error:
            raise InputError(f"Rules are saved with a model as text, and these do not read back: {error}") from None
        return cls(head, own, mode, weight)

    @cached_property
    def over(self) -> OverSamples | OverNodes | OverTasks:
        """What rules make of the head, by what they speak of."""
        if isinstance(self.head, MultiTask):
            return OverTasks(self.head, self.rules, self.mode)
        side: Any = OverSamples if isinstance(self.head, Classify | MultiLabel) else OverNodes
        return side(self.head, self.rules, self.mode)

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

    @property
    def sorts(self) -> Mapping[str, type]:
        """Fact that rules ask for -> ``str`` or ``float``."""
        return self.over.sorts

    @cached_property
    def hard(self) -> Tensor:
        """Which rules are, ``bool [R]``."""
        return torch.tensor([rule.hard for rule in self.rules.rules], dtype=torch.bool)

    def config(self) -> dict[str, Any]:
        """How the rules are used, as JSON values; the head has its own, and the rules are a text."""
        return {"mode": self.mode, "weight": self.weight, "budget": self.rules.budget._asdict()}

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """The head's weights; rules are checked against the schema."""
        self.over.check_schema(schema)
        return self.head.build(dim, schema)

    def check(self, samples: Iterable[Sample]) -> None:
        """As the head's, and of facts; whether labels break rules :mod:`graphfuse.model.rule_labels` says."""
        self.over.check(samples)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """As the mode says, ``[]``; scores that are NaN give NaN, as by the head alone, and no error of the rules."""
        if scores.isnan().any():
            return self.head.loss(scores, batch)
        own = self.over.answering.loss(scores, batch)
        return own + self.weight * self.over.cost(scores, batch) if self.mode == "loss" else own

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """As the head's, given the rules in mode ``exact``."""
        return self.over.answering.log_loss(scores, batch)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """As the head's, of what is answered; what is broken is of :meth:`broken`."""
        return self.over.answering.measure(scores, batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """As the head's, given the rules in mode ``exact``."""
        return self.over.answering.summary(scores, batches)

    def tempered(self, scores: Tensor, batch: Batch, temperature: Tensor | float) -> Tensor:
        """As the head's."""
        return tempered(self.head, scores, batch, temperature)

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """As the head's, of what is answered."""
        return self.over.answering.said(scores, batch)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """As the head's; confidence is the probability given the rules in mode ``exact``."""
        return self.over.answering.answers(scores, batch)

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``bool [B, L]``; of nodes or links ``bool [N, L]``, of several tasks ``bool [U, L]``."""
        return self.over.chosen(scores, batch)

    def refined(self, refine: Refine, scores: Tensor, batch: Batch) -> Tensor:
        """Scores that rules have pushed, of the shape of the scores."""
        return self.over.refined(refine, scores, batch)

    def broken(self, scores: Tensor, batch: Batch, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Which rules each sample's answer would break without rules, and which it breaks: ``bool [B, R]`` each.

        Args:
            scores: Of the model.
            batch: Whose; its names, sizes, links and facts alone are looked at.
            before: Those before rules refined them; ``scores`` if left out.
        """
        return self.over.broken(scores, batch, before)


def over(
    rules: RuleSet | str | Path, labels: tuple[str, ...], groups: Mapping[str, Sequence[str]] | None = None
) -> RuleSet:
    """Rules over these labels in this order, ``groups`` of them where there are any: read from a file, or mapped by
    name.

    Raises:
        InputError: A label is not among them; gives the nearest.
    """
    if isinstance(rules, str | Path):
        return RuleSet.read(rules, groups or labels)
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
