"""What was answered: which labels are taken for which, and whether answers are right as often as they are confident."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from graphfuse.report.rows import ANSWERS, AnswerRow, read_rows
from graphfuse.report.unit import Value, over_seeds

BINS = 10  # of confidence, all equally wide
LABELS = 12  # rows of a confusion matrix at most
FREQUENT = 10  # confusions that are listed
NEVER = "never in training"


@dataclass(frozen=True)
class Answered:
    """Every answer of every run."""

    rows: tuple[AnswerRow, ...]

    @classmethod
    def open(cls, folder: str | Path) -> Answered | None:
        """From ``answers.jsonl``."""
        rows = read_rows(Path(folder) / ANSWERS, AnswerRow)
        return cls(tuple(rows.values())) if rows else None

    @cached_property
    def by_method(self) -> dict[str, Answered]:
        """The answers of each method."""
        found: dict[str, list[AnswerRow]] = {}
        for row in self.rows:
            found.setdefault(row.method, []).append(row)
        return {method: Answered(tuple(rows)) for method, rows in found.items()}


@dataclass(frozen=True)
class Confusion:
    """How often each truth was answered with each label.

    Attributes:
        names: Of the rows: the labels, the most frequent truth first; if need be the rest of them together; if need be
            :data:`NEVER`, the samples whose label training never had. The columns are the labels alone.
        columns: How many of ``names`` are columns.
        counts: Row -> column -> answers.
        right: Row -> right answers.
        others: How many labels the rest holds.
        several: Whether some sample has several right labels.
        frequent: ``(truth, said, answers)``, the most frequent confusions of single labels first.
    """

    names: tuple[str, ...]
    columns: int
    counts: tuple[tuple[int, ...], ...]
    right: tuple[int, ...]
    others: int
    several: bool
    frequent: tuple[tuple[str, str, int], ...]

    @classmethod
    def open(cls, folder: str | Path, method: str | None = None) -> Confusion | None:
        """From ``answers.jsonl``: of one method, or of all together if left out."""
        answered = Answered.open(folder)
        if answered is not None and method is not None:
            answered = answered.by_method.get(method)
        return cls.of(answered) if answered is not None else None

    @classmethod
    def of(cls, answered: Answered) -> Confusion:
        """Counted over seeds. A right answer is on the diagonal; a wrong one in the row of its first truth."""
        cells = [(*_cell(row), row.right) for row in answered.rows]
        truths = Counter(truth for truth, _, _ in cells if truth is not None)
        labels = sorted(truths.keys() | {said for _, said, _ in cells}, key=lambda label: (-truths[label], label))
        kept = labels if len(labels) <= LABELS else labels[: LABELS - 1]
        others, never = len(labels) - len(kept), any(truth is None for truth, _, _ in cells)
        columns = len(kept) + (others > 0)
        names = (*kept, *[f"{others} other labels"] * (others > 0), *[NEVER] * never)
        place = {label: i for i, label in enumerate(kept)}
        counts, right = [[0] * columns for _ in names], [0] * len(names)
        for truth, said, is_right in cells:
            row = len(names) - 1 if truth is None else place.get(truth, columns - 1)
            counts[row][place.get(said, columns - 1)] += 1
            right[row] += is_right
        wrong = Counter((truth, said) for truth, said, _ in cells if truth is not None and truth != said)
        frequent = sorted(((*pair, n) for pair, n in wrong.items()), key=lambda row: (-row[2], row))
        several = any(len(row.truth) > 1 for row in answered.rows)
        return cls(names, columns, tuple(map(tuple, counts)), tuple(right), others, several, tuple(frequent[:FREQUENT]))


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence is between ``low`` and ``high``; the means of none are NaN."""

    low: float
    high: float
    answers: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """Whether answers are right as often as they are confident: the bins of one method, and its error with each seed.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """

    bins: tuple[Bin, ...]
    by_seed: Mapping[int, float]

    @classmethod
    def open(cls, folder: str | Path) -> dict[str, Reliability] | None:
        """From ``answers.jsonl``: of each method."""
        answered = Answered.open(folder)
        return None if answered is None else {name: cls.of(own) for name, own in answered.by_method.items()}

    @classmethod
    def of(cls, answered: Answered) -> Reliability:
        """Of all answers together, and seed by seed."""
        seeds: dict[int, list[AnswerRow]] = {}
        for row in answered.rows:
            seeds.setdefault(row.seed, []).append(row)
        return cls(_bins(answered.rows), {seed: _gap(_bins(rows)) for seed, rows in seeds.items()})

    @property
    def answers(self) -> int:
        """All of them."""
        return sum(each.answers for each in self.bins)

    @property
    def confidence(self) -> float:
        """The mean over answers."""
        return sum(each.answers * each.confidence for each in self.bins if each.answers) / self.answers

    @property
    def accuracy(self) -> float:
        """The mean over answers."""
        return sum(each.answers * each.accuracy for each in self.bins if each.answers) / self.answers

    @property
    def error(self) -> float:
        """Expected calibration error of all answers: the sum over bins of ``n_bin / n * |accuracy - confidence|``.

        Source: Guo et al. 2017, eq. 3.
        """
        return _gap(self.bins)

    @property
    def spread(self) -> Value:
        """The error of a seed: mean and standard deviation over seeds."""
        return over_seeds(list(self.by_seed.values()))


def _cell(row: AnswerRow) -> tuple[str | None, str]:
    """Truth and label said, as a matrix counts them; a right answer in other words is taken as its first truth."""
    if not row.truth:
        return None, row.said
    if row.said in row.truth:
        return row.said, row.said
    return row.truth[0], row.truth[0] if row.right else row.said


def _bins(rows: Collection[AnswerRow]) -> tuple[Bin, ...]:
    parts: list[list[AnswerRow]] = [[] for _ in range(BINS)]
    for row in rows:
        parts[min(int(row.confidence * BINS), BINS - 1)].append(row)
    return tuple(
        Bin(i / BINS, (i + 1) / BINS, len(part), fmean(x.confidence for x in part), fmean(x.right for x in part))
        if part else Bin(i / BINS, (i + 1) / BINS, 0, math.nan, math.nan)
        for i, part in enumerate(parts)
    )  # fmt: skip


def _gap(bins: Sequence[Bin]) -> float:
    total = sum(each.answers for each in bins)
    return sum(each.answers / total * abs(each.accuracy - each.confidence) for each in bins if each.answers)
