"""What a rule set is like: its components and how each is answered, and how often its rules have something to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.atoms import Atom, ForAll, Label, of_row
from graphfuse.rules.compiled import truth
from graphfuse.rules.exact import Layered, Method
from graphfuse.rules.expression import Implies
from graphfuse.rules.normal import tree_of
from graphfuse.rules.ruleset import RuleSet


@dataclass(frozen=True)
class Component:
    """Labels that hard rules join, and what is measured with them.

    Attributes:
        method: How they are answered exactly.
        labels: Their names, in the order in which they are decided.
        nodes: Of the decision diagram; ``None`` where there is none.
        allowed: How many of their assignments are allowed; ``None`` where that is beyond the budget.
    """

    method: str
    labels: tuple[str, ...]
    nodes: int | None
    allowed: int | None


@dataclass(frozen=True)
class Count:
    """How often a rule met something in known answers.

    Attributes:
        support: In how many the left side of an implication is true; ``None`` of another rule. At 0 it was never put to
            the test.
        broken: Which answers break it, ``bool [B]``.
    """

    support: int | None
    broken: Tensor


def components(rules: RuleSet) -> list[Component]:
    """Each component, the one with most labels first; labels of none are free."""
    names = (*rules.labels, *(str(replace(atom, of="x")) for atom in rules._seen))
    found = [
        Component(method.name, tuple(names[label] for label in method.labels),
                  sum(each.shape[1] - 1 for each in method.follows) if isinstance(method, Layered) else None,
                  _models(method))
        for method in rules._compiled.methods
    ]  # fmt: skip
    return sorted(found, key=lambda each: -len(each.labels))


def _models(method: Method) -> int | None:
    try:
        return method.models()
    except InputError:
        return None


def counts(rules: RuleSet, answers: Tensor) -> Sequence[Count | None]:
    """How often each rule met something, ``R`` of them; ``None`` of one that speaks of more than the labels of a row.

    Shape: ``answers bool [B, L]``.
    """
    place: dict[Atom, int] = {Label(name): at for at, name in enumerate(rules.labels)}
    found = list[Count | None]()
    for at, rule in enumerate(rules.rules):
        if at not in rules._trees or rules._lifted[at].observed:
            found.append(None)
            continue
        says, support = rule.says.of if isinstance(rule.says, ForAll) else rule.says, None
        if isinstance(says, Implies):
            support = int(truth(tree_of(says.left.each(of_row), place), answers).sum())
        found.append(Count(support, ~truth(rules._trees[at], answers)))
    return found
