"""Answers that break rules or are not the best, and sums that are off, do not escape the benchmark of rules."""

import pytest
import torch
from rules_made import CLAUSES, made, values

import graphfuse as gf
from benchmarks import rules_data, rules_exact, rules_peers, rules_sets
from graphfuse.core.errors import InputError


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
