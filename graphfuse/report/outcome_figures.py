"""What figures and tables of answers, missing values, further metrics and rules show: numbers, for the template."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.report.axis import Axis
from graphfuse.report.figures import ends_of
from graphfuse.report.numbers import Numbers
from graphfuse.report.outcomes import (
    LOWER,
    Answered,
    BrokenRules,
    Confusion,
    MissingCurve,
    MoreMetrics,
    Reliability,
)
from graphfuse.report.rows import ANSWERS, METRICS, MISSING, RULES, RuleRow
from graphfuse.report.unit import Unit, Value

WIDE, HIGH = 200.0, 130.0  # of the plot in a panel of missing values
BESIDE = 3.0  # between the points of two methods at one share
RULES_SHOWN = 40
SPREAD = 14.0  # between the first and the last of them, at most


@dataclass(frozen=True)
class Point:
    """Where a mean and its error bar are drawn."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """One method in a panel; ``look`` is the number of its colour, dashes and marker."""

    method: str
    look: int
    points: Sequence[Point]

    @property
    def path(self) -> str:
        """Through its points."""
        return "M" + "L".join(f"{point.x:g} {point.y:g}" for point in self.points)


@dataclass(frozen=True)
class MissingPanels:
    """A panel a share hidden in training, all on the same axes, and the numbers of each method as a table.

    Attributes:
        unit: Of the metric.
        across: Share hidden in test, percent.
        up: The metric.
        looks: Method -> number of its look; the chosen method first.
        panels: Share hidden in training -> lines.
        values: Method -> (share hidden in training, share hidden in test) -> shown value.
    """

    unit: Unit
    across: Axis
    up: Axis
    looks: Mapping[str, int]
    panels: Mapping[float, Sequence[Line]]
    values: Mapping[str, Mapping[tuple[float, float], Value]]
    train: Sequence[float]
    test: Sequence[float]

    @classmethod
    def of(cls, curve: MissingCurve, numbers: Numbers) -> MissingPanels:
        """The comparison's own metric in its unit, another one as it is."""
        raw = [value.mean for own in curve.values.values() for value in own.values()]
        same = curve.metric == numbers.unit.metric
        unit = numbers.unit if same else Unit.plain(curve.metric, raw, curve.metric in LOWER)
        order = sorted(_ordered(curve.values, numbers), key=lambda method: method != numbers.chosen)
        values = {method: {at: _shown(value, unit) for at, value in curve.values[method].items()} for method in order}
        ends = [end for own in values.values() for value in own.values() for end in (*ends_of(value), value.mean)]
        up = Axis.over(ends, most=100 if unit.percent else math.inf)
        across = Axis.over([100 * test for test in curve.test], zero=True, most=100)
        looks = {method: i for i, method in enumerate(order)}
        panels = {
            train: [line for method in order if (line := _line(method, looks, values[method], train, across, up))]
            for train in curve.train
        }
        return cls(unit, across, up, looks, panels, values, curve.train, curve.test)

    def said(self, train: float) -> str:
        """A panel in words."""
        return "; ".join(
            f"{method}: " + ", ".join(f"{self.unit.number(value.mean)} with {100 * test:g} % hidden in test"
                                      for (own, test), value in sorted(values.items()) if own == train)
            for method, values in self.values.items() if any(own == train for own, _ in values)
        )  # fmt: skip


@dataclass(frozen=True)
class MetricTable:
    """Further metrics, each in a unit of its own; methods in the order of the page."""

    methods: Sequence[str]
    units: Mapping[str, Unit]
    more: MoreMetrics

    @classmethod
    def of(cls, more: MoreMetrics, numbers: Numbers) -> MetricTable:
        """All metrics of all methods."""
        units = {name: Unit.plain(name, [x.mean for x in own.values()], name in LOWER)
                 for name, own in more.values.items()}  # fmt: skip
        return cls(_ordered(more.methods, numbers), units, more)

    def value(self, metric: str, method: str) -> Value:
        """What a cell shows; a method may lack a metric."""
        return self.more.values[metric].get(method, Value(math.nan, math.nan, 0))


@dataclass(frozen=True)
class RuleTable:
    """How often answers break each rule, in percent; the rules that are broken most, before rules or after, first.

    Attributes:
        methods: Those with rules, in the order of the page.
        rules: What is shown, :data:`RULES_SHOWN` at most.
        more: How many are not, and ``never``, how many of these no answer breaks.
    """

    methods: Sequence[str]
    rules: Sequence[RuleRow]
    more: int
    never: int
    unit: Unit
    broken: BrokenRules

    @classmethod
    def of(cls, broken: BrokenRules, numbers: Numbers) -> RuleTable:
        """All rules of all methods."""
        worst = {rule: max(value.mean for side in (broken.before, broken.after) for value in side[rule].values())
                 for rule in broken.rules}  # fmt: skip
        order = sorted(broken.rules, key=lambda rule: -worst[rule])
        shown, rest = order[:RULES_SHOWN], order[RULES_SHOWN:]
        return cls(_ordered(broken.methods, numbers), [broken.rules[rule] for rule in shown], len(rest),
                   sum(not worst[rule] for rule in rest), Unit("rules broken", True, True, 1), broken)  # fmt: skip

    def cells(self, rule: str, method: str) -> tuple[str, str]:
        """Before and after; a method may lack a rule."""
        sides = (
            side[rule].get(method, Value(math.nan, math.nan, 0)) for side in (self.broken.before, self.broken.after)
        )
        before, after = (self.unit.spread(_shown(value, self.unit)) for value in sides)
        return before, after


@dataclass(frozen=True)
class Outcomes:
    """What a page draws from the rows beside a comparison; each part may be lacking.

    Attributes:
        confusion: Of the chosen method.
        reliability: Of each method.
        missing: The panels of missing values.
        metrics: Further metrics.
        rules: How often each rule is broken.
    """

    confusion: Confusion | None = None
    reliability: Mapping[str, Reliability] | None = None
    missing: MissingPanels | None = None
    metrics: MetricTable | None = None
    rules: RuleTable | None = None

    @classmethod
    def open(cls, folder: str | Path, numbers: Numbers) -> Outcomes:
        """From a folder.

        Raises:
            InputError: A file is damaged, or names a method that the comparison does not have.
        """
        folder = Path(folder)
        answered, curve, more = Answered.open(folder), MissingCurve.open(folder), MoreMetrics.open(folder)
        rules = BrokenRules.open(folder)
        by_method = answered.by_method if answered else {}
        _check(folder / ANSWERS, by_method, numbers)
        _check(folder / MISSING, curve.values if curve else (), numbers)
        _check(folder / METRICS, more.methods if more else (), numbers)
        _check(folder / RULES, rules.methods if rules else (), numbers)
        chosen = by_method.get(numbers.chosen)
        return cls(
            confusion=Confusion.of(chosen) if chosen else None,
            reliability={name: Reliability.of(by_method[name]) for name in _ordered(by_method, numbers)},
            missing=MissingPanels.of(curve, numbers) if curve else None,
            metrics=MetricTable.of(more, numbers) if more else None,
            rules=RuleTable.of(rules, numbers) if rules else None,
        )

    @property
    def any(self) -> bool:
        """Whether there is something to draw."""
        return bool(self.reliability or self.missing or self.metrics or self.rules)


def _check(path: Path, methods: Iterable[str], numbers: Numbers) -> None:
    for method in sorted(methods):
        try:
            look_up(numbers.by_method, method, "method in this comparison")
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def _ordered(methods: Iterable[str], numbers: Numbers) -> list[str]:
    """In the order of the page."""
    known = set(methods)
    return [row.method for row in numbers.rows if row.method in known]


def _shown(value: Value, unit: Unit) -> Value:
    return Value(unit.factor * value.mean, unit.factor * value.error, value.samples)


def _line(method: str, looks: Mapping[str, int], values: Mapping[tuple[float, float], Value], train: float,
          across: Axis, up: Axis) -> Line | None:  # fmt: skip
    """The line of a method, beside those of the others so that error bars can be told apart; none without numbers."""
    step = min(BESIDE, SPREAD / max(len(looks) - 1, 1))
    aside = step * (looks[method] - (len(looks) - 1) / 2)
    points = []
    for (own, test), value in sorted(values.items()):
        if own == train and math.isfinite(value.mean):
            low, high = ends_of(value) if math.isfinite(value.error) else (value.mean, value.mean)
            x = round(WIDE * across.at(100 * test) / 100 + aside, 1)
            points.append(Point(x, *(round(HIGH * (1 - up.at(at) / 100), 1) for at in (value.mean, low, high))))
    return Line(method, looks[method], points) if points else None
