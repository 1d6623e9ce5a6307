"""Rules over what a head says of several tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from graphfuse.core.message import segment, segment_softmax
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads import Choose, MultiTask
from graphfuse.model.all_rows import LEAST
from graphfuse.model.over_nodes import against_others
from graphfuse.model.sorts import sort_of
from graphfuse.model.tasks_given import TasksGiven, said
from graphfuse.model.told import one_of, told
from graphfuse.model.universe import Universe
from graphfuse.rules import Exists, Label, Refine, RuleSet


@dataclass(frozen=True)
class OverTasks:
    """What :class:`graphfuse.model.Ruled` makes of ``MultiTask``: see :class:`graphfuse.model.universe.Universe`.

    What rules cost is of each label by itself: the probabilities of ``Classify`` and ``Choose`` are taken as
    independent.

    Raises:
        InputError: Rules cannot refine, or speak of what there is not. Each method that is given a batch: a fact is of
            another sort than rules compare it with, or leaves no answer; names the sample.
    """

    head: MultiTask
    rules: RuleSet
    mode: str

    def __post_init__(self) -> None:
        if self.mode == "refine":
            self.guarded.refine(torch.zeros(0, len(self.rules.labels)), self.universe.nothing(),
                                torch.ones(len(self.rules.rules)))  # fmt: skip
        _ = self.universe, self.answering

    @cached_property
    def universe(self) -> Universe:
        """The rows and labels that rules speak of."""
        return Universe(self.head, self.rules)

    @cached_property
    def guarded(self) -> RuleSet:
        """The rules, each of the rows that its variables stand for."""
        return self.universe.guarded(self.rules)

    @property
    def sorts(self) -> Mapping[str, type]:
        """Fact that rules ask for -> ``str`` or ``float``."""
        return self.universe.sorts

    @cached_property
    def answering(self) -> MultiTask | TasksGiven:
        """The head that answers: conditioned on hard rules in mode ``exact``."""
        return TasksGiven.of(self.universe) if self.mode == "exact" else self.head

    def check_schema(self, schema: Schema) -> None:
        """Raises ``InputError`` where rules speak of a relation that there is not."""
        self.universe.check(schema)

    def check(self, samples: Iterable[Sample]) -> None:
        """As the head's; facts are looked at batch by batch."""
        self.head.check(samples)

    def facts_of(self, sample: Sample) -> set[str]:
        """The names of what is known of a sample and of its nodes."""
        return {*sample.facts, *(name for own in sample.node_facts.values() for name in own)}

    def cost(self, scores: Tensor, batch: Batch) -> Tensor:
        """The rules' loss, ``[]``."""
        table, odds = self.universe.over(scores.double(), batch, -torch.inf), list[Tensor]()
        for name, part in self.universe.parts.items():
            own = self.universe.of_part(table, name, batch)
            if isinstance(part, Choose):
                p = segment_softmax(own, batch.owner(part.kind).to(own.device), len(batch))
                own = p.clamp(LEAST, 1 - LEAST).logit()
            elif one_of(part):
                own = against_others(own)
            odds.append(own.reshape(-1))
        laid, places = self.universe.laid(batch), self.universe.laid(batch).places.to(table.device)
        logits = table.detach().reshape(-1).index_copy(0, places, torch.cat(odds)).view(table.shape)
        return self.guarded.loss(logits, laid.facts).to(scores.dtype)

    def refined(self, refine: Refine, scores: Tensor, batch: Batch) -> Tensor:
        """Scores that rules have pushed, of the shape of the scores."""
        table = self.universe.over(scores, batch, -torch.inf)
        pushed = refine(table, self.universe.laid(batch).facts, self.guarded)
        return self.universe.back(pushed, scores, batch)

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``bool [U, L]``."""
        if isinstance(self.answering, TasksGiven):
            return self.answering.chosen(scores, batch)
        return said(self.universe, scores, batch)

    def of_right(self, batch: Batch, rules: RuleSet) -> Tensor:
        """Which rules, of the names of these, the targets of each sample break, ``bool [B, R]``.

        A row counts for a rule where all labels are known that the parts that the rule speaks of have of it; that
        something exists is looked at where all rows count.
        """
        laid, known = self.universe.laid(batch), self._known(batch)
        owner, found = laid.owner, torch.zeros(len(batch), len(rules.rules), dtype=torch.bool)
        for parts, places, own in self._apart(rules):
            rows = torch.ones(len(owner), dtype=torch.bool)
            for name in parts:
                there = laid.rows[sort_of(self.universe.parts[name])]
                rows[there.start : there.stop] &= (self.universe.of_part(known, name, batch) != 0).all(1)
            broken = own.violations(known[rows] > 0, laid.facts.among(rows))
            here = segment(broken.long(), owner[rows], len(batch)) > 0
            some = segment((~rows).long(), owner, len(batch)) > 0
            exists = torch.tensor([isinstance(rule.says, Exists) for rule in own.rules])
            found[:, places] = here & ~(some[:, None] & exists)
        return found

    def fires(self, batch: Batch, sides: RuleSet) -> Tensor:
        """As :meth:`of_right` of left sides, but labels that are not known are taken as false."""
        laid = self.universe.laid(batch)
        broken = self.universe.guarded(sides).violations(self._known(batch) > 0, laid.facts)
        return segment(broken.long(), laid.owner, len(batch)) > 0

    def broken(self, scores: Tensor, batch: Batch, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """Which rules a sample's answer would break without rules, and which it breaks: ``bool [B, R]`` each."""
        laid = self.universe.laid(batch)

        def by_sample(answered: Tensor) -> Tensor:
            return segment(self.guarded.violations(answered.cpu(), laid.facts).long(), laid.owner, len(batch)) > 0

        after = by_sample(self.chosen(scores, batch))
        if self.answering is self.head and before is None:
            return after, after
        return by_sample(said(self.universe, scores if before is None else before, batch)), after

    def _known(self, batch: Batch) -> Tensor:
        """What targets tell of each label of each row, as :func:`graphfuse.model.told.told`, ``int64 [U, L]``."""
        table = torch.zeros(len(self.universe.laid(batch).owner), len(self.rules.labels), dtype=torch.long)
        for name, part in self.universe.parts.items():
            targets = [(target or {}).get(name) for target in batch.targets or (None,) * len(batch)]
            self.universe.of_part(table, name, batch).copy_(told(part, batch, targets))
        return table

    def _apart(self, rules: RuleSet) -> list[tuple[tuple[str, ...], list[int], RuleSet]]:
        """Rules by the parts that they speak of, their places, and they as a guarded set by themselves."""
        places = dict[tuple[str, ...], list[int]]()
        for place, rule in enumerate(rules.rules):
            named = {self.universe.part_of[atom.name] for atom in rule.says.atoms() if isinstance(atom, Label)}
            places.setdefault(tuple(sorted(named)), []).append(place)
        return [(parts, own, self.universe.guarded(replace(rules, rules=tuple(rules.rules[place] for place in own))))
                for parts, own in places.items()]  # fmt: skip
