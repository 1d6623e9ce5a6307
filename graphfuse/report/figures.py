"""What each figure of the page shows: numbers laid on axes, ready for the template."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.report.axis import Axis
from graphfuse.report.numbers import Numbers, Row
from graphfuse.report.story import Hidden
from graphfuse.report.unit import Value

WIDE, HIGH = 200.0, 96.0  # of the plot in a panel of learning curves
MANY = 6  # slices of a dimension that still fit in the main table
SHOWN = 4  # methods in a chart of slices

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Bars:
    """The comparison: rows by group on one axis."""

    axis: Axis
    groups: Mapping[str, Sequence[Row]]

    @classmethod
    def of(cls, numbers: Numbers) -> "Bars":
        """All methods."""
        ends = [end for row in numbers.rows for end in ends_of(row.value)]
        return cls(Axis.over(ends, zero=True, most=100 if numbers.unit.percent else math.inf), numbers.groups)


@dataclass(frozen=True)
class Slices:
    """One dimension: slice -> method -> value, for all methods; a few of them are drawn on an axis."""

    name: str
    values: Mapping[str, Mapping[str, Value]]
    drawn: Sequence[str]
    axis: Axis
    heat: Axis

    @classmethod
    def of(cls, numbers: Numbers, name: str, slices: Mapping[str, Sequence[str]], drawn: Sequence[str]) -> "Slices":
        """Raises ``InputError`` where a slice lists samples and none of them was in the test."""
        values = {}
        for label, listed in slices.items():
            names = numbers.names & set(listed)
            if listed and not names:
                raise InputError(f"Slice {name}/{label}: none of its {len(listed)} samples was in the test, such as "
                                 f"{listed[0]!r}; expected names like {min(numbers.names)!r}.")  # fmt: skip
            if names:
                values[label] = {row.method: numbers.value(row.method, names) for row in numbers.rows}
        most = 100 if numbers.unit.percent else math.inf
        ends = [end for each in values.values() for method in drawn for end in ends_of(each[method])]
        means = [value.mean for each in values.values() for value in each.values()]
        return cls(name, values, drawn, Axis.over(ends, zero=True, most=most), Axis.over(means))

    @property
    def many(self) -> bool:
        """Whether it gets a table of its own."""
        return len(self.values) > MANY

    def samples(self, label: str) -> int:
        """Test samples in a slice."""
        return max(value.samples for value in self.values[label].values())


@dataclass(frozen=True)
class Curve:
    """The validation metric of one method over epochs, as SVG paths."""

    method: str
    line: str
    band: str
    end: tuple[float, float]
    first: float
    last: float
    best: float
    best_epoch: int
    epochs: int


@dataclass(frozen=True)
class Curves:
    """A panel for each method that was trained, all on the same axes."""

    panels: Sequence[Curve]
    axis: Axis
    epochs: int

    @classmethod
    def of(cls, numbers: Numbers) -> "Curves":
        """Mean over seeds, and the band from the lowest to the highest."""
        paths = {row.method: found for row in numbers.rows if (found := _by_epoch(numbers, row.method))}
        axis = Axis.over(value for found in paths.values() for values in found.values() for value in values)
        epochs = max((max(found) for found in paths.values()), default=1)
        return cls([_curve(numbers, method, found, axis, epochs) for method, found in paths.items()], axis, epochs)


@dataclass(frozen=True)
class Costs:
    """Missing modalities: for each method, the metric with each hidden, worst first."""

    axis: Axis
    methods: Mapping[str, Sequence[Hidden]]

    @classmethod
    def of(cls, numbers: Numbers, rows: Iterable[Hidden]) -> "Costs":
        """In shown units, methods in the order of the comparison."""
        factor = numbers.unit.factor
        shown = [Hidden(r.method, r.hidden, factor * r.mean, factor * r.std, factor * r.drop) for r in rows]
        for row in shown:
            look_up(numbers.by_method, row.method, "method in this comparison")
        methods = {
            row.method: sorted((each for each in shown if each.method == row.method), key=lambda each: -each.drop)
            for row in numbers.rows
        }
        full = [numbers.by_method[row.method].value.mean for row in shown]
        ends = [end for row in shown for end in (row.mean, row.mean + row.std)]
        axis = Axis.over([*ends, *full], zero=True, most=100 if numbers.unit.percent else math.inf)
        return cls(axis, {method: each for method, each in methods.items() if each})


def ends_of(value: Value) -> tuple[float, float]:
    """The ends of its error bar."""
    return value.mean - value.error, value.mean + value.error


def _by_epoch(numbers: Numbers, method: str) -> dict[int, list[float]]:
    """Epoch -> validation metric of each seed that was still training."""
    found: dict[int, list[float]] = {}
    for run in numbers.comparison.runs:
        for row in run.history if run.method == method else ():
            value = row.get(f"valid_{run.metric}", math.nan)
            if math.isfinite(value):
                found.setdefault(int(row["epoch"]), []).append(numbers.unit.factor * value)
    return dict(sorted(found.items()))


def _curve(numbers: Numbers, method: str, found: Mapping[int, Sequence[float]], axis: Axis, epochs: int) -> Curve:
    def at(epoch: int, value: float) -> tuple[float, float]:
        right = WIDE * (epoch - 1) / max(epochs - 1, 1)
        return round(right, 1), round(HIGH * (1 - axis.at(value) / 100), 1)

    means = {epoch: fmean(values) for epoch, values in found.items()}
    line = [at(epoch, mean) for epoch, mean in means.items()]
    above = [at(epoch, max(values)) for epoch, values in found.items()]
    below = [at(epoch, min(values)) for epoch, values in found.items()]
    best = min(means, key=lambda epoch: numbers.rank(means[epoch]))
    first, *_, last = [*means.values()] * 2
    return Curve(method, _path(line), _path([*above, *reversed(below)]) + "Z", line[-1], first, last,
                 means[best], best, len(means))  # fmt: skip


def _path(points: Points) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
