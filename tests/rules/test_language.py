"""Rules as text: read as they are meant, printed as they are read, and refused with the place of what is wrong."""

import random

import made
import pytest

import graphfuse as gf
from graphfuse.rules import And, Count, Label, Or, Rule, RuleSet, at_least, at_most, exactly_one
from graphfuse.rules.language import parse
from graphfuse.rules.rule import DEPTH

a, b, c, d = map(Label, "abcd")


def says(text: str):
    """What the one rule ``hard r: text`` says."""
    return parse(f"hard r: {text}")[0].says


def read(text: str) -> list[Rule] | None:
    """The rules, or ``None`` where the text is refused, by its place."""
    try:
        return parse(text)
    except gf.InputError as error:
        if not str(error).startswith("Line "):
            raise
        return None


@pytest.mark.parametrize(("text", "expected"), [
    ("a", a), ("~a", ~a), ("~~a", ~~a), ("(a)", a), ("a & b & c", a & b & c), ("a & (b & c)", a & b & c),
    ("a | b & c", a | (b & c)), ("~a & b", (~a) & b), ("~(a & b)", ~(a & b)),
    ("a & b -> c | d", (a & b) >> (c | d)), ("a -> b -> c", a >> (b >> c)), ("(a -> b) -> c", (a >> b) >> c),
    ("exactly_one(a, b, c)", exactly_one(a, b, c)), ("at_most(2, a, b, c)", at_most(2, a, b, c)),
    ("at_least(2, a, b & c, ~d)", at_least(2, a, b & c, ~d)), ("at_most(9, a, b)", at_most(2, a, b)),
    ('"two words" & "a"', Label("two words") & a), ('"a \\" b"', Label('a " b')),
    ("发烧 -> 感冒", Label("发烧") >> Label("感冒")),
    ("a->b", a >> b), ("a\t&\xa0b", a & b), ("(a &\n  b  # both\n)", a & b),
])  # fmt: skip
def test_text_is_read_as_it_is_meant(text, expected):
    assert says(text) == expected


def test_equivalence_binds_least_and_from_the_left():
    assert str(says("a <-> b -> c <-> d")) == "a <-> b -> c <-> d"
    assert says("a <-> b <-> c") == says("(a <-> b) <-> c")
    assert says("a <-> b <-> c") != says("a <-> (b <-> c)")


def test_hardness_weights_names_and_lines():
    text = "# a ward\n\nhard one: a\nsoft two: b  # usually\nsoft 2.5 three: a\n"
    text += 'soft learn "rule four": ~b\nsoft 1e-3 five: a'
    rules = parse(text)
    assert [(r.name, r.hard, r.weight, r.line) for r in rules] == [
        ("one", True, 1.0, 3), ("two", False, 1.0, 4), ("three", False, 2.5, 5), ("rule four", False, None, 6),
        ("five", False, 0.001, 7)]  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing", "\ufeff", "  \t "])
def test_no_rule_is_no_rule(text):
    assert parse(text) == []


@pytest.mark.parametrize("text", ["hard r: a", "hard r: a\n", "\ufeffhard r: a", "hard r: a\r\n", "\thard\tr:\ta\t"])
def test_a_text_may_end_and_begin_as_files_do(text):
    assert parse(text) == [Rule("r", a, line=1)]


@pytest.mark.parametrize("seed", range(200))
def test_what_is_printed_reads_back(seed):
    rng = random.Random(seed)
    rule = Rule("r", made.expression(rng), rng.random() < 0.5, rng.choice([1.0, 0.25, None]), 1)
    if rule.hard:
        rule = Rule("r", rule.says, line=1)
    once = parse(str(rule), made.LABELS)[0]
    assert parse(str(once), made.LABELS) == [once]
    every = made.worlds(len(made.LABELS)).tolist()
    assert [made.holds(once.says, row) for row in every] == [made.holds(rule.says, row) for row in every]


@pytest.mark.parametrize(("text", "place", "words"), [
    ("hard a: fevr -> cold", "line 1, column 9", ["'fevr'", "'fever'"]),
    ("hrad a: fever", "line 1, column 1", ["'hrad'", "'hard'"]),
    ("hard a: fever ->", "line 1, column 17", ["the end of the text", "'->'"]),
    ("hard a: fever ->\nhard b: cold", "line 1, column 17", ["the end of the line"]),
    ("hard a fever", "line 1, column 8", ["':'", "'a'"]),
    ("hard : fever", "line 1, column 6", ["name"]),
    ("hard a:", "line 1, column 8", ["label"]),
    ("hard a: (fever & cold", "line 1, column 22", ["')'", "column 9"]),
    ("hard a: (fever\nhard b: cold", "line 2, column 1", ["')'", "line 1, column 9"]),
    ("hard a: fever)", "line 1, column 14", ["')'", "end"]),
    ("hard a: fever cold", "line 1, column 15", ["'cold'"]),
    ("hard a: fever & & cold", "line 1, column 17", ["'&'"]),
    ("hard a: fever\nhard a: cold", "line 2, column 1", ["line 1", "unique"]),
    ("hard a: __import__('os')", "line 1, column 20", ["no meaning", "__import__"]),
    ("hard a: fever(x)", "line 1, column 9", ["'fever'"]),
    ("hard a: exactly_on(fever, cold)", "line 1, column 9", ["'exactly_one'"]),
    ("hard a: at_most(fever, cold)", "line 1, column 17", ["how many"]),
    ("hard a: at_most(1.5, fever, cold)", "line 1, column 17", ["how many"]),
    ("hard a: at_most(1e3, fever, cold)", "line 1, column 17", ["how many"]),
    ("hard a: at_most(" + "9" * 5000, "line 1, column 17", ["how many"]),
    ("soft 1e400 a: fever", "line 1, column 6", ["too large"]),
    ("hard a: " + "fever <-> " * 2000 + "cold", "line 1, column 1", [f"more than {DEPTH} deep"]),
    ("hard a: fever # x\rhard a: cold", "line 2, column 1", ["unique"]),
    ("hard a: at_least(3, fever, cold)", "line 1, column 9", ["2 parts"]),
    ("hard a: exactly_one()", "line 1, column 21", ["label"]),
    ("hard a: exactly_one(fever; cold)", "line 1, column 26", ["';'"]),
    ("soft -1 a: fever", "line 1, column 6", ["'-'"]),
    ("hard a: fever @ cold", "line 1, column 15", ["'@'"]),
    ('hard a: "fever', "line 1, column 9", ["'\"'"]),
    ("hard a: forall x. fever", "line 1, column 19", ["fever(x)"]),
    ("hard a: \x00", "line 1, column 9", ["'\\x00'"]),
])  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(text, place, words):
    with pytest.raises(gf.InputError) as error:
        RuleSet.parse(text, labels=["fever", "cold", "cough"])
    message = str(error.value)
    assert message.lower().startswith(place), message
    assert all(word in message for word in words), message


def test_an_error_names_the_file():
    with pytest.raises(gf.InputError, match=r"^ward\.rules:2:9: there is no label 'x'"):
        parse("hard a: fever\nhard b: x", ["fever"], "ward.rules")


@pytest.mark.parametrize("text", [
    "hard r: " + "(" * 10**4 + "a" + ")" * 10**4, "hard r: " + "~" * 10**4 + "a",
    "hard r: " + "~" * (DEPTH + 1) + "a", "hard r: " + "a -> " * 10**4 + "a",
    "hard r: " + "exactly_one(" * 10**4,
])  # fmt: skip
def test_what_is_nested_too_deep_is_refused(text):
    with pytest.raises(gf.InputError, match=f"more than {DEPTH} deep"):
        parse(text)


@pytest.mark.parametrize("text", [
    "(a -> (b & " * (DEPTH // 2) + "c" + "))" * (DEPTH // 2), "(a & " * DEPTH + "b" + ")" * DEPTH, "~" * DEPTH + "a",
    "a <-> " * DEPTH + "b", "exactly_one(a, b, " * (DEPTH - 1) + "c & d" + ")" * (DEPTH - 1),
    "~exactly_one(a, b, " * (DEPTH // 2) + "c" + ")" * (DEPTH // 2),
])  # fmt: skip
def test_what_is_nested_as_deep_as_allowed_is_read_printed_and_evaluated(text):
    rules = RuleSet.parse("hard r: " + text, ["a", "b", "c", "d"])
    assert parse(str(rules))[0].says == rules.rules[0].says
    assert 0 < rules.allowed() == int((~rules.violations(made.worlds(4))).sum())


@pytest.mark.parametrize("rule", [
    Rule("r", a, False, 0.1234567), Rule("two\nlines", Label('q"\\\n')), Rule("hard", Label("soft"), False, 1e-300),
])  # fmt: skip
def test_odd_names_and_weights_read_back(rule):
    assert [(r.name, r.says, r.hard, r.weight) for r in parse(str(rule))] == [
        (rule.name, rule.says, rule.hard, rule.weight)]  # fmt: skip


@pytest.mark.parametrize("make", [
    lambda: at_most(1), lambda: exactly_one(), lambda: at_least(3, a, b), lambda: Count(2, 1, (a, b)), lambda: And(()),
    lambda: Or(()),
])  # fmt: skip
def test_what_joins_or_counts_nothing_is_refused(make):
    with pytest.raises(gf.InputError):
        make()


@pytest.mark.parametrize("text", [
    "hard r: " + "a" * 10**6, "x" * 10**6, "\n" * 10**6, "hard r: a" + " " * 10**6, "hard r: " + "a & " * 9000 + "a",
    "hard " * 10**5, "\"" * 10**6, "# " + "é" * 10**6, "hard r: a # " + "(" * 10**6, "(" * 10**6,
])  # fmt: skip
def test_a_long_text_is_read_or_refused(text):
    assert read(text) is None or len(parse(text)) <= 1


def test_a_text_beyond_all_measure_is_refused_before_it_is_read():
    with pytest.raises(gf.InputError, match="2000001 characters"):
        parse(" " * 2_000_001)


def test_a_rule_of_too_many_parts_is_refused():
    with pytest.raises(gf.InputError, match="10000 parts"):
        parse("hard r: exactly_one(" + "a," * 10_001 + "a)")


@pytest.mark.parametrize("seed", range(300))
def test_garbage_is_read_or_refused_by_name_and_never_crashes(seed):
    rng = random.Random(seed)
    pieces = ["hard ", "soft ", "learn ", "r: ", "a", "b", " & ", " | ", "~", " -> ", " <-> ", "(", ")", ",",
              "at_most(1,", "exactly_one(", "\n", "\r\n", '"', "\\", "#", "1.5", "é", "发", "\x00",
              "\t", ":", ".", "forall x. ", "<", "-"]  # fmt: skip
    text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 40)))
    rules = read(text)
    assert rules is None or [str(r) for r in parse("\n".join(map(str, rules)))] == [str(r) for r in rules]
