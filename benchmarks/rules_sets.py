"""Rule sets that answers are checked on: those of the public data, and made ones, each with a check of its own.

A check never asks the library: it reads clauses from the files, or is made together with a rule's text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

import graphfuse as gf
from benchmarks import rules_data as data
from benchmarks.rules_structured import GRID, SUSHI, grid_holds, sushi_clauses
from graphfuse.core.errors import InputError

Check = Callable[[np.ndarray], np.ndarray]
"""From answers ``bool [B, L]`` to whether each satisfies all rules, ``bool [B]``."""


@dataclass(frozen=True)
class Subject:
    """A rule set.

    Attributes:
        make: Compiles it.
        holds: Its check.
        clauses: The same as clauses, for peers; ``None`` where rules are none.
    """

    name: str
    make: Callable[[], gf.RuleSet]
    holds: Check
    clauses: Sequence[data.Clause] | None = None


def public() -> Iterator[Subject]:
    """All rule sets of the data folder."""
    for name in data.CCN:
        yield _clausal(f"ccn {name}", partial(data.ccn_rules, name), data.heads_clauses(data.ccn_path(name)))
    for name, form in data.ROADR.items():
        read = data.heads_clauses if form == "heads" else data.dimacs_clauses
        yield _clausal(f"roadr {name}", partial(data.roadr_rules, name), read(data.roadr_path(name)))
    for name in (*data.TREES, *data.DAGS):
        clauses = [(-int(child) - 1, int(parent) + 1) for child, parent in data.hierarchy(name)[1]]
        yield _clausal(f"hmc {name}", partial(data.hierarchy_rules, name), clauses)
    yield _clausal("sushi", partial(gf.RuleSet.parse, *SUSHI), sushi_clauses())
    yield Subject("grid", partial(gf.RuleSet.parse, *GRID), grid_holds)


def _clausal(name: str, make: Callable[[], gf.RuleSet], clauses: Sequence[data.Clause]) -> Subject:
    return Subject(name, make, partial(satisfied, clauses), clauses)


def satisfied(clauses: Sequence[data.Clause], answers: np.ndarray) -> np.ndarray:
    """Whether answers satisfy all clauses, clause by clause."""
    good = np.ones(len(answers), bool)
    for clause in clauses:
        good &= np.any([answers[:, abs(k) - 1] == (k > 0) for k in clause], 0)
    return good


def generated(seed: int, count: int, most: int, clauses: bool) -> list[Subject]:
    """So many random rule sets over 3 to ``most`` labels that can hold, of expressions or of clauses alone."""
    rng, found = random.Random(f"{seed}, {most}, {clauses}"), list[Subject]()
    while len(found) < count:
        labels = [f"l{k}" for k in range(rng.randint(3, most))]
        own = [_clause(rng, len(labels)) for _ in range(rng.randint(2, 2 * len(labels)))] if clauses else []
        parts = [] if clauses else [_expression(rng, labels, rng.randint(1, 3)) for _ in range(rng.randint(1, 6))]
        said = [_implied(clause) for clause in own] or [text for text, _ in parts]
        text = "\n".join(f"hard r{k}: {each}" for k, each in enumerate(said))
        check = partial(satisfied, own) if clauses else partial(_all, [check for _, check in parts])
        if check(worlds(len(labels))).any():
            make = partial(data.quietly, gf.RuleSet.parse, text, labels)
            found.append(Subject(f"generated {len(found)}", make, check, own if clauses else None))
        else:
            _refused(text, labels)
    return found


def worlds(count: int) -> np.ndarray:
    """Every assignment of some labels, ``bool [2 ** count, count]``."""
    return (np.arange(2**count)[:, None] >> np.arange(count)) % 2 == 1


def _refused(text: str, labels: list[str]) -> None:
    try:
        data.quietly(gf.RuleSet.parse, text, labels)
    except InputError:
        return
    raise ValueError(f"Rules that cannot hold were accepted:\n{text}")


def _all(checks: Sequence[Check], answers: np.ndarray) -> np.ndarray:
    good: np.ndarray = np.all([check(answers) for check in checks], 0)
    return good


def _clause(rng: random.Random, count: int) -> data.Clause:
    places = rng.sample(range(1, count + 1), min(count, rng.choice([1, 2, 2, 2, 3, 3, 4])))
    return tuple(place * rng.choice([1, 1, -1]) for place in places)


def _implied(clause: data.Clause) -> str:
    """The clause as a rule: all but its first literal, turned around, imply that."""
    head, *body = ((f"l{abs(k) - 1}", k > 0) for k in clause)
    says = f"{'' if head[1] else '~'}{head[0]}"
    return f"{' & '.join(f'~{n}' if true else n for n, true in body)} -> {says}" if body else says


def _expression(rng: random.Random, labels: Sequence[str], depth: int) -> tuple[str, Check]:
    """A random expression as text and as a check."""
    roll = rng.random()
    if depth == 0 or roll < 0.2:
        place = rng.randrange(len(labels))
        return labels[place], lambda y: y[:, place]
    if roll < 0.35:
        text, check = _expression(rng, labels, depth - 1)
        return f"~({text})", lambda y: ~check(y)
    if roll < 0.5:
        places = rng.sample(range(len(labels)), rng.randint(2, min(5, len(labels))))
        named, k = ", ".join(labels[place] for place in places), rng.randint(1, len(places) - 1)
        return rng.choice([
            (f"exactly_one({named})", lambda y: y[:, places].sum(1) == 1),
            (f"at_most({k}, {named})", lambda y: y[:, places].sum(1) <= k),
            (f"at_least({k}, {named})", lambda y: y[:, places].sum(1) >= k),
        ])  # fmt: skip
    (left, a), (right, b) = (_expression(rng, labels, depth - 1) for _ in range(2))
    return rng.choice([
        (f"(({left}) & ({right}))", lambda y: a(y) & b(y)),
        (f"(({left}) | ({right}))", lambda y: a(y) | b(y)),
        (f"(({left}) -> ({right}))", lambda y: ~a(y) | b(y)),
        (f"(({left}) <-> ({right}))", lambda y: a(y) == b(y)),
    ])  # fmt: skip
