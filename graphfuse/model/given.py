"""What a head makes of scores given that every hard rule holds: its losses, metrics and answers, exactly.

Outputs that are independent before the rules, conditioned on them: a set of labels is as probable as its own product of
sigmoids, divided by that of all allowed sets. A head that answers one label of several has one rule more, that exactly
one is true; given that, its outputs are the softmax, and rules over them say which labels it never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch
from graphfuse.heads import Classify, MultiLabel
from graphfuse.heads.metrics import macro_auc, macro_f1
from graphfuse.rules import RuleSet


@dataclass(frozen=True)
class SeveralGiven:
    """Any of the labels, as rules allow; called as ``MultiLabel`` is, whose labels the rules are over, in their order.

    A sample whose labels break a hard rule has no probability: it teaches nothing, and is measured as it is.
    """

    head: MultiLabel
    rules: RuleSet

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log probability of the right labels given the rules, averaged over samples and labels.

        Binary cross-entropy and ``log Z``: its gradient to a score is the label's marginal given the rules minus the
        label, over samples and labels.
        """
        each = self.log_loss(scores, batch)
        return each.sum() / max(len(each), 1)

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The loss of each sample that can teach."""
        right = self.head.right(batch, scores.device)
        known = self.rules.holds(right)
        scores, right = scores[known], right[known].to(scores.dtype)
        own = nn.functional.binary_cross_entropy_with_logits(scores, right, reduction="none").sum(1)
        return (own + self.rules.log_partition(scores)) / len(self.head.labels)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """As the head's, of the most probable set that rules allow."""
        return self.head.measure(_signed(self.chosen(scores), scores), batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """As the head's: macro F1 of what is answered, macro AUC of marginals, and the log loss."""
        cpu = torch.device("cpu")
        right = torch.cat([self.head.right(batch, cpu) for batch in batches])
        said = torch.cat([self.chosen(own).cpu() for own in scores])
        sure = torch.cat([self.rules.marginals(own).cpu() for own in scores])
        lost = torch.cat([self.log_loss(own, batch).cpu() for own, batch in zip(scores, batches)])
        found = {"macro_f1": macro_f1(right, said), "auc": macro_auc(right, sure), "log_loss": float(lost.mean())}
        return {name: value for name, value in found.items() if value == value}  # without those that are NaN

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The log odds of the set that is answered against its opposite, before rules, ``[B]``."""
        return (scores * _signed(self.chosen(scores), scores)).sum(1)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The most probable set that rules allow, and its probability given them."""
        chosen = self.chosen(scores)
        own = nn.functional.logsigmoid(scores.double() * _signed(chosen, scores)).sum(1)
        sure = (own - self.rules.log_partition(scores.double())).exp().clamp(max=1).tolist()
        said = [tuple(label for label, x in zip(self.head.labels, row) if x) for row in chosen.tolist()]
        return [Answer(name, value, score) for name, value, score in zip(batch.names, said, sure)]

    def chosen(self, scores: Tensor) -> Tensor:
        """What is answered, ``[B, L] -> bool [B, L]``."""
        return self.rules.answer(scores)


@dataclass(frozen=True)
class OneGiven:
    """One of the labels that rules allow alone; called as ``Classify`` is, whose labels the rules are over.

    A label that breaks a hard rule has no probability: a sample of it teaches nothing, and is measured as wrong.
    """

    head: Classify
    rules: RuleSet

    def __post_init__(self) -> None:
        if not self.allowed.any():
            raise InputError(f"{self.rules.source or 'Rules'}: none of the labels satisfies every hard rule where it "
                             "alone is true, as Classify answers; take MultiLabel or other rules.")  # fmt: skip

    @cached_property
    def allowed(self) -> Tensor:
        """Which labels are, ``bool [C]``."""
        return self.rules.holds(torch.eye(len(self.head.labels), dtype=torch.bool))

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed labels."""
        return self.head.loss(self._over(scores), self._taught(batch))

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed labels."""
        return self.head.log_loss(self._over(scores), self._taught(batch))

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The head's, over allowed labels."""
        return self.head.measure(self._over(scores), self._taught(batch))

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """The head's, over allowed labels."""
        return self.head.summary([self._over(own) for own in scores], [self._taught(batch) for batch in batches])

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed labels."""
        return self.head.said(self._over(scores), batch)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The head's, over allowed labels."""
        return self.head.answers(self._over(scores), batch)

    def chosen(self, scores: Tensor) -> Tensor:
        """What is answered, ``[B, C] -> bool [B, C]``."""
        return chosen(self.head, self._over(scores))

    def _over(self, scores: Tensor) -> Tensor:
        return scores.masked_fill(~self.allowed.to(scores.device), -torch.inf)

    def _taught(self, batch: Batch) -> Batch:
        """The batch with those of each sample's right labels that are allowed."""
        if self.allowed.all():
            return batch
        never = {label for label, allowed in zip(self.head.labels, self.allowed.tolist()) if not allowed}
        return replace(batch, targets=tuple(
            tuple(x for x in (target if isinstance(target, tuple) else (target,)) if x not in never)
            for target in batch.targets
        ))  # fmt: skip


def chosen(head: Classify | MultiLabel, scores: Tensor) -> Tensor:
    """Which labels a head by itself answers, ``[B, L] -> bool [B, L]``."""
    if isinstance(head, MultiLabel):
        return scores > 0
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.argmax(1, keepdim=True), True)


def _signed(chosen: Tensor, like: Tensor) -> Tensor:
    """1 where a label is answered, and -1 where it is not."""
    return 2 * chosen.to(like.dtype) - 1
