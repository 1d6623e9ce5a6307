"""What is told of several rows together: which were changed, for which groundings, and what becomes of each rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from graphfuse.rules.expression import quoted
from graphfuse.rules.table import cut, plain, table

FEW = 5
"""So many groundings are named, and the rest counted."""
SHOWN = 20
"""So many changes and rows are printed, and the rest counted."""
NEAREST = 5
"""How many rules that hold are printed, the nearest to being broken first."""


@dataclass(frozen=True)
class Groundings:
    """Some groundings of a rule.

    Attributes:
        count: How many. Of a rule that something exists: in how many groups nothing does.
        first: What the variables stand for in the first of them, by the names of rows; of such a rule nothing.
    """

    count: int
    first: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class JointFlip:
    """A label of a row that the answer gives and the raw scores do not.

    Attributes:
        row: The row's name.
        label: The label's.
        logit: Its raw logit.
        before: Whether the raw scores say that it is true.
        after: Whether the answer does.
        because: Hard rule -> the groundings that would be false if it went back to what the raw scores say: the label,
            or all labels of the row where exactly one of them is true, or all rows where exactly one of these answers.
    """

    row: str
    label: str
    logit: float
    before: bool
    after: bool
    because: Mapping[str, Groundings]


@dataclass(frozen=True)
class JointRule:
    """What becomes of one rule over all rows.

    Attributes:
        name: Its name.
        hard: Whether it must hold.
        variables: What it is said of; the empty one is the row itself.
        groundings: Of how many things, or that meet, it says something that is not true by itself.
        before: Those that the raw scores break.
        after: Those that the answer does; none of a hard rule.
        margin: The least sum of ``|logit|`` that has to be flipped in the raw scores until they break one grounding;
            negative where they break some, and have to be flipped until all hold. Where exactly one label of a row is
            true, or one row answers, only such answers count. Infinite where evidence or the rule itself rules the
            other out; ``None`` where it takes more than :data:`graphfuse.rules.joint_margin.MOST` groundings or a
            diagram beyond :data:`graphfuse.rules.margin.LARGEST`.
    """

    name: str
    hard: bool
    variables: tuple[str, ...]
    groundings: int
    before: Groundings
    after: Groundings
    margin: float | None


@dataclass(frozen=True)
class Row:
    """The labels of a row that are true: by its name, in the raw scores and in the answer."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True)
class JointExplanation:
    """Several rows, as :meth:`graphfuse.rules.RuleSet.explain` gives it.

    Attributes:
        rows: Those that were changed or that a broken grounding is about, in their order.
        others: How many more there are.
        flipped: What differs from the raw scores, the dearest first.
        cost: The sum of their ``|logit|``: how much less the answer weighs, in logarithms, than the raw scores.
            Infinite where one of the rows had to answer and hard rules left none.
        rules: Of each rule what becomes of it, in the order of the rule set.
    """

    rows: tuple[Row, ...]
    others: int
    flipped: tuple[JointFlip, ...]
    cost: float
    rules: tuple[JointRule, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it: an infinite number is the text ``"inf"`` or ``"-inf"``."""
        found: dict[str, Any] = plain(asdict(self))
        return found

    def __str__(self) -> str:
        lines = [self._said(), *self._changes()]
        broken = [each for each in self.rules if each.before.count or each.after.count]
        held = sorted((each for each in self.rules if each not in broken and each.groundings), key=_nearness)
        shown = broken + held[:NEAREST]  # of those that say something
        if shown:
            names = ["name", "kind", "groundings", "raw", "answer", "margin"]
            lines += ["rules:", *table([names, *map(_cells, shown)])]
        elif self.rules:
            lines.append("rules: none of them says anything here")
        if shown and (more := len(self.rules) - len(shown)):
            lines.append(f"  and {more:,} more that hold, further from being broken")
        for what in ("raw scores", "answer"):
            lines += self._broken(what, broken)
        if self.rows:
            cells = [[cut(row.name), *(", ".join(map(quoted, own)) or "-" for own in (row.before, row.after))]
                     for row in self.rows[:SHOWN]]  # fmt: skip
            lines += ["rows that were changed, or that a broken grounding is about:"]
            lines += table([["row", "raw", "answer"], *cells])
            if more := len(self.rows[SHOWN:]):
                lines.append(f"  and {more:,} more")
        return "\n".join([*lines, f"{'other ' * bool(self.rows)}rows: {self.others:,}"])

    def _said(self) -> str:
        if not self.flipped:
            return "as the raw scores say: nothing was changed"
        if math.isinf(self.cost) and all(math.isfinite(each.logit) for each in self.flipped):
            return "no row is left that could be the answer; changed:"
        return f"changed, at a cost of {self.cost:.4g} logits:"

    def _changes(self) -> Iterator[str]:
        if not self.flipped:
            return
        yield from table([
            ["row", "label", "logit", "raw", "answer", "for"],
            *([cut(each.row), quoted(each.label), f"{each.logit:+.4g}", str(each.before).lower(),
               str(each.after).lower(), ", ".join(self._because(each))] for each in self.flipped[:SHOWN]),
        ])  # fmt: skip
        if more := len(self.flipped[SHOWN:]):
            yield f"  and {more:,} more, of smaller logits"

    def _because(self, flip: JointFlip) -> Iterator[str]:
        variables = {rule.name: rule.variables for rule in self.rules}
        for name, found in flip.because.items():
            own = [_grounding(variables[name], rows) for rows in found.first[:1] if rows != (flip.row,)]
            more = f" and {found.count - 1:,} more" if found.count > 1 else ""
            yield quoted(name) + "".join(f" ({one})" for one in own) + more

    def _broken(self, what: str, rules: Sequence[JointRule]) -> Iterator[str]:
        """The groundings that are broken by the raw scores, or by the answer, rule by rule."""
        told = [(rule, rule.before if what == "raw scores" else rule.after) for rule in rules]
        listed = [(rule, own) for rule, own in told if own.first]
        if listed:
            yield f"broken by the {what}, where:"
        for rule, own in listed:
            shown = "; ".join(_grounding(rule.variables, rows) for rows in own.first)
            more = own.count - len(own.first)
            yield f"  {quoted(rule.name)}: {shown}" + (f"; and {more:,} more" if more else "")


def _grounding(variables: Sequence[str], rows: Sequence[str]) -> str:
    """What variables stand for, as ``x = paper 3, y = paper 7``."""
    return ", ".join(f"{variable} = {cut(row)}" if variable else cut(row) for variable, row in zip(variables, rows))


def _cells(rule: JointRule) -> list[str]:
    margin = "-" if rule.margin is None else f"{rule.margin:+.4g}"
    states = [f"{own.count:,} broken" if own.count else "holds" for own in (rule.before, rule.after)]
    return [quoted(rule.name), "hard" if rule.hard else "soft", f"{rule.groundings:,}", *states, margin]


def _nearness(rule: JointRule) -> float:
    return math.inf if rule.margin is None else rule.margin
