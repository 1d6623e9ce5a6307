"""Networks of several seeds trained at once are those of each seed, and settings are chosen on validation alone."""

import numpy as np
import pytest
import torch

import graphfuse as gf
from benchmarks import rules_data, rules_hmc, rules_net, rules_tasks, rules_together, rules_tune
from benchmarks.rules_data import Split, rule_folder
from benchmarks.rules_rows import OURS, RAW
from graphfuse.core.errors import InputError

try:
    rule_folder()
    PRESENT = True
except InputError:
    PRESENT = False
real = pytest.mark.skipif(not PRESENT, reason="the rule data are not here (see benchmarks/data_folder.py)")
PLAIN = rules_net.Setting(width=8, dropout=0.0, rate=0.01, epochs=1, hidden=2, batch=16)
CHAIN = gf.RuleSet.parse("hard b: b -> a\nhard c: c -> b\nhard d: d -> a", ["a", "b", "c", "d"])


def some(rows=40):
    rng = np.random.default_rng(0)
    a = rng.random((rows, 4)) < 0.6
    y = np.stack([a[:, 0], a[:, :2].all(1), a[:, :3].all(1), a[:, 0] & a[:, 3]], 1)
    return rng.random((rows, 3), np.float32), y


def test_one_seed_is_what_training_by_itself_gives_but_for_the_average():
    x, y = some()
    torch.manual_seed(3)
    first = rules_net.network(3, 4, PLAIN)
    last, _ = rules_net.train(x, y, PLAIN, 3, rules_net.cross_entropy)
    start = first[-1].bias.detach().clone()
    weights, _ = rules_together.train(x, y, PLAIN, [3], rules_net.cross_entropy, start)
    for mean, before, after in zip(weights, first.parameters(), last.parameters()):
        wanted = before + (after - before) / 1.1
        torch.testing.assert_close(mean[0].t().reshape(wanted.shape), wanted)


@pytest.mark.parametrize("loss", [rules_net.cross_entropy, rules_tasks.given_rules(CHAIN)])
def test_a_seed_is_the_same_whatever_stands_beside_it(loss):
    x, y = some()
    setting = rules_net.Setting(width=8, dropout=0.5, rate=0.01, epochs=3, hidden=2, batch=16, decay=0.1)
    start = rules_together.constants(loss, y)
    one, three = (rules_together.train(x, y, setting, seeds, loss, start)[0] for seeds in ([1], [0, 1, 2]))
    alone, beside = (rules_together.logits_of(weights, x) for weights in (one, three))
    torch.testing.assert_close(alone[0], beside[1])
    assert not torch.allclose(beside[0], beside[1], atol=1e-2)


def test_outputs_start_where_what_they_say_are_the_rates_of_the_labels():
    _, y = some()
    rates = torch.from_numpy((y.sum(0) + 0.5) / (len(y) + 1))
    plain = rules_together.constants(rules_net.cross_entropy, y)
    torch.testing.assert_close(plain.sigmoid().double(), rates, atol=1e-4, rtol=0)
    exact = rules_together.constants(rules_tasks.given_rules(CHAIN), y)
    torch.testing.assert_close(CHAIN.marginals(exact[None])[0].double(), rates, atol=1e-4, rtol=0)
    assert (exact - plain).abs().max() > 0.1


@real
@pytest.mark.parametrize("name", ["yeast", "eisen_FUN"])
def test_settings_are_chosen_without_a_test_row(name, monkeypatch):
    def hidden(split):
        seen = split.part < 2
        return Split(np.where(seen[:, None], split.x, np.nan), split.y & seen[:, None], split.part, split.valid,
                     split.evaluated)  # fmt: skip

    setting = rules_net.Setting(width=8, dropout=0.2, rate=1e-3, epochs=1, batch=128)
    module, reads = (rules_data, "ccn") if name == "yeast" else (rules_hmc, "hmc")
    made = rules_tune.curves if name == "yeast" else rules_tune.tree_curves
    before = {who: curve(setting) for who, curve in made(name, [0]).items()}
    read = getattr(module, reads)
    monkeypatch.setattr(module, reads, lambda name: hidden(read(name)))
    after = {who: curve(setting) for who, curve in made(name, [0]).items()}
    assert {OURS, RAW} <= set(before)
    for who, each in before.items():
        assert 0 <= each[0] <= 1
        assert each == after[who]
