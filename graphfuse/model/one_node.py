"""What ``Choose`` makes of scores where hard rules say which of a sample's nodes may answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from graphfuse.core.answer import Answer
from graphfuse.core.sample import Batch
from graphfuse.heads import Choose
from graphfuse.model.among import Among
from graphfuse.rules.alone import each_alone


@dataclass(frozen=True)
class OneNode:
    """The best of the nodes that as the only answer break no hard rule; called as ``Choose`` is.

    Given that one node answers, outputs conditioned on the rules are the softmax over those that they allow. A sample
    of which none is allowed is as one without candidates: it teaches nothing, is measured as wrong, and is answered by
    ``None``.
    """

    head: Choose
    among: Among

    def allowed(self, batch: Batch) -> Tensor:
        """Which nodes are, ``bool [N_kind]``."""
        hard = torch.tensor([rule.hard for rule in self.among.rules.rules])
        return ~alone(self.among, batch)[:, hard].any(1)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed nodes."""
        return self.head.loss(*self._over(scores, batch)[:2])

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed nodes."""
        return self.head.log_loss(*self._over(scores, batch)[:2])

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The head's, over allowed nodes."""
        return self.head.measure(*self._over(scores, batch)[:2])

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """As the head's."""
        return self.head.summary(scores, batches)

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed nodes."""
        return self.head.said(*self._over(scores, batch)[:2])

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The head's, over allowed nodes: the row among all of the sample's nodes, and its probability given the
        rules."""
        left, fewer, rows = self._over(scores, batch)
        begins, first = fewer.offsets[self.head.kind].tolist(), batch.offsets[self.head.kind].tolist()
        return [answer if answer.value is None else replace(answer, value=int(rows[begin + answer.value]) - start)
                for answer, begin, start in zip(self.head.answers(left, fewer), begins, first)]  # fmt: skip

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """Which node is answered of each sample, ``[N_kind] -> bool [N_kind, 1]``; none where none is allowed."""
        left, fewer, rows = self._over(scores, batch)
        found = torch.zeros(len(scores), 1, dtype=torch.bool, device=scores.device)
        found[rows[[row for row in self.head.best(left, fewer) if row is not None]].to(scores.device)] = True
        return found

    def _over(self, scores: Tensor, batch: Batch) -> tuple[Tensor, Batch, Tensor]:
        """Scores of the allowed nodes, the batch as if it had no others, and their rows in the batch as it is."""
        kind, allowed = self.head.kind, self.allowed(batch)
        offsets, rows = batch.offsets[kind].cpu(), allowed.nonzero()[:, 0]
        before = torch.cat([allowed.new_zeros(1, dtype=torch.long), allowed.long().cumsum(0)])  # allowed ones, [N + 1]
        begins, targets = before[offsets], batch.targets
        if any(isinstance(target, Tensor) for target in targets):
            targets = tuple(self._left(target.cpu(), allowed, before, begin, *ends) for target, begin, ends
                            in zip(targets, begins.tolist(), pairwise(offsets.tolist())))  # fmt: skip
        at = rows.to(batch.nodes[kind].device)
        fewer = replace(batch, nodes={**batch.nodes, kind: batch.nodes[kind][at]}, links={}, targets=targets,
                        offsets={**batch.offsets, kind: begins})  # fmt: skip
        return scores[rows.to(scores.device)], fewer, rows

    @staticmethod
    def _left(target: Tensor, allowed: Tensor, before: Tensor, begin: int, start: int, end: int) -> Tensor:
        """The right rows of a sample that are allowed, numbered among its allowed ones."""
        rows = target.long() + start
        rows = rows[rows < end]  # none is there where modality dropout hides them
        return before[rows[allowed[rows]]] - begin


def alone(among: Among, batch: Batch) -> Tensor:
    """Which rules each node breaks as the only answer of its sample, ``bool [N_kind, R]``."""
    assert isinstance(among.of, str)
    return each_alone(among.rules, among.facts(batch), len(batch.nodes[among.of]))
