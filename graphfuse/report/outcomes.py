"""What the rows beside a comparison say: confusions, calibration, missing values, further metrics, rules.

Each class opens a folder and gives ``None`` where its file is not there or has no rows. Numbers are in the units of the
rows: a share, a confidence or an accuracy is 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graphfuse.core.errors import InputError
from graphfuse.report.answered import Answered, Confusion, Reliability
from graphfuse.report.rows import METRICS, MISSING, RULES, MetricRow, MissingRow, RuleRow, read_rows
from graphfuse.report.unit import Value, over_seeds

__all__ = ["Answered", "BrokenRules", "Confusion", "MissingCurve", "MoreMetrics", "Reliability"]

LOWER = frozenset({"calibration_error", "log_loss", "absolute_error", "squared_error", "rules_broken_before",
                   "rules_broken"})  # fmt: skip


@dataclass(frozen=True)
class MissingCurve:
    """The test metric where a share of the values is hidden: method -> (share in training, share in test) -> value."""

    metric: str
    values: Mapping[str, Mapping[tuple[float, float], Value]]

    @classmethod
    def open(cls, folder: str | Path) -> MissingCurve | None:
        """From ``missing.jsonl``; ``InputError`` where it holds several metrics."""
        path = Path(folder) / MISSING
        rows = read_rows(path, MissingRow)
        found: dict[str, dict[tuple[float, float], list[float]]] = {}
        metric = next((row.metric for row in rows.values()), "")
        for line, row in rows.items():
            if row.metric != metric:
                raise InputError(f"{path}:{line}: its metric is {row.metric!r}; that of the first row is {metric!r}; "
                                 "a curve shows one metric.")  # fmt: skip
            found.setdefault(row.method, {}).setdefault((row.train, row.test), []).append(row.value)
        values = {name: {at: over_seeds(each) for at, each in own.items()} for name, own in found.items()}
        return cls(metric, values) if rows else None

    @property
    def train(self) -> list[float]:
        """Every share that some method hides in training."""
        return sorted({train for own in self.values.values() for train, _ in own})

    @property
    def test(self) -> list[float]:
        """Every share that is hidden in test."""
        return sorted({test for own in self.values.values() for _, test in own})


@dataclass(frozen=True)
class MoreMetrics:
    """Further test metrics: metric -> method -> mean and standard deviation over seeds."""

    values: Mapping[str, Mapping[str, Value]]

    @classmethod
    def open(cls, folder: str | Path) -> MoreMetrics | None:
        """From ``metrics.jsonl``."""
        found: dict[str, dict[str, list[float]]] = {}
        for row in read_rows(Path(folder) / METRICS, MetricRow).values():
            found.setdefault(row.metric, {}).setdefault(row.method, []).append(row.value)
        values = {metric: {name: over_seeds(x) for name, x in own.items()} for metric, own in found.items()}
        return cls(values) if values else None

    @property
    def methods(self) -> set[str]:
        """Those that have some metric."""
        return {method for own in self.values.values() for method in own}

    def best(self, metric: str) -> float:
        """The best mean; lower is better for the metrics in :data:`LOWER`."""
        means = [value.mean for value in self.values[metric].values() if math.isfinite(value.mean)]
        return (min if metric in LOWER else max)(means, default=math.nan)


@dataclass(frozen=True)
class BrokenRules:
    """How often answers break each rule: the rules as they are told, and rule -> method -> shares over seeds.

    Attributes:
        rules: One row of each rule, in their order.
        before: What the head by itself would have answered.
        after: What was answered.
    """

    rules: Mapping[str, RuleRow]
    before: Mapping[str, Mapping[str, Value]]
    after: Mapping[str, Mapping[str, Value]]

    @classmethod
    def open(cls, folder: str | Path) -> BrokenRules | None:
        """From ``rules.jsonl``."""
        first = dict[str, RuleRow]()
        before, after = (dict[str, dict[str, list[float]]]() for _ in range(2))
        for row in read_rows(Path(folder) / RULES, RuleRow).values():
            first.setdefault(row.rule, row)
            before.setdefault(row.rule, {}).setdefault(row.method, []).append(row.before)
            after.setdefault(row.rule, {}).setdefault(row.method, []).append(row.after)
        means = ({rule: {name: over_seeds(x) for name, x in own.items()} for rule, own in found.items()}
                 for found in (before, after))  # fmt: skip
        return cls(first, *means) if first else None

    @property
    def methods(self) -> set[str]:
        """Those that have rules."""
        return {method for own in self.after.values() for method in own}
