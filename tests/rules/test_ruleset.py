"""Rule sets: what they refuse, warn of, read, and cost as a loss."""

import math
import random
import warnings
from functools import reduce
from pathlib import Path

import made
import networkx as nx
import numpy as np
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import Label, Rule, RuleSet, RuleWarning
from graphfuse.rules.diagram import Budget
from graphfuse.rules.language import parse

DATA = Path(__file__).parents[3] / "shared" / "data" / "rules"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the rule data folder is not beside this checkout")


@pytest.mark.parametrize(("text", "names"), [
    ("hard a: x\nhard b: ~x", ["'a' (line 1)", "'b' (line 2)"]),
    ("hard a: x -> y\nhard b: z\nhard c: x\nhard d: ~y\nhard e: z -> x", ["'a'", "'d'"]),
    ("hard a: exactly_one(x, y)\nhard b: x & y", ["'a'", "'b'"]),
    ("hard a: x & ~x", ["'a'"]),
    ("hard a: at_least(2, x, y)\nsoft s: ~x\nhard b: at_most(1, x, y)", ["'a'", "'b'"]),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_rules_that_contradict_each_other_are_named_and_no_others(text, names):
    with pytest.raises(gf.InputError) as error:
        RuleSet.parse(text)
    message = str(error.value)
    assert all(name in message for name in names)
    assert "'s'" not in message


@pytest.mark.parametrize("seed", range(60))
def test_of_the_rules_that_contradict_each_other_none_can_be_left_out(seed):
    rng = random.Random(seed)
    text = "\n".join(f"hard r{i}: {made.expression(rng)}" for i in range(8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            RuleSet.parse(text, made.LABELS)
        except gf.InputError as error:
            named = [line for i, line in enumerate(text.split("\n")) if f"'r{i}'" in str(error)]
            assert named
            for left_out in named:
                RuleSet.parse("\n".join(line for line in named if line != left_out), made.LABELS)
            with pytest.raises(gf.InputError):
                RuleSet.parse("\n".join(named), made.LABELS)


@pytest.mark.parametrize(("text", "said"), [
    ("hard a: x | ~x", r"^Line 1: rule 'a' is true whatever the labels are\.$"),
    ("soft a: x -> x", r"^Line 1: rule 'a' is true whatever"),
    ("hard a: at_most(2, x, y)", r"^Line 1: rule 'a' is true whatever"),
    ("hard a: x -> y\nhard b: ~x | y", r"^Line 2: rule 'b' says nothing that 'a' does not say\.$"),
    ("hard a: x -> y\nhard b: x & z -> y", r"^Line 2: rule 'b' says nothing that 'a' does not say\.$"),
    ("hard a: exactly_one(x, y, z)\nhard b: exactly_one(x, y, z)", r"^Line 2: rule 'b' says nothing that 'a'"),
    ("hard a: x -> y\nsoft b: x & z -> y", r"^Line 2: rule 'b' says nothing that 'a' does not say\.$"),
    ("soft a: x -> y & z\nsoft 2 b: z & y | ~x", r"^Line 2: rule 'b' says what 'a' says, so both weigh together\.$"),
    ("soft learn a: at_most(1, x, y, z)\nsoft b: at_most(1, z, x, y)", r"^Line 2: rule 'b' says what 'a' says"),
    ("soft a: x & ~x", r"^Line 1: rule 'a' can never hold\.$"),
    ("hard a: (x <-> y & z) | (y & z <-> ~x)", r"^Line 1: rule 'a' is true whatever"),
])  # fmt: skip
def test_a_rule_that_says_nothing_new_is_named(text, said):
    with pytest.warns(RuleWarning, match=said):
        rules = RuleSet.parse(text, list("xyz"))
    assert rules.violations(made.worlds(3)).shape == (8, len(rules.rules))


def test_rules_that_say_something_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RuleSet.parse("hard a: x & y -> z\nhard b: x -> y\nsoft c: x -> z\nsoft d: z -> x\nhard e: x <-> w")


def test_labels_are_those_of_the_text_if_none_are_given():
    assert RuleSet.parse("hard a: cough -> flu\nhard b: fever -> flu").labels == ("cough", "flu", "fever")


def test_a_contradiction_is_found_beside_what_is_beyond_the_budget():
    rng = random.Random(0)
    lines = [f"hard c{i}: {' | '.join(rng.choice(['', '~']) + x for x in rng.sample([f'x{i}' for i in range(40)], 3))}"
             for i in range(60)]  # fmt: skip
    rules = tuple(parse("\n".join([*lines, "hard s: z", "hard t: ~z"])))
    labels = (*(f"x{i}" for i in range(40)), "z")
    with pytest.raises(gf.InputError, match=r"^Rules: hard rules 's' \(line 61\), 't' \(line 62\) contradict"):
        RuleSet(labels, rules, budget=Budget(nodes=50))


def test_of_a_long_chain_that_contradicts_itself_all_is_named():
    chain = [f"hard r{i}: x{i} -> x{i + 1}" for i in range(60)]
    with pytest.raises(gf.InputError) as error:
        RuleSet.parse("\n".join([*chain, "hard first: x0", "hard other: y", "hard last: ~x60"]))
    assert "'other'" not in str(error.value)
    assert all(f"'r{i}'" in str(error.value) for i in range(60))


@pytest.mark.parametrize(("make", "said"), [
    (lambda: RuleSet(("x",), (Rule("a", Label("x")), Rule("a", Label("x")))), "there is a rule 'a' already"),
    (lambda: RuleSet(("x",), (Rule("a", Label("y")),)), "there is no label 'y'"),
    (lambda: RuleSet(("x",), (Rule("a", Label("x"), False, -1.0),)), "weighs -1.0"),
    (lambda: RuleSet(("x",), (Rule("a", reduce(lambda says, _: ~says, range(200), Label("x"))),)), "100 deep"),
    (lambda: RuleSet.from_networkx(nx.Graph([("a", "b")])), "no directions"),
    (lambda: RuleSet.parse("hard a: x").violations(torch.zeros(1, 1)), "expected torch.bool"),
    (lambda: RuleSet.parse("hard a: x").violations(torch.zeros(1, 2) > 0), r"expected \[B, 1\]"),
])  # fmt: skip
def test_what_is_made_in_python_is_checked_too(make, said):
    with pytest.raises(gf.InputError, match=said):
        make()


def test_a_hard_rule_weighs_one():
    logits = torch.randn(3, 1)
    assert_close(
        RuleSet(("x",), (Rule("a", Label("x"), True, 5.0),)).loss(logits), RuleSet.parse("hard a: x").loss(logits)
    )


def test_many_links_between_two_labels_are_one_rule():
    graph = nx.MultiDiGraph([("a", "b"), ("a", "b"), ("b", "c")])
    assert len(RuleSet.from_networkx(graph).rules) == 2


def test_labels_are_unique():
    with pytest.raises(gf.InputError, match="Label 'x' is there twice"):
        RuleSet.parse("hard a: x", ["x", "y", "x"])


@pytest.mark.parametrize("seed", range(30))
def test_the_loss_is_what_each_rule_costs_by_enumeration(seed):
    rng = random.Random(seed)
    text = "\n".join(f"{rng.choice(['hard', 'soft 2', 'soft'])} r{i}: {made.expression(rng)}" for i in range(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rules = RuleSet.parse(text, made.LABELS)
        except gf.InputError:
            return
        logits = torch.randn(4, len(made.LABELS), generator=torch.Generator().manual_seed(seed)).double()
        every, costs = made.worlds(len(made.LABELS)), []
        weight = torch.where(every[None], logits.sigmoid()[:, None], (-logits).sigmoid()[:, None]).prod(2)  # [B, W]
        for rule in rules.rules:
            true = torch.tensor([made.holds(rule.says, row) for row in every.tolist()])
            if not true.any():
                with pytest.raises(gf.InputError, match=f"rule '{rule.name}' can never hold"):
                    rules.loss(logits)
                return
            costs.append(rule.weight * -(weight * true).sum(1).log().mean())
        assert_close(rules.loss(logits), torch.stack(costs).mean())


def test_a_weight_that_has_to_be_learned_is_refused():
    rules = RuleSet.parse("soft learn a: x -> y")
    with pytest.raises(gf.InputError, match=r"^Line 1: rule 'a' has no weight"):
        rules.loss(torch.zeros(1, 2))


def test_training_on_the_loss_makes_outputs_agree():
    rules = RuleSet.parse("hard a: x -> y\nhard b: exactly_one(y, z)", list("xyz"))
    logits = torch.tensor([[3.0, -1.0, 2.0], [0.0, 2.0, 1.5]], requires_grad=True)
    assert rules.violations(logits.detach() > 0).any()
    step = torch.optim.Adam([logits], 0.1)
    for _ in range(200):
        step.zero_grad()
        rules.loss(logits).backward()
        step.step()
    assert not rules.violations(logits.detach() > 0).any()


FORMS = {
    "dimacs": ("c a comment\np cnf 3 2\n1 -2 0\n-1 2\n3 0\n", "hard c1: a | ~b\nhard c2: ~a | b | c"),
    "heads": ("0.5 1 :- 0 n2\n2.000 n0 :- 2\n", "hard r001: a & ~c -> b\nhard r002: c -> ~a"),
    "hierarchy": ("# what is what\na,b\nb\tc\n", "hard h1: a -> b\nhard h2: b -> c"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_files_of_others_are_read(form, end, tmp_path):
    text, expected = FORMS[form]
    path = tmp_path / "rules"
    path.write_bytes(b"\xef\xbb\xbf" * (end == "\r\n") + (text.rstrip("\n").replace("\n", end or "\n") + end).encode())
    assert str(RuleSet.read(path, list("abc"), form=form)) == expected


@pytest.mark.parametrize(("form", "text", "said"), [
    ("dimacs", "1 x 0", ":1: 'x' is no literal"), ("dimacs", "1 2", ":1: the last clause does not end with 0"),
    ("dimacs", "9 0", "'9' is beyond the 3 labels, 1 to 3"), ("dimacs", "\n0", ":2: a clause without a literal"),
    ("heads", "0.5 1", ":1: '0.5 1' is no rule"), ("heads", "0.5 7 :- 1", "'7' is beyond the 3 labels, 0 to 2"),
    ("heads", "0.5 a :- 1", "'a' is no literal"), ("hierarchy", "a,b,c", ":1: 'a,b,c' is no pair"),
    ("hierarchy", "a,x", ":1: there is no label 'x'"), ("dimac", "", "There is no form of rules called 'dimac'"),
    ("text", "hard a: x", "rules:1:9: there is no label 'x'"),
])  # fmt: skip
def test_files_that_are_wrong_are_named(form, text, said, tmp_path):
    path = tmp_path / "rules"
    path.write_text(text)
    with pytest.raises(gf.InputError) as error:
        RuleSet.read(path, list("abc"), form=form)
    assert said in str(error.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(gf.InputError, match=r"none\.rules: the rules cannot be read: No such file"):
        RuleSet.read(tmp_path / "none.rules")
    (tmp_path / "latin").write_bytes("hard fièvre: x".encode("latin-1"))
    with pytest.raises(gf.InputError, match="latin: byte 7 is not UTF-8"):
        RuleSet.read(tmp_path / "latin")
    (tmp_path / "cnf").write_text("1 0")
    with pytest.raises(gf.InputError, match="dimacs numbers its labels; give labels"):
        RuleSet.read(tmp_path / "cnf", form="dimacs")


def test_a_directed_graph_is_a_hierarchy():
    rules = RuleSet.from_networkx(nx.DiGraph([("dog", "animal"), ("cat", "animal"), ("animal", "being")]))
    assert rules.labels == ("dog", "animal", "cat", "being")
    assert rules.allowed() == 6
    assert rules.answer(torch.tensor([[5.0, -1.0, -9.0, -1.0]])).tolist() == [[True, True, False, True]]


KNOWN = {"emotions": 63, "yeast": 1668, "medical": 1656225792000, "genbase": 804816, "enron": 2462906046218240,
         "cal500": 4427385671576401936175149993228170364751464621932544, "arts": 8734080}  # fmt: skip


@needs_data
@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_published_rules_allow_as_many_label_sets_as_counters_found(name):
    table = np.load(DATA / "ccn" / f"{name}.npz", allow_pickle=False)
    labels = [f"l{i}" for i in range(len(table["label_names"]))]
    rules = RuleSet.read(DATA / "ccn" / f"{name}_rules.txt", labels, form="heads")
    assert rules.allowed() == KNOWN[name]
    assert not rules.violations(torch.from_numpy(table["Y"].astype(bool))).any()
    g = torch.Generator().manual_seed(0)
    for scale in (1.0, 1e-6, 1e3, 0.0):
        assert not rules.violations(rules.answer(scale * torch.randn(64, len(labels), generator=g))).any()


@needs_data
@pytest.mark.parametrize(("name", "count"), [("requirements", 4985868), ("constraints", 4985734)])
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_requirements_of_road_users_allow_as_many_as_counters_found(name, count):
    labels = (DATA / "roadr" / "labels.txt").read_text().split()
    rules = RuleSet.read(DATA / "roadr" / f"{name}.cnf", labels, form="dimacs")
    assert rules.allowed() == count
    assert not rules.violations(rules.answer(torch.randn(64, len(labels)))).any()
    assert math.isfinite(float(rules.log_partition(torch.randn(64, len(labels))).sum()))
