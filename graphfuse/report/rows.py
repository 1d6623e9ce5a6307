"""The rows of JSON lines files that a page is drawn from, with the file and line of whatever does not fit."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from graphfuse.core.errors import InputError
from graphfuse.report.plain import from_plain
from graphfuse.training.compare import MISSING
from graphfuse.training.told import ANSWERS, METRICS, RULES

__all__ = ["ANSWERS", "METRICS", "MISSING", "RULES", "AnswerRow", "MetricRow", "MissingRow", "RuleRow", "read_rows"]


Kind = TypeVar("Kind")


@dataclass(frozen=True)
class AnswerRow:
    """The answer of one run to one test sample.

    Attributes:
        method: Its name in the comparison.
        seed: Of the run.
        name: The sample's.
        said: The label answered.
        truth: Every right label; none if training never had it.
        confidence: 0 to 1.
        right: Whether the answer counts as right.
    """

    method: str
    seed: int
    name: str
    said: str
    truth: tuple[str, ...]
    confidence: float
    right: bool

    def __post_init__(self) -> None:
        _check_share("confidence", self.confidence)

    @property
    def key(self) -> tuple[Any, ...]:
        """What only one row may have."""
        return self.method, self.seed, self.name


@dataclass(frozen=True)
class MissingRow:
    """A test metric of one run when a share of the values is hidden in ``train`` and in ``test``, each 0 to 1."""

    method: str
    seed: int
    train: float
    test: float
    metric: str
    value: float

    def __post_init__(self) -> None:
        _check_share("train", self.train)
        _check_share("test", self.test)

    @property
    def key(self) -> tuple[Any, ...]:
        """What only one row may have."""
        return self.method, self.seed, self.train, self.test, self.metric


@dataclass(frozen=True)
class MetricRow:
    """A further test metric of one run."""

    method: str
    seed: int
    metric: str
    value: float

    @property
    def key(self) -> tuple[Any, ...]:
        """What only one row may have."""
        return self.method, self.seed, self.metric


@dataclass(frozen=True)
class RuleRow:
    """How often the answers of one run to test samples break a rule: shares ``before`` the rules and ``after``.

    Attributes:
        method: Its name in the comparison.
        seed: Of the run.
        rule: Its name.
        hard: Whether it has to hold.
        says: The rule itself, as text.
        before: Of the answers that the head by itself would have given, 0 to 1.
        after: Of the answers given.
    """

    method: str
    seed: int
    rule: str
    hard: bool
    says: str
    before: float
    after: float

    def __post_init__(self) -> None:
        _check_share("before", self.before)
        _check_share("after", self.after)

    @property
    def key(self) -> tuple[Any, ...]:
        """What only one row may have."""
        return self.method, self.seed, self.rule


def read_rows(path: Path, kind: type[Kind]) -> dict[int, Kind]:
    """Line number -> row of a JSON lines file, empty lines left out; nothing where there is no such file.

    Raises:
        InputError: A line is not JSON, does not fit, or is there twice; names the file and the line.
    """
    rows: dict[int, Kind] = {}
    seen: dict[tuple[Any, ...], int] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"{path}:{number}: not valid JSON ({getattr(error, 'msg', 'too deep')}).") from None
        row: Any = from_plain(kind, value, f"{path}:{number}")
        first = seen.setdefault(row.key, number)
        if first != number:
            raise InputError(f"{path}:{number}: {row.key} is already in line {first}; one row of each is expected.")
        rows[number] = row
    return rows


def _lines(path: Path) -> Iterable[str]:
    try:
        return path.read_text("utf-8").split("\n")  # texts may hold other line breaks, which JSON does not escape
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from None


def _check_share(name: str, value: float) -> None:
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise InputError(f"{name} is {value:g}; expected 0 to 1.")
