"""What ``MultiTask`` makes of scores given that every hard rule holds, of all its parts together, exactly."""

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
from graphfuse.heads import Choose, MultiTask, Regress, Tag
from graphfuse.heads.multitask import several
from graphfuse.model.all_rows import LEAST
from graphfuse.model.given import chosen as chosen_labels
from graphfuse.model.sorts import is_a, sort_of
from graphfuse.model.told import one_of, told
from graphfuse.model.universe import Universe
from graphfuse.rules import And, ForAll, Implies, Label, Rule, RuleSet, RuleWarning, exactly_one
from graphfuse.rules.atoms import ExistsOne
from graphfuse.rules.known import together
from graphfuse.rules.together import ImpossibleError, Together


@dataclass(frozen=True)
class TasksGiven:
    """The most probable answer to all parts that hard rules allow together; called as ``MultiTask`` is.

    Parts that no hard rule speaks of are as without rules. Of the others, outputs that are independent before the rules
    are conditioned on them; ``Classify`` and ``Choose`` add the rule that exactly one label, or one node of those that
    there are, is true.

    Each of them learns the probability of what is known of it given the rules, whatever is known of other parts, so
    that the sum of such logarithms is a composite likelihood, in which weights weigh parts against one another. Each
    number known, a row's one label or each of its several, counts alike, of whichever part it is: were each part a mean
    of its own, the one label of a sample would outweigh, by what rules hand on, those that its many nodes have. What
    breaks a rule by itself teaches nothing where it does. Confidence, and metrics of a whole set, are of marginals.

    Source: Varin, Reid and Firth 2011, "An overview of composite likelihood methods", section 2.

    Attributes:
        head: By itself.
        universe: The rows and labels that rules speak of.
        rules: The hard ones, guarded.
        joined: The parts that they speak of.
    """

    head: MultiTask
    universe: Universe
    rules: RuleSet
    joined: tuple[str, ...]

    @classmethod
    def of(cls, universe: Universe) -> TasksGiven:
        """Of the hard ones among the rules."""
        hard = [rule for rule in universe.rules.rules if rule.hard]
        named = {universe.part_of[a.name] for rule in hard for a in rule.says.atoms() if isinstance(a, Label)}
        joined = tuple(name for name in universe.parts if name in named)
        for name in joined:
            part = universe.parts[name]
            if getattr(part.each if isinstance(part, Tag) else part, "weights", None) is not None:
                raise InputError(f"Part {name!r}: Classify has weights, for which the probability of all labels "
                                 "together has no place; leave them out, or make its rules soft.")  # fmt: skip
        used = {rule.name for rule in hard}
        ones = [rule for name in joined for rule in _ones(universe, name, used)]
        guarded = universe.guarded(replace(universe.rules, rules=tuple(hard)))
        with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
            return cls(universe.head, universe, replace(guarded, rules=(*guarded.rules, *ones)), joined)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log probability of what is known given the rules, a mean over the numbers that are known, of the
        parts that rules join; and the losses of the others; weighted."""
        weights, joined = self.head.weights or {}, self._lost(scores, batch)
        total, many = 0 * scores.sum(), sum(self._counted(name, bad, batch) for name, (_, bad) in joined.items())
        for name, own in self.head.known(scores, batch).items():
            if name in joined:
                value = joined[name][0].sum().to(total) / max(many, 1)
            elif own.who.any():
                value = self.head.parts[name].loss(own.scores, own.batch)
            else:
                continue
            total = total + weights.get(name, 1.0) * value
        return total

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Those of the parts, end to end; given the rules that of a sample with all its rows."""
        found, owner = [scores[:0]], self.universe.laid(batch).owner.to(scores.device)
        joined = self._lost(scores, batch)
        for name, own in self.head.known(scores, batch).items():
            part = self.head.parts[name]
            if name in joined:
                found.append(segment(joined[name][0], owner, len(batch))[own.who].to(scores))
            elif own.who.any() and not isinstance(part, Regress):
                found.append(part.log_loss(own.scores, own.batch))
        return torch.cat(found)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The head's, of what is answered."""
        return self.head.measure(self._answered(scores, self.chosen(scores, batch), batch), batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """The head's, of marginals; what breaks a rule is left out."""
        sure, left = list[Tensor](), list[Batch]()
        for own, batch in zip(scores, batches):
            p = self._marginals(own, batch).clamp(LEAST, 1 - LEAST)
            table = self.universe.over(own.double(), batch, 0.0)
            for name in self.joined:
                share = self.universe.of_part(p, name, batch)
                self.universe.of_part(table, name, batch).copy_(share.log() if self._one(name) else share.logit())
            sure.append(self.universe.back(table, own.double(), batch))
            left.append(self._without_broken(own, batch))
        return self.head.summary(sure, left)

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The scores of what is answered, of several labels their log odds against the opposite, summed by sample."""
        chosen, table = self.chosen(scores, batch), self.universe.over(scores, batch, 0.0)
        total = scores.new_zeros(len(batch))
        for name, x in self.head.split(scores, batch).items():
            if name not in self.joined:
                total = total + self.head.parts[name].said(x, batch)
                continue
            own, said = (self.universe.of_part(each, name, batch) for each in (table, chosen))
            signs = said.to(own) if self._one(name) else 2 * said.to(own) - 1
            total = total.index_add(0, self._owner(name, batch).to(own.device), (own * signs).sum(1))
        return total

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The head's; of what rules join how probable it is by marginals, the mean over rows."""
        chosen, p = self.chosen(scores, batch), self._marginals(scores, batch)
        found = self.head.answers(self._answered(scores, chosen, batch), batch)
        each = {name: self._sure(name, chosen, p, batch) for name in self.joined}
        return [several(answer.name, {name: replace(own, score=each[name][place] if own.score is not None else None)
                                      if name in each else own for name, own in answer.parts.items()})
                for place, answer in enumerate(found)]  # fmt: skip

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``[S] -> bool [U, L]``."""
        found = said(self.universe, scores, batch)
        table = self._ask(Together.answer, scores, batch)
        for name in self.joined:
            self.universe.of_part(found, name, batch).copy_(self.universe.of_part(table, name, batch))
        return found

    def _answered(self, scores: Tensor, chosen: Tensor, batch: Batch) -> Tensor:
        """Scores of which the head by itself would answer what is answered under the rules, ``[S]``."""
        table = self.universe.over(scores, batch, 0.0)
        for name in self.joined:
            own = self.universe.of_part(chosen, name, batch)
            self.universe.of_part(table, name, batch).copy_(2 * own.to(scores) - 1)
        return self.universe.back(table, scores, batch)

    def _marginals(self, scores: Tensor, batch: Batch) -> Tensor:
        return self._ask(lambda rules, own: rules.marginals(own, learns=False), scores.double(), batch)

    def _lost(self, scores: Tensor, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each part that rules join, minus the log probability of what is known of it at the first row of what is
        joined, ``float64 [U]``; and which of its rows have what breaks a rule, ``bool [n]``."""
        known = torch.stack([self._told(name, batch) for name in self.joined]).to(scores.device)  # [K, U, L]
        lost, bad = self._ask(lambda rules, own: rules.lost(own, known), scores, batch)
        rows = [self.universe.of_part(own[:, None].expand(known[0].shape), name, batch)[:, 0].cpu()
                for name, own in zip(self.joined, bad)]  # fmt: skip
        return dict(zip(self.joined, zip(lost, rows)))

    def _counted(self, name: str, bad: Tensor, batch: Batch) -> int:
        """How many numbers of a part are known and can teach: of rows, labels of several, or samples with a node."""
        known = self.universe.of_part(self._told(name, batch), name, batch) != 0
        rows = known.any(1) & ~bad
        if isinstance(self.universe.parts[name], Choose):
            return len(self._owner(name, batch)[rows].unique())
        return int(rows.sum()) * (1 if self._one(name) else known.shape[1])

    def _told(self, name: str, batch: Batch) -> Tensor:
        """What is known of a part: as :func:`graphfuse.model.told.told`, ``int64 [U, L]``; a label that is none of a
        row is wrong."""
        laid, labels = self.universe.laid(batch), len(self.rules.labels)
        table = torch.full((len(laid.owner) * labels,), -1).index_fill(0, laid.places, 0).view(-1, labels)
        targets = [(target or {}).get(name) for target in batch.targets or (None,) * len(batch)]
        self.universe.of_part(table, name, batch).copy_(told(self.universe.parts[name], batch, targets))
        return table

    def _without_broken(self, scores: Tensor, batch: Batch) -> Batch:
        """A batch in which what breaks a rule is not known."""
        targets = [dict[str, Any](target or {}) for target in batch.targets or (None,) * len(batch)]
        for name, (_, bad) in self._lost(scores, batch).items():
            owner = self._owner(name, batch)
            for place in owner[bad].unique().tolist():
                wrong, own = bad[owner == place].tolist(), targets[place][name]
                of_rows = isinstance(self.head.parts[name], Tag)
                targets[place][name] = [None if off else x for x, off in zip(own, wrong)] if of_rows else None
        return replace(batch, targets=tuple(targets))

    def _sure(self, name: str, chosen: Tensor, p: Tensor, batch: Batch) -> list[float]:
        """How probable a part's answer is, of each sample."""
        said, share = (self.universe.of_part(table, name, batch) for table in (chosen, p))
        owner = self._owner(name, batch).to(p.device)
        if isinstance(self.universe.parts[name], Choose):
            return segment((share * said).sum(1), owner, len(batch)).clamp(max=1).tolist()
        sure = torch.where(said, share, 1.0 if self._one(name) else 1 - share).prod(1)
        return segment(sure, owner, len(batch), "mean").tolist()

    def _owner(self, name: str, batch: Batch) -> Tensor:
        laid = self.universe.laid(batch)
        rows = laid.rows[sort_of(self.universe.parts[name])]
        return laid.owner[rows.start : rows.stop]

    def _one(self, name: str) -> bool:
        return one_of(self.universe.parts[name])

    def _ask(self, ask: Callable[[Together, Tensor], Any], scores: Tensor, batch: Batch) -> Any:
        """What rules make of scores; names the sample whose facts leave no answer."""
        laid, table = self.universe.laid(batch), self.universe.over(scores, batch, -torch.inf)
        try:
            return ask(together(self.rules, table, laid.facts), table)
        except ImpossibleError as error:
            raise InputError(f"Sample {batch.names[int(laid.owner[error.row])]!r}: {error}") from None


def said(universe: Universe, scores: Tensor, batch: Batch) -> Tensor:
    """What a head of several tasks answers by itself, ``[S] -> bool [U, L]``."""
    rows, labels = len(universe.laid(batch).owner), len(universe.rules.labels)
    found = torch.zeros(rows, labels, dtype=torch.bool, device=scores.device)
    for name, x in universe.head.split(scores, batch).items():
        if name not in universe.parts:
            continue
        part, own = universe.parts[name], universe.of_part(found, name, batch)
        if isinstance(part, Choose):
            own[[row for row in part.best(x, batch) if row is not None]] = True
        else:
            own.copy_(chosen_labels(part.each if isinstance(part, Tag) else part, x))
    return found


def _ones(universe: Universe, name: str, used: set[str]) -> list[Rule]:
    """That a part answers one label of each row, or one of a sample's nodes."""
    part = universe.parts[name]
    if not one_of(part):
        return []
    called = f"one answer of {name}"
    while called in used:
        called += "*"
    used.add(called)
    labels = [Label(label, "x") for label in universe.rules.labels[universe.columns[name]]]
    is_one = is_a("x", sort_of(part))
    if isinstance(part, Choose):
        return [Rule(called, ExistsOne(("x",), And((is_one, *labels))))]
    return [Rule(called, ForAll(("x",), Implies(is_one, exactly_one(*labels))))]
