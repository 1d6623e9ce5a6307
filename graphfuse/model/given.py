"""What a head makes of scores given that every hard rule holds: its losses, metrics and answers, exactly.

Outputs that are independent before the rules, conditioned on them: a set of labels is as probable as its own product of
sigmoids, divided by that of all allowed sets. A head that answers one label of several has one rule more, that exactly
one is true; given that, its outputs are the softmax over the labels that rules allow alone. Which sets or labels are
allowed depends on the facts of a sample, where rules ask for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.kept import Kept
from graphfuse.core.sample import Batch
from graphfuse.heads import Classify, MultiLabel
from graphfuse.heads.marked import Marked
from graphfuse.heads.metrics import macro_auc, macro_f1
from graphfuse.model.observed import Asked

NONE = "none of the labels satisfies every hard rule where it alone is true, as Classify answers"


@dataclass(frozen=True)
class SeveralGiven:
    """Any of the labels, as rules allow; called as ``MultiLabel`` is, whose labels the rules are over, in their order.

    A sample whose labels break a hard rule has no probability: it teaches nothing, and is measured as it is.

    Each method raises ``InputError`` with the name of a sample whose facts leave no set of labels.
    """

    head: MultiLabel
    asked: Asked

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log probability of the right labels given the rules, averaged over samples and labels.

        Binary cross-entropy and ``log Z``: its gradient to a score is the label's marginal given the rules minus the
        label, over samples and labels.
        """
        each = self.log_loss(scores, batch)
        return each.sum() / max(len(each), 1)

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The loss of each sample that can teach."""
        right, facts = self.head.right(batch, scores.device), self.asked.check_possible(batch)
        exact = scores.double()  # for two large sums are left to cancel
        known, total = self.asked.rules.holds(right, facts), self.asked.rules.log_partition(exact, facts)
        own = nn.functional.binary_cross_entropy_with_logits(exact, right.double(), reduction="none").sum(1)
        return ((own + total)[known] / len(self.head.labels)).to(scores.dtype)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """As the head's, of the most probable set that rules allow."""
        return self.head.measure(_signed(self.chosen(scores, batch), scores), batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """As the head's: macro F1 of what is answered, macro AUC of marginals, and the log loss."""
        cpu = torch.device("cpu")
        right = torch.cat([self.head.right(batch, cpu) for batch in batches])
        said = torch.cat([self.chosen(own, batch).cpu() for own, batch in zip(scores, batches)])
        sure = torch.cat([self.asked.rules.marginals(own, self.asked.check_possible(batch)).cpu()
                          for own, batch in zip(scores, batches)])  # fmt: skip
        lost = torch.cat([self.log_loss(own, batch).cpu() for own, batch in zip(scores, batches)])
        found = {"macro_f1": macro_f1(right, said), "auc": macro_auc(right, sure), "log_loss": float(lost.mean())}
        return {name: value for name, value in found.items() if value == value}  # without those that are NaN

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The log odds of the set that is answered against its opposite, before rules, ``[B]``."""
        return (scores * _signed(self.chosen(scores, batch), scores)).sum(1)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The most probable set that rules allow, and its probability given them."""
        chosen, facts = self.chosen(scores, batch), self.asked.facts(batch)
        own = nn.functional.logsigmoid(scores.double() * _signed(chosen, scores)).sum(1)
        sure = (own - self.asked.rules.log_partition(scores.double(), facts)).exp().clamp(max=1).tolist()
        said = [tuple(label for label, x in zip(self.head.labels, row) if x) for row in chosen.tolist()]
        return [Answer(name, value, score) for name, value, score in zip(batch.names, said, sure)]

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``[B, L] -> bool [B, L]``."""
        return self.asked.rules.answer(scores, self.asked.check_possible(batch))


@dataclass(frozen=True)
class OneGiven:
    """One of the labels that rules allow alone; called as ``Classify`` is, whose labels the rules are over.

    A label that breaks a hard rule has no probability: a sample of it teaches nothing, and is measured as wrong.

    Each method raises ``InputError`` with the name of a sample whose facts leave no label.

    Attributes:
        head: By itself.
        asked: What rules ask of a batch.
        kept: Which labels are allowed, of the last batches.
    """

    head: Classify
    asked: Asked
    kept: Kept[Tensor] = field(default_factory=Kept, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.asked.sorts:
            self.allowed(Batch(("",), {}, {}))

    def allowed(self, batch: Batch) -> Tensor:
        """Which labels are, of each sample, ``bool [B, C]``."""
        return self.kept.of(batch, self._allowed)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed labels."""
        return self.head.loss(self._over(scores, batch), self._taught(batch))

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed labels."""
        return self.head.log_loss(self._over(scores, batch), self._taught(batch))

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """The head's, over allowed labels."""
        return self.head.measure(self._over(scores, batch), self._taught(batch))

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """The head's, over allowed labels."""
        over = [self._over(own, batch) for own, batch in zip(scores, batches)]
        taught = [self._taught(batch) for batch in batches]
        found = self.head.summary(over, taught)
        if not any(self.head.right(batch, torch.device("cpu")).any() for batch in taught):
            found.pop("log_loss", None)  # of no sample there is one
        return found

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The head's, over allowed labels."""
        return self.head.said(self._over(scores, batch), batch)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The head's, over allowed labels."""
        return self.head.answers(self._over(scores, batch), batch)

    def chosen(self, scores: Tensor, batch: Batch) -> Tensor:
        """What is answered, ``[B, C] -> bool [B, C]``."""
        return chosen(self.head, self._over(scores, batch))

    def _over(self, scores: Tensor, batch: Batch) -> Tensor:
        return scores.masked_fill(~self.allowed(batch).to(scores.device), -torch.inf)

    def _taught(self, batch: Batch) -> Batch:
        """The batch with those of each sample's right labels that are allowed."""
        right = self.head.right(batch, torch.device("cpu"))
        return replace(batch, targets=Marked(right & self.allowed(batch), self.head.labels))

    def _allowed(self, batch: Batch) -> Tensor:
        allowed = torch.zeros(len(batch), len(self.head.labels), dtype=torch.bool)
        hard = torch.tensor([rule.hard for rule in self.asked.rules.rules])
        for rows, broken in self.asked.each_alone(batch):
            alone = ~broken[:, hard].any(1)
            if not alone.any():
                raise self.asked.impossible(batch, int(rows[0]), NONE)
            allowed[rows] = alone
        return allowed


def chosen(head: Classify | MultiLabel, scores: Tensor) -> Tensor:
    """Which labels a head by itself answers, ``[B, L] -> bool [B, L]``."""
    if isinstance(head, MultiLabel):
        return scores > 0
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.argmax(1, keepdim=True), True)


def _signed(chosen: Tensor, like: Tensor) -> Tensor:
    """1 where a label is answered, and -1 where it is not."""
    return 2 * chosen.to(like.dtype) - 1
