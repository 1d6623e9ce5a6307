"""Labels against the rules that a model is to keep: which samples break one, and which rules say nothing of any."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Sample
from graphfuse.heads import MultiLabel
from graphfuse.model.ruled import Ruled
from graphfuse.rules import And, ForAll, Implies, Not, RuleSet, RuleWarning
from graphfuse.rules.atoms import of_row
from graphfuse.rules.expression import Expression

LISTED, AT_ONCE = 5, 4096


@dataclass(frozen=True)
class Labelled:
    """What rules say of labels.

    Attributes:
        samples: How many have labels.
        broken: Sample and hard rule, for each that its labels break. Of a sample that has several right answers none
            of which is allowed, those that the first breaks.
        fires: Rule that says "if" -> how many samples its left side is true for.
    """

    samples: int
    broken: tuple[tuple[str, str], ...]
    fires: Mapping[str, int]

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
        """Which rules never fire, in words; empty if each does."""
        never = [rule for rule, count in self.fires.items() if not count]
        if not never:
            return ""
        listed = ", ".join(map(repr, never[:LISTED])) + (f" and {len(never) - LISTED} more" * (len(never) > LISTED))
        return (f"{len(never)} of {len(self.fires)} rules that say 'if' never fire, since their left side is true for "
                f"0 of {self.samples} {what}: {listed}")  # fmt: skip


def labelled(head: Ruled, names: Iterable[str], targets: Iterable[Any]) -> Labelled:
    """Looks at the labels of samples, targets as the head takes them."""
    rules, samples, broken = head.rules.rules, 0, list[tuple[str, str]]()
    asked = _asked(head.rules)
    fires = dict.fromkeys([rule.name for rule in asked.rules], 0)
    hard = [rule.name for rule in rules if rule.hard]
    pairs = zip(names, targets)
    while part := list(islice(pairs, AT_ONCE)):
        owner, answers = _answers(head, [target for _, target in part])
        samples += len(set(owner))
        for name, true in zip(fires, asked.violations(answers).unbind(1)):
            fires[name] += len({owner[row] for row in true.nonzero()[:, 0].tolist()})
        good = head.rules.holds(answers).tolist()
        fine = {own for own, each in zip(owner, good) if each}
        bad = dict[int, int]()  # sample -> its first row
        for row, own in enumerate(owner):
            if own not in fine:
                bad.setdefault(own, row)
        which = head.rules.violations(answers[list(bad.values())])[:, head.hard].tolist()
        broken += [(part[own][0], rule) for own, row in zip(bad, which) for rule, each in zip(hard, row) if each]
    return Labelled(samples, tuple(broken), fires)


def check_labels(head: Any, splits: Mapping[str, Sequence[Sample]], allow: bool) -> None:
    """Warns of rules that never fire in the first split, and of labels that break a hard rule or stops there.

    Args:
        head: Of a model; one without rules is not looked at.
        splits: What each is called -> samples with targets that the head has checked.
        allow: Whether labels that break a hard rule are only warned of.

    Raises:
        InputError: Labels break a hard rule: how many, the first samples and their rules, the counts of each rule.
    """
    if not isinstance(head, Ruled):
        return
    for place, (what, samples) in enumerate(splits.items()):
        found = labelled(head, (s.name for s in samples), (s.target for s in samples))
        wrong, silent = found.said(f"{what} samples"), found.silent(f"{what} samples")
        if wrong and not allow:
            raise InputError(f"{wrong}; mend the labels or make the rules soft, or give allow_broken_labels=True.")
        if wrong:
            warnings.warn(f"{wrong}; {_meaning(head)}.", RuleWarning, stacklevel=3)
        if silent and not place:
            warnings.warn(f"{silent}.", RuleWarning, stacklevel=3)


def _meaning(head: Ruled) -> str:
    """What becomes of samples whose labels break a hard rule."""
    return "they teach nothing" if head.mode == "exact" else "rules and labels pull against each other there"


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


def _asked(rules: RuleSet) -> RuleSet:
    """Of rules that say "if", that their left side is false; of ``a -> (b -> c)`` that is both ``a`` and ``b``."""
    found = []
    for rule in rules.rules:
        says, sides = rule.says.of if isinstance(rule.says, ForAll) else rule.says, list[Expression]()
        while isinstance(says, Implies):
            sides.append(says.left.each(of_row))
            says = says.right
        if sides:
            found.append(replace(rule, says=Not(And(tuple(sides))), hard=False, weight=1.0))
    with warnings.catch_warnings(action="ignore", category=RuleWarning):  # a left side may be one that never holds
        return RuleSet(rules.labels, tuple(found))
