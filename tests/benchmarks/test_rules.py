"""The benchmark of rules finds what is wrong: answers that break rules or are not the best, sums, closures, losses."""

import itertools
import json
import random
from functools import partial

import numpy as np
import pytest
import torch

import graphfuse as gf
from benchmarks import (
    data_folder,
    rows,
    rules,
    rules_data,
    rules_exact,
    rules_hierarchy,
    rules_hmc,
    rules_learn,
    rules_net,
    rules_peers,
    rules_sets,
    rules_structured,
    rules_table,
    rules_tasks,
)
from benchmarks.run import RULES, main
from graphfuse.core.errors import InputError

try:
    rules_data.rule_folder()
    PRESENT = True
except InputError:
    PRESENT = False
real = pytest.mark.skipif(not PRESENT, reason="the rule data are not here (see benchmarks/data_folder.py)")
CLAUSES = ((-1, 2), (-2, 3), (-3, 1, 4))
"""A cycle of three labels, and a way out of it."""
KEPT = "speed: roadr, batch 256, MAP, freed memory kept"


def made():
    text = "hard a: l0 -> l1\nhard b: l1 -> l2\nhard c: l2 -> l0 | l3"
    return rules_sets.Subject(
        "made",
        partial(gf.RuleSet.parse, text, ["l0", "l1", "l2", "l3"]),
        partial(rules_sets.satisfied, CLAUSES),
        CLAUSES,
    )


def values(found):
    return {each["metric"]: each["mean"] for each in found}


@pytest.mark.parametrize("clauses", [False, True])
def test_made_rules_say_what_their_check_does(clauses):
    subjects = rules_sets.generated(3, 12, 8, clauses)
    assert len({subject.make().labels for subject in subjects}) > 2
    for subject in subjects:
        own = subject.make()
        every = rules_sets.worlds(len(own.labels))
        assert subject.holds(every).tolist() == (~own.violations(torch.from_numpy(every)).any(1)).tolist()
    again = rules_sets.generated(3, 12, 8, clauses)
    assert [str(s.make()) for s in again] == [str(s.make()) for s in subjects]


def test_clauses_of_files_are_read_as_they_are_meant(tmp_path):
    (tmp_path / "heads.txt").write_text("0.5 1 :- 0\n0.1 n2 :- 1 n3 \n")
    (tmp_path / "own.cnf").write_text("c said\np cnf 4 2\n-1 2 0\n-3 -2 4 0\n")
    assert rules_data.heads_clauses(tmp_path / "heads.txt") == [(2, -1), (-3, -2, 4)]
    assert rules_data.dimacs_clauses(tmp_path / "own.cnf") == [(-1, 2), (-3, -2, 4)]


def test_logits_are_of_every_kind_and_evidence_can_hold():
    own = made().make()
    drawn = rules_exact.logits_of(own, 50, 0)
    assert drawn["known"].isinf().any()
    assert not drawn["known"].isinf().all()
    assert drawn["huge"].abs().max() > 1e20
    assert 0 < drawn["tiny"].abs().max() < 1e-28
    assert (drawn["zeros"] == 0).all()
    assert all(made().holds(own.answer(each).numpy()).all() for each in drawn.values())
    assert not made().holds((drawn["against"] > 0).numpy()).all()


def test_an_answer_that_breaks_a_rule_is_counted(monkeypatch):
    found = values(rules_exact._broken("made", [made()], 5, 0))
    assert found["graphfuse: share of rows broken"] == 0
    answered = found["graphfuse: rows"]
    assert answered == 2 * 5 * len(rules_exact.logits_of(made().make(), 1, 0))
    right = gf.RuleSet.answer

    def wrong(self, logits):
        answers = right(self, logits)
        if logits.dtype == torch.float64:  # with float32 an allowed answer is drawn, too
            answers[0] = torch.tensor([True, False, False, False])
        return answers

    monkeypatch.setattr(gf.RuleSet, "answer", wrong)
    assert values(rules_exact._broken("made", [made()], 5, 0))["graphfuse: share of rows broken"] == pytest.approx(0.1)


def test_an_answer_that_is_not_the_best_is_counted(monkeypatch):
    pytest.importorskip("ortools", reason="the extra peers is not installed")
    subject = rules_sets.Subject("sushi", made().make, made().holds, CLAUSES)
    monkeypatch.setattr(rules_exact, "public", lambda: [subject])
    assert values(rules_exact.optima(0, 20, True)) == {
        "graphfuse: sets": 1, "graphfuse: rows": 20, "graphfuse: share equal to CP-SAT's optimum": 1,
    }  # fmt: skip
    right = gf.RuleSet.answer
    monkeypatch.setattr(gf.RuleSet, "answer", lambda self, logits: right(self, logits + 0.3))
    assert values(rules_exact.optima(0, 20, True))["graphfuse: share equal to CP-SAT's optimum"] < 1


def test_sums_that_are_off_are_seen(monkeypatch):
    found = values(rules_exact.enumerated(0, 6))
    assert found["graphfuse: largest difference of log Z in float64"] < 1e-10
    assert found["graphfuse: largest difference of marginals in float64"] < 1e-10
    total, marginals = gf.RuleSet.log_partition, gf.RuleSet.marginals
    monkeypatch.setattr(gf.RuleSet, "log_partition", lambda self, logits: total(self, logits) + 1e-4)
    monkeypatch.setattr(gf.RuleSet, "marginals", lambda self, logits: marginals(self, logits) + 1e-4)
    found = values(rules_exact.enumerated(0, 6))
    assert all(value > 9e-5 for metric, value in found.items() if "difference" in metric)


def test_the_shield_gets_every_clause_and_says_what_it_refuses():
    assert rules_peers._line((3, -1, 2)) == "1.0 2 :- 0 n1"
    assert rules_peers._line((-4,)) == "1.0 n3 :-"
    with pytest.raises(rules_peers.AbsentError, match="not tried on more than 600 labels"):
        rules_peers.shield([(1, 2)], 601, "katz")
    pytest.importorskip("pishield", reason="the extra peers is not installed")
    layer = rules_peers.shield([(-1, 2), (-2, -3)], 3, "labels in order")
    given = layer(torch.tensor([[0.9, 0.2, 0.8], [0.1, 0.2, 0.8]])) > 0.5
    assert rules_sets.satisfied([(-1, 2), (-2, -3)], given.numpy()).all()
    assert given[1].tolist() == [False, False, True]
    with pytest.raises(rules_peers.AbsentError):
        rules_peers.shield([(1,), (-1,)], 1, "labels in order")


def test_a_peer_that_is_not_installed_is_said(monkeypatch):
    def absent(module, package):
        raise rules_peers.AbsentError(f"{package} is not installed")

    monkeypatch.setattr(rules_peers, "_part", absent)
    found = values(rules_exact._broken("made", [made()], 5, 0))
    assert found["PiShield: rows without an answer (pishield is not installed)"] == 5 * len(rules_peers.ORDERS)
    monkeypatch.setattr(
        rules_exact, "public", lambda: [rules_sets.Subject("sushi", made().make, made().holds, CLAUSES)]
    )
    assert values(rules_exact.optima(0, 4, True)) == {"CP-SAT: rows without an answer (ortools is not installed)": 4}


def test_rules_that_are_beyond_the_budget_are_said():
    def large():
        raise InputError("beyond the budget")

    subject = rules_sets.Subject("large", large, made().holds, CLAUSES)
    found = values(rules_exact._broken("large", [subject], 5, 0))
    assert found == {"graphfuse: rows without an answer (beyond the budget)": 5}


def test_the_closure_and_the_dense_layer_agree_and_a_wrong_one_is_refused(monkeypatch):
    edges = torch.tensor([[1, 2, 3, 3, 4], [0, 0, 1, 2, 3]])
    above = rules_hierarchy.ancestors(edges, 5)
    assert above.int().tolist() == [
        [1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1],
    ]  # fmt: skip
    ways = rules_hierarchy.closures(edges, above, 6, 0)
    assert list(ways) == ["graphfuse", rules_hierarchy.DENSE]
    monkeypatch.setattr(gf.rules, "max_constraint", lambda scores, edges: scores)
    with pytest.raises(ValueError, match=r"differ by 0\.\d"):
        rules_hierarchy.closures(edges, above, 6, 0)


def test_the_loss_of_c_hmcnn_is_that_of_its_dense_layer():
    edges = torch.tensor([[1, 2, 3], [0, 0, 1]])
    above, counted = rules_hierarchy.ancestors(edges, 4), torch.tensor([False, True, True, True])
    logits, y = (
        torch.randn(5, 4),
        torch.tensor([[1.0, 1, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]),
    )
    said = logits.sigmoid()
    agreed = (1 - y) * rules_hierarchy.dense(said, above) + y * rules_hierarchy.dense(y * said, above)
    wanted = -(y * agreed.log() + (1 - y) * (1 - agreed).log())[:, 1:].sum(1).mean()
    torch.testing.assert_close(rules_hmc.max_loss(edges, counted)(logits, y, y).double(), wanted)


def test_trained_is_the_likelihood_given_the_rules_and_what_is_told():
    own = made().make()
    logits = torch.randn(6, 4, dtype=torch.float64)
    every = rules_sets.worlds(4)
    allowed = torch.from_numpy(every[made().holds(every)]).double()
    y = allowed[:6]
    wanted = ((logits @ allowed.t()).logsumexp(1) - (logits * y).sum(1)).mean()
    torch.testing.assert_close(rules_tasks.given_rules(own)(logits, y, logits), wanted)
    # the last label is told, and is not learned
    told = torch.where(y[:, 3] > 0, torch.inf, -torch.inf)[:, None]
    loss = rules_tasks.given_rules(own, lambda z, x: torch.cat([z, told], 1))(logits[:, :3], y[:, :3], logits)
    like = [
        torch.stack([row[:3] @ each[:3] for each in allowed if each[3] == mine[3]]).logsumexp(0) - row[:3] @ mine[:3]
        for row, mine in zip(logits, y)
    ]
    torch.testing.assert_close(loss, torch.stack(like).mean())


def grid(*edges, ends):
    answer = np.zeros((1, 40), bool)
    for edge in edges:
        answer[0, rules_structured.EDGES.index(edge)] = True
    answer[0, [24 + end for end in ends]] = True
    return answer


def test_a_path_with_a_cycle_beside_it_has_right_degrees_and_is_no_path():
    path = grid((0, 1), (1, 2), ends=(0, 2))
    square = grid((0, 1), (10, 11), (14, 15), (10, 14), (11, 15), ends=(0, 1))
    short = grid((0, 1), ends=(0, 2))
    for answer, holds, joined in ((path, True, True), (square, True, False), (short, False, False)):
        assert (rules_structured.grid_holds(answer)[0], rules_structured.grid_path(answer)[0]) == (holds, joined)
        own = gf.RuleSet.parse(*rules_structured.GRID)
        assert own.violations(torch.from_numpy(answer)).any().item() is not holds


def test_orders_of_sushi_are_the_answers_that_its_rules_allow():
    assert gf.RuleSet.parse(*rules_structured.SUSHI).allowed() == 24
    order = np.eye(4, dtype=bool)[[2, 0, 3, 1]].reshape(1, 16)
    assert rules_sets.satisfied(rules_structured.sushi_clauses(), order).all()
    order[0, 0] = True
    assert not rules_sets.satisfied(rules_structured.sushi_clauses(), order).any()


def test_gain_and_cost_are_of_the_same_seeds():
    def run(right, seconds):
        return {"right": np.array(right), "seconds": seconds, "parameters": 3, "valid": 1.0, "path": None}

    runs = [
        {rules_learn.OURS: run([1, 1, 1, 0, 1, 1], 3.0), rules_learn.RAW: run([0, 1, 0, 0, 0, 1], 2.0)},
        {rules_learn.OURS: run([1, 1, 0, 0, 1, 1], 3.0), rules_learn.RAW: run([0, 1, 0, 0, 1, 1], 1.5)},
    ]
    found = values(rules_learn.told_of("made", runs, [0, 1]))
    assert found["graphfuse: gain in the share with all labels right"] == pytest.approx((3 + 1) / 12, abs=1e-4)
    assert found["graphfuse: times the seconds of training"] == 1.75
    assert found["graphfuse: p of the gain"] == pytest.approx(rules_learn.paired(runs, [0, 1]), abs=1e-4)
    assert rules_learn.paired([dict.fromkeys(runs[0], runs[0][rules_learn.RAW])], [0]) == 1


def test_training_is_that_of_the_seed():
    x, y = np.random.default_rng(0).random((40, 3), np.float32), np.arange(80).reshape(40, 2) % 3 == 0
    setting = rules_net.Setting(width=8, dropout=0.5, rate=0.01, epochs=3, batch=16)
    first, again, other = (
        rules_net.logits_of(rules_net.train(x, y, setting, seed, rules_net.cross_entropy)[0], x) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_parts_that_are_not_asked_for_stay(monkeypatch, tmp_path):
    monkeypatch.setattr(rules, "rule_folder", lambda: tmp_path)
    monkeypatch.setattr(rules, "write", lambda name, made, out: None)
    numbers = itertools.count()
    monkeypatch.setattr(
        rules, "_measures", lambda part, *_: [rules_exact.found("own", "graphfuse", "rows", next(numbers))]
    )
    before = rules.run("rules", tmp_path, [0], False, "all")
    assert [rules_table.part_of(row) for row in before] == list(RULES)
    monkeypatch.setattr(rules, "read", lambda name: before)
    after = rules.run("rules", tmp_path, [0], False, "again", parts=["learn"])
    assert [row["command"] for row in after] == ["all", "all", "again", "all"]
    assert [row["mean"] for row in after] == [0, 1, 4, 3]


def test_the_page_has_ours_what_was_asked_and_what_others_have():
    made_rows = [
        rows.row(task="rules", command="python -m benchmarks.run rules", **each) for each in (
            rules_exact.found("exact: violations, ccn arts", "graphfuse", "rows", 5120),
            rules_exact.found("exact: violations, ccn arts", "graphfuse", "share of rows broken", 0),
            rules_exact.found("exact: violations, ccn arts", "PiShield (katz)", "share of rows broken", 0.75),
            rules_exact.found(KEPT, "graphfuse", "milliseconds", [4, 5], [0, 1]),
        )
    ]  # fmt: skip
    text = rules_table.rules(made_rows)
    assert "| violations, ccn arts (5,120 rows) | share of rows broken | 0 % | 0 % | PiShield (katz) 75 % |" in text
    assert "| roadr, batch 256, MAP, freed memory kept | milliseconds | ≤ 5 | 4.5 ± 0.71 |  |" in text
    assert rules_table.rules([]) == "Not measured yet."


def test_whatever_was_asked_for_is_measured():
    kept = rows.read("rules")
    if not kept:
        pytest.skip("the benchmark was not run yet")
    measured = [(row["method"], row["metric"].split(": ", 1)[1]) for row in kept]
    for method, what in rules_table.ASKED:
        assert any(rules_table.asked(*each) == rules_table.ASKED[method, what] for each in measured), (method, what)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rules", "--parts", "speed,exat"], "There is no part of rules called 'exat'. Did you mean 'exact'?"),
        (["atlas", "--parts", "exact"], "--parts: atlas has none"),
    ],
)
def test_a_wrong_part_is_one_sentence_and_exit_code_2(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_data_that_are_not_there_are_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GRAPHFUSE_DATA", str(tmp_path))
    assert main(["rules", "--quick"]) == 2
    assert "rules: there is no such folder; set GRAPHFUSE_DATA" in capsys.readouterr().err
    assert data_folder.data_folder() == tmp_path


@real
def test_the_data_are_as_their_page_says():
    yeast, enron, tree = rules_data.ccn("yeast"), rules_data.ccn("enron"), rules_data.hmc("eisen_FUN")
    assert [len(yeast.rows(part)[0]) for part in (0, 2)] == [1500, 917]
    assert (enron.x.shape[1], enron.y.shape[1], int((enron.part == 2).sum())) == (1001, 53, 579)
    assert [int((tree.part == part).sum()) for part in range(3)] == [1058, 529, 837]
    assert int(tree.evaluated.sum()) == 461
    assert np.isfinite(tree.x).all()
    assert not yeast.valid[yeast.part == 2].any()
    for name, width in rules_data.CCN.items():
        split = rules_data.ccn(name)
        assert split.y.shape[1] == width
        assert rules_sets.satisfied(rules_data.heads_clauses(rules_data.ccn_path(name)), split.y).all()
    own = rules_data.structured("grid")
    answers = np.concatenate([own.y, own.x[:, 24:] > 0], 1)
    assert rules_structured.grid_path(answers).all()


@real
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_quick_run_measures_every_part(tmp_path, capsys):
    random.seed(0)
    assert main(["rules", "--quick", "--seeds", "1", "--json", "--out", str(tmp_path)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert rows.read("rules", tmp_path) == found
    assert list(dict.fromkeys(rules_table.part_of(row) for row in found)) == list(RULES)
    assert all(set(row) == set(rows.FIELDS) for row in found)
    broken = {row["method"]: row["mean"] for row in found if row["metric"] == "graphfuse: share of rows broken"}
    assert len(broken) == len(rules_exact.FEW) + 2
    assert not any(broken.values())
    assert rules_table.rules(found).count("### Rules: ") == len(RULES)
