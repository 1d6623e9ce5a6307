"""What rules speak of: labels, relations and features of the things that their variables stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.expression import Expression, in_quotes, quoted

COMPARISONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    ">=": torch.ge, "<=": torch.le, ">": torch.gt, "<": torch.lt, "=": torch.eq, "!=": torch.ne,
}  # fmt: skip
WORDED = ("=", "!=")


class Atom(Expression):
    """What is true or false of things by itself."""

    def atoms(self) -> Iterator[Atom]:
        """Itself."""
        yield self

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """What it is changed to."""
        return change(self)

    @property
    def variables(self) -> tuple[str, ...]:
        """Those that it speaks of; the empty one is the row itself."""
        raise NotImplementedError


@dataclass(frozen=True)
class Label(Atom):
    """A label, which a model gives a logit for: of what a variable stands for, or of the row itself."""

    name: str
    of: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The one."""
        return (self.of,)

    def __str__(self) -> str:
        return f"{quoted(self.name)}({self.of})" if self.of else quoted(self.name)


@dataclass(frozen=True)
class Related(Atom):
    """An observed relation leads from one thing to another."""

    name: str
    source: str
    target: str

    @property
    def variables(self) -> tuple[str, ...]:
        """Both ends."""
        return self.source, self.target

    def __str__(self) -> str:
        return f"{quoted(self.name)}({self.source}, {self.target})"


@dataclass(frozen=True)
class Measured(Atom):
    """An observed number or word compared with another: ``sign`` is a name in :data:`COMPARISONS`, of words ``=`` or
    ``!=``."""

    feature: str
    of: str
    sign: str
    value: float | str

    def __post_init__(self) -> None:
        if self.sign not in (WORDED if isinstance(self.value, str) else COMPARISONS):
            raise InputError(f"{self.feature!r} is compared with {self.value!r} by {self.sign!r}; numbers are by "
                             f"{', '.join(COMPARISONS)}, words by {' and '.join(WORDED)}.")  # fmt: skip

    @property
    def variables(self) -> tuple[str, ...]:
        """The one."""
        return (self.of,)

    def __str__(self) -> str:
        value = in_quotes(self.value) if isinstance(self.value, str) else repr(self.value).removesuffix(".0")
        return f"{quoted(self.feature)}({self.of}) {self.sign} {value}"


@dataclass(frozen=True)
class Differ(Atom):
    """Two variables stand for two things."""

    left: str
    right: str

    @property
    def variables(self) -> tuple[str, ...]:
        """Both."""
        return self.left, self.right

    def __str__(self) -> str:
        return f"{self.left} != {self.right}"


@dataclass(frozen=True)
class _Quantified(Expression):
    """What is said of things that variables stand for; the outermost part of a rule."""

    variables: tuple[str, ...]
    of: Expression

    binds = 0

    def children(self) -> tuple[Expression, ...]:
        """What is said."""
        return (self.of,)

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """The same with other atoms."""
        return replace(self, of=self.of.each(change))


@dataclass(frozen=True)
class ForAll(_Quantified):
    """It is true of all things, or of all that meet in relations."""

    def __str__(self) -> str:
        return f"forall {', '.join(self.variables)}. {self.of}"


@dataclass(frozen=True)
class Exists(_Quantified):
    """There are things that it is true of."""

    def __str__(self) -> str:
        return f"exists {', '.join(self.variables)}. {self.of}"


@dataclass(frozen=True)
class ExistsOne(Exists):
    """There is exactly one thing that it is true of, where there is any that is observed to be such; no part of the
    language."""

    def __str__(self) -> str:
        return f"exists one {', '.join(self.variables)}. {self.of}"


def renamed(atom: Atom, to: Mapping[str, str]) -> Atom:
    """An atom with some variables of other names."""
    match atom:
        case Label(of=of) | Measured(of=of):
            return replace(atom, of=to.get(of, of))
        case Related(_, source, target):
            return replace(atom, source=to.get(source, source), target=to.get(target, target))
        case Differ(left, right):
            return Differ(to.get(left, left), to.get(right, right))
    raise TypeError(f"{type(atom).__name__} is no atom of rules.")


def of_row(atom: Atom) -> Atom:
    """The same of the row itself, for an atom of one variable."""
    return renamed(atom, dict.fromkeys(atom.variables, ""))
