"""What a measure of the rules found, before it is a row."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

OURS = "graphfuse"
RAW = "without rules"
Found = dict[str, Any]


def found(method: str, who: str, what: str, values: Sequence[float] | float, seeds: Sequence[int] = (0,),
          **more: Any) -> Found:  # fmt: skip
    """The mean and spread of values over seeds, to four digits.

    The metric is ``WHO: WHAT``; the same of ours (:data:`OURS`) and of others stands in one line of the page.
    """
    each = [float(values)] if isinstance(values, (int, float)) else [float(v) for v in values]
    spread = stdev(each) if len(each) > 1 else 0.0
    given = {"split": "generated", "tuned_on": "nothing", "seconds": 0.0, "parameters": 0, **more}
    return {"method": method, "metric": f"{who}: {what}", "mean": rounded(fmean(each)), "std": rounded(spread),
            "seeds": list(seeds), **given}  # fmt: skip


def rounded(value: float) -> float:
    """To four digits, whole numbers as they are."""
    return value if value == int(value) else float(f"{value:.4g}")


def part_of(row: Mapping[str, Any]) -> str:
    """The part of the benchmark that a row belongs to: its method is ``PART: WHAT``."""
    return str(row["method"]).split(": ")[0]
