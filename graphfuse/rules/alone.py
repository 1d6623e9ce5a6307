"""Rules over one label that exactly one row of a group has: which of them break, row by row, were it that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphfuse.rules.facts import Facts
from graphfuse.rules.lifted import Ground, Lifted, groups_of
from graphfuse.rules.truth import truth

if TYPE_CHECKING:
    from graphfuse.rules.ruleset import RuleSet


def each_alone(rules: RuleSet, facts: Facts, rows: int, device: torch.device | None = None) -> Tensor:
    """Which rules are broken in a row's group if of all its rows that one alone has the label, ``bool [B, R]``.

    A grounding says the same wherever the row with the label is none of its own. So groundings that are false while no
    row has it are counted once a group, and for each row only those that speak of it are looked at again.

    Raises:
        InputError: As ``RuleSet.violations``.
    """
    like = torch.zeros(rows, len(rules.labels), device=device)
    group = groups_of(facts, like)
    found = [_alone(lifted, rules._ground(lifted, like, facts), group) for lifted in rules._lifted]
    return torch.stack(found, 1) if found else like[:, :0].bool()


def _alone(rule: Lifted, grounds: tuple[Ground, ...], group: Tensor) -> Tensor:
    """Which rows break a rule, ``bool [B]``: of one for all things where a grounding is false, of one that something
    exists where none is true."""
    nowhere, here = torch.zeros_like(group), torch.zeros_like(group)
    for ground in grounds:
        each = torch.eye(len(ground.columns) + 1, dtype=torch.bool, device=group.device)[:, 1:]  # none, then each alone
        counts = truth(ground.tree, each) != rule.every
        usual, *own = counts.long().tolist()
        if usual:
            nowhere += torch.bincount(group[ground.rows[0]], minlength=len(group))
        for of, here_too in zip(ground.of, own):
            if here_too != usual:
                here.index_add_(0, ground.rows[of], torch.full_like(ground.rows[of], here_too - usual))
    many = nowhere[group] + here
    return many > 0 if rule.every else many == 0
