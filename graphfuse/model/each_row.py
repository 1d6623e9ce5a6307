"""What ``Tag`` makes of scores where hard rules say which labels a node or a link may have."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace

from graphfuse.core.kept import Kept
from graphfuse.core.sample import Batch
from graphfuse.heads import Classify, Tag
from graphfuse.heads.by_row import ByRow, Rows
from graphfuse.model.among import Among
from graphfuse.model.given import OneGiven, SeveralGiven
from graphfuse.model.observed import Asked, Observed
from graphfuse.rules import RuleWarning


@dataclass(frozen=True)
class Seen:
    """The rows of a head with their facts as rules ask for them.

    Attributes:
        head: Whose.
        among: What rules ask of a batch.
        kept: The rows of the last batches.
    """

    head: Tag
    among: Among
    kept: Kept[Rows] = field(default_factory=Kept, repr=False, compare=False)

    def look(self, batch: Batch) -> Rows:
        """The rows of a batch."""
        return self.kept.of(batch, self._look)

    def _look(self, batch: Batch) -> Rows:
        rows = self.head.look(batch)
        return replace(rows, facts=Observed(self.among.facts(batch), len(rows.names)))


def each_row(head: Tag, among: Among) -> ByRow:
    """The head under hard rules, each of which speaks of one node or link: what these allow of each by itself."""
    hard = tuple(rule for rule in among.rules.rules if rule.hard)
    with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
        asked = Asked(replace(among.rules, rules=hard))
    given = OneGiven(head.each, asked) if isinstance(head.each, Classify) else SeveralGiven(head.each, asked)
    return ByRow(given, Seen(head, among).look)
