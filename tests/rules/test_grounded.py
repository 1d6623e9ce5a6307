"""Rules over all things: their groundings, loss, violations and refinement, against Python's own loops."""

import itertools
import math
import random
import warnings
from dataclasses import replace

import made
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import (
    And,
    Budget,
    Count,
    Differ,
    Exists,
    Facts,
    ForAll,
    Iff,
    Implies,
    Label,
    Measured,
    Not,
    Or,
    Refine,
    Related,
    Rule,
    RuleSet,
    RuleWarning,
    RuleWeights,
)  # fmt: skip
from graphfuse.rules.language import Vocabulary, parse

VOCABULARY = Vocabulary(["a", "b", "二"], ["cites", "near"], ["age", "temp"])
COMPARE = {">=": "__ge__", "<=": "__le__", ">": "__gt__", "<": "__lt__", "=": "__eq__", "!=": "__ne__"}


def observed(rng: random.Random, variables: tuple[str, ...]):
    """A random observed atom."""
    x, y = rng.choice(variables), rng.choice(variables)
    measured = Measured(rng.choice(["age", "temp"]), x, rng.choice(list(COMPARE)), float(rng.randint(-1, 2)))
    return rng.choice([Related("cites", x, y), Related("near", x, y), Differ(x, y), measured])


def inside(rng: random.Random, variables: tuple[str, ...], depth: int = 2):
    """A random expression of labels and, now and then, what is observed."""
    roll = rng.random()
    if depth == 0 or roll < 0.25:
        if roll < 0.05:
            return observed(rng, variables)
        return Label(rng.choice(["a", "b", "二"]), rng.choice(variables))
    parts = tuple(inside(rng, variables, depth - 1) for _ in range(rng.randint(2, 3)))
    return rng.choice([Not(parts[0]), And(parts), Or(parts), Implies(*parts[:2]), Iff(*parts[:2]),
                       Count(1, 1, parts), Count(0, 1, parts)])  # fmt: skip


def rule(seed: int) -> Rule:
    """A random rule over one to three variables, each of which it speaks of."""
    rng = random.Random(seed)
    while True:
        variables = ("x", "y", "z")[: rng.choice([1, 2, 2, 2, 3])]
        says = inside(rng, variables)
        guards = tuple(rng.choice([lambda g: g, Not])(observed(rng, variables)) for _ in range(rng.randint(0, 2)))
        if rng.random() < 0.8:
            made_ = ForAll(variables, Implies(And(guards), says) if guards else says)
        else:
            made_ = Exists(variables, And((*guards, says)))
        spoken = {v for atom in made_.atoms() for v in atom.variables}
        if spoken == set(variables) and any(isinstance(atom, Label) for atom in made_.atoms()):
            return Rule("r", made_, False)


def facts(seed: int, rows: int) -> Facts:
    """Random ones."""
    g = torch.Generator().manual_seed(seed)
    edges = {name: torch.randint(rows, (2, 5), generator=g) for name in ("cites", "near")}
    return Facts(edges, {name: torch.randint(-1, 3, (rows,), generator=g).float() for name in ("age", "temp")})


def true(says, row: dict, answers: list, given: Facts) -> bool:
    """Whether an expression is true of things, by Python's own logic."""
    go = lambda part: true(part, row, answers, given)  # noqa: E731
    match says:
        case Label(name, of):
            return answers[row[of]][["a", "b", "二"].index(name)]
        case Related(name, source, target):
            return [row[source], row[target]] in given.relations[name].t().tolist()
        case Measured(name, of, sign, number):
            return getattr(float(given.features[name][row[of]]), COMPARE[sign])(number)
        case Differ(left, right):
            return row[left] != row[right]
        case Not(of):
            return not go(of)
        case And(parts):
            return all(map(go, parts))
        case Or(parts):
            return any(map(go, parts))
        case Implies(left, right):
            return not go(left) or go(right)
        case Iff(left, right):
            return go(left) == go(right)
        case Count(low, high, parts):
            return low <= sum(map(go, parts)) <= high
    raise TypeError(says)


def by_loops(rule: Rule, logits: torch.Tensor, given: Facts):
    """The loss and, for the answers that the logits say, who breaks the rule: by enumeration of all answers."""
    rows, labels = logits.shape
    said, costs, broken, somewhere = (logits > 0).tolist(), [], set(), False
    for things in itertools.product(range(rows), repeat=len(rule.says.variables)):
        row, own = dict(zip(rule.says.variables, things)), sorted(set(things))
        p, constant = logits.new_zeros(()), set()
        for bits in itertools.product([False, True], repeat=len(own) * labels):
            answers = [[False] * labels] * rows
            for at, thing in enumerate(own):
                answers[thing] = list(bits[at * labels : (at + 1) * labels])
            holds = true(rule.says.of, row, answers, given)
            constant.add(holds)
            if holds:
                signs = torch.tensor(bits).view(len(own), labels)
                p = p + torch.where(signs, logits[own].sigmoid(), (-logits[own]).sigmoid()).prod()
        if true(rule.says.of, row, said, given):
            somewhere = True
        else:
            broken |= set(things)
        if constant != {True} and constant != {False}:  # of a soft rule what cannot hold is left out too
            costs.append(p)
    if isinstance(rule.says, ForAll):
        return -torch.stack(costs).log().mean() if costs else logits.new_zeros(()), broken
    holds = logits.new_zeros(())  # the probability of all worlds in which some things do
    for bits in itertools.product([False, True], repeat=rows * labels):
        world = torch.tensor(bits).view(rows, labels)
        if any(true(rule.says.of, dict(zip(rule.says.variables, things)), world.tolist(), given)
               for things in itertools.product(range(rows), repeat=len(rule.says.variables))):  # fmt: skip
            holds = holds + torch.where(world, logits.sigmoid(), (-logits).sigmoid()).prod()
    cost = -holds.log() if holds > 0 else logits.new_zeros(())
    return cost, set() if somewhere else set(range(rows))


def ruleset(says: Rule) -> RuleSet:
    """One rule alone, whatever it says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return RuleSet(("a", "b", "二"), (says,))


@pytest.mark.parametrize("seed", range(150))
def test_loss_gradient_and_violations_are_as_by_loops(seed):
    says, given = rule(seed), facts(seed, 3)
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)).double().requires_grad_()
    expected, broken = by_loops(says, logits, given)
    rules = ruleset(says)
    found = rules.violations(logits.detach() > 0, given)
    assert set(found[:, 0].nonzero()[:, 0].tolist()) == broken
    loss = rules.loss(logits, given)
    assert_close(loss, expected)
    if expected.requires_grad:
        assert_close(*(torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (loss, expected)))
        assert torch.autograd.gradcheck(lambda x: rules.loss(x, given), logits, fast_mode=True)
        if seed % 5 == 0:
            assert torch.autograd.gradgradcheck(lambda x: rules.loss(x, given), logits)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_printed_reads_back(seed):
    says = rule(seed)
    once = parse(str(says), VOCABULARY)
    assert parse(str(once[0]), VOCABULARY) == once
    logits, given = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)).double(), facts(seed, 3)
    expected, broken = by_loops(says, logits, given)
    again, broken_again = by_loops(once[0], logits, given)
    assert_close(again, expected)
    assert broken_again == broken


@pytest.mark.parametrize("kind", ["goedel", "lukasiewicz", "product", "p_mean"])
@pytest.mark.parametrize("seed", range(20))
def test_of_certain_answers_fuzzy_loss_is_the_share_that_is_false(kind, seed):
    says, given = rule(seed), facts(seed, 3)
    answers = torch.randn(3, 3, generator=torch.Generator().manual_seed(seed)) > 0
    rules = ruleset(says)
    loss = float(rules.loss(torch.where(answers, 60.0, -60.0), given, kind))
    many = rules.groundings(3, given)["r"]
    share = 0.0
    if many:
        false = 0
        for things in itertools.product(range(3), repeat=len(says.says.variables)):
            false += not true(says.says.of, dict(zip(says.says.variables, things)), answers.tolist(), given)
        share = false / many if isinstance(says.says, ForAll) else float(bool(rules.violations(answers, given).any()))
    assert loss == pytest.approx(math.sqrt(share) if kind == "p_mean" and isinstance(says.says, ForAll) else share)


@pytest.mark.parametrize(("kind", "expected"), [
    ("goedel", 1 - max(1 - 0.8, 0.3)), ("lukasiewicz", 1 - min(1, 1 - 0.8 + 0.3)), ("product", 0.8 * 0.7),
    ("p_mean", 0.8 * 0.7), ("probability", -math.log(1 - 0.8 * 0.7)), ("exact", -math.log(1 - 0.8 * 0.7)),
])  # fmt: skip
def test_each_kind_of_loss_is_its_formula(kind, expected):
    rules = RuleSet.parse("hard r: a -> b")
    logits = torch.tensor([[0.8, 0.3]], dtype=torch.double).logit()
    assert float(rules.loss(logits, kind=kind)) == pytest.approx(expected)


def test_counts_are_as_true_as_the_kth_truest():
    rules = RuleSet.parse("soft r: at_least(2, a, b, c)\nsoft s: exactly_one(a, b, c)")
    logits = torch.tensor([[0.9, 0.6, 0.2]], dtype=torch.double).logit()
    assert float(rules.loss(logits, kind="goedel")) == pytest.approx((1 - 0.6 + 1 - min(0.9, 1 - 0.6)) / 2)


def test_the_exact_loss_takes_hard_rules_together_and_soft_ones_apart():
    rules = RuleSet.parse("hard r: a -> b\nhard s: b -> c\nsoft 2 t: a | c")
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
    soft = RuleSet.parse("soft 2 t: a | c", labels=list("abc")).loss(logits)
    assert_close(rules.loss(logits, kind="exact"), (soft - rules.log_partition(logits).mean()) / 3)


def test_a_label_of_very_small_probability_keeps_its_gradient():
    rules = RuleSet.parse("hard r: a | b")
    logits = torch.tensor([[-900.0, -901.0], [-30.0, 2.0]], dtype=torch.double, requires_grad=True)
    loss = rules.loss(logits)
    loss.backward()
    assert loss.item() == pytest.approx((900 - math.log(1 + math.exp(-1)) + math.log1p(math.exp(-2))) / 2, abs=1e-6)
    assert_close(logits.grad[0], -logits.detach()[0].softmax(0) / 2)


@pytest.mark.parametrize(("text", "rows"), [
    ("soft r: forall x, y. cites(x, y) & a(x) -> a(y)", [(0, 1), (1, 2)]),
    ("soft r: forall x, y. cites(x, y) & cites(y, x) & a(x) -> a(y)", []),
    ("soft r: forall x, y, z. cites(x, y) & cites(y, z) & x != z & a(x) -> a(z)", [(0, 1, 2), (1, 2, 2)]),
    ("soft r: forall x, y. cites(x, y) & ~near(x, y) & a(x) -> a(y)", [(1, 2)]),
    ("soft r: forall x. age(x) >= 40 -> a(x)", [(1,), (2,)]),
    ("soft r: forall x, y. age(x) > 40 & age(y) < 40 & b(x) -> a(y)", [(2, 0)]),
    ("soft r: forall x. cites(x, x) -> a(x)", [(2,)]),
    ("soft r: forall x, y. cites(x, y) & age(y) != 40 & b(x) -> a(y)", [(1, 2), (2, 2)]),
])  # fmt: skip
def test_groundings_are_what_meets_the_left_side(text, rows):
    given = Facts({"cites": torch.tensor([[0, 1, 2, 0], [1, 2, 2, 1]]), "near": torch.tensor([[0], [1]])},
                  {"age": torch.tensor([20.0, 40.0, 60.0])})  # fmt: skip
    rules = RuleSet.parse(text, labels=["a", "b"], relations=["cites", "near"], features=["age"])
    assert rules.groundings(3, given) == {"r": len(rows)}
    found = {tuple(row) for g in rules._lifted[0].ground(3, given, rules._place, Budget(), torch.device("cpu"))
             for row in g.rows.t().tolist()}  # fmt: skip
    assert found == set(rows)


def test_a_group_is_a_rule_for_each_of_its_labels():
    text = "soft learn cite[t in topics]: forall x, y. cites(x, y) & t(x) -> t(y)\nhard one: exactly_one(AI, DB)"
    rules = RuleSet.parse(text, labels={"topics": ["AI", "DB"], "other": ["old"]}, relations={"cites"})
    assert rules.labels == ("AI", "DB", "old")
    assert [rule.name for rule in rules.rules] == ["cite[AI]", "cite[DB]", "one"]
    again = RuleSet.parse(str(rules), labels=rules.labels, relations={"cites"})
    assert [str(rule) for rule in again.rules] == [str(rule) for rule in rules.rules]
    assert len(RuleSet.parse("soft r[t in labels]: t", labels=["[t]", "b"]).rules) == 2


def test_what_is_measured_guards_the_exact_answer():
    rules = RuleSet.parse(
        "hard high: forall p. temp(p) >= 39 -> fever(p)\nhard sick: fever -> sign\nsoft s: ~fever",
        labels=["fever", "sign"], features={"temp"},
    )  # fmt: skip
    given = Facts(features={"temp": torch.tensor([40.0, 36.0, math.nan])})
    logits = torch.tensor([[-1.0, -2.0]]).expand(3, 2).double().requires_grad_()
    assert rules.answer(logits, given).tolist() == [[True, True], [False, False], [False, False]]
    p, q = float(torch.tensor(-1.0).sigmoid()), float(torch.tensor(-2.0).sigmoid())
    z = 1 - p * (1 - q)
    assert_close(rules.marginals(logits, given)[:2], torch.tensor([[1, 1], [p * q / z, q / z]]).double())
    assert_close(rules.log_partition(logits, given)[:2].exp(), torch.tensor([p * q, z]).double())
    assert torch.autograd.gradcheck(lambda x: rules.log_partition(x, given), logits)
    assert rules.violations(torch.tensor([[False, True]] * 3), given)[:, 0].tolist() == [True, False, False]
    with pytest.raises(gf.InputError, match=r"^The infinite logits or measurements of row 0 break a rule"):
        rules.answer(torch.tensor([[-math.inf, 0.0]] * 3), given)


def test_words_are_compared_too():
    text = 'hard r: forall q. asks(q) = "which organ" & seen(q) != "" -> heart(q) | lung(q)\n'
    text += "hard s: exactly_one(heart, lung, no)"
    rules = RuleSet.parse(text, labels=["heart", "lung", "no"], features=["asks", "seen"])
    assert parse(str(rules), Vocabulary(rules.labels, [], ["asks", "seen"]))[0] == rules.rules[0]
    given = Facts(features={"asks": ["which organ", "is it so", None, "which organ"], "seen": ["x", "x", "x", ""]})
    said = rules.answer(torch.tensor([[-2.0, -1.0, 5.0]]).expand(4, 3), given)
    assert said.tolist() == [[False, True, False], *[[False, False, True]] * 3]
    assert rules.groundings(4, given) == {"r": 1, "s": 4}


@pytest.mark.parametrize(("says", "given", "said"), [
    ('a(x) -> f(x) = "w"', torch.zeros(2), "'f' is numbers; compare it with a number, not with 'w'"),
    ("a(x) -> f(x) = 1", ["v", "w"], "'f' is words; compare it with a word, in quotes, not with 1.0"),
    ('a(x) -> f(x) = "w"', ["v"], "'f' has 1 values; the logits have 2 rows"),
])  # fmt: skip
def test_words_and_numbers_are_told_apart(says, given, said):
    with pytest.raises(gf.InputError, match=said):
        RuleSet.parse(f"hard r: forall x. {says}", ["a"]).loss(torch.zeros(2, 1), Facts(features={"f": given}))


def test_rules_that_join_rows_are_not_answered_one_by_one():
    rules = RuleSet.parse("hard c: forall x, y. cites(x, y) & a(x) -> a(y)", labels=["a"], relations={"cites"})
    for ask in (rules.answer, rules.marginals, rules.log_partition):
        with pytest.raises(gf.InputError, match=r"^Line 1: rule 'c' joins rows, and rows are answered one by one"):
            ask(torch.zeros(2, 1), Facts({"cites": torch.tensor([[0], [1]])}))
    with pytest.raises(gf.InputError, match="how many are allowed depends"):
        rules.allowed()


@pytest.mark.parametrize(("text", "given", "said"), [
    ("soft r: forall x, y. cites(x, y) & a(x) -> a(y)", None, r"rule 'r' speaks of 'cites\(x, y\)'; give graph"),
    ("soft r: forall x, y. cites(x, y) & a(x) -> a(y)", Facts({"cite": torch.zeros(2, 1, dtype=torch.long)}),
     "no relation 'cites'. Did you mean 'cite'"),
    ("soft r: forall x, y. cites(x, y) & a(x) -> a(y)", Facts({"cites": torch.tensor([[0], [9]])}),
     "'cites' speaks of row 9; the logits have rows 0 to 4"),
    ("soft r: forall x. age(x) > 1 -> a(x)", Facts(features={"age": torch.zeros(2)}), "'age' has 2 values"),
    ("soft r: forall x, y, z. a(x) & a(y) -> a(z)", Facts(),
     "rule 'r': its groundings take 125 rows to find, and 100 are allowed"),
    ("soft r: forall x, y, z. cites(x, y) & cites(y, z) & a(x) -> a(z)",
     Facts({"cites": torch.tensor([[i // 5, i % 5] for i in range(25)]).t()}), "its groundings take 125 rows"),
    ("hard r: forall x, y. cites(x, y) -> a(x) & ~a(y)", Facts({"cites": torch.tensor([[0, 3], [1, 3]])}),
     "rule 'r' can never hold where x is row 3, y is row 3"),
])  # fmt: skip
def test_what_is_lacking_or_too_much_is_named(text, given, said):
    rules = RuleSet(("a",), tuple(parse(text)), budget=Budget(groundings=100))
    with pytest.raises(gf.InputError, match=said):
        rules.loss(torch.zeros(5, 1), given)


@pytest.mark.parametrize(("make", "said"), [
    (lambda: Facts({"r": torch.zeros(2, 1)}), r"Relation 'r' is torch.float32 \[2, 1\]; expected int64"),
    (lambda: Facts({"r": torch.zeros(3, 1, dtype=torch.long)}), "Relation 'r' is torch.int64"),
    (lambda: Facts(features={"f": torch.zeros(2, 1)}), "Feature 'f' is"),
    (lambda: Facts(features={"f": ["a", 1]}), "not all of it are words"),
    (lambda: Facts({"r": [[0], [1]]}), "Relation 'r' is a list"),
    (lambda: Facts(features={"f": None}), "Feature 'f' is a NoneType"),
    (lambda: RuleSet.parse("soft r: forall x. f(x) > 1 -> a(x)").loss(torch.zeros(1, 1), {"f": 1}), "graph is a dict"),
    (lambda: RuleSet.parse("soft r: a", {"labels": ["a"], "other": ["b"]}), "group of labels is called 'labels'"),
    (lambda: RuleSet.parse("hard r: a").holds(torch.zeros(1, 7) > 0), r"expected \[B, 1\]"),
    (lambda: RuleWeights(RuleSet.parse("soft learn r: a"), start=0), "start is 0"),
    (lambda: Measured("f", "x", ">", "word"), "words by = and !="),
    (lambda: ruleset(Rule("r", ForAll(("x",), Related("cites", "x", "x")))), "rule 'r'.* speaks of no label"),
    (lambda: RuleSet.parse("hard r: a").loss(torch.zeros(1, 1), kind="prob"), "kind of loss called 'prob'"),
    (lambda: RuleSet.parse("hard r: a").loss(torch.zeros(1, 1), weights=torch.ones(2)), r"expected \[1\]"),
])  # fmt: skip
def test_what_is_made_wrongly_is_named(make, said):
    with pytest.raises(gf.InputError, match=said):
        make()


def test_evidence_that_breaks_a_grounding_is_named_if_it_must_hold_and_else_left_out():
    text = "r: forall x, y. cites(x, y) & a(x) -> a(y)"
    given = Facts({"cites": torch.tensor([[0, 1], [1, 2]])})
    logits = torch.tensor([[0.0], [math.inf], [-math.inf]])
    with pytest.raises(gf.InputError, match=r"^The infinite logits of rows 1, 2 break Line 1: rule 'r'\."):
        RuleSet.parse(f"hard {text}", labels=["a"]).loss(logits, given)
    assert float(RuleSet.parse(f"soft {text}", labels=["a"]).loss(logits, given)) == 0
    assert float(RuleSet.parse(f"hard {text}", labels=["a"]).loss(-logits.sort(0).values.flip(0), given)) == 0


def test_a_witness_that_is_ruled_out_does_not_refute_that_there_is_one():
    rules = RuleSet.parse("hard r: exists x. a(x)")
    assert float(rules.loss(torch.tensor([[-math.inf], [3.0], [math.inf]]))) == 0
    assert float(rules.loss(torch.tensor([[-math.inf], [0.0]]))) == pytest.approx(math.log(2))
    assert float(rules.loss(torch.tensor([[-800.0], [-900.0]], dtype=torch.double))) == pytest.approx(800)


def test_groundings_are_found_anew_for_other_facts_and_facts_changed_in_place():
    rules = RuleSet.parse("soft r: forall x. f(x) >= 1 -> a(x)\nsoft s: forall x, y. c(x, y) -> a(y)", labels=["a"])
    logits, pairs = torch.tensor([[-3.0], [-1.0]]), torch.tensor([[0], [1]])
    given = Facts({"c": pairs}, {"f": torch.tensor([1.0, 0.0])})
    expected = [rules.loss(logits, Facts({"c": torch.tensor([[0], [at]])}, {"f": torch.tensor(f)}))
                for at, f in ((1, [1.0, 0.0]), (0, [1.0, 0.0]), (0, [0.0, 1.0]))]  # fmt: skip
    assert rules.loss(logits, given) == expected[0]
    pairs[1, 0] = 0
    assert rules.loss(logits, given) == expected[1]
    assert rules.loss(logits, replace(given, features={"f": torch.tensor([0.0, 1.0])})) == expected[2]


def test_whole_numbers_are_compared_as_they_are():
    rules = RuleSet.parse("hard r: forall x. day(x) >= 1700000000 -> a(x)", labels=["a"])
    given = Facts(features={"day": torch.tensor([1699999960, 1700000000])})
    assert rules.answer(torch.tensor([[-1.0], [-1.0]]), given).tolist() == [[False], [True]]


def test_refining_keeps_what_is_known_and_adds_up_in_full_precision():
    rules = RuleSet.parse("soft r: a -> b")
    found = rules.refine(torch.tensor([[math.inf, 0.0], [-math.inf, 1.0], [math.inf, math.inf]]))
    assert found.tolist() == [[math.inf, 1.0], [-math.inf, 1.0], [math.inf, math.inf]]
    star = Facts({"cites": torch.stack([torch.zeros(4000, dtype=torch.long), torch.arange(1, 4001)])})
    cites = RuleSet.parse("soft r: forall x, y. cites(x, y) & a(y) -> a(x)", labels=["a"])
    found = cites.refine(torch.zeros(4001, 1, dtype=torch.half), star)
    assert found.dtype == torch.float32
    assert float(found[0]) == 2000


@pytest.mark.parametrize(("text", "rows", "many"), [
    ("forall x, y. c(x, x) & c(y, y) & a(x) -> a(y)", 40, 1),
    ("forall x, y, z. c(x, y) & m(x, y) & c(y, z) & a(x) -> a(z)", 40, 0),
    ("forall x, y, z. c(x, y) & x != y & c(y, z) & a(x) -> a(z)", 40, 3),
])  # fmt: skip
def test_what_narrows_most_is_joined_first(text, rows, many):
    star = torch.tensor([[0, *range(1, rows), 0, 0], [0, *[0] * (rows - 1), 1, 2]])
    facts = Facts({"c": star if many != 3 else star[:, [0, 1, -2]], "m": torch.tensor([[1], [2]])})
    rules = RuleSet(("a",), tuple(parse(f"soft r: {text}")), budget=Budget(groundings=2 * rows + 4))
    assert rules.groundings(rows, facts)["r"] <= rows
    big = RuleSet(("a",), tuple(parse(f"soft r: {text}")))
    assert rules.groundings(rows, facts) == big.groundings(rows, facts)


def test_rules_of_a_group_share_their_groundings():
    rules = RuleSet.parse("soft r[t in labels]: forall x, y. c(x, y) & t(x) -> t(y)", [f"l{i}" for i in range(20)])
    facts = Facts({"c": torch.tensor([[0, 1, 2], [1, 2, 2]])})
    rules.loss(torch.zeros(3, 20), facts)
    grounds = [rule.ground(3, facts, rules._place, Budget(), torch.device("cpu")) for rule in rules._lifted]
    assert len({ground.rows.data_ptr() for (ground,) in grounds}) == 1


def test_what_soft_rules_measure_is_not_needed_for_the_answer():
    rules = RuleSet.parse("hard o: exactly_one(a, b)\nsoft s: forall p. temp(p) >= 39 -> a(p)", labels=["a", "b"])
    assert rules.answer(torch.tensor([[1.0, 0.0]])).tolist() == [[True, False]]
    with pytest.raises(gf.InputError, match=r"speaks? of 'temp\(p\) >= 39'; give graph"):
        rules.loss(torch.zeros(1, 2))


@pytest.mark.parametrize("says", [
    ForAll(("x",), Label("a", "y")), Label("a", "y"), ForAll((), Label("a")),
    And((Label("a"), Exists(("x",), Label("a", "x")))),
    ForAll(("x", "x"), Label("a", "x")),
])  # fmt: skip
def test_variables_of_rules_made_in_python_are_checked(says):
    with pytest.raises(gf.InputError, match=r"^Rule 'r': (nothing|its|forall)"):
        RuleSet(("a",), (Rule("r", says),))


def test_refining_pushes_what_is_nearest_to_true():
    """By hand: KENN's enhancement of one clause is its weight, times a softmax of signed logits, signed."""
    rules = RuleSet.parse("soft 2 r: forall x, y. cites(x, y) & a(x) -> a(y)", labels=["a", "b"], relations={"cites"})
    given = Facts({"cites": torch.tensor([[0, 0, 1], [1, 2, 1]])})  # a paper that cites itself changes nothing
    logits = torch.tensor([[1.0, 5.0], [-2.0, 5.0], [0.5, 5.0]], dtype=torch.double, requires_grad=True)
    first, second = (2 * torch.tensor([-1.0, other]).softmax(0) for other in (-2.0, 0.5))
    expected = torch.tensor([[1 - first[0] - second[0], 5], [-2 + first[1], 5], [0.5 + second[1], 5]])
    assert_close(rules.refine(logits, given), expected.double(), atol=1e-6, rtol=0)
    assert torch.autograd.gradcheck(lambda x: rules.refine(x, given), logits)


@pytest.mark.parametrize("text", ["exactly_one(a, b, 二)", "at_most(1, a, b, 二) & (a -> b)", "a <-> b & 二",
                                  "at_least(2, a, b, 二)", "~exactly_one(a, b, 二)",
                                  "exactly_one(a, b, 二) -> a"])  # fmt: skip
def test_refining_again_and_again_ends_with_what_holds(text):
    rules = RuleSet.parse(f"hard r: {text}", labels=["a", "b", "二"])
    logits = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    before = rules.violations(logits > 0).float().mean()
    for _ in range(300):
        logits = rules.refine(logits, weights=torch.tensor([0.2]))
    assert rules.violations(logits > 0).float().mean() < 0.3 * before


@pytest.mark.parametrize(("text", "said"), [
    ("exists x. a(x)", "something exists"), ("exactly_one(" + ", ".join(f"l{i}" for i in range(80)) + ")", "clauses"),
])  # fmt: skip
def test_what_cannot_refine_is_named(text, said):
    rules = RuleSet.parse(f"soft r: {text}")
    with pytest.raises(gf.InputError, match=f"rule 'r' .*{said}"):
        rules.refine(torch.zeros(2, len(rules.labels)))


def test_learned_weights_end_large_for_rules_that_data_keep_and_small_for_others():
    rules = RuleSet.parse("soft learn kept: a -> b\nsoft learn broken: a -> c\nsoft 3 fixed: b | c", list("abc"))
    weights = RuleWeights(rules)
    assert [name for name, _ in weights.named_parameters()] == ["raw"]
    assert_close(weights(), torch.tensor([0.5, 0.5, 3.0]))
    logits = torch.tensor([[4.0, 4.0, -4.0]] * 8)
    step = torch.optim.Adam(weights.parameters(), 0.1)
    for _ in range(300):
        step.zero_grad()
        rules.loss(logits, weights=weights()).backward()
        step.step()
    kept, broken, fixed = weights().tolist()
    assert kept > 4 * broken > 0
    assert fixed == 3
    cost = -math.log(1 - torch.tensor(4.0).sigmoid().item() ** 2)
    assert broken == pytest.approx(1 / cost, rel=0.05)


def test_refinement_learns_its_weights_layer_by_layer():
    """Only neighbours tell what these nodes are: the network sees nothing, so the rule has to be given weight."""
    g = torch.Generator().manual_seed(0)
    rules = RuleSet.parse("soft learn cite[t in labels]: forall x, y. cites(x, y) & t(x) -> t(y)", labels=["a", "b"])
    side = torch.arange(40) % 2
    pairs = torch.stack([torch.arange(38), torch.arange(38) + 2])
    given, layer = Facts({"cites": pairs}), Refine(rules, layers=3)
    seen = torch.zeros(40, 2)
    seen[torch.arange(0, 40, 5)] = 6 * torch.nn.functional.one_hot(side[::5], 2).float() - 3
    seen = seen + 0.01 * torch.randn(40, 2, generator=g)
    before = [weights().clone() for weights in layer.weights]
    step = torch.optim.Adam(layer.parameters(), 0.1)
    losses = []
    for _ in range(60):
        step.zero_grad()
        loss = torch.nn.functional.cross_entropy(layer(seen, given), side)
        loss.backward()
        losses.append(loss.item())
        step.step()
    assert losses[-1] < 0.8 * losses[0]
    assert len(before) == 3
    assert all((weights() > old).all() for weights, old in zip(layer.weights, before))
    assert {name for name, _ in layer.named_parameters()} == {f"weights.{i}.raw" for i in range(3)}


@pytest.mark.parametrize(("text", "place", "words"), [
    ("soft r: forall x. fever", "line 1, column 19", ["fever(x)"]),
    ("soft r: forall x. fevr(x)", "line 1, column 19", ["'fevr'", "'fever'"]),
    ("soft r: forall x, y. cite(x, y) & fever(x) -> fever(y)", "line 1, column 22", ["'cite'", "'cites'"]),
    ("soft r: forall x. cites(x) & fever(x)", "line 1, column 19", ["'cites' is a relation", "cites(x, y)"]),
    ("soft r: forall x, y. fever(x, y)", "line 1, column 22", ["'fever' is a label", "fever(x)"]),
    ("soft r: forall x. temp(x) -> fever(x)", "line 1, column 19", ["'temp' is a feature", "temp(x) >= 1"]),
    ("soft r: forall x. cites(x, x, x) -> fever(x)", "line 1, column 19", ["3 things"]),
    ("soft r: forall x. fever(z)", "line 1, column 25", ["nothing binds 'z'", "x"]),
    ("soft r: forall x, y. fever(x)", "line 1, column 19", ["nothing is said of variable 'y'"]),
    ("soft r: forall x, x. fever(x)", "line 1, column 19", ["'x' is there twice"]),
    ("soft r: forall x fever(x)", "line 1, column 18", ["'.'"]),
    ("soft r: forall . fever(x)", "line 1, column 16", ["variable", "'forall'"]),
    ("soft r: forall in. fever(x)", "line 1, column 16", ["variable"]),
    ("soft r: fever(x)", "line 1, column 9", ["nothing binds it", "forall x."]),
    ("soft r: x != y", "line 1, column 9", ["nothing binds"]),
    ("soft r: forall x. x -> fever(x)", "line 1, column 19", ["'x' is a variable"]),
    ("soft r: fever -> forall x. fever(x)", "line 1, column 18", ["'forall' stands first"]),
    ("soft r: forall x. temp(x) >= fever(x)", "line 1, column 30", ["number"]),
    ("soft r: forall x. temp(x) >= 1e999 -> fever(x)", "line 1, column 30", ["too large"]),
    ("soft r: forall x. temp(x) > -x", "line 1, column 30", ["number"]),
    ('soft r: forall x. temp(x) > "warm" -> fever(x)', "line 1, column 27", ["words", "'='"]),
    ("soft r: forall x. (temp(x) - 1) -> fever(x)", "line 1, column 20", ["feature"]),
    ("soft r[t in topic]: t", "line 1, column 13", ["no group 'topic'", "'topics'"]),
    ("soft r[t of topics]: t", "line 1, column 10", ["'in'"]),
    ("soft r[t in topics: t", "line 1, column 19", ["']'"]),
    ("soft r[hard in topics]: t", "line 1, column 8", ["variable"]),
    ("soft r[t in topics]: forall t. t(t)", "line 1, column 29", ["'t' is there twice"]),
])  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(text, place, words):
    with pytest.raises(gf.InputError) as error:
        RuleSet.parse(text, labels={"topics": ["fever", "cold"]}, relations={"cites"}, features={"temp"})
    message = str(error.value)
    assert message.lower().startswith(place), message
    assert all(word in message for word in words), message


def test_a_relation_may_be_empty_and_rows_none():
    rules = RuleSet.parse("soft r: forall x, y. cites(x, y) & a(x) -> a(y)\nsoft s: exists x. a(x)", labels=["a"])
    given = Facts({"cites": torch.zeros(2, 0, dtype=torch.long)})
    one = RuleSet(rules.labels, rules.rules[:1])
    assert_close(one.refine(torch.ones(3, 1), given), torch.ones(3, 1))
    assert one.refine(torch.ones(0, 1), given).shape == (0, 1)
    assert rules.groundings(3, given) == {"r": 0, "s": 3}
    for rows in (0, 3):
        logits = torch.zeros(rows, 1, requires_grad=True)
        rules.loss(logits, given).backward()
        assert logits.grad.isfinite().all()


def test_a_learned_rule_without_groundings_has_no_part_in_the_loss():
    rules = RuleSet.parse("soft learn r: forall x, y. c(x, y) & a(x) -> a(y)", labels=["a"])
    given = Facts({"c": torch.zeros(2, 0, dtype=torch.long)})
    assert float(rules.loss(torch.zeros(2, 1), given, weights=RuleWeights(rules)())) == 0


def test_facts_keep_groundings_of_each_rule_set_and_size_apart():
    given = Facts({"cites": torch.tensor([[0, 1], [1, 0]])})
    one = RuleSet.parse("soft r: forall x, y. cites(x, y) & a(x) -> a(y)", labels=["a"])
    other = RuleSet.parse("soft r: forall x, y. cites(x, y) & a(x) -> b(y)", labels=["b", "a"])
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0], [0.0, 0.0]])
    once = other.loss(logits, given)
    one.loss(logits[:, :1], given)
    assert_close(other.loss(logits, given), once)
    assert_close(other.loss(logits[:2], given), once)


def test_every_answer_is_judged_by_the_rules_of_rows_too():
    rules = RuleSet.parse("hard r: forall x. a(x) -> b(x)\nhard s: ~(a & b)", labels=["a", "b"])
    assert rules.allowed() == 2
    every = made.worlds(2)
    assert rules.violations(every).tolist() == [[bool(a and not b), bool(a and b)] for a, b in every.tolist()]


@pytest.mark.parametrize(("text", "said"), [
    ("hard a: forall x, y. cites(x, y) & a(x) -> b(y)\nhard c: forall u, v. b(u) | ~a(v) | ~cites(v, u)",
     r"^Line 2: rule 'c' says nothing that 'a' does not say\.$"),
    ("soft a: forall x, y. cites(x, y) & x != y & a(x) -> b(y)\n"
     "soft c: forall y, x. y != x & a(y) & cites(y, x) -> b(x)",
     r"^Line 2: rule 'c' says what 'a' says, so both weigh together\.$"),
    ("soft a: exists x, y, z. near(x, y) & near(y, z) & a(z)\nsoft c: exists p, q, r. a(r) & near(q, r) & near(p, q)",
     r"^Line 2: rule 'c' says what 'a' says"),
    ("hard a: forall x, y. cites(x, y) -> (a(x) <-> a(y) | ~a(y) & a(x) | ~cites(x, y))\n"
     "hard t: forall x, y. near(x, y) & a(x) -> (b(y) -> at_least(2, a(x), near(x, y), b(x)))",
     r"^Line 2: rule 't' is true whatever the labels are\.$"),
    ("soft a: forall x, y. at_least(2, a(x), near(x, y)) & at_most(1, near(x, y), a(x))",
     r"^Line 1: rule 'a' can never hold\.$"),
    ("hard a: forall x, y. near(x, y) -> ~b(y) & a(x) & b(y)",
     r"^Line 1: rule 'a' cannot hold where it says anything\.$"),
])  # fmt: skip
def test_rules_that_join_things_and_say_nothing_new_are_named(text, said):
    with pytest.warns(RuleWarning, match=said) as caught:
        RuleSet.parse(text, ["a", "b"], ["cites", "near"])
    assert len(caught) == 1


def test_rules_that_join_things_and_differ_are_not_named():
    text = """
        hard a: forall x, y. cites(x, y) & a(x) -> a(y)
        hard b: forall x, y. cites(y, x) & a(x) -> a(y)
        hard c: forall x, y. cites(x, y) & x != y & a(x) -> a(y)
        soft d: forall x, y. cites(x, y) & b(x) -> b(y)
        soft e: forall x, y. near(x, y) & b(x) -> b(y)
        soft f: exists x, y. cites(x, y) & b(x) & b(y)
        soft g: forall x, y. cites(x, y) & b(x) & b(y)
        soft h: forall x. cites(x, x) & b(x) -> a(x)
        hard i: forall x. b(x) -> a(x)
    """
    with warnings.catch_warnings(action="error"):
        RuleSet.parse(text, ["a", "b"], ["cites", "near"])


def test_a_hard_rule_that_joins_things_and_can_never_hold_is_an_error():
    text = "soft s: a -> b\nhard c: forall x, y. a(x) & b(y) & (a(x) -> ~b(y))"
    with pytest.raises(gf.InputError, match=r"^Rules: hard rule 'c' \(line 2\) can never hold\.$"):
        RuleSet.parse(text, ["a", "b"])
