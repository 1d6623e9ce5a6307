"""What a model says of one sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An answer, how sure it is, and what it rests on.

    Attributes:
        name: The sample's.
        value: A label, labels, a number, or the row of a node, as the head gives it; ``None`` if there was nothing to
            choose from; of several tasks a mapping, task -> value.
        score: Confidence between 0 and 1 where the head has one, else ``None``.
        evidence: Paths of edge ids in a knowledge graph, best first.
        parts: Of several tasks, task -> its own answer with its own confidence.
    """

    name: str
    value: Any
    score: float | None = None
    evidence: tuple[tuple[int, ...], ...] = ()
    parts: Mapping[str, Answer] = field(default_factory=dict, hash=False)
