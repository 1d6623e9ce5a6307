"""Answers that every row may have under all rules: rules by themselves teach nothing more than one of these."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from graphfuse.rules.atoms import Label
from graphfuse.rules.compiled import never
from graphfuse.rules.diagram import Budget
from graphfuse.rules.lifted import Lifted, check_answers
from graphfuse.rules.normal import denied, renumbered
from graphfuse.rules.ruleset import RuleSet
from graphfuse.rules.truth import truth


def trivial(rules: RuleSet, answers: Tensor | None = None) -> Tensor:
    """Which answers satisfy every rule, soft ones too, if all rows have the same, whatever is observed.

    A network that is trained by the rules alone, without labels, may end at one of these: a reasoning shortcut
    (Marconato et al. 2023, "Not all neuro-symbolic concepts are created equal"). A rule that something exists is taken
    to be about what is observed to guard it, and comparisons to be independent of each other.

    Shape: ``answers bool [A, L] -> bool [A]``; left out, they are two: no label is true, and all are.
    """
    if answers is None:
        answers = torch.tensor([[False], [True]]).expand(2, len(rules.labels))
    check_answers(answers, len(rules.labels))
    good = answers.new_ones(len(answers))
    for rule in rules._lifted:
        numbers = {at: rules._place[atom.name] for at, atom in enumerate(rule.atoms, 1) if isinstance(atom, Label)}
        own = answers[:, list(numbers.values())]
        if len(numbers) == len(rule.atoms):
            good &= truth(rule.body, own)
            continue
        each, which = own.unique(dim=0, return_inverse=True)  # with many answers few that differ here
        told = [_holds(rule, dict(zip(numbers, row)), rules.budget) for row in each.tolist()]
        good &= torch.tensor(told, dtype=torch.bool, device=good.device)[which]
    return good


def _holds(rule: Lifted, labels: Mapping[int, bool], budget: Budget) -> bool:
    """Whether what a rule says of some labels is true whatever is observed."""
    seen = {number: number for number in range(1, len(rule.atoms) + 1)}
    return never(denied(renumbered(rule.body, {**seen, **labels})), len(rule.atoms), budget)
