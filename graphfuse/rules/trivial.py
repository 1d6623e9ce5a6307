"""Answers that every row may have under all rules: rules by themselves teach nothing more than one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from graphfuse.rules.atoms import Label
from graphfuse.rules.compiled import never
from graphfuse.rules.diagram import Budget
from graphfuse.rules.lifted import Lifted
from graphfuse.rules.normal import denied, renumbered
from graphfuse.rules.truth import truth


def suit(rules: Sequence[Lifted], answers: Tensor, place: Mapping[str, int], budget: Budget) -> Tensor:
    """Which answers, each given to all rows, satisfy all rules whatever is observed: ``bool [A, L] -> bool [A]``.

    Of a rule that something exists, wherever what guards it is observed. Comparisons are taken as independent.
    """
    good = answers.new_ones(len(answers))
    for rule in rules:
        numbers = {at: place[atom.name] for at, atom in enumerate(rule.atoms, 1) if isinstance(atom, Label)}
        own = answers[:, list(numbers.values())]
        if len(numbers) == len(rule.atoms):
            good &= truth(rule.body, own)
            continue
        each, which = own.unique(dim=0, return_inverse=True)  # with many answers few that differ here
        told = [_holds(rule, dict(zip(numbers, row)), budget) for row in each.tolist()]
        good &= torch.tensor(told, dtype=torch.bool, device=good.device)[which]
    return good


def _holds(rule: Lifted, labels: Mapping[int, bool], budget: Budget) -> bool:
    """Whether what a rule says of some labels is true whatever is observed."""
    seen = {number: number for number in range(1, len(rule.atoms) + 1)}
    return never(denied(renumbered(rule.body, {**seen, **labels})), len(rule.atoms), budget)
