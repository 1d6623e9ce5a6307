"""What a rule set is like: its components and how each is answered, and how often its rules have something to say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphfuse.rules.exact import Layered
from graphfuse.rules.expression import Implies
from graphfuse.rules.ruleset import RuleSet


@dataclass(frozen=True)
class Component:
    """Labels that hard rules join.

    Attributes:
        method: How they are answered exactly.
        labels: Their names, in the order in which they are decided.
        nodes: Of the decision diagram; ``None`` where there is none.
        allowed: How many of their assignments are allowed.
    """

    method: str
    labels: tuple[str, ...]
    nodes: int | None
    allowed: int


def components(rules: RuleSet) -> list[Component]:
    """Each component, the one with most labels first; labels of none are free."""
    found = [
        Component(method.name, tuple(rules.labels[label] for label in method.labels),
                  sum(each.shape[1] - 1 for each in method.follows) if isinstance(method, Layered) else None,
                  method.models())
        for method in rules._compiled.methods
    ]  # fmt: skip
    return sorted(found, key=lambda each: -len(each.labels))


def support(rules: RuleSet, answers: Tensor) -> list[int | None]:
    """In how many answers the left side of each rule is true; ``None`` of a rule that is no implication.

    A rule of support 0 was never put to the test.

    Shape: ``answers bool [B, L] -> [R]``.
    """
    facts = dict(zip(rules.labels, answers.unbind(1)))
    sides = [rule.says.left if isinstance(rule.says, Implies) else None for rule in rules.rules]
    return [None if side is None else int(torch.count_nonzero(side.holds(facts))) for side in sides]
