"""Hierarchies, trees and graphs, against every assignment one by one, and against a solver where there are too many."""

import random
import time
from pathlib import Path

import made
import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import csr_array
from test_exact import DOUBLE, allowed, expected, rows
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import Label, Or, Rule, RuleSet
from graphfuse.rules.cut import heaviest
from graphfuse.rules.diagram import Budget
from graphfuse.rules.exact import impossible, odds, weights
from graphfuse.rules.implications import Implied
from graphfuse.rules.order import Order
from graphfuse.rules.tree import Branched

DATA = Path(__file__).parents[3] / "shared" / "data" / "rules" / "hmc"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the rule data folder is not beside this checkout")
INF, BUDGET = float("inf"), Budget()


def pairs(rng: random.Random, count: int, most: int) -> list[tuple[int, int]]:
    """Edges that join all of some nodes and make no cycle: of each but the first one to some of those before it."""
    name = rng.sample(range(count), count)
    return [(name[i], name[j]) for i in range(1, count) for j in rng.sample(range(i), min(i, rng.randint(1, most)))]


def rules_of(clauses, count: int, budget: Budget = BUDGET) -> RuleSet:
    """Clauses as in DIMACS."""
    labels = tuple(f"x{i}" for i in range(count))
    says = [Or(tuple(Label(labels[abs(k) - 1]) if k > 0 else ~Label(labels[abs(k) - 1]) for k in c)) for c in clauses]
    return RuleSet(labels, tuple(Rule(f"r{i}", each) for i, each in enumerate(says)), budget=budget)


def tree(seed: int) -> tuple[list[tuple[int, int]], int]:
    """Random clauses of two literals each whose pairs of labels form a tree, some pairs with several clauses."""
    rng = random.Random(seed)
    count = rng.randint(2, 9)
    signs = [(-1, 1)] if seed % 2 else [(a, b) for a in (-1, 1) for b in (-1, 1)]
    found = [[(a * (i + 1), b * (j + 1)) for a, b in rng.sample(signs, rng.choice([1, 1, 1, len(signs) // 2 or 1]))]
             for i, j in pairs(rng, count, 1)]  # fmt: skip
    return [clause for own in found for clause in own], count


def order(seed: int, count: int | None = None, most: int = 3) -> tuple[list[tuple[int, int]], int]:
    """Implications without a cycle, here and there both ways or with both labels flipped."""
    rng = random.Random(seed)
    count = count or rng.randint(3, 9)
    sign = [rng.choice([-1, 1]) if seed % 3 == 0 else 1 for _ in range(count)]
    edges = pairs(rng, count, most)
    if seed % 4 == 0:
        edges += [(j, i) for i, j in rng.sample(edges, 2)]
    return [(-sign[i] * (i + 1), sign[j] * (j + 1)) for i, j in edges], count


def check(method, worlds: torch.Tensor, logits: torch.Tensor, totals: bool = True) -> torch.Tensor:
    """A method of all labels against all that is allowed; what it answers."""
    place = list(method.labels)
    worlds = worlds[:, place]
    best, total, marginals = expected(logits[:, place], worlds)
    chosen, value = method.best(*odds(logits[:, place]))
    assert (chosen.t()[:, None] == worlds).all(2).any(1).all(), "an answer breaks a hard rule"
    assert_close((logits[:, place] * chosen.t()).sum(1), best, rtol=1e-12, atol=1e-12)
    assert_close(value, best - logits.clamp(min=0)[:, place].sum(1), rtol=1e-12, atol=1e-12)
    if totals:
        assert method.models() == len(worlds)
        off, on = (each.requires_grad_() for each in weights(logits[:, place]))
        found = method.total(off, on)
        assert_close(found, total, rtol=1e-10, atol=1e-10)
        assert_close(torch.autograd.grad(found.sum(), on)[0].t(), marginals, rtol=1e-10, atol=1e-10)
    return torch.empty_like(chosen).index_copy(0, torch.tensor(place), chosen).t()


def tied(count: int, seed: int) -> torch.Tensor:
    """Logits of which many sums are alike."""
    whole = torch.randint(-2, 3, (20, count), generator=torch.Generator().manual_seed(seed))
    return torch.cat([rows(count, seed), whole])


def assert_fewest(logits: torch.Tensor, answers: torch.Tensor, seen: torch.Tensor, worlds: torch.Tensor) -> None:
    """Where sums are exact, what is true in an answer is so in each as good; ``seen``: worlds as answers are."""
    for row, answer in zip(logits, answers):
        sums = (worlds * row).sum(1)
        if (row == row.round()).all():
            assert answer.equal(seen[sums == sums.max()].all(0))


@pytest.mark.parametrize("seed", range(80))
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_a_tree_is_as_by_enumeration(seed):
    clauses, count = tree(seed)
    every = made.worlds(count)
    worlds = every[[all(any(row[abs(k) - 1] == (k > 0) for k in c) for c in clauses) for row in every.tolist()]]
    method = Branched.of([frozenset(clause) for clause in clauses])
    if not len(worlds):
        assert method.models() == 0
        return
    logits = tied(count, seed)
    answers = check(method, worlds, logits)
    if seed % 2:  # all are implications
        assert_fewest(logits, answers, worlds, worlds)
    there = torch.zeros(count, 3, device="meta", dtype=DOUBLE)  # all parts of it go where the logits are
    assert method.total(there, there).device == method.best(there, there)[0].device == there.device


@pytest.mark.parametrize("seed", range(80))
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_implications_are_as_by_enumeration_and_of_equals_the_fewest_are_true(seed):
    clauses, count = order(seed)
    found = Order.of([frozenset(clause) for clause in clauses])
    method = Implied.of(found, Budget())
    logits = tied(count, seed)
    worlds = allowed(rules_of(clauses, count))
    answers = check(method, worlds, logits)
    flipped = torch.from_numpy(found.flipped)
    assert_fewest(logits, answers != flipped, worlds != flipped, worlds)


@pytest.mark.parametrize("seed", range(60))
def test_the_cut_itself_is_as_by_enumeration(seed):
    rng = random.Random(seed)
    parts, weight, block, edges = [], [], [], []
    for number in range(rng.randint(1, 4)):
        count = rng.randint(1, 8)
        own = pairs(rng, count, 3)
        scale = rng.choice([1e-3, 1.0, 1e6])
        values = [scale * rng.choice([rng.gauss(0, 1), float(rng.randint(-2, 2))]) for _ in range(count)]
        edges += [(len(weight) + i, len(weight) + j) for i, j in own]
        parts.append((count, own, values))
        weight += values
        block += [number] * count
    child, parent = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    found = heaviest(np.array(weight), np.array(block), child, parent).tolist()
    for count, own, values in parts:
        mine, found = found[:count], found[count:]
        every = [row for row in made.worlds(count).tolist() if all(row[j] or not row[i] for i, j in own)]
        assert mine in every
        sums = [sum(v for v, true in zip(values, row) if true) for row in every]
        best, size = max(sums), sum(map(abs, values)) or 1
        assert sum(v for v, true in zip(values, mine) if true) >= best - 1e-15 * size
        assert mine == [all(column) for column in zip(*(r for r, s in zip(every, sums) if s > best - 1e-14 * size))]


@pytest.mark.parametrize("least", [2.0**-50, 1e-12, 1e-6])
@pytest.mark.parametrize("unit", [1e-200, 1.0, 3e25])
def test_the_cut_sees_small_differences(least, unit):
    child, parent = np.array([[0, 0, 1, 1], [2, 3, 2, 3]])
    for more in (least, -least, 0.0):
        weight = unit * np.array([1.0, 1.0 + more, -1.0, -1.0])
        assert heaviest(weight, np.zeros(4, np.int64), child, parent).tolist() == [more > 0] * 4


def methods(rules: RuleSet) -> list[str]:
    return sorted(method.name for method in rules._exact.compiled.methods)


@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_each_component_has_the_method_that_suits_it():
    small, large = Budget(), Budget(nodes=5)
    for clauses, count, name in (
        ([(-1, 2), (-2, 3)], 3, ["tree"]), ([(-1, 2), (-2, 3), (-1, 3)], 3, ["tree"]),
        ([(-1, 2), (1, -2), (-3, 1)], 3, ["tree"]), ([(1, 2), (-2, 3)], 3, ["tree"]),
        ([(-1, 2), (-2, 3), (-3, 4), (-4, 5), (-1, 4), (-1, 5), (-2, 5)], 5, ["tree"]),
        ([(-1, -2), (-2, -3), (-1, -3)], 3, ["decision diagram"]), ([(-1, 2, 3)], 3, ["decision diagram"]),
        ([(-1, 2), (-2, 1), (-2, 3), (-3, 2), (-3, 1)], 3, ["tree"]),
        ([(-1, 2), (-1, 3), (-2, 4), (-3, 4)], 4, ["decision diagram"]),
        ([(-1, 2), (-2, 3), (4, 5)], 5, ["tree", "tree"]),
        ([(-1, 2), (-1, 3), (-2, 4), (-3, 4), (1,)], 4, ["count"]),
        ([(-1, 2), (-1, 3), (-2, 4), (-3, 4), (3,)], 4, ["count", "tree"]),
    ):  # fmt: skip
        assert methods(rules_of(clauses, count, small)) == name, clauses
    assert methods(rules_of([(-1, 2), (-1, 3), (-2, 4), (-3, 4)], 4, large)) == ["implications"]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_rules_of_one_label_among_others_are_followed_first(seed):
    rng = random.Random(seed)
    clauses, count = order(seed)
    given = [(rng.choice([-1, 1]) * (label + 1),) for label in rng.sample(range(count), rng.randint(1, 2))]
    labels = tuple(f"x{i}" for i in range(count))
    extra = Rule("extra", made.expression(rng, labels, 2))
    try:
        whole = rules_of([*clauses, *given], count)
        rules = RuleSet(labels, (*whole.rules, extra) if seed % 2 else whole.rules, budget=Budget(nodes=3 * count))
    except gf.InputError as error:
        if "beyond a budget" in str(error):
            return
        every = made.worlds(count).tolist()
        kept = [row for row in every if all(any(row[abs(k) - 1] == (k > 0) for k in c) for c in [*clauses, *given])]
        assert not any(made.holds(extra.says, row, labels) for row in kept) or not kept
        return
    worlds, logits = allowed(rules), rows(count, seed)
    best, total, marginals = expected(logits, worlds)
    answer = rules.answer(logits)
    assert not rules.violations(answer).any()
    assert_close((logits * answer).sum(1), best, rtol=1e-12, atol=1e-12)
    try:
        assert rules.allowed() == len(worlds)
    except gf.InputError:
        return
    assert_close(rules.log_partition(logits), total, rtol=1e-10, atol=1e-10)
    assert_close(rules.marginals(logits), marginals, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_infinite_logits_are_evidence_in_every_method(seed):
    rng = random.Random(seed)
    clauses, count = order(seed, most=1 if seed % 5 == 0 else 3)
    every, logits = allowed(rules_of(clauses, count)), rows(count, seed).repeat(4, 1)
    for row in logits:
        for label in rng.sample(range(count), rng.randint(1, 2)):
            row[label] = rng.choice([-INF, INF])
    agrees = ((logits[:, None] != INF) | every) & ((logits[:, None] != -INF) | ~every)  # [B, W, n]
    able = agrees.all(2).any(1)
    clause = [frozenset(each) for each in clauses]
    found = [Implied.of(Order.of(clause), Budget()), Branched.of(clause)]
    for method in (each for each in found if each is not None):
        place = list(method.labels)
        chosen, value = method.best(*odds(logits[:, place]))
        bad = (~able).nonzero()[:, 0].tolist()
        assert impossible(value) == bad == impossible(method.total(*weights(logits[:, place])))
        finite = logits.masked_fill(logits.isinf(), 0)
        for row in able.nonzero()[:, 0].tolist():
            mine = chosen.t()[row]
            worlds = every[agrees[row].all(1)][:, place]
            assert (mine == worlds).all(1).any()
            assert_close((finite[row, place] * mine).sum(), (finite[row, place] * worlds).sum(1).max())


@pytest.mark.parametrize("size", [1e20, 1e31, 3e38])
def test_what_a_large_logit_has_settled_loses_nothing_small(size):
    rules = rules_of([(-1, 2), (-1, 3), (-2, 4), (-3, 4), (-5, 4), (-5, 3), (-6, 5), (-6, 2)], 6, Budget(nodes=5))
    assert methods(rules) == ["implications"]
    logits = torch.tensor([[-3.0, 1.0, -2.0, size, 1.0, 0.5], [9.0, 1.0, -2.0, -size, 1.0, 0.5],
                           [-size, 1.0, -2.0, -3.0, 5.0, -1.0], [3.0, 1.0, -2.0, size, -size, 1e-3]],
                          dtype=DOUBLE)  # fmt: skip
    assert rules.answer(logits).int().tolist() == [
        [0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]  # fmt: skip
    chain = rules_of([(-1, 2), (-2, 3), (-4, 3)], 4)
    assert chain.answer(torch.tensor([[3.0, -2.0, size, -1.0], [3.0, -4.0, size, 1.0]])).int().tolist() == [
        [1, 1, 1, 0], [0, 0, 1, 1]]  # fmt: skip


@pytest.mark.parametrize("clauses", [
    [(-1, 2), (-3, 2), (-4, 3), (4, 5)], [(-1, 2), (-1, 3), (-2, 4), (-3, 4)], [(1, 2), (-1, 2), (-2, 3)],
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")
def test_second_derivatives_inference_mode_and_no_rows(clauses):
    count = max(abs(k) for clause in clauses for k in clause)
    with torch.inference_mode():
        clause = [frozenset(each) for each in clauses]
        method = Branched.of(clause) or Implied.of(Order.of(clause), Budget())
        still = method.best(*odds(torch.randn(3, count)))[0]
    assert still.shape == (count, 3)
    own = (
        torch.randn(count, 3, dtype=DOUBLE, requires_grad=True),
        torch.randn(count, 3, dtype=DOUBLE, requires_grad=True),
    )
    assert torch.autograd.gradcheck(method.total, own)
    assert torch.autograd.gradgradcheck(method.total, own)
    known = torch.tensor([[INF] + [0.5] * (count - 1)], dtype=DOUBLE, requires_grad=True)
    value = method.total(*weights(known)).sum()
    (first,) = torch.autograd.grad(value, known, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), known)
    assert first.isfinite().all()
    assert second.isfinite().all()
    empty = torch.zeros(count, 0, dtype=DOUBLE)
    assert method.best(empty, empty)[0].shape == (count, 0)
    assert method.total(empty, empty).shape == (0,)


def test_what_has_many_parents_is_answered_beyond_the_budget_and_the_rest_is_said():
    clauses, count = order(1, 300, 4)
    rules = rules_of(clauses, count, Budget(nodes=500, seconds=1.0))
    logits = torch.randn(5, count, generator=torch.Generator().manual_seed(0))
    assert not rules.violations(rules.answer(logits)).any()
    assert rules.loss(logits).isfinite()
    for name in ("log_partition", "marginals"):
        with pytest.raises(
            gf.InputError, match=r"of 300 labels.* beyond a budget of 500 nodes and 1 s; .*answer and loss"
        ):
            getattr(rules, name)(logits)
    with pytest.raises(gf.InputError, match="beyond a budget"):
        rules.allowed()
    broken = logits.clone()
    broken[3, abs(clauses[0][0]) - 1], broken[3, abs(clauses[0][1]) - 1] = INF, -INF
    with pytest.raises(gf.InputError, match="row 3 break a rule"):
        rules.answer(broken)


def solver(logits: torch.Tensor, edges: np.ndarray) -> torch.Tensor:
    """The best sums, by HiGHS on the relaxation, which is whole: every corner of it is."""
    many = edges.shape[1]
    each = np.arange(many)
    matrix = csr_array((np.r_[np.ones(many), -np.ones(many)], (np.r_[each, each], edges.ravel())),
                       shape=(many, logits.shape[1]))  # fmt: skip
    found = [milp(-row, constraints=LinearConstraint(matrix, ub=0), bounds=(0, 1)) for row in logits.double().numpy()]
    return torch.tensor([-each.fun for each in found], dtype=DOUBLE)


@pytest.mark.parametrize("seed", range(8))
def test_many_implications_are_answered_as_well_as_by_a_solver(seed):
    clauses, count = order(6 * seed + 1, 150, 1 + seed % 5)
    edges = np.array([(-a - 1, b - 1) for a, b in clauses]).T
    method = Implied.of(Order.of([frozenset(clause) for clause in clauses]), Budget())
    logits = torch.randn(6, count, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE) * 3
    logits[3:] -= torch.tensor([[0.5], [2.0], [-1.0]])
    place = list(method.labels)
    chosen, _ = method.best(*odds(logits[:, place]))
    assert_close((logits[:, place] * chosen.t()).sum(1), solver(logits, edges), rtol=1e-9, atol=1e-9)


@needs_data
@pytest.mark.parametrize("name", ["cellcycle_GO", "eisen_GO"])
def test_a_real_hierarchy_with_many_parents_is_read_and_answered_in_little_time(name):
    table = np.load(DATA / f"{name}.npz", allow_pickle=False)
    labels = table["label_names"].tolist()
    start = time.process_time()
    rules = RuleSet.read(DATA / f"{name}_hierarchy.txt", labels, form="hierarchy")
    assert time.process_time() - start < 10
    assert methods(rules) == ["implications"]
    logits = torch.randn(6, len(labels), generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    logits[2:] -= torch.tensor([[1.0], [2.0], [4.0], [-1.0]])
    answer = rules.answer(logits)
    assert_close((logits * answer).sum(1), solver(logits, table["edges"].T), rtol=1e-9, atol=1e-9)
    truth = torch.zeros(6, len(labels))
    for row in range(6):
        truth[row, table["y_indices"][table["y_indptr"][row] : table["y_indptr"][row + 1]].astype(np.int64)] = 1
    assert rules.answer(2 * truth - 1).equal(truth > 0)


@needs_data
@pytest.mark.parametrize("name", ["cellcycle_FUN", "eisen_FUN", "enron_corr", "imclef07a"])
def test_a_real_tree_is_answered_as_well_as_by_a_solver(name):
    table = np.load(DATA / f"{name}.npz", allow_pickle=False)
    labels, edges = table["label_names"].tolist(), table["edges"].T
    rules = RuleSet.read(DATA / f"{name}_hierarchy.txt", labels, form="hierarchy")
    assert methods(rules) == ["tree"]
    logits = torch.randn(4, len(labels), generator=torch.Generator().manual_seed(0), dtype=DOUBLE) - 1
    assert_close((logits * rules.answer(logits)).sum(1), solver(logits, edges), rtol=1e-9, atol=1e-9)
    value = torch.zeros(len(labels), 4, dtype=DOUBLE)  # what a label and all below it weigh, by plain recursion
    below = {parent: [c for c, p in edges.T.tolist() if p == parent] for parent in range(len(labels))}

    def walk(label: int) -> tuple[torch.Tensor, torch.Tensor]:
        off, on = torch.nn.functional.logsigmoid(torch.stack([-logits[:, label], logits[:, label]]))
        for child in below[label]:
            off_child, on_child = walk(child)
            off, on = off + off_child, on + torch.logaddexp(off_child, on_child)
        value[label] = on
        return off, on

    root = labels.index("root")
    assert_close(rules.log_partition(logits), torch.logaddexp(*walk(root)), rtol=1e-12, atol=1e-12)
