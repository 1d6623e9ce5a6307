"""Explanations of several rows against every answer, one by one: changes and what forces them, costs, margins."""

import itertools
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_grounded import facts, rule, true

import graphfuse as gf
from graphfuse.rules import Facts, ForAll, JointExplanation, Rule, RuleSet, joint_margin, margin
from graphfuse.rules.joint import LABEL, ROW, explain_rows
from graphfuse.rules.joint_told import FEW, SHOWN, Groundings

LABELS, ROWS, NAMES = ("a", "b", "二"), 3, ("ann", "bob", "cy")
GROUPS = torch.tensor([1, 0, 1])
EVERY = torch.tensor(list(itertools.product([False, True], repeat=ROWS * len(LABELS)))).view(-1, ROWS, len(LABELS))
SINGLE = EVERY[(EVERY.sum(2) == 1).all(1)]


def rule_set(seed: int, labels=LABELS) -> RuleSet | None:
    """Two random rules, mostly a hard one and a soft one; ``None`` where one of them can never hold."""
    with warnings.catch_warnings(action="ignore"):
        try:
            own = [replace(rule(900 + 10 * seed + i), name=f"r{i}", hard=i == 0 or seed % 3 == 0) for i in range(2)]
            return RuleSet(labels, tuple(own))
        except gf.InputError:
            return None


def given(seed: int) -> Facts:
    found = facts(seed, ROWS)
    return Facts(found.relations, found.features, GROUPS if seed % 2 else None)


def things_of(says, known: Facts) -> list[tuple[int, ...]]:
    """What the variables of a rule may stand for."""
    every = itertools.product(range(ROWS), repeat=len(says.variables))
    return [x for x in every if known.groups is None or len({int(known.groups[row]) for row in x}) == 1]


def false_of(own: Rule, world: list, known: Facts) -> list[tuple[int, ...]]:
    """Groundings that are false, by Python's own logic; of one that something exists, an empty one for each group in
    which it is false of all."""
    of = own.says.of
    bad = [x for x in things_of(own.says, known) if not true(of, dict(zip(own.says.variables, x)), world, known)]
    if isinstance(own.says, ForAll):
        return bad
    groups = [0] * ROWS if known.groups is None else known.groups.tolist()
    every = things_of(own.says, known)
    return [() for g in sorted(set(groups)) if all(x in bad for x in every if groups[x[0]] == g)]


def gap(raw: torch.Tensor, logits: torch.Tensor, worlds: torch.Tensor) -> torch.Tensor:
    """What it costs to flip to each world."""
    return torch.where(worlds == raw, 0.0, logits.abs()).sum((1, 2))


def held_in(rules, known, worlds) -> torch.Tensor:
    """Which rules hold in which worlds."""
    return torch.tensor([[not false_of(own, world, known) for world in worlds.tolist()] for own in rules.rules])


def checked(found: JointExplanation, rules, known, logits, raw, answer, worlds, held, back, names=NAMES) -> None:
    """All that is told of rows, against worlds one by one; ``back``: the cells that go back together."""
    costs = gap(raw, logits, worlds)
    assert found.cost == pytest.approx(float(logits[answer != raw].abs().sum()))
    assert {(f.row, f.label, f.before, f.after, f.logit) for f in found.flipped} == {
        (names[n], rules.labels[k], bool(raw[n, k]), bool(answer[n, k]), float(logits[n, k]))
        for n, k in (answer != raw).nonzero().tolist()
    }  # fmt: skip
    touched = set((answer != raw).any(1).nonzero()[:, 0].tolist())
    for own, holds, told in zip(rules.rules, held, found.rules):
        assert (told.name, told.hard, told.variables) == (own.name, own.hard, own.says.variables)
        assert told.groundings == rules.groundings(len(raw), known)[own.name]
        for said, state in ((raw, told.before), (answer, told.after)):
            bad = false_of(own, said.tolist(), known)
            assert state.count == len(bad)
            assert state.first == tuple(tuple(names[row] for row in x) for x in bad if x)[:FEW]
            touched |= {row for x in bad for row in x}
        now = not told.before.count
        other = costs[holds != now]
        least = float(other.min()) if len(other) else math.inf
        assert told.margin == pytest.approx(least if now else -least), own
    for flip in found.flipped:
        at = names.index(flip.row), rules.labels.index(flip.label)
        undone = torch.where(back == back[at], raw, answer)
        bad = {own.name: false_of(own, undone.tolist(), known) for own in rules.rules if own.hard}
        assert {name: own.count for name, own in flip.because.items()} == {n: len(x) for n, x in bad.items() if x}
        for name, own in flip.because.items():
            assert own.first == tuple(tuple(names[row] for row in x) for x in bad[name] if x)[:FEW]
        assert flip.because or not logits[(back == back[at]) & (answer != raw)].any(), "nothing asked for it"
    assert [row.name for row in found.rows] == [names[row] for row in sorted(touched)]
    assert found.others == len(raw) - len(touched)
    for row in found.rows:
        for own, said in ((row.before, raw), (row.after, answer)):
            assert own == tuple(x for x, on in zip(rules.labels, said[names.index(row.name)].tolist()) if on)


def best_of(rules, logits, raw, worlds, held) -> torch.Tensor | None:
    """The cheapest world that no hard rule forbids."""
    good = held[[own.hard for own in rules.rules]].all(0)
    return worlds[good][gap(raw, logits, worlds[good]).argmin()] if good.any() else None


@pytest.mark.parametrize("seed", range(20))
def test_all_that_is_told_of_independent_labels_is_as_by_enumeration(seed):
    rules, known = rule_set(seed), given(seed)
    logits = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    if rules is None:
        return
    held = held_in(rules, known, EVERY)
    if (best := best_of(rules, logits, logits > 0, EVERY, held)) is None:
        return
    found = rules.explain(logits, known, NAMES)
    assert torch.equal(rules.answer(logits, known), best)
    back = torch.arange(9).view(3, 3)
    checked(found, rules, known, logits, logits > 0, best, EVERY, held, back)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("seed", range(40))
def test_all_that_is_told_where_a_row_has_one_label_is_as_by_enumeration_of_such_answers(seed):
    rules, known = rule_set(seed), given(seed)
    scores = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    logits = scores - scores.topk(2, 1).values.mean(1, keepdim=True)
    if rules is None:
        return
    held = held_in(rules, known, SINGLE)
    if (best := best_of(rules, logits, logits > 0, SINGLE, held)) is None:
        return
    found = explain_rows(rules, logits, known, NAMES, logits > 0, best, LABEL)
    back = torch.arange(3)[:, None].expand(3, 3)
    checked(found, rules, known, logits, logits > 0, best, SINGLE, held, back)
    assert found.cost == pytest.approx(float(scores.amax(1).sum() - scores[best].sum()))


@pytest.mark.parametrize("seed", range(40))
def test_all_that_is_told_where_one_row_answers_is_as_by_enumeration_of_rows(seed):
    text = f"""
hard one: forall x. age(x) >= {seed % 3} -> ~a(x)
hard far: forall x, y. cites(x, y) & a(x) -> near(x, y)
soft on: forall x, y. near(x, y) & a(x) -> a(y)
soft some: exists x. a(x) & temp(x) >= 1
"""
    rules, known = RuleSet.parse(text, ["a"]), facts(seed, ROWS)
    scores = torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    logits = scores - scores.topk(2, 0).values.mean(0)
    worlds = torch.eye(ROWS, dtype=torch.bool)[:, :, None]
    held = held_in(rules, known, worlds)
    best = best_of(rules, logits, logits > 0, worlds, held)
    if best is None:
        nothing = torch.zeros(ROWS, 1, dtype=torch.bool)
        found = explain_rows(rules, logits, known, NAMES, logits > 0, nothing, ROW)
        assert found.cost == math.inf
        assert [(f.before, f.after, bool(f.because)) for f in found.flipped] == [(True, False, True)]
        assert str(found).startswith("no row is left that could be the answer; changed:\n")
        return
    found = explain_rows(rules, logits, known, NAMES, logits > 0, best, ROW)
    checked(found, rules, known, logits, logits > 0, best, worlds, held, torch.zeros(3, 1))


CITES = Facts({"cites": torch.tensor([[0, 1, 2, 4], [1, 2, 3, 5]])})
TEXT = """
hard on: forall x, y. cites(x, y) & a(x) -> a(y)
hard one: ~(a & b)
soft b_on: forall x, y. cites(x, y) & b(x) -> b(y)
soft both: exists x. a(x) & b(x)
"""
HAND = torch.tensor([[3.0, -1], [-0.5, -2], [-0.25, 1], [-0.5, -3], [-1, 4], [-2, 5], [-3, -3]])


def test_a_chain_by_hand():
    found = RuleSet.parse(TEXT, ["a", "b"]).explain(HAND, CITES)
    assert [(f.row, f.label, f.after) for f in found.flipped] == [
        ("row 2", "b", False), ("row 1", "a", True), ("row 3", "a", True), ("row 2", "a", True)]  # fmt: skip
    assert found.cost == 1 + 0.5 + 0.5 + 0.25
    on, one, b_on, both = found.rules
    assert (on.groundings, on.before.count, on.after.count, on.margin) == (4, 1, 0, -1.25)
    assert on.before.first == (("row 0", "row 1"),)
    assert (one.variables, one.groundings, one.before.count, one.margin) == (("",), 7, 0, 0.25)
    assert (b_on.before.first, b_on.after.first, b_on.margin) == ((("row 2", "row 3"),), (), -1)
    assert (both.before, both.margin) == (Groundings(1, ()), -0.25)
    assert [f.because for f in found.flipped[:2]] == [
        {"one": Groundings(1, (("row 2",),))}, {"on": Groundings(1, (("row 0", "row 1"),))}]  # fmt: skip
    assert [row.name for row in found.rows] == ["row 0", "row 1", "row 2", "row 3"]
    assert found.others == 3
    assert str(found).splitlines() == [
        "changed, at a cost of 2.25 logits:",
        "  row    label  logit  raw    answer  for",
        "  row 2  b      +1     true   false   one",
        "  row 1  a      -0.5   false  true    on (x = row 0, y = row 1)",
        "  row 3  a      -0.5   false  true    on (x = row 2, y = row 3)",
        "  row 2  a      -0.25  false  true    on (x = row 1, y = row 2)",
        "rules:",
        "  name  kind  groundings  raw       answer    margin",
        "  on    hard  4           1 broken  holds     -1.25",
        "  b_on  soft  4           1 broken  holds     -1",
        "  both  soft  7           1 broken  1 broken  -0.25",
        "  one   hard  7           holds     holds     +0.25",
        "broken by the raw scores, where:",
        "  on: x = row 0, y = row 1",
        "  b_on: x = row 2, y = row 3",
        "rows that were changed, or that a broken grounding is about:",
        "  row    raw  answer",
        "  row 0  a    a",
        "  row 1  -    a",
        "  row 2  b    a",
        "  row 3  -    a",
        "other rows: 3",
    ]


PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"


def test_the_page_shows_what_is_told():
    text = """
    hard inside: forall x, y. inside(x, y) & lesion(x) -> lesion(y)
    hard normal: forall x. lesion(x) -> ~normal(x)
    soft near: forall x, y. touches(x, y) & lesion(x) -> lesion(y)
"""
    rules = RuleSet.parse(text, ["lesion", "normal"])
    regions = ["upper lobe", "left lung", "chest", "heart", "right lung"]
    inside, touches = torch.tensor([[0, 1, 3, 4], [1, 2, 2, 2]]), torch.tensor([[0, 1], [3, 3]])
    logits = torch.tensor([[2.1, -0.4], [-0.6, 0.9], [-0.3, -1.2], [-1.5, 2.0], [-2.0, 1.4]])
    page = PAGE.read_text("utf-8")
    assert text in page
    assert f"```\n{rules.explain(logits, Facts({'inside': inside, 'touches': touches}), regions)}\n```\n" in page


def test_of_many_the_first_are_listed_and_the_others_counted():
    many = 3 * SHOWN
    pairs = torch.stack([torch.zeros(many, dtype=torch.long), torch.arange(1, many + 1)])
    rules = RuleSet.parse("hard on: forall x, y. cites(x, y) & a(x) -> a(y)", ["a"])
    logits = torch.full((many + 2, 1), -1.0)
    logits[0] = 1000.0
    found = rules.explain(logits, Facts({"cites": pairs}), [f"p{i} " + "x" * 99 for i in range(many + 2)])
    assert len(found.flipped) == many
    assert len(found.rules[0].before.first) == FEW
    shown = str(found)
    assert f"  and {many - SHOWN} more, of smaller logits" in shown
    assert f"; and {many - FEW} more" in shown
    assert f"  and {many + 1 - SHOWN} more\nother rows: 1" in shown
    assert max(map(len, shown.splitlines()[:5])) < 200
    back = RuleSet.parse("hard on: forall x, y. cites(x, y) & a(y) -> a(x)", ["a"])
    logits = torch.ones(many + 2, 1)
    logits[0] = -2.0
    found = back.explain(logits, Facts({"cites": pairs}))
    assert [(flip.row, flip.because["on"].count) for flip in found.flipped] == [("row 0", many)]
    assert f"on (x = row 0, y = row 1) and {many - 1} more" in str(found)


def test_evidence_is_infinite_and_no_row_at_all_is_fine():
    rules = RuleSet.parse("hard on: forall x, y. cites(x, y) & a(x) -> a(y)\nsoft some: exists x. a(x)", ["a"])
    known = torch.tensor([[math.inf], [-1.0], [-2.0], [-math.inf]])
    on, some = rules.explain(known, Facts({"cites": torch.tensor([[0, 1], [1, 2]])})).rules
    assert (on.margin, some.margin) == (-3, math.inf)
    with pytest.raises(gf.InputError, match="rows 0, 3 break rules that join rows"):
        rules.explain(known, Facts({"cites": torch.tensor([[0, 1, 2], [1, 2, 3]])}))
    none = rules.explain(torch.zeros(0, 1), Facts({"cites": torch.zeros(2, 0, dtype=torch.long)}))
    assert str(none) == "as the raw scores say: nothing was changed\nrules: none of them says anything here\nrows: 0"
    assert [each.margin for each in none.rules] == [math.inf, math.inf]


def test_a_row_alone_is_told_as_ever_and_rules_that_join_it_want_all_rows():
    rules = RuleSet.parse(TEXT, ["a", "b"])
    with pytest.raises(gf.InputError, match=r"'on' joins rows; give the logits of all of them, \[N, 2\]\."):
        rules.explain(HAND[0], CITES)
    soft = RuleSet.parse(TEXT.replace("hard on", "soft on"), ["a", "b"])
    assert [each.name for each in soft.explain(HAND[0], CITES).rules] == ["one"]
    assert soft.explain(HAND[0], CITES) == soft.explain(HAND[:1], CITES)
    alone = Facts({"cites": CITES.relations["cites"][:, :0]})
    assert isinstance(rules.explain(HAND[:1], alone), JointExplanation)
    assert isinstance(soft.explain(HAND[:1], alone, ["x"]), JointExplanation)


@pytest.mark.parametrize(("names", "said"), [
    (["a"], "There are 1 names; the logits have 7 rows"),
    (["a"] * 7, "Two rows are called 'a'; names are unique"),
    ("abcdefg", "names is 'abcdefg'; expected a sequence with a text for each row"),
    (list(range(7)), r"names is \[0, 1, 2, 3, 4, 5, 6\]; expected"),
])  # fmt: skip
def test_names_are_one_a_row(names, said):
    with pytest.raises(gf.InputError, match=said):
        RuleSet.parse(TEXT, ["a", "b"]).explain(HAND, CITES, names)


def test_a_margin_beyond_the_budget_is_none(monkeypatch):
    rules = RuleSet.parse("soft on: forall x, y. cites(x, y) & a(x) -> a(y)", ["a"])
    assert rules.explain(HAND[:, :1], CITES).rules[0].margin == -1.25
    monkeypatch.setattr(joint_margin, "MOST", 3)
    assert rules.explain(HAND[:, :1], CITES).rules[0].margin is None
    assert rules.explain(HAND[:, :1] - 9, CITES).rules[0].margin == 6, "the cheapest grounding is found of any number"
    text = "soft pick: forall x, y. cites(x, y) -> exactly_one(a(x), a(y), b(x), b(y))"
    monkeypatch.setattr(margin, "LARGEST", gf.rules.Budget(1, 2.0))
    rules = RuleSet.parse(text, ["a", "b"])
    assert rules.explain(HAND, CITES, (*NAMES, "d", "e", "f", "g")).rules[0].margin is None
