"""Other people's files as rules: clauses in DIMACS, ``head :- body`` lines, and pairs of child and parent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.rules.atoms import Label
from graphfuse.rules.expression import And, Expression, Implies, Not, Or
from graphfuse.rules.rule import Rule

NUMBER = re.compile(r"-?[0-9]{1,9}")


def text_of(path: str | Path) -> str:
    """What a UTF-8 file holds.

    Raises:
        InputError: There is none, or it is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: the rules cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; save the rules as UTF-8.") from error


def dimacs(text: str, labels: Sequence[str], source: str) -> list[Rule]:
    """Clauses in DIMACS CNF: variable ``k`` is the ``k``-th label; the rules are ``c1``, ``c2``, ..

    Raises:
        InputError: Says the line, what stands there and what would be right.
    """
    rules, clause, begun = list[Rule](), list[Expression](), 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.split()[:1] == ["%"]:  # what some files end with
            break
        if not line.strip() or line.split()[0] in ("c", "p"):
            continue
        for word in line.split():
            at = f"{source}:{number}"
            if not NUMBER.fullmatch(word):
                raise InputError(f"{at}: {word!r} is no literal; expected whole numbers, 0 at the end of a clause.")
            begun = begun or number
            if word.lstrip("-").strip("0") == "":
                if not clause:
                    raise InputError(f"{at}: a clause without a literal can never hold.")
                says = clause[0] if len(clause) == 1 else Or(tuple(clause))
                rules.append(Rule(f"c{len(rules) + 1}", says, line=begun))
                clause, begun = [], 0
            else:
                own = _label(labels, abs(int(word)) - 1, word, at, 1)
                clause.append(own if int(word) > 0 else Not(own))
    if clause:
        raise InputError(f"{source}:{begun}: the last clause does not end with 0.")
    return rules


def heads(text: str, labels: Sequence[str], source: str) -> list[Rule]:
    """Lines ``weight head :- body``, numbers of labels from 0, ``n7`` for not 7: the rules are ``r001``, ``r002``, ..

    All are hard, whatever the weight says, which is the share of rows that the body holds for.

    Raises:
        InputError: As :func:`dimacs`.
    """
    rules = list[Rule]()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        at = f"{source}:{number}"
        if len(words) < 3 or words[2] != ":-":
            raise InputError(
                f"{at}: {line.strip()[:60]!r} is no rule; expected 'weight head :- body', as in '0.5 3 :- 1 n2'."
            )
        head, *body = (_signed(labels, word, at) for word in (words[1], *words[3:]))
        says = Implies(body[0] if len(body) == 1 else And(tuple(body)), head) if body else head
        rules.append(Rule(f"r{len(rules) + 1:03}", says, line=number))
    return rules


def hierarchy(text: str, labels: Sequence[str], source: str) -> list[Rule]:
    """Lines ``child,parent`` (or parted by a tab): what is the child is the parent. The rules are ``h1``, ``h2``, ..

    Raises:
        InputError: As :func:`dimacs`.
    """
    pairs, known = list[tuple[str, str]](), set(labels)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        ends = [each.strip() for each in line.split("\t" if "\t" in line else ",")]
        if len(ends) != 2 or not all(ends):
            raise InputError(f"{source}:{number}: {line.strip()[:60]!r} is no pair; expected 'child,parent'.")
        for label in ends:
            if known and label not in known:
                raise InputError(f"{source}:{number}: there is no label {label!r}.{did_you_mean(label, labels)}")
        pairs.append((ends[0], ends[1]))
    return subsumed(pairs)


def subsumed(pairs: Iterable[tuple[str, str]]) -> list[Rule]:
    """Rules that say of each pair: what is the first is the second."""
    return [Rule(f"h{n}", Implies(Label(child), Label(parent)), line=n) for n, (child, parent) in enumerate(pairs, 1)]


FORMS: dict[str, Callable[[str, Sequence[str], str], list[Rule]]] = {
    "dimacs": dimacs, "heads": heads, "hierarchy": hierarchy,
}  # fmt: skip


def _signed(labels: Sequence[str], word: str, at: str) -> Expression:
    number = word.removeprefix("n")
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise InputError(f"{at}: {word!r} is no literal; expected the number of a label, or n and a number.")
    own = _label(labels, int(number), word, at, 0)
    return Not(own) if word != number else own


def _label(labels: Sequence[str], place: int, word: str, at: str, first: int) -> Label:
    if place >= len(labels):
        raise InputError(f"{at}: {word!r} is beyond the {len(labels)} labels, {first} to {len(labels) - 1 + first}.")
    return Label(labels[place])
