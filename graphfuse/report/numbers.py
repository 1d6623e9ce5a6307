"""The numbers of the page, computed from the saved runs, in the units in which they are shown."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, pstdev, stdev

from graphfuse.core.errors import InputError
from graphfuse.report.unit import NOTHING, Unit, Value
from graphfuse.training.comparison import Comparison

OTHER = "other"


@dataclass(frozen=True)
class Row:
    """One method: its test metric over all samples, and what it cost."""

    method: str
    group: str
    chosen: bool
    value: Value
    seeds: int
    valid: float
    difference: float
    p: float
    seconds: float
    parameters: int


class Numbers:
    """All numbers of a comparison. ``groups``: method -> group, if it is to be shown in groups."""

    def __init__(self, comparison: Comparison, groups: dict[str, str]):
        check(comparison)
        self.comparison, self.chosen = comparison, comparison.chosen()
        self.unit = Unit.of(comparison.runs)
        self._groups = groups if any(method in groups for method in comparison.methods) else {}

    @cached_property
    def rows(self) -> list[Row]:
        """The methods, best first."""
        rows = [self._row(method) for method in self.comparison.methods]
        return sorted(rows, key=lambda row: self.rank(row.value.mean))

    @cached_property
    def groups(self) -> dict[str, list[Row]]:
        """The rows of each group; the group with the best method first."""
        return {
            name: [row for row in self.rows if row.group == name] for name in dict.fromkeys(r.group for r in self.rows)
        }

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all test samples."""
        return frozenset(name for run in self.comparison.runs for name in run.scores)

    @cached_property
    def by_method(self) -> dict[str, Row]:
        """The row of each method."""
        return {row.method: row for row in self.rows}

    @property
    def seeds(self) -> list[int]:
        """Every seed that some method was trained with."""
        return sorted({run.seed for run in self.comparison.runs})

    @property
    def lonely(self) -> list[str]:
        """Methods with one seed: their error bars are standard errors over the test samples."""
        return [row.method for row in self.rows if row.seeds == 1]

    def rank(self, mean: float) -> tuple[bool, float]:
        """A key by which the better mean comes first, and none at all last."""
        return math.isnan(mean), mean if self.unit.lower else -mean

    def value(self, method: str, names: Collection[str] | None = None) -> Value:
        """Over those of ``names`` (all if left out): mean of the seeds' means and their standard deviation.

        With one seed, the standard error over the samples; for an accuracy that is the binomial one.
        """
        scores: dict[int, list[float]] = {}
        seen: set[str] = set()
        for run in self.comparison.runs:
            if run.method == method:
                own = run.scores.keys() if names is None else run.scores.keys() & names
                scores.setdefault(run.seed, []).extend(run.scores[name] for name in own)
                seen |= own
        means = [fmean(values) for values in scores.values() if values]
        if not means or not all(map(math.isfinite, means)):
            return Value(math.nan, math.nan, len(seen))
        alone = next(values for values in scores.values() if values)
        error = stdev(means) if len(means) > 1 else pstdev(alone) / math.sqrt(len(alone))
        return Value(self.unit.factor * fmean(means), self.unit.factor * error, len(seen))

    def _row(self, method: str) -> Row:
        runs = [run for run in self.comparison.runs if run.method == method]
        pair = Comparison(tuple(run for run in self.comparison.runs if run.method in (method, self.chosen)))
        gap, p = pair.paired(method, self.chosen) if method != self.chosen else (0.0, math.nan)
        return Row(
            method=method,
            group=self._groups.get(method, OTHER if self._groups else ""),
            chosen=method == self.chosen,
            value=self.value(method),
            seeds=len({run.seed for run in runs}),
            valid=self.unit.factor * fmean(run.valid[run.metric] for run in runs),
            difference=self.unit.factor * gap,
            p=p,
            seconds=fmean(run.seconds for run in runs),
            parameters=runs[0].parameters,
        )


def check(comparison: Comparison) -> None:
    """Raises ``InputError`` where a page cannot be drawn: no runs, no scores, or several metrics."""
    if not comparison.runs:
        raise InputError("The comparison holds no runs; a report needs at least one.")
    first = comparison.runs[0]
    for run in comparison.runs:
        where = f"Method {run.method!r}, seed {run.seed}"
        if (run.metric, run.best) != (first.metric, first.best):
            raise InputError(f"{where}: its metric is {run.metric!r} ({run.best}); that of the first run is "
                             f"{first.metric!r} ({first.best}); a page shows one metric.")  # fmt: skip
        if any(not isinstance(x, int | float) for table in (run.scores, run.valid) for x in table.values()):
            raise InputError(f"{where}: a metric is not a number.")
        if not run.scores or run.metric not in run.valid:
            lacking = "test scores" if not run.scores else f"{run.metric!r} among its validation metrics"
            raise InputError(f"{where}: lacks {lacking}.")


def p_text(p: float) -> str:
    """``p < 0.001``, ``p = 0.042``, or a dash where there is no test."""
    if math.isnan(p):
        return NOTHING
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
