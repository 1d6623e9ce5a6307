"""One rule of a set."""

from __future__ import annotations

from dataclasses import dataclass

from graphfuse.rules.expression import Expression, quoted


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: Unique within its rule set.
        says: What should be true.
        hard: Whether it must be.
        weight: Of a soft rule, at least 0; ``None`` where it is learned.
        line: Where it stands in its text, from 1; 0 if it was not read.
    """

    name: str
    says: Expression
    hard: bool = True
    weight: float | None = 1.0
    line: int = 0

    def __str__(self) -> str:
        soft = "soft learn" if self.weight is None else "soft" if self.weight == 1 else f"soft {self.weight!r}"
        return f"{'hard' if self.hard else soft} {quoted(self.name)}: {self.says}"
