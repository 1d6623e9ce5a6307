"""Nodes of a kind, or links of a relation, as samples of their own; and what a head of samples makes of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.lazy import Lazy
from graphfuse.core.message import segment
from graphfuse.core.sample import Batch
from graphfuse.heads.marked import Marked

Known = Mapping[str, float | str]
Facts = Mapping[str, Tensor | Sequence[str | None]]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a batch, ``N`` of them, sample after sample.

    Attributes:
        called: What they are, for people.
        labels: Of each.
        marks: Targets that are known -> which labels are right, ``bool [K, C]``.
        owner: The sample of each, ``int64 [N]``.
        sizes: How many each sample has.
        names: Of each row, as in ``"case/7, paper 3"``.
        read: Gives the targets, ``None`` where one is not known.
        facts: What is known of each.
    """

    called: str
    labels: tuple[str, ...]
    marks: Callable[[Sequence[Any]], Tensor]
    owner: Tensor
    sizes: Sequence[int]
    names: Lazy[str]
    read: Callable[[], Sequence[Any]]
    facts: Lazy[Known]

    @cached_property
    def targets(self) -> Sequence[Any]:
        """One a row, ``None`` where one is not known; not looked at by what answers."""
        return self.read()

    @cached_property
    @torch.inference_mode(False)  # what is made under it could not be used in training
    def known(self) -> Tensor:
        """Of which the target is known, ``bool [N]``."""
        return torch.tensor([target is not None for target in self.targets], dtype=torch.bool)

    @cached_property
    @torch.inference_mode(False)
    def right(self) -> Tensor:
        """Which labels of known rows are right, ``bool [K, C]``."""
        return self.marks([target for target in self.targets if target is not None])

    @cached_property
    def taught(self) -> Batch:
        """Those that are known, as samples, their targets as marks."""
        rows = self.known.nonzero()[:, 0].tolist()
        return Batch(self.names.taken(rows), {}, {}, targets=Marked(self.right, self.labels),
                     facts=self.facts.taken(rows))  # fmt: skip

    @cached_property
    def every(self) -> Batch:
        """All of them, as samples without nodes and targets."""
        return Batch(self.names, {}, {}, facts=self.facts)


@dataclass(frozen=True)
class ByRow:
    """What ``each`` makes of rows as of samples; called as a head.

    Attributes:
        each: ``Classify`` or ``MultiLabel``, or either given rules.
        look: The rows of a batch.
    """

    each: Any
    look: Callable[[Batch], Rows]

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of ``each``, over the known rows of all samples; 0 if there is none."""
        known, taught = self._taught(scores, batch)
        loss: Tensor = self.each.loss(scores[known], taught) if len(taught) else 0 * scores.sum()
        return loss

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of each known row."""
        known, taught = self._taught(scores, batch)
        lost: Tensor = self.each.log_loss(scores[known], taught)
        return lost

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Of each sample the means over its known rows; 0 where there is none."""
        known, taught = self._taught(scores, batch)
        owner = self.look(batch).owner.to(scores.device)[known]
        found = self.each.measure(scores[known], taught)
        return {name: segment(x, owner, len(batch), "mean") for name, x in found.items()}

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """That of ``each``, over the known rows of a whole set."""
        parts = [(x, *self._taught(x, batch)) for x, batch in zip(scores, batches)]
        found: dict[str, float] = self.each.summary([x[known] for x, known, _ in parts], [own for *_, own in parts])
        return found

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of ``each``, summed over a sample's rows, ``[B]``."""
        rows = self._rows(scores, batch)
        return segment(self.each.said(scores, rows.every), rows.owner.to(scores.device), len(batch))

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """Of each sample the answers to its rows, in their order, and the mean of their confidences."""
        rows = self._rows(scores, batch)
        every = iter(self.each.answers(scores, rows.every))
        parts = [list(islice(every, size)) for size in rows.sizes]
        return [Answer(name, tuple(row.value for row in own), fmean(row.score or 0.0 for row in own) if own else None)
                for name, own in zip(batch.names, parts)]  # fmt: skip

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered where ``each`` is given rules, ``[N, C] -> bool [N, C]``."""
        chosen: Tensor = self.each.chosen(scores, self._rows(scores, batch).every)
        return chosen

    def _taught(self, scores: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
        """Which rows are known, ``bool [N]``, and these as samples."""
        rows = self._rows(scores, batch)
        return rows.known.to(scores.device), rows.taught

    def _rows(self, scores: Tensor, batch: Batch) -> Rows:
        rows = self.look(batch)
        if len(scores) != len(rows.names):
            raise InputError(f"Tag: {len(scores)} rows are scored, and the samples have {len(rows.names)} "
                             f"{rows.called}; an encoder that is trained with the model must give a node for each "
                             "row.")  # fmt: skip
        return rows


def named(names: Sequence[str], called: str, sizes: Sequence[int]) -> Lazy[str]:
    """Rows by their samples' names, as in ``"case/7, paper 3"``."""
    place, size = _places(sizes)

    def name(row: int) -> str:
        sample, at = place(row)
        return f"{names[sample]}, {called} {at}"

    return Lazy(size, name)


def known_of(facts: Sequence[Known], of_nodes: Sequence[Facts], sizes: Sequence[int]) -> Lazy[Known]:
    """What is known of each row: of its node, and of its sample under other names."""
    place, size = _places(sizes)

    def known(row: int) -> Known:
        sample, at = place(row)
        own = of_nodes[sample] if of_nodes else {}
        found = {name: float(x[at]) if isinstance(x, Tensor) else x[at] for name, x in own.items()}
        of_sample = {name: value for name, value in facts[sample].items() if name not in own} if facts else {}
        return of_sample | {name: value for name, value in found.items() if value is not None and value == value}

    return Lazy(size, known)


def _places(sizes: Sequence[int]) -> tuple[Callable[[int], tuple[int, int]], int]:
    """The sample of a row and its place there; and how many rows there are."""
    first = [0, *accumulate(sizes)]

    def place(row: int) -> tuple[int, int]:
        sample = bisect_right(first, row) - 1
        return sample, row - first[sample]

    return place, first[-1]
