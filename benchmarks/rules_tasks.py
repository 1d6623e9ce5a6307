"""Sets on which a small network is trained with rules and without, and how long and wide it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad

import graphfuse as gf
from benchmarks import rules_data as data
from benchmarks.rules_net import Loss, Setting
from benchmarks.rules_rows import OURS, RAW
from benchmarks.rules_sets import satisfied
from benchmarks.rules_structured import GRID, SUSHI, grid_holds, grid_path, known, sushi_clauses

SETTINGS = {
    "yeast": {
        RAW: Setting(width=512, dropout=0.7, rate=1e-3, epochs=25, hidden=2),
        OURS: Setting(width=512, dropout=0.7, rate=1e-3, epochs=47, hidden=2),
    },
    "enron": dict.fromkeys((RAW, OURS), Setting(width=128, dropout=0.2, rate=1e-3, epochs=47, hidden=1)),
    "sushi": dict.fromkeys((RAW, OURS), Setting(width=512, dropout=0.2, rate=1e-3, epochs=51, hidden=2)),
    "grid": dict.fromkeys((RAW, OURS), Setting(width=512, dropout=0.2, rate=1e-3, epochs=148, hidden=2)),
}
"""Those that were best on validation for the network without rules, unless the network with rules has its own best:
``python -m benchmarks.rules_tune`` with yeast 60 2, enron 60, sushi 60, and grid 150, where more epochs would still
add. Of enron and yeast more settings were tried without rules before, 16 and 24."""


def tuned_on(name: str) -> str:
    """What settings of a set were chosen by, for its rows."""
    own = SETTINGS[name]
    return "validation, without rules" if own[RAW] == own[OURS] else "validation"


@dataclass(frozen=True)
class Task:
    """A set, its rules, and the setting for networks with them and without.

    Attributes:
        holds: Whether answers, with what is told, satisfy the rules.
        told: From logits ``[B, L]`` and features to the logits that rules speak of, evidence among them.
        clauses: The rules as clauses, for a peer; ``None`` where they are none.
        path: Whether answers are one path; ``None`` where that is not asked.
    """

    read: Callable[[], data.Split]
    rules: Callable[[], gf.RuleSet]
    settings: Mapping[str, Setting]
    holds: Callable[[np.ndarray], np.ndarray]
    told: Callable[[Tensor, Tensor], Tensor] = lambda logits, x: logits
    clauses: Sequence[data.Clause] | None = None
    path: Callable[[np.ndarray], np.ndarray] | None = None


def task(name: str) -> Task:
    """``yeast``, ``enron``, ``sushi`` or ``grid``."""
    if name == "grid":
        read, rules = partial(data.structured, name), partial(gf.RuleSet.parse, *GRID)
        return Task(read, rules, SETTINGS[name], grid_holds, known, path=grid_path)
    if name == "sushi":
        clauses, rules = sushi_clauses(), partial(gf.RuleSet.parse, *SUSHI)
        return Task(partial(data.structured, name), rules, SETTINGS[name], partial(satisfied, clauses), clauses=clauses)
    clauses = data.heads_clauses(data.ccn_path(name))
    read, rules = partial(data.ccn, name), partial(data.ccn_rules, name)
    return Task(read, rules, SETTINGS[name], partial(satisfied, clauses), clauses=clauses)


def given_rules(rules: gf.RuleSet, told: Callable[[Tensor, Tensor], Tensor] = lambda logits, x: logits) -> Loss:
    """The negative log likelihood of labels given that the rules hold, the mean over rows.

    It is cross entropy plus the logarithm of the probability that they hold; what is told is no label to be learned.
    """

    def loss(logits: Tensor, y: Tensor, x: Tensor) -> Tensor:
        z = told(logits, x)
        known, y = z.isinf(), pad(y, (0, z.shape[1] - y.shape[1]))
        each = binary_cross_entropy_with_logits(z.masked_fill(known, 0), y, reduction="none").masked_fill(known, 0)
        return (each.sum(1) + rules.log_partition(z)).mean()

    return loss
