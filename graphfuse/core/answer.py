"""What a model says of one sample."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """An answer, how sure it is, and what it rests on.

    Attributes:
        name: The sample's.
        value: A label, labels, a number, or the row of a node, as the head gives it; ``None`` if there was nothing to
            choose from.
        score: Confidence between 0 and 1 where the head has one, else ``None``.
        evidence: Paths of edge ids in a knowledge graph, best first.
    """

    name: str
    value: Any
    score: float | None = None
    evidence: tuple[tuple[int, ...], ...] = ()
