"""Why an answer is what it is: what rules changed in the raw scores of one sample, and how near each rule is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.compiled import truth
from graphfuse.rules.expression import quoted

if TYPE_CHECKING:
    from graphfuse.rules.facts import Facts
    from graphfuse.rules.ruleset import RuleSet

NEAREST = 5
"""How many rules that hold are shown, the nearest to being broken first."""


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
        found: dict[str, Any] = _plain(asdict(self))
        return found

    def __str__(self) -> str:
        lines = [f"answer: {', '.join(map(quoted, self.answer)) or 'no label'}"]
        if self.flipped:
            lines += [f"changed, at a cost of {self.cost:.4g} logits:", *_table([
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
            lines += ["rules:", *_table([["name", "kind", "raw", "answer", "margin"], *map(_cells, shown)])]
        more = len(held[NEAREST:])
        return "\n".join([*lines, *([f"  and {more:,} more that hold, further from being broken"] if more else [])])


def explain(rules: RuleSet, logits: Tensor, graph: Facts | None) -> Explanation:
    """As :meth:`graphfuse.rules.RuleSet.explain`."""
    if logits.ndim == 2 and len(logits) != 1:
        raise InputError(f"Logits are {list(logits.shape)}; one row is explained at a time, such as logits[0].")
    logits = logits.detach() if logits.ndim == 2 else logits.detach()[None]
    answer, given = (
        rules.answer(logits, graph),
        rules._exact.beside(logits, graph, rules._exact.seen),
    )  # [1, L], and with what is measured
    raw = given > 0
    answer = torch.cat([answer, raw[:, len(rules.labels) :]], 1)
    places = (answer != raw)[0].nonzero()[:, 0].tolist()
    undone = answer.repeat(len(places), 1)  # [F, L]: in each row one change is taken back
    undone[range(len(places)), places] = raw[0, places]
    worlds = torch.cat([raw, answer, undone])
    broken = {place: (~truth(tree, worlds)).tolist() for place, tree in rules._exact.trees.items()}  # [2 + F] each
    hard = [(rules.rules[place].name, own) for place, own in broken.items() if rules.rules[place].hard]
    row, until = given[0].double().tolist(), monotonic() + rules.budget.seconds
    flipped = [
        Flip(rules.labels[place], row[place], row[place] > 0, row[place] <= 0,
             tuple(name for name, own in hard if own[at])) for at, place in enumerate(places, 2)
    ]  # fmt: skip
    return Explanation(
        tuple(label for label, true in zip(rules.labels, answer[0].tolist()) if true),
        tuple(sorted(flipped, key=lambda each: -abs(each.logit))),
        math.fsum(abs(each.logit) for each in flipped),
        tuple(RuleResult(rules.rules[place].name, rules.rules[place].hard, own[0], own[1],
                         rules._margins.of(rules._exact.trees[place], row, until)) for place, own in broken.items()),
    )  # fmt: skip


def _cells(rule: RuleResult) -> list[str]:
    margin = "-" if rule.margin is None else f"{rule.margin:+.4g}"
    states = ["broken" if broken else "holds" for broken in (rule.broken_before, rule.broken_after)]
    return [quoted(rule.name), "hard" if rule.hard else "soft", *states, margin]


def _nearness(rule: RuleResult) -> float:
    return math.inf if rule.margin is None else rule.margin


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value
