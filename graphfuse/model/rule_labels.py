"""Labels and facts against the rules that a model is to keep: which samples break one, and which rules say nothing."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample
from graphfuse.heads import MultiLabel, MultiTask
from graphfuse.model.over_nodes import OverNodes
from graphfuse.model.over_samples import OverSamples
from graphfuse.model.over_tasks import OverTasks
from graphfuse.model.ruled import Ruled
from graphfuse.rules import And, Exists, Facts, ForAll, Implies, Label, Not, Rule, RuleSet, RuleWarning, trivial
from graphfuse.rules.expression import Expression

if TYPE_CHECKING:
    from graphfuse.model.fusion_model import FusionModel

LISTED, AT_ONCE = 5, 4096
TOGETHER = 256  # samples whose nodes are looked at


@dataclass(frozen=True)
class Labelled:
    """What rules say of labels.

    Attributes:
        samples: How many have labels.
        broken: Sample and hard rule, for each that its labels break. Of a sample that has several right answers none
            of which is allowed, those that the first breaks.
        fires: Rule that says "if" -> how many samples its left side is true for.
        lacking: What is wrong with each fact that rules ask for and no sample has.
    """

    samples: int
    broken: tuple[tuple[str, str], ...]
    fires: Mapping[str, int]
    lacking: tuple[str, ...] = ()

    def said(self, what: str) -> str:
        """Which samples break which rules, in words; empty if none does."""
        if not self.broken:
            return ""
        first = dict[str, list[str]]()
        for sample, rule in self.broken:
            first.setdefault(sample, []).append(rule)
        listed = ", ".join(f"{name!r} breaks {' and '.join(map(repr, rules))}"
                           for name, rules in list(first.items())[:LISTED])  # fmt: skip
        more = f", and {len(first) - LISTED} more" if len(first) > LISTED else ""
        counts = ", ".join(f"{rule} {count}" for rule, count in Counter(rule for _, rule in self.broken).most_common())
        return (f"{len(first)} of {self.samples} {what} have labels that break a hard rule: {listed}{more} "
                f"(by rule: {counts})")  # fmt: skip

    def silent(self, what: str) -> str:
        """Which rules never fire, in words; empty if each does, or nothing has labels."""
        never = [rule for rule, count in self.fires.items() if not count]
        if not never or not self.samples:
            return ""
        listed = ", ".join(map(repr, never[:LISTED])) + (f" and {len(never) - LISTED} more" * (len(never) > LISTED))
        return (f"{len(never)} of {len(self.fires)} rules that say 'if' never fire, since their left side is true for "
                f"0 of {self.samples} {what}: {listed}")  # fmt: skip


def labelled(head: Ruled, known: Iterable[tuple[str, Any, Mapping[str, float | str]]]) -> Labelled:
    """Looks at the names, labels and facts of samples, labels as targets of a head that answers of each sample."""
    samples, broken, seen = 0, list[tuple[str, str]](), set[str]()
    sides = _left_sides(head.rules)
    fires = dict.fromkeys((rule.name for rule in sides.rules), 0)
    hard = [rule.name for rule in head.rules.rules if rule.hard]
    each_known = iter(known)
    while part := list(islice(each_known, AT_ONCE)):
        owner, answers = _answers(head, [target for _, target, _ in part])
        samples += len(set(owner))
        seen.update(name for *_, own in part for name in own)
        facts = _facts(head, part, owner)
        for name, true in zip(fires, sides.violations(answers, facts).t()):
            fires[name] += len({owner[row] for row in true.nonzero()[:, 0].tolist()})
        good = head.rules.holds(answers, facts).tolist()
        fine = {own for own, each in zip(owner, good) if each}
        bad = dict[int, int]()  # sample -> its first row
        for row, own in enumerate(owner):
            if own not in fine:
                bad.setdefault(own, row)
        which = head.rules.violations(answers[list(bad.values())], _facts(head, part, list(bad)))[:, head.hard].tolist()
        broken += [(part[own][0], rule) for own, row in zip(bad, which) for rule, each in zip(hard, row) if each]
    return Labelled(samples, tuple(broken), fires, _lacking(head, seen))


def labelled_nodes(head: Ruled, samples: Sequence[Sample], collate: Callable[[Sequence[Sample]], Batch]) -> Labelled:
    """Looks at samples of a head that answers of their nodes or links, batch by batch."""
    broken, seen, side = list[tuple[str, str]](), set[str](), head.over
    assert isinstance(side, OverNodes | OverTasks)
    sides = _left_sides(head.rules)
    fires = torch.zeros(len(sides.rules), dtype=torch.long)
    hard = [rule.name for rule in head.rules.rules if rule.hard]
    for begin in range(0, len(samples), TOGETHER):
        batch = collate(samples[begin : begin + TOGETHER])
        for own in samples[begin : begin + TOGETHER]:
            seen |= side.facts_of(own)
        fires += side.fires(batch, sides).sum(0)
        for name, row in zip(batch.names, side.of_right(batch, head.rules)[:, head.hard].tolist()):
            broken += [(name, rule) for rule, each in zip(hard, row) if each]
    told = dict(zip((rule.name for rule in sides.rules), fires.tolist()))
    return Labelled(len(samples), tuple(broken), told, _lacking(head, seen))


def check_labels(model: FusionModel, splits: Mapping[str, Sequence[Sample]], allow: bool) -> None:
    """Stops at labels that break a hard rule; of the first split warns of facts that lack, and of rules that never fire
    or, being all that teaches, are kept by one answer for all.

    Args:
        model: One without rules is not looked at.
        splits: What each is called -> samples with targets that the head has checked.
        allow: Whether labels that break a hard rule are only warned of.

    Raises:
        InputError: Labels break a hard rule: how many, the first samples and their rules, the counts of each rule.
    """
    head = model.head
    if not isinstance(head, Ruled):
        return
    for place, (what, samples) in enumerate(splits.items()):
        if isinstance(head.over, OverNodes | OverTasks):
            found = labelled_nodes(head, samples, model.collate)
        else:
            found = labelled(head, ((s.name, s.target, s.facts) for s in samples))
        wrong, silent = found.said(f"{what} samples"), found.silent(f"{what} samples")
        if wrong and not allow:
            raise InputError(f"{wrong}; mend the labels or make the rules soft, or give allow_broken_labels=True.")
        if wrong:
            warnings.warn(f"{wrong}; {_meaning(head)}.", RuleWarning, stacklevel=3)
        if silent and not place:
            warnings.warn(f"{silent}.", RuleWarning, stacklevel=3)
        alone = head.mode == "loss" and not place and not found.samples  # nothing but rules teaches
        if alone and (same := _shortcuts(head)):
            warnings.warn(f"No {what} sample has a label, and every rule holds where all have the same one, "
                          f"{' or '.join(map(repr, same[:LISTED]))}: trained by rules alone, a model may say that of "
                          "all.", RuleWarning, stacklevel=3)  # fmt: skip
        for fact in () if place else found.lacking:
            warnings.warn(f"No {what} sample has a fact that rules ask for: {fact}", RuleWarning, stacklevel=3)


def _shortcuts(head: Ruled) -> list[str]:
    """The labels that alone satisfy every rule, whatever the facts of a sample are."""
    alone = trivial(head.rules, torch.eye(len(head.labels), dtype=torch.bool)).tolist()
    return [str(label) for label, fine in zip(head.labels, alone) if fine]


def _meaning(head: Ruled) -> str:
    """What becomes of samples whose labels break a hard rule."""
    if head.mode != "exact":
        return "rules and labels pull against each other there"
    if isinstance(head.head, MultiTask):
        return ("a part whose labels break one by themselves teaches nothing there; where only those of several break "
                "one together, each still teaches")  # fmt: skip
    return "they teach nothing"


def _answers(head: Ruled, targets: Sequence[Any]) -> tuple[list[int], Tensor]:
    """The right answers of samples, and whose each is: ``[n], bool [n, L]``; ``Classify`` may have none or several."""
    sets = [[target] if isinstance(head.head, MultiLabel) else [(x,) for x in _every(target)] for target in targets]
    place = {label: number for number, label in enumerate(head.labels)}
    owner = [number for number, own in enumerate(sets) for _ in own]
    answers = torch.zeros(len(owner), len(place), dtype=torch.bool)
    for row, labels in enumerate(each for own in sets for each in own):
        answers[row, [place[label] for label in labels]] = True
    return owner, answers


def _every(target: Any) -> tuple[Any, ...]:
    return target if isinstance(target, tuple) else (target,)


def _left_sides(rules: RuleSet) -> RuleSet:
    """Of each rule that says "if" one that its left side breaks; of ``a -> (b -> c)`` both left sides together."""
    found = list[Rule]()
    for rule in rules.rules:
        if isinstance(rule.says, Exists):
            continue
        says, sides = rule.says.of if isinstance(rule.says, ForAll) else rule.says, list[Expression]()
        while isinstance(says, Implies):
            sides.append(says.left)
            says = says.right
        if sides:
            variables = tuple(dict.fromkeys(name for side in sides for atom in side.atoms() for name in atom.variables))
            label = Label(rules.labels[0], variables[0])
            never = Implies(And(tuple(sides)), And((label, Not(label))))  # a rule has to speak of a label
            found.append(Rule(rule.name, ForAll(variables, never) if variables[0] else never, False))
    with warnings.catch_warnings(action="ignore", category=RuleWarning):  # they are no rules of the user's
        return RuleSet(rules.labels, tuple(found), rules.source, rules.budget)


def _lacking(head: Ruled, seen: Collection[str]) -> tuple[str, ...]:
    """Facts that rules ask for and no sample has, with the nearest that there are."""
    return tuple(f"{name!r}.{did_you_mean(name, sorted(seen)) if seen else ''}"
                 for name in head.sorts if name not in seen)  # fmt: skip


def _facts(head: Ruled, known: Sequence[tuple[str, Any, Mapping[str, Any]]], of: Sequence[int]) -> Facts | None:
    """The facts of some samples, as rules take them."""
    named = tuple(known[own][0] for own in of)
    assert isinstance(head.over, OverSamples)
    return head.over.asked.facts(Batch(named, {}, {}, facts=tuple(known[own][2] for own in of)))
