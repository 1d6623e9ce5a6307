"""What a rule says of named facts: a tree of frozen parts, made from text or by ``&``, ``|``, ``~`` and ``>>``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from graphfuse.core.errors import InputError

if TYPE_CHECKING:
    from graphfuse.rules.atoms import Atom

PLAIN = re.compile(r"[^\W\d]\w*")
"""A name that needs no quotes."""
WORDS = ("hard", "soft", "learn", "forall", "exists", "in", "exactly_one", "at_most", "at_least")
"""Words of the language; a label of that name is quoted."""


class Expression:
    """Part of a rule. ``a & b``, ``a | b``, ``~a``, ``a >> b`` (if a, then b)."""

    binds: ClassVar[int] = 9
    """How tightly it binds when printed; what binds less than its surroundings is put in parentheses."""

    def __and__(self, other: Expression) -> Expression:
        return And((*parts_of(And, self), *parts_of(And, other)))

    def __or__(self, other: Expression) -> Expression:
        return Or((*parts_of(Or, self), *parts_of(Or, other)))

    def __invert__(self) -> Expression:
        return Not(self)

    def __rshift__(self, other: Expression) -> Expression:
        return Implies(self, other)

    def children(self) -> tuple[Expression, ...]:
        """The parts that it is made of."""
        return ()

    def atoms(self) -> Iterator[Atom]:
        """What it speaks of, each as often as it does."""
        for part in self.children():
            yield from part.atoms()

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """The same with other atoms."""
        raise NotImplementedError

    def depth(self) -> int:
        """How many parts stand in one another above the atoms."""
        level, deep = {id(self): self}, 0
        while level:  # a part that stands in several places is looked at once
            level, deep = {id(part): part for each in level.values() for part in each.children()}, deep + 1
        return deep - 1

    def size(self) -> int:
        """How many parts it is made of, one that stands in several places as often as it does."""
        known: dict[int, int] = {}

        def counted(part: Expression) -> int:
            if id(part) not in known:
                known[id(part)] = 1 + sum(map(counted, part.children()))
            return known[id(part)]

        return counted(self)

    def _within(self, binds: int) -> str:
        return f"({self})" if self.binds < binds else str(self)


@dataclass(frozen=True)
class Not(Expression):
    """What is false."""

    of: Expression
    binds: ClassVar[int] = 5

    def children(self) -> tuple[Expression, ...]:
        """The one part."""
        return (self.of,)

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """The same with other atoms."""
        return Not(self.of.each(change))

    def __str__(self) -> str:
        return f"~{self.of._within(self.binds)}"


@dataclass(frozen=True)
class _Joined(Expression):
    """Several parts that one sign joins."""

    parts: tuple[Expression, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError(f"{type(self).__name__}: there is nothing to join.")

    def children(self) -> tuple[Expression, ...]:
        """The parts."""
        return self.parts

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """The same with other atoms."""
        return replace(self, parts=tuple(part.each(change) for part in self.parts))


@dataclass(frozen=True)
class And(_Joined):
    """All of its parts."""

    binds: ClassVar[int] = 4

    def __str__(self) -> str:
        return " & ".join(part._within(self.binds + 1) for part in self.parts)


@dataclass(frozen=True)
class Or(_Joined):
    """One of its parts or more."""

    binds: ClassVar[int] = 3

    def __str__(self) -> str:
        return " | ".join(part._within(self.binds + 1) for part in self.parts)


@dataclass(frozen=True)
class Implies(Expression):
    """Where the left side is true, the right side is."""

    left: Expression
    right: Expression
    binds: ClassVar[int] = 2

    def children(self) -> tuple[Expression, ...]:
        """Both sides."""
        return self.left, self.right

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """The same with other atoms."""
        return replace(self, left=self.left.each(change), right=self.right.each(change))

    def __str__(self) -> str:
        return f"{self.left._within(self.binds + 1)} -> {self.right._within(self.binds)}"


@dataclass(frozen=True)
class Iff(Expression):
    """Both sides are true, or none is."""

    left: Expression
    right: Expression
    binds: ClassVar[int] = 1

    def children(self) -> tuple[Expression, ...]:
        """Both sides."""
        return self.left, self.right

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """The same with other atoms."""
        return replace(self, left=self.left.each(change), right=self.right.each(change))

    def __str__(self) -> str:
        return f"{self.left._within(self.binds)} <-> {self.right._within(self.binds + 1)}"


@dataclass(frozen=True)
class Count(Expression):
    """At least ``low`` and at most ``high`` of its parts are true. Kept as it is: never written out as clauses."""

    low: int
    high: int
    parts: tuple[Expression, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= len(self.parts) or not self.parts:
            many = len(self.parts)
            raise InputError(f"Count: from {self.low} to {self.high} of {many} parts is no range of how many are true.")

    def children(self) -> tuple[Expression, ...]:
        """What is counted."""
        return self.parts

    def each(self, change: Callable[[Atom], Expression]) -> Expression:
        """The same with other atoms."""
        return replace(self, parts=tuple(part.each(change) for part in self.parts))

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.parts))
        if self.low == self.high == 1:
            return f"exactly_one({listed})"
        least, most = f"at_least({self.low}, {listed})", f"at_most({self.high}, {listed})"
        if self.high >= len(self.parts):
            return least
        return most if self.low == 0 else f"({least} & {most})"


def parts_of(kind: type, expression: Expression) -> tuple[Expression, ...]:
    """The parts of an ``And`` or ``Or``, or the expression as the only one."""
    return expression.children() if type(expression) is kind else (expression,)


def quoted(name: str) -> str:
    """A name as it is written in a rule."""
    return name if PLAIN.fullmatch(name) and name not in WORDS else in_quotes(name)


def in_quotes(text: str) -> str:
    """Any text as it is written in a rule."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def exactly_one(*parts: Expression) -> Count:
    """One of the parts is true, and no other."""
    return Count(1, 1, parts)


def at_most(k: int, *parts: Expression) -> Count:
    """No more than ``k`` of the parts are true."""
    return Count(0, min(k, len(parts)), parts)


def at_least(k: int, *parts: Expression) -> Count:
    """``k`` of the parts are true, or more."""
    return Count(k, len(parts), parts)
