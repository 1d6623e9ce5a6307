"""Logits changed towards what rules say: a residual layer, as in knowledge enhanced neural networks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.lifted import Ground, Lifted
from graphfuse.rules.normal import Clause, Tree, clauses_of, denied

CERTAIN = 1e30
"""The logit of what is known, among those of a clause."""
MANY = 2_000
"""As many clauses one rule may be here."""


def enhancement(rule: Lifted, grounds: Sequence[Ground], logits: Tensor) -> Tensor:
    """What a rule adds to logits, for a weight of 1: ``[B, L] -> [B, L]``.

    Of each clause, the literal that is nearest to being true is pushed most: literals by a softmax over their logits,
    signed. What groundings add to one label is summed.

    Source: KENN, Daniele & Serafini 2019, "Knowledge enhanced neural networks" (the clause enhancer); over relations,
    Daniele & Serafini 2020, "Neural networks enhancement with logical knowledge".

    Raises:
        InputError: The rule says that something exists, or is too many clauses.
    """
    if not rule.every:
        raise InputError(f"{rule.name} says that something exists, which cannot refine; use it as a loss.")
    added = torch.zeros_like(logits).reshape(-1)
    for ground in grounds:
        values = ground.take(logits).clamp(-CERTAIN, CERTAIN)  # infinite ones, which have no softmax
        columns = torch.tensor(ground.columns, device=logits.device)[:, None]
        cells = ground.rows[list(ground.of)] * logits.shape[1] + columns  # [S, G]
        for clauses in _by_width(_clauses(rule, ground.tree)):
            literals = torch.tensor(clauses, device=logits.device)  # [C, m]
            sign = literals.sign()[:, :, None].to(values.dtype)
            change = (values[literals.abs() - 1] * sign).softmax(1) * sign  # [C, m, G]
            added = added.index_add(0, cells[literals.abs() - 1].reshape(-1), change.reshape(-1))
    return added.view(logits.shape)


def _clauses(rule: Lifted, tree: Tree) -> list[Clause]:
    found = clauses_of(_spelt(tree), MANY)
    if found is None:
        raise InputError(f"{rule.name} is more clauses than can refine; use it as a loss, or count fewer labels.")
    return found


def _spelt(tree: Tree) -> Tree:
    """Counts as the groups of which one has to be true, where they are few."""
    if not isinstance(tree, tuple):
        return tree
    kind, parts = tree[0], tuple(_spelt(part) for part in tree[1])
    if kind == "not":
        return denied(parts[0])
    if kind == "iff":
        return ("and", tuple(("or", (denied(one), other)) for one, other in (parts, parts[::-1])))
    if kind != "count":
        return (kind, parts)
    low, high, many = *tree[2:], len(parts)
    if comb(many, many - low + 1 if low else 0) + comb(many, high + 1) > MANY:
        return tree
    least = combinations(parts, many - low + 1) if low else ()
    most = combinations(map(denied, parts), high + 1) if high < many else ()
    return ("and", tuple(("or", group) for group in (*least, *most)))


def _by_width(clauses: Sequence[Clause]) -> Iterable[list[list[int]]]:
    widths = defaultdict[int, list[list[int]]](list)
    for clause in clauses:
        if clause:  # what can never hold, nothing helps
            widths[len(clause)].append(sorted(clause))
    return widths.values()
