"""Rules as text: read with errors that say where, and nothing of it is ever executed.

A parser of our own, by precedence climbing (Pratt 1973, "Top down operator precedence"). ``lark`` was tried on the same
bad texts: it names sets of tokens, the place of the last word where a rule ends too early, and no bracket that was
opened; a misspelt ``exactly_one`` it calls a wrong bracket, and each of these would have had to be made anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.rules.expression import Count, Expression, Iff, Implies, Label, Not, quoted

DEPTH, LENGTH, PARTS = 100, 2_000_000, 10_000
"""How deep brackets may stand in one another, how many characters a text may have, and a rule atoms."""
SAID = 600
"""How many characters of what is wrong an error says."""
HALF = re.compile(r"[\ud800-\udfff]")
TOKEN = re.compile(
    r'(?P<space>[ \t\r\f\v\u00a0]+|\#[^\n]*)|(?P<line>\n)|(?P<name>[^\W\d]\w*)|(?P<quoted>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<sign><->|->|[|&~():,])|(?P<other>.)"
)
COUNTS = ("exactly_one", "at_most", "at_least")
BINARY: dict[str, tuple[int, bool, Callable[[Expression, Expression], Expression]]] = {
    "<->": (1, False, Iff), "->": (2, True, Implies), "|": (3, False, Expression.__or__),
    "&": (4, False, Expression.__and__),
}  # fmt: skip
"""How tightly a sign binds, whether what stands right of it is read first, and what it makes."""


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


class _Token(NamedTuple):
    kind: str
    text: str
    line: int
    column: int


def parse(text: str, labels: Collection[str] | None = None, source: str = "") -> list[Rule]:
    """Reads rules, one a line; a line goes on where a bracket is open. ``#`` begins a comment.

    Args:
        text: The rules.
        labels: The labels there are, if they are known.
        source: The name of the file, for errors.

    Raises:
        InputError: Says line and column, what stands there and what would be right.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > LENGTH:
        raise InputError(f"{source or 'The text'} has {len(text)} characters; rules may have {LENGTH}.")
    reader, rules = _Reader(text, labels, source), dict[str, Rule]()
    while reader.skipped_lines().kind != "end":
        at, rule = reader.here, reader.rule()
        if rule.name in rules:
            line = rules[rule.name].line
            reader.fail(f"there is a rule {rule.name!r} on line {line} already; names are unique", at)
        rules[rule.name] = rule
    return list(rules.values())


class _Reader:
    """Walks over the tokens of a text."""

    def __init__(self, text: str, labels: Collection[str] | None, source: str):
        self.labels = None if labels is None else dict.fromkeys(labels)
        self.source, self.lines = source, text.split("\n")
        self.tokens = _tokens(text)
        self.open = list[_Token]()
        self.atoms = 0
        self.last = self.here = _Token("line", "\n", 1, 1)
        self.next()

    def next(self) -> _Token:
        """The token that stands here; goes on to the next one."""
        self.last = self.here
        for token in self.tokens:
            if token.kind == "line" and self.open:
                continue
            if token.kind == "other":
                self.fail(f"{token.text!r} has no meaning in a rule", token)
            if token.kind == "quoted" and HALF.search(token.text):
                self.fail("a name has half of a character, a lone surrogate, which no file can be written with", token)
            self.here = token
            break
        return self.last

    def skipped_lines(self) -> _Token:
        """The next token that is no end of a line."""
        while self.here.kind == "line":
            self.next()
        return self.here

    def fail(self, what: str, at: _Token | None = None) -> None:
        """Raises ``InputError`` at a token, with its line."""
        at = at or self.here
        name = f"{self.source}:{at.line}:{at.column}" if self.source else f"Line {at.line}, column {at.column}"
        line = self.lines[at.line - 1].strip()
        shown = f" In: {line[:80]}" if line else ""
        if len(what) > SAID:  # a name or a number of very many characters
            what = f"{what[: SAID // 2]} .. {what[-SAID // 2 :]}"
        raise InputError(f"{name}: {what}.{shown}".encode(errors="backslashreplace").decode())

    def expect(self, text: str, why: str) -> _Token:
        """The token ``text``, which must stand here."""
        if self.here.text != text or self.here.kind == "quoted":
            self.fail(f"{self.what()} stands where {text!r} should, {why}")
        return self.next()

    def what(self) -> str:
        """The token here in words."""
        return {"line": "the end of the line", "end": "the end of the text"}.get(self.here.kind, repr(self.here.text))

    def rule(self) -> Rule:
        """A whole line."""
        first, self.atoms = self.here, 0
        if first.text not in ("hard", "soft"):
            near = did_you_mean(first.text, ["hard", "soft"]).rstrip(".")
            self.fail(f"a rule begins with 'hard' or 'soft', not {self.what()}.{near}")
        self.next()
        weight: float | None = 1.0
        if first.text == "soft" and self.here.text == "learn":
            self.next()
            weight = None
        elif first.text == "soft" and self.here.kind == "number":
            weight = float(self.next().text)
            if not isfinite(weight):
                self.fail(f"the weight {self.last.text} is too large", self.last)
        if self.here.kind not in ("name", "quoted"):
            self.fail(f"{self.what()} stands where the name of the rule should")
        name = _plain(self.next())
        self.expect(":", f"between the name of rule {name!r} and what it says")
        says = self.expression(0, 0)
        if self.here.kind not in ("line", "end"):
            self.fail(f"{self.what()} stands where rule {name!r} should end or go on with '&', '|', '->' or '<->'")
        if says.depth() > DEPTH:
            self.fail(f"rule {name!r} is more than {DEPTH} deep; name parts of it by labels", first)
        return Rule(name, says, first.text == "hard", weight, first.line)

    def expression(self, binds: int, depth: int) -> Expression:
        """What binds at least so tightly."""
        if depth > 2 * DEPTH:
            self.fail(f"brackets, '~' and '->' stand more than {DEPTH} deep in one another; name parts by labels")
        left = self.atom(depth)
        while self.here.kind == "sign" and self.here.text in BINARY:
            tight, right_first, make = BINARY[self.here.text]
            if tight < binds:
                break
            self.next()
            left = make(left, self.expression(tight if right_first else tight + 1, depth + 1))
        return left

    def atom(self, depth: int) -> Expression:
        """A label, a count, a negation, or what stands in brackets."""
        self.atoms += 1
        if self.atoms > PARTS:
            self.fail(f"a rule may have {PARTS} parts, and this has more")
        if self.here.text == "~" and self.here.kind == "sign":
            self.next()
            return Not(self.expression(5, depth + 1))
        if self.here.text == "(" and self.here.kind == "sign":
            self.opened()
            inside = self.expression(0, depth + 1)
            self.closed()
            return inside
        if self.here.kind not in ("name", "quoted"):
            after = f" after {self.last.text!r}" if self.last.kind == "sign" else ""
            self.fail(f"{self.what()} stands where a label, '~' or '(' should{after}")
        token = self.next()
        if token.kind == "name" and token.text in ("forall", "exists"):
            self.fail(
                f"rules over all nodes ({token.text!r}) cannot be read yet; those over the labels of a sample can",
                token,
            )
        if token.kind == "name" and token.text in COUNTS:
            return self.count(token, depth)
        if self.here.text == "(" and self.here.kind == "sign":
            self.fail(
                f"{token.text!r} is no count, so no '(' may follow it.{did_you_mean(token.text, COUNTS)}".rstrip("."),
                token,
            )
        name = _plain(token)
        if self.labels is not None and name not in self.labels:
            self.fail(f"there is no label {name!r}.{did_you_mean(name, self.labels)}".rstrip("."), token)
        return Label(name)

    def count(self, word: _Token, depth: int) -> Count:
        """``exactly_one(..)``, ``at_most(k, ..)`` or ``at_least(k, ..)``."""
        self.opened()
        k = 1
        if word.text != "exactly_one":
            if self.here.kind != "number" or not self.here.text.isdecimal() or len(self.here.text) > 9:
                self.fail(f"{self.what()} stands where {word.text} should say how many, as in {word.text}(2, a, b, c)")
            k = int(self.next().text)
            self.expect(",", f"between the number of {word.text} and what it counts")
        parts = [self.expression(0, depth + 1)]
        while self.here.text == "," and self.here.kind == "sign":
            self.next()
            parts.append(self.expression(0, depth + 1))
        self.closed()
        if word.text == "at_least" and k > len(parts):
            self.fail(f"at_least({k}, ..) counts {len(parts)} parts only, so it never holds", word)
        low, high = {"exactly_one": (1, 1), "at_most": (0, min(k, len(parts))), "at_least": (k, len(parts))}[word.text]
        return Count(low, high, tuple(parts))

    def opened(self) -> None:
        """Goes over ``(``."""
        if self.here.text != "(":
            self.fail(f"{self.what()} stands where '(' should")
        self.open.append(self.here)
        self.next()

    def closed(self) -> None:
        """Goes over ``)``."""
        if self.here.text != ")" or self.here.kind != "sign":
            at = self.open[-1]
            self.fail(
                f"{self.what()} stands where the ')' should that closes the '(' of line {at.line}, column {at.column}"
            )
        self.open.pop()
        self.next()


def _plain(token: _Token) -> str:
    if token.kind != "quoted":
        return token.text
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), token.text[1:-1])


def _tokens(text: str) -> Iterator[_Token]:
    line, begin, end = 1, 0, 0
    for found in TOKEN.finditer(text):
        end = found.end()
        if found.lastgroup != "space":
            yield _Token(str(found.lastgroup), found.group(), line, found.start() - begin + 1)
        if found.lastgroup == "line":
            line, begin = line + 1, end
    yield _Token("end", "", line, end - begin + 1)
