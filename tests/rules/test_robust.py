"""No text, no bytes and no rule made in Python crashes or hangs the rules, or is answered wrongly."""

import random
import time
from functools import reduce

import made
import pytest
import robust
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphfuse as gf
from graphfuse.rules import And, Count, Iff, Implies, Label, Not, Or, Rule, RuleSet
from graphfuse.rules.diagram import Budget, TooLargeError, build
from graphfuse.rules.language import parse
from graphfuse.rules.normal import LOOKED_AT, Clauses

SLOW = 10.0
"""Seconds of this process that no refusal and no reading takes: most take milliseconds."""
quickly = settings(derandomize=True, deadline=None, max_examples=150, database=None)
SIGNS = st.sampled_from('\n\r\t"\\#~&|()\x00\x85\u2028')
anything = st.text(st.one_of(st.characters(), SIGNS), max_size=12)
names = st.one_of(st.sampled_from(["a", "b", "hard", "forall", "at_most", "发烧", "two words"]),
                  st.text(st.one_of(st.characters(exclude_categories=["Cs"]), SIGNS), max_size=12))  # fmt: skip
weights = st.one_of(st.none(), st.floats(0, allow_infinity=False, allow_nan=False))


def counts(parts: list) -> st.SearchStrategy:
    many = len(parts)
    ranges = [(1, 1), *((0, k) for k in range(many + 1)), *((k, many) for k in range(many + 1))]
    return st.sampled_from(ranges).map(lambda ends: Count(*ends, tuple(parts)))


expressions = st.recursive(
    names.map(Label),
    lambda inner: st.one_of(
        inner.map(Not), st.builds(Implies, inner, inner), st.builds(Iff, inner, inner),
        st.builds(lambda a, b: a & b, inner, inner), st.builds(lambda a, b: a | b, inner, inner),
        st.lists(inner, min_size=1, max_size=4).flatmap(counts),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=12,
)  # fmt: skip
rule_lists = st.lists(st.tuples(names, expressions, st.booleans(), weights), max_size=4, unique_by=lambda each: each[0])


def told(rules: list[Rule]) -> list[tuple]:
    return [(rule.name, rule.says, rule.hard, rule.weight) for rule in rules]


@quickly
@given(rule_lists)
def test_rules_over_any_names_read_back(parts):
    rules = [Rule(name, says, hard, 1.0 if hard else weight) for name, says, hard, weight in parts]
    once = parse("\n".join(map(str, rules)))
    assert [told([r])[0][::2] for r in once] == [told([r])[0][::2] for r in rules]
    assert told(parse("\n".join(map(str, once)))) == told(once)
    labels = sorted({label for rule in rules for label in _labels(rule.says)})[:8]
    for before, after in zip(rules, once):
        if set(_labels(before.says)) <= set(labels):
            every = made.worlds(len(labels)).tolist()
            assert [made.holds(before.says, row, labels) for row in every] == [
                made.holds(after.says, row, labels) for row in every]  # fmt: skip


def _labels(says) -> list[str]:
    return [says.name] if isinstance(says, Label) else [name for part in says.children() for name in _labels(part)]


@quickly
@given(st.one_of(anything, st.lists(st.sampled_from(robust.PIECES), max_size=30).map("".join)))
def test_any_text_is_read_or_refused_with_a_place_in_it(text):
    robust.is_read_or_refused(text)


@quickly
@given(st.randoms(use_true_random=False))
def test_what_is_nearly_rules_is_refused_or_answered_rightly(rng):
    text = robust.mutated(rng)
    robust.is_read_or_refused(text)
    robust.is_answered_rightly(text)


words = st.sampled_from(
    [b"1", b"-2", b"0", b" ", b"\n", b"n3", b":-", b"0.5", b"a,b", b"\t", b"p cnf", b"%", b"#", b"\xff"]
)


@quickly
@given(st.one_of(st.binary(max_size=60), st.lists(words, max_size=20).map(b"".join)))
def test_any_bytes_are_read_or_refused_in_every_form(data):
    robust.check(data)


def clauses(many: int, wide: int, among: int) -> str:
    rng, labels = random.Random(0), [f"x{i}" for i in range(among)]
    return "\n".join(
        f"soft r{i}: {' | '.join(rng.choice(['', '~']) + x for x in rng.sample(labels, wide))}" for i in range(many)
    )


BAD = {
    "a million letters": "hard r: " + "x" * 10**6,
    "a million letters in quotes": 'hard r: "' + "x" * 10**6,
    "a weight of a million digits": "soft " + "9" * 10**6 + " r: a",
    "a million escapes": 'hard r: "' + "\\" * 10**6,
    "ten thousand brackets": "hard r: " + "(" * 10**4 + "a" + ")" * 10**4,
    "ten thousand brackets that stay open": "hard r: " + "(" * 10**4,
    "ten thousand that close none": "hard r: a" + ")" * 10**4,
    "ten thousand denials": "hard r: " + "~" * 10**4 + "a",
    "ten thousand counts": "hard r: " + "at_most(1, " * 10**4,
    "a million line ends": "hard r: (" + "\r\n" * 10**6,
    "a million tabs": "hard r: a" + "\t" * 10**6 + "b",
    "quotes without end": '"a\n' * 10**5,
    "a lone surrogate": 'hard r: "\ud800"',
    "a lone surrogate in a comment": "hard r # \udfff\n: a",
    "nothing but NUL": "\x00" * 10**5,
    "a BOM in the middle": "hard r: a\ufeff",
    "an infinite weight": "soft 1e999 r: a",
    "a count beyond all": "hard r: at_most(" + "9" * 10**5 + ", a, b)",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_is_refused_soon_and_in_short(name):
    began = time.process_time()
    with pytest.raises(gf.InputError, match=r"^Line \d+, column \d+: ") as error:
        RuleSet.parse(BAD[name], LABELS)
    assert time.process_time() - began < SLOW
    assert len(str(error.value).encode()) < 2500


LABELS = ["a", "b", "c", "d"]
GOOD = {
    "no line end": "hard r: a -> b", "CRLF": "hard r: a -> b\r\nhard q: c\r\n", "CR": "hard r: a -> b\rhard q: c\r",
    "BOM": "\ufeffhard r: a -> b", "tabs": "\thard\tr:\ta\t->\tb", "a bracket over CRLF": "hard r: (a\r\n -> b)",
    "a million blanks": "hard r: a" + " " * 10**6, "a comment of a million": "hard r: a # " + "é" * 10**6,
    "a surrogate in a comment": "hard r: a # \udfff",
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_files_have_in_them_is_read(name):
    began = time.process_time()
    assert RuleSet.parse(GOOD[name], LABELS).rules[0].name == "r"
    assert time.process_time() - began < SLOW


@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
@pytest.mark.parametrize("text", [
    "\n".join(f"soft r{k}: {' | '.join(f'(a{k}_{i} & b{i})' for i in range(6))}" for k in range(250)),
    clauses(3000, 9, 40), clauses(3000, 3, 500),
], ids=["products that share labels", "wide clauses over few labels", "clauses over many labels"])  # fmt: skip
def test_looking_for_what_is_said_twice_takes_no_longer_than_reading(text):
    began = time.process_time()
    RuleSet.parse(text)
    assert time.process_time() - began < SLOW


def test_a_clause_is_compared_with_those_under_its_rarest_literals_and_with_no_more_than_some():
    compared = []

    class Seen(frozenset):
        def __le__(self, other):
            compared.append(self)
            return super().__le__(other)

    every = [Seen([left, right]) for left in range(101, 161) for right in range(1, 51)]  # 50 have left, 60 have right
    known = Clauses(every)
    for clause in every:
        known.add(clause)
    assert {literal: len(own) for literal, own in known.under.items()} == dict.fromkeys(range(101, 161), 50)
    assert list(known.inside(frozenset([107, 20, 40]))) == [{107, 20}, {107, 40}]
    assert len(compared) == 50
    assert not list(known.inside(frozenset(range(101, 161))))
    assert len(compared) == 50 + LOOKED_AT < len(every)


@pytest.mark.parametrize("says", [
    reduce(lambda says, _: Or((says, Not(says))), range(40), Label("a")),
    reduce(lambda says, _: Iff(says, says), range(90), Label("a")),
    And((Label("a"),) * 10**5),
], ids=["doubled in or", "doubled in iff", "very wide"])  # fmt: skip
def test_what_python_makes_of_very_many_parts_is_refused_and_not_walked_through(says):
    began = time.process_time()
    with pytest.raises(gf.InputError, match=r"^Rule 'r': rule 'r' has more than 20000 parts\.$"):
        RuleSet(("a",), (Rule("r", says),))
    assert time.process_time() - began < SLOW


def test_a_diagram_that_takes_too_long_ends_when_its_time_is_up():
    rng = random.Random(0)
    crowd = [frozenset(rng.choice([-1, 1]) * label for label in rng.sample(range(1, 501), 6)) for _ in range(20_000)]
    began = time.process_time()
    with pytest.raises(TooLargeError):
        build(crowd, [], Budget(seconds=0.5))
    assert time.process_time() - began < SLOW


def test_the_shared_check_sees_what_is_wrong(monkeypatch):
    found = iter([[Rule("r", Label("a"))], [Rule("r", Label("b"))]])
    monkeypatch.setattr(robust, "parse", lambda _: next(found))
    with pytest.raises(AssertionError):
        robust.is_read_or_refused("hard r: a")
    monkeypatch.undo()
    monkeypatch.setattr(RuleSet, "answer", lambda _, logits: torch.zeros(len(logits), 5, dtype=torch.bool))
    with pytest.raises(AssertionError):
        robust.is_answered_rightly("hard r: a")
