"""Why an answer is what it is: what rules changed in the raw scores of one sample, and how near each rule is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.expression import quoted
from graphfuse.rules.joint import explain_rows
from graphfuse.rules.joint_told import NEAREST, JointExplanation
from graphfuse.rules.normal import Tree, labels_in, renumbered
from graphfuse.rules.table import plain, table
from graphfuse.rules.truth import truth

if TYPE_CHECKING:
    from graphfuse.rules.facts import Facts
    from graphfuse.rules.ruleset import RuleSet


@dataclass(frozen=True)
class Flip:
    """A label that the answer gives and the raw scores do not.

    Attributes:
        label: Its name.
        logit: Its raw logit.
        before: Whether the raw scores say that it is true.
        after: Whether the answer does.
        because: The hard rules that the answer would break with this label as before.
    """

    label: str
    logit: float
    before: bool
    after: bool
    because: tuple[str, ...]


@dataclass(frozen=True)
class RuleResult:
    """What becomes of one rule.

    Attributes:
        name: Its name.
        hard: Whether it must hold.
        broken_before: Whether the raw scores break it.
        broken_after: Whether the answer does; no hard rule.
        margin: The least sum of ``|logit|`` that has to be flipped in the raw scores until they break it; negative
            where they do, and have to be flipped until they no longer do. Infinite where evidence or the rule itself
            rules the other out; ``None`` where it takes longer than it is worth.
    """

    name: str
    hard: bool
    broken_before: bool
    broken_after: bool
    margin: float | None


@dataclass(frozen=True)
class Explanation:
    """One sample, as :meth:`graphfuse.rules.RuleSet.explain` gives it.

    Attributes:
        answer: The labels that are true in it.
        flipped: What differs from the raw scores, the dearest first.
        cost: The sum of their ``|logit|``: how much less the answer weighs, in logarithms, than the raw scores.
        rules: Of each rule what becomes of it, in the order of the rule set, without those that join rows.
    """

    answer: tuple[str, ...]
    flipped: tuple[Flip, ...]
    cost: float
    rules: tuple[RuleResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it: an infinite margin or logit is the text ``"inf"`` or ``"-inf"``."""
        found: dict[str, Any] = plain(asdict(self))
        return found

    def __str__(self) -> str:
        lines = [f"answer: {', '.join(map(quoted, self.answer)) or 'no label'}"]
        if self.flipped:
            lines += [f"changed, at a cost of {self.cost:.4g} logits:", *table([
                ["label", "logit", "raw", "answer", "for"],
                *([quoted(each.label), f"{each.logit:+.4g}", *(str(each.before).lower(), str(each.after).lower()),
                   ", ".join(map(quoted, each.because))] for each in self.flipped),
            ])]  # fmt: skip
        else:
            lines.append("as the raw scores say: nothing was changed")
        broken = [each for each in self.rules if each.broken_before or each.broken_after]
        held = sorted((each for each in self.rules if not (each.broken_before or each.broken_after)), key=_nearness)
        if self.rules:
            shown = broken + held[:NEAREST]
            lines += ["rules:", *table([["name", "kind", "raw", "answer", "margin"], *map(_cells, shown)])]
        more = len(held[NEAREST:])
        return "\n".join([*lines, *([f"  and {more:,} more that hold, further from being broken"] if more else [])])


def explain(
    rules: RuleSet, logits: Tensor, graph: Facts | None, names: Sequence[str] | None
) -> Explanation | JointExplanation:
    """As :meth:`graphfuse.rules.RuleSet.explain`."""
    joining = rules._exact.joining
    if names is not None or (logits.ndim == 2 and (joining is not None or len(logits) != 1)):
        return explain_rows(rules, logits, graph, names)
    if joining is not None:
        raise InputError(f"{joining.name} joins rows; give the logits of all of them, [N, {len(rules.labels)}].")
    return explain_row(rules, logits, graph)


def explain_row(
    rules: RuleSet, logits: Tensor, graph: Facts | None, raw: Tensor | None = None, answer: Tensor | None = None
) -> Explanation:
    """Of one row, by rules that say something of each row by itself.

    Args:
        rules: The set.
        logits: ``[L]`` or ``[1, L]``.
        graph: What is observed of it.
        raw: What the scores say by themselves, ``bool [1, L]``; what is above 0 if left out.
        answer: What is answered, ``bool [1, L]``; ``rules.answer`` if left out.
    """
    logits = logits.detach() if logits.ndim == 2 else logits.detach()[None]
    answer = rules.answer(logits, graph) if answer is None else answer
    given = rules._exact.beside(logits, graph, rules._exact.seen)  # [1, L], and with what is measured
    measured = given[:, len(rules.labels) :] > 0
    raw = torch.cat([logits > 0 if raw is None else raw, measured], 1)
    answer = torch.cat([answer, measured], 1)
    changed = set((answer != raw)[0].nonzero()[:, 0].tolist())
    row, until = given[0].double().tolist(), monotonic() + rules.budget.seconds
    because, results = {label: list[str]() for label in changed}, list[RuleResult]()
    for place, tree in rules._exact.trees.items():
        rule, (before, after, undone) = rules.rules[place], _broken(tree, raw, answer, changed)
        results.append(RuleResult(rule.name, rule.hard, before, after, rules._margins.of(tree, row, until)))
        for label in undone if rule.hard else ():
            because[label].append(rule.name)
    flipped = [Flip(rules.labels[at], row[at], bool(raw[0, at]), bool(answer[0, at]), tuple(because[at]))
               for at in sorted(changed)]  # fmt: skip
    return Explanation(
        tuple(label for label, true in zip(rules.labels, answer[0].tolist()) if true),
        tuple(sorted(flipped, key=lambda each: -abs(each.logit))),
        math.fsum(abs(each.logit) for each in flipped),
        tuple(results),
    )


def _broken(tree: Tree, raw: Tensor, answer: Tensor, changed: AbstractSet[int]) -> tuple[bool, bool, list[int]]:
    """Whether the raw scores break a rule, whether the answer does, and which of its labels undone would break it."""
    labels = sorted(set(labels_in(tree)))
    own = [label for label in labels if label in changed]
    worlds = torch.cat([raw[:, labels], answer[:, labels].expand(1 + len(own), -1)])
    for at, label in enumerate(own, 2):
        worlds[at, labels.index(label)] = raw[0, label]
    broken = (~truth(renumbered(tree, {label + 1: at for at, label in enumerate(labels, 1)}), worlds)).tolist()
    return broken[0], broken[1], [label for label, other in zip(own, broken[2:]) if other]


def _cells(rule: RuleResult) -> list[str]:
    margin = "-" if rule.margin is None else f"{rule.margin:+.4g}"
    states = ["broken" if broken else "holds" for broken in (rule.broken_before, rule.broken_after)]
    return [quoted(rule.name), "hard" if rule.hard else "soft", *states, margin]


def _nearness(rule: RuleResult) -> float:
    return math.inf if rule.margin is None else rule.margin
