"""The words of a text of rules, one after the other, and errors that say where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from graphfuse.core.errors import InputError

TOKEN = re.compile(
    r'(?P<space>[ \t\r\f\v\u00a0]+|\#[^\n]*)|(?P<line>\n)|(?P<name>[^\W\d]\w*)|(?P<quoted>"(?:[^"\\\n]|\\.)*")'
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<sign><->|->|<=|>=|!=|[|&~():,.<>=\[\]-])|(?P<other>.)"
)

SAID = 600
"""How many characters of what is wrong an error says."""
HALF = re.compile(r"[\ud800-\udfff]")


class Token(NamedTuple):
    """A word, a number, a sign or the end of a line, and where it stands, from 1."""

    kind: str
    text: str
    line: int
    column: int

    @property
    def plain(self) -> str:
        """What it names: what stands in quotes, without them."""
        if self.kind != "quoted":
            return self.text
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), self.text[1:-1])


class Words:
    """Walks over the tokens of a text; where a bracket is open, over ends of lines too."""

    def __init__(self, text: str, source: str):
        self.source, self.lines = source, text.split("\n")
        self.tokens = _tokens(text)
        self.open = list[Token]()
        self.last = self.here = Token("line", "\n", 1, 1)
        self.next()

    def next(self) -> Token:
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

    def skipped_lines(self) -> Token:
        """The next token that is no end of a line."""
        while self.here.kind == "line":
            self.next()
        return self.here

    def at(self, *signs: str) -> bool:
        """Whether one of these signs stands here."""
        return self.here.kind == "sign" and self.here.text in signs

    def named(self, *words: str) -> bool:
        """Whether a name stands here, or one of these words."""
        return self.here.text in words if words else self.here.kind in ("name", "quoted")

    def what(self) -> str:
        """The token here, in words."""
        return {"line": "the end of the line", "end": "the end of the text"}.get(self.here.kind, repr(self.here.text))

    def fail(self, what: str, at: Token | None = None) -> NoReturn:
        """Raises ``InputError`` at a token, with its line."""
        at = at or self.here
        name = f"{self.source}:{at.line}:{at.column}" if self.source else f"Line {at.line}, column {at.column}"
        line = self.lines[at.line - 1].strip()
        shown = f" In: {line[:80]}" if line else ""
        if len(what) > SAID:  # a name or a number of very many characters
            what = f"{what[: SAID // 2]} .. {what[-SAID // 2 :]}"
        raise InputError(f"{name}: {what.rstrip('.')}.{shown}".encode(errors="backslashreplace").decode())

    def expect(self, sign: str, why: str) -> Token:
        """The sign, which must stand here."""
        if not self.at(sign):
            self.fail(f"{self.what()} stands where {sign!r} should, {why}")
        return self.next()

    def opened(self) -> None:
        """Goes over ``(``."""
        if not self.at("("):
            self.fail(f"{self.what()} stands where '(' should")
        self.open.append(self.here)
        self.next()

    def closed(self) -> None:
        """Goes over ``)``."""
        if not self.at(")"):
            at = self.open[-1]
            self.fail(
                f"{self.what()} stands where the ')' should that closes the '(' of line {at.line}, column {at.column}"
            )
        self.open.pop()
        self.next()


def _tokens(text: str) -> Iterator[Token]:
    line, begin, end = 1, 0, 0
    for found in TOKEN.finditer(text):
        end = found.end()
        if found.lastgroup != "space":
            yield Token(str(found.lastgroup), found.group(), line, found.start() - begin + 1)
        if found.lastgroup == "line":
            line, begin = line + 1, end
    yield Token("end", "", line, end - begin + 1)
