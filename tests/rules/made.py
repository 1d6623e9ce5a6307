"""Random rules as expressions, and every assignment of a few labels, to compare with."""

import itertools
import random

import torch

from graphfuse.rules import And, Count, Iff, Implies, Label, Not, Or

LABELS = ("fever", "cough", "发烧", "two words", "hard", "f5")


def expression(rng: random.Random, labels=LABELS, depth=3):
    """A random expression."""
    roll = rng.random()
    if depth == 0 or roll < 0.2:
        return Label(rng.choice(labels))
    if roll < 0.35:
        return Not(expression(rng, labels, depth - 1))
    if roll < 0.5:
        parts = tuple(expression(rng, labels, rng.randint(0, depth - 1)) for _ in range(rng.randint(2, 4)))
        low = rng.randint(0, len(parts))
        low, high = rng.choice([(1, 1), (0, low), (low, len(parts))])
        return Count(low, high, parts)
    left, right = expression(rng, labels, depth - 1), expression(rng, labels, depth - 1)
    if roll < 0.65:
        return left & right
    if roll < 0.8:
        return left | right
    return rng.choice([Implies, Iff])(left, right)


def worlds(count: int) -> torch.Tensor:
    """Every assignment of some labels, ``bool [2 ** count, count]``."""
    return torch.tensor(list(itertools.product([False, True], repeat=count)))


def holds(says, row, labels=LABELS) -> bool:
    """Whether an expression is true of one assignment, by Python's own logic."""
    match says:
        case Label(name):
            return row[labels.index(name)]
        case Not(of):
            return not holds(of, row, labels)
        case And(parts):
            return all(holds(part, row, labels) for part in parts)
        case Or(parts):
            return any(holds(part, row, labels) for part in parts)
        case Implies(left, right):
            return not holds(left, row, labels) or holds(right, row, labels)
        case Iff(left, right):
            return holds(left, row, labels) == holds(right, row, labels)
        case Count(low, high, parts):
            return low <= sum(holds(part, row, labels) for part in parts) <= high
    raise TypeError(says)
