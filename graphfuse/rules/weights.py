"""Weights of rules that are learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from graphfuse.core.errors import InputError
from graphfuse.rules.facts import Facts
from graphfuse.rules.ruleset import RuleSet


class RuleWeights(nn.Module):
    """One weight a rule: fixed ones as the rules say, learned ones as a softplus of a parameter, so never negative.

    Shape: ``-> [R]``.

    Args:
        rules: Whose.
        start: What learned weights begin at.

    Raises:
        InputError: The start is not above 0 and below 80.
    """

    fixed: Tensor
    learns: Tensor

    def __init__(self, rules: RuleSet, start: float = 0.5):
        super().__init__()
        if not 0 < start < 80:
            raise InputError(f"RuleWeights: start is {start}; it must be above 0 and below 80.")
        weights = [1.0 if rule.hard else rule.weight for rule in rules.rules]
        learned = [at for at, weight in enumerate(weights) if weight is None]
        self.register_buffer("fixed", torch.tensor([weight or 0.0 for weight in weights]), persistent=False)
        self.register_buffer("learns", torch.tensor(learned, dtype=torch.long), persistent=False)
        self.raw = nn.Parameter(torch.full((len(learned),), start).expm1().log())

    def forward(self) -> Tensor:
        """The weights now."""
        return self.fixed.index_copy(0, self.learns, softplus(self.raw))


class Refine(nn.Module):
    """Logits refined by rules some times, each time with weights of its own, as in KENN.

    Shape: ``logits [B, L] -> [B, L]``.
    """

    def __init__(self, rules: RuleSet, layers: int = 1, start: float = 0.5):
        super().__init__()
        self.rules = rules
        self.weights = nn.ModuleList(RuleWeights(rules, start) for _ in range(layers))

    def forward(self, logits: Tensor, graph: Facts | None = None, rules: RuleSet | None = None) -> Tensor:
        """Layer after layer; ``rules`` in the place of its own, as many of the same names."""
        for weights in self.weights:
            logits = (rules or self.rules).refine(logits, graph, weights())
        return logits
