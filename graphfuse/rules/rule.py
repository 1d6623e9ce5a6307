"""One rule of a set."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.rules.atoms import Atom, Exists, ForAll, Label
from graphfuse.rules.expression import Expression, quoted

DEPTH, PARTS = 100, 10_000
"""How deep brackets may stand in one another, and how many atoms a rule may have."""


class RuleWarning(UserWarning):
    """A rule says nothing, cannot hold, says nothing that another one does not say, or teaches nothing by itself."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: Unique within its rule set.
        says: What should be true.
        hard: Whether it must be.
        weight: Of a soft rule, at least 0; ``None`` where it is learned.
        line: Where it stands in its text, from 1; 0 if it was not read.
    """

    name: str
    says: Expression
    hard: bool = True
    weight: float | None = 1.0
    line: int = 0

    def __str__(self) -> str:
        soft = "soft learn" if self.weight is None else "soft" if self.weight == 1 else f"soft {self.weight!r}"
        return f"{'hard' if self.hard else soft} {quoted(self.name)}: {self.says}"


def place_of(rule: Rule, source: str) -> str:
    """Where a rule stands, for errors."""
    if not rule.line:
        return f"Rule {rule.name!r}"
    return f"{source}:{rule.line}" if source else f"Line {rule.line}"


def check(rules: Sequence[Rule], labels: Collection[str], source: str) -> None:
    """Raises ``InputError`` where rules are not as text would have them: names, sizes, weights, labels."""
    names = set[str]()
    for rule in rules:
        at = place_of(rule, source)
        if rule.name in names:
            raise InputError(f"{at}: there is a rule {rule.name!r} already; names are unique.")
        names.add(rule.name)
        if rule.says.depth() > DEPTH:
            raise InputError(f"{at}: rule {rule.name!r} is more than {DEPTH} deep.")
        if rule.says.size() > 2 * PARTS:  # of text: atoms, and as many signs at most
            raise InputError(f"{at}: rule {rule.name!r} has more than {2 * PARTS} parts.")
        if rule.weight is not None and not 0 <= rule.weight < math.inf:
            raise InputError(f"{at}: rule {rule.name!r} weighs {rule.weight}; it must be 0 or more.")
        check_variables(rule.says, at)
        spoken = [atom.name for atom in rule.says.atoms() if isinstance(atom, Label)]
        if not spoken:
            raise InputError(f"{at}: rule {rule.name!r} speaks of no label, so nothing can follow it.")
        for label in spoken:
            if label not in labels:
                raise InputError(f"{at}: there is no label {label!r}.{did_you_mean(label, labels)}")


def check_variables(says: Expression, at: str) -> None:
    """Raises ``InputError`` where variables are not bound, or bound inside of what a rule says."""
    bound = says.variables if isinstance(says, ForAll | Exists) else ("",)
    inside = [says.of] if isinstance(says, ForAll | Exists) else [says]
    if not bound or len(set(bound)) < len(bound):
        raise InputError(f"{at}: its variables are {bound}; expected one or more, each once.")
    while inside:
        part = inside.pop()
        if isinstance(part, ForAll | Exists):
            raise InputError(f"{at}: forall and exists stand first in what a rule says, and nowhere else.")
        for variable in part.variables if isinstance(part, Atom) else ():
            if variable not in bound:
                raise InputError(f"{at}: nothing binds the variable {variable!r} of '{part}'.")
        inside += part.children()


def weights_of(rules: Sequence[Rule], weights: Tensor | None, source: str) -> Sequence[Tensor]:
    """One number a rule: those given, or those that the rules say.

    Raises:
        InputError: They are not one a rule, or none are given and a rule has none.
    """
    if weights is not None:
        if weights.shape != (len(rules),):
            raise InputError(f"Weights are {list(weights.shape)}; expected [{len(rules)}], one a rule.")
        return weights.unbind()
    found = list[float]()
    for rule in rules:
        if rule.weight is None and not rule.hard:
            raise InputError(f"{place_of(rule, source)}: rule {rule.name!r} has no weight; give weights, as "
                             "gf.rules.RuleWeights(rules)() learns them.")  # fmt: skip
        found.append(1.0 if rule.hard or rule.weight is None else rule.weight)
    return torch.tensor(found, dtype=torch.double).unbind()
