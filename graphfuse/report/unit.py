"""How numbers are shown: means with their spread, in percent or as they are."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from graphfuse.training.comparison import Run

NOTHING = "–"


@dataclass(frozen=True)
class Value:
    """A mean over seeds, the length of its error bar, and how many test samples it rests on."""

    mean: float
    error: float
    samples: int


@dataclass(frozen=True)
class Unit:
    """How a metric is shown: accuracies and the like in percent, others with four digits or so."""

    metric: str
    lower: bool
    percent: bool
    digits: int

    @classmethod
    def of(cls, runs: Iterable[Run]) -> "Unit":
        """Percent if high is good and all scores are 0 to 1."""
        runs = list(runs)
        metric, best = runs[0].metric, runs[0].best
        values = [value for run in runs for value in run.scores.values() if math.isfinite(value)] or [0.0]
        if best == "max" and min(values) >= 0 and max(values) <= 1:
            return cls(metric, False, True, 1)
        size = max(abs(fmean(run.scores.values())) for run in runs)
        whole = math.floor(math.log10(size)) + 1 if size > 0 and math.isfinite(size) else 1
        return cls(metric, best == "min", False, min(max(4 - whole, 0), 6))

    @classmethod
    def plain(cls, metric: str, values: Iterable[float], lower: bool = False) -> "Unit":
        """Numbers as they are, with three digits of what is around one and fewer of larger ones."""
        size = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        whole = math.floor(math.log10(size)) + 1 if size > 0 else 1
        return cls(metric, lower, False, min(max(4 - (whole if whole < -1 else max(whole, 1)), 0), 6))

    @property
    def factor(self) -> float:
        """From a score to what is shown."""
        return 100.0 if self.percent else 1.0

    @property
    def sign(self) -> str:
        """Behind a number: a narrow space and the percent sign, or nothing."""
        return "\u202f%" if self.percent else ""

    @property
    def label(self) -> str:
        """The metric with its unit, and which way is better where that is not plain."""
        return self.metric.replace("_", " ") + (", %" if self.percent else "") + (" (lower is better)" * self.lower)

    def number(self, x: float) -> str:
        """A shown number."""
        return minus(f"{x:,.{self.digits}f}") if math.isfinite(x) else NOTHING

    def spread(self, value: Value) -> str:
        """Mean ± error, where there is one."""
        error = f" ± {self.number(value.error)}" if math.isfinite(value.error) else ""
        return self.number(value.mean) + error if math.isfinite(value.mean) else NOTHING

    def gap(self, x: float) -> str:
        """A difference, always with its sign."""
        return minus(f"{x:+,.{self.digits}f}") if math.isfinite(x) else NOTHING


def minus(text: str) -> str:
    """With the sign of minus instead of hyphens."""
    return text.replace("-", "\u2212")


def over_seeds(values: Sequence[float]) -> Value:
    """Mean and standard deviation; none of either where a value is not a number, no deviation for one seed."""
    if not all(map(math.isfinite, values)):
        return Value(math.nan, math.nan, len(values))
    return Value(fmean(values), stdev(values) if len(values) > 1 else math.nan, len(values))
