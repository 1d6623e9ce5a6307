"""Closures, losses and structured rules of the benchmark of rules are what their sources say."""

import numpy as np
import pytest
import torch
from rules_made import made, values

import graphfuse as gf
from benchmarks import rules_hierarchy, rules_hmc, rules_learn, rules_net, rules_sets, rules_structured, rules_tasks


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
    found = values(rules_learn.told_of("yeast", runs, [0, 1]))
    assert found["graphfuse: gain in the share with all labels right"] == pytest.approx((3 + 1) / 12, abs=1e-4)
    assert found["graphfuse: times the seconds of training"] == 1.75
    assert found["graphfuse: p of the gain"] == pytest.approx(rules_learn.paired(runs, [0, 1]), abs=1e-4)
    assert rules_learn.paired([dict.fromkeys(runs[0], runs[0][rules_learn.RAW])], [0]) == 1
    assert not [what for what in found if "same setting" in what]
    # where methods have settings of their own, the one without rules is measured at ours too, and the time is beside it
    same = [each | {rules_learn.SAME: run([1, 1, 1, 0, 1, 0], 1.0)} for each in runs]
    found = values(rules_learn.told_of("yeast", same, [0, 1]))
    assert found["graphfuse: gain in the share with all labels right"] == pytest.approx((3 + 1) / 12, abs=1e-4)
    over = "over the same setting"
    assert found[f"graphfuse: gain in the share with all labels right {over}"] == pytest.approx(1 / 12, abs=1e-4)
    assert found[f"graphfuse: p of the gain {over}"] == pytest.approx(
        rules_learn.paired(same, [0, 1], rules_learn.SAME), abs=1e-4
    )
    assert found["graphfuse: times the seconds of training"] == 3


def test_training_is_that_of_the_seed():
    x, y = np.random.default_rng(0).random((40, 3), np.float32), np.arange(80).reshape(40, 2) % 3 == 0
    setting = rules_net.Setting(width=8, dropout=0.5, rate=0.01, epochs=3, batch=16)
    first, again, other = (
        rules_net.logits_of(rules_net.train(x, y, setting, seed, rules_net.cross_entropy)[0], x) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
