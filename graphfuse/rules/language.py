"""Rules as text: read with errors that say where, and nothing of it is ever executed.

A parser of our own, by precedence climbing (Pratt 1973, "Top down operator precedence"). ``lark`` was tried on the same
bad texts: it names sets of tokens, the place of the last word where a rule ends too early, and no bracket that was
opened; a misspelt ``exactly_one`` it calls a wrong bracket, and each of these would have had to be made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from math import isfinite

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.rules.atoms import COMPARISONS, WORDED, Atom, Differ, Exists, ForAll, Label, Measured, Related
from graphfuse.rules.expression import WORDS as RESERVED
from graphfuse.rules.expression import Count, Expression, Iff, Implies, Not
from graphfuse.rules.rule import Rule
from graphfuse.rules.vocabulary import Vocabulary
from graphfuse.rules.words import Token, Words

DEPTH, LENGTH, PARTS = 100, 2_000_000, 10_000
"""How deep brackets may stand in one another, how many characters a text may have, and a rule atoms."""
COUNTS = ("exactly_one", "at_most", "at_least")
BINARY: dict[str, tuple[int, bool, Callable[[Expression, Expression], Expression]]] = {
    "<->": (1, False, Iff), "->": (2, True, Implies), "|": (3, False, Expression.__or__),
    "&": (4, False, Expression.__and__),
}  # fmt: skip
"""How tightly a sign binds, whether what stands right of it is read first, and what it makes."""


def parse(text: str, vocabulary: Vocabulary | Collection[str] | None = None, source: str = "") -> list[Rule]:
    """Reads rules, one a line; a line goes on where a bracket is open. ``#`` begins a comment.

    A rule of a group, ``name[t in group]: ..``, is one rule for each of its labels.

    Args:
        text: The rules.
        vocabulary: What there is, or the labels there are, if that is known.
        source: The name of the file, for errors.

    Raises:
        InputError: Says line and column, what stands there and what would be right.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > LENGTH:
        raise InputError(f"{source or 'The text'} has {len(text)} characters; rules may have {LENGTH}.")
    if not isinstance(vocabulary, Vocabulary):
        vocabulary = Vocabulary(vocabulary)
    words, rules = Words(text, source), dict[str, Rule]()
    while words.skipped_lines().kind != "end":
        at = words.here
        for rule in _Reader(words, vocabulary).rules():
            if rule.name in rules:
                line = rules[rule.name].line
                words.fail(f"there is a rule {rule.name!r} on line {line} already; names are unique", at)
            rules[rule.name] = rule
    return list(rules.values())


class _Reader:
    """Reads one line of rules."""

    def __init__(self, words: Words, vocabulary: Vocabulary):
        self.words, self.vocabulary = words, vocabulary
        self.atoms = 0
        self.group = ""  # the variable that stands for each label of a group
        self.bound = dict[str, Token]()
        self.used = set[str]()

    def rules(self) -> list[Rule]:
        """A whole line: of a group, one rule a label."""
        words = self.words
        first = words.here
        if first.text not in ("hard", "soft"):
            near = did_you_mean(first.text, ["hard", "soft"])
            words.fail(f"a rule begins with 'hard' or 'soft', not {words.what()}.{near}")
        words.next()
        weight = self.weight() if first.text == "soft" else 1.0
        if not words.named():
            words.fail(f"{words.what()} stands where the name of the rule should")
        name = words.next().plain
        members = self.members() if words.at("[") else None
        words.expect(":", f"between the name of rule {name!r} and what it says")
        says = self.quantified()
        if words.here.kind not in ("line", "end"):
            words.fail(f"{words.what()} stands where rule {name!r} should end or go on with '&', '|', '->' or '<->'")
        if says.depth() > DEPTH:
            words.fail(f"rule {name!r} is more than {DEPTH} deep; name parts of it by labels", first)
        rule = Rule(name, says, first.text == "hard", weight, first.line)
        if members is None:
            return [rule]
        return [replace(rule, name=f"{name}[{each}]", says=says.each(self.member(each))) for each in members]

    def weight(self) -> float | None:
        """What stands between ``soft`` and the name."""
        words = self.words
        if words.named("learn"):
            words.next()
            return None
        if words.here.kind != "number":
            return 1.0
        weight = float(words.next().text)
        if not isfinite(weight):
            words.fail(f"the weight {words.last.text} is too large", words.last)
        return weight

    def members(self) -> tuple[str, ...]:
        """``[t in topics]``."""
        words, groups = self.words, self.vocabulary.groups
        words.next()
        self.group = self.variable("the group")
        if not words.named("in"):
            words.fail(f"{words.what()} stands where 'in' should, as in [{self.group} in topics]")
        words.next()
        if not words.named():
            words.fail(f"{words.what()} stands where the name of a group should, as in [{self.group} in topics]")
        name = words.next().plain
        if name not in groups:
            what = f"There are {', '.join(groups)}." if groups else "No labels are given."
            words.fail(f"there is no group {name!r} of labels. {what}{did_you_mean(name, groups)}", words.last)
        words.expect("]", f"after group {name!r}")
        return groups[name]

    def member(self, label: str) -> Callable[[Atom], Expression]:
        """Puts a label of the group in the place of the variable that stands for it."""
        return lambda atom: Label(label, atom.of) if isinstance(atom, _Member) else atom

    def quantified(self) -> Expression:
        """``forall x, y. ..``, ``exists x. ..``, or what is said of a row."""
        words = self.words
        if not (words.here.kind == "name" and words.named("forall", "exists")):
            return self.expression(0, 0)
        kind = ForAll if words.next().text == "forall" else Exists
        while True:
            token = words.here
            name = self.variable(f"'{words.last.text}'")
            if name in self.bound or name == self.group:
                words.fail(f"variable {name!r} is there twice", token)
            self.bound[name] = token
            if not words.at(","):
                break
            words.next()
        words.expect(".", "between the variables and what is said of them")
        says = self.expression(0, 0)
        for name, token in self.bound.items():
            if name not in self.used:
                words.fail(f"nothing is said of variable {name!r}", token)
        return kind(tuple(self.bound), says)

    def variable(self, after: str) -> str:
        """A plain name."""
        if self.words.here.kind != "name" or self.words.here.text in RESERVED:
            self.words.fail(f"{self.words.what()} stands where a variable should after {after}")
        return self.words.next().text

    def expression(self, binds: int, depth: int) -> Expression:
        """What binds at least so tightly."""
        words = self.words
        if depth > 2 * DEPTH:
            words.fail(f"brackets, '~' and '->' stand more than {DEPTH} deep in one another; name parts by labels")
        left = self.part(depth)
        while words.here.kind == "sign" and words.here.text in BINARY:
            tight, right_first, make = BINARY[words.here.text]
            if tight < binds:
                break
            words.next()
            left = make(left, self.expression(tight if right_first else tight + 1, depth + 1))
        return left

    def part(self, depth: int) -> Expression:
        """An atom, a count, a negation, or what stands in brackets."""
        words = self.words
        self.atoms += 1
        if self.atoms > PARTS:
            words.fail(f"a rule may have {PARTS} parts, and this has more")
        if words.at("~"):
            words.next()
            return Not(self.expression(5, depth + 1))
        if words.at("("):
            words.opened()
            inside = self.expression(0, depth + 1)
            words.closed()
            return inside
        if not words.named():
            after = f" after {words.last.text!r}" if words.last.kind == "sign" else ""
            words.fail(f"{words.what()} stands where a label, '~' or '(' should{after}")
        token = words.next()
        if token.kind == "name" and token.text in ("forall", "exists"):
            words.fail(f"{token.text!r} stands first in what a rule says, and nowhere else", token)
        if token.kind == "name" and token.text in COUNTS:
            return self.count(token, depth)
        if words.at("("):
            return self.applied(token)
        if words.at("!="):
            words.next()
            return Differ(self.bound_to(token), self.bound_to(self.term()))
        return self.label(token, "")

    def applied(self, token: Token) -> Atom:
        """``label(x)``, ``relation(x, y)`` or ``feature(x) >= 1``."""
        words, name = self.words, token.plain
        known = [names for names in self.vocabulary.known.values() if names is not None]
        if name != self.group and len(known) == 3 and not any(name in names for names in known):
            near = did_you_mean(name, [*COUNTS, *(each for names in known for each in sorted(names))])
            words.fail(f"{name!r} is no count, label, relation or feature.{near}", token)
        words.opened()
        terms = [self.term()]
        while words.at(","):
            words.next()
            terms.append(self.term())
        words.closed()
        if len(terms) > 2:
            words.fail(f"{name!r} is said of {len(terms)} things; a relation has two, a label or feature one.", token)
        of = [self.bound_to(term, token) for term in terms]
        if len(of) == 2:
            self.refuse(self.vocabulary.unknown(name, "relation"), token)
            return Related(name, *of)
        if words.at(*COMPARISONS):
            self.refuse(self.vocabulary.unknown(name, "feature"), token)
            return self.measured(name, of[0])
        return self.label(token, of[0])

    def label(self, token: Token, of: str) -> Label:
        """A label, of a variable or of the row."""
        name = token.plain
        if self.bound and not of:
            if name in self.bound:
                self.words.fail(f"{name!r} is a variable; what is said of it? As in label({name})", token)
            self.words.fail(f"of what is {name!r} said? Write {name}({next(iter(self.bound))})", token)
        if token.kind == "name" and name == self.group:
            return _Member(name, of)
        self.refuse(self.vocabulary.unknown(name, "label"), token)
        return Label(name, of)

    def term(self) -> Token:
        """A variable."""
        if self.words.here.kind != "name":
            self.words.fail(f"{self.words.what()} stands where a variable should")
        return self.words.next()

    def bound_to(self, token: Token, at: Token | None = None) -> str:
        """The name of a variable that the rule binds."""
        if token.text not in self.bound:
            if not self.bound:
                near = did_you_mean(at.text, COUNTS) if at else ""
                self.words.fail(f"{(at or token).text!r} is said of {token.text!r}, and nothing binds it; a rule over "
                                f"all things begins with 'forall {token.text}.'{near}", at or token)  # fmt: skip
            near = did_you_mean(token.text, self.bound)
            self.words.fail(f"nothing binds {token.text!r}; the variables are {', '.join(self.bound)}.{near}", token)
        self.used.add(token.text)
        return token.text

    def measured(self, name: str, of: str) -> Measured:
        """A feature compared with a number, or with a word in quotes."""
        words, sign = self.words, self.words.next()
        if words.here.kind == "quoted":
            if sign.text not in WORDED:
                words.fail(f"words are compared by {' or '.join(map(repr, WORDED))}, not by {sign.text!r}", sign)
            return Measured(name, of, sign.text, words.next().plain)
        turn = -1.0 if words.at("-") else 1.0
        if words.at("-"):
            words.next()
        if words.here.kind != "number":
            words.fail(f"{words.what()} stands where a number should, or a word in quotes")
        value = turn * float(words.next().text)
        if not isfinite(value):
            words.fail(f"the number {words.last.text} is too large", words.last)
        return Measured(name, of, sign.text, value)

    def refuse(self, wrong: str, token: Token) -> None:
        """Raises what is wrong with a name, if anything is."""
        if wrong:
            self.words.fail(wrong, token)

    def count(self, word: Token, depth: int) -> Count:
        """``exactly_one(..)``, ``at_most(k, ..)`` or ``at_least(k, ..)``."""
        words, k = self.words, 1
        words.opened()
        if word.text != "exactly_one":
            if words.here.kind != "number" or not words.here.text.isdecimal() or len(words.here.text) > 9:
                words.fail(f"{words.what()} stands where {word.text} should say how many, as in {word.text}(2, a, b)")
            k = int(words.next().text)
            words.expect(",", f"between the number of {word.text} and what it counts")
        parts = [self.expression(0, depth + 1)]
        while words.at(","):
            words.next()
            parts.append(self.expression(0, depth + 1))
        words.closed()
        if word.text == "at_least" and k > len(parts):
            words.fail(f"at_least({k}, ..) counts {len(parts)} parts only, so it never holds", word)
        low, high = {"exactly_one": (1, 1), "at_most": (0, min(k, len(parts))), "at_least": (k, len(parts))}[word.text]
        return Count(low, high, tuple(parts))


class _Member(Label):
    """Stands for a label of a group until it is put in."""
