"""Modalities hidden at random: which, how often, never all; alike in training, prediction and where they lack."""

import importlib
import json
from dataclasses import replace

import pytest
import tasks
import torch

import graphfuse as gf
from graphfuse.core.files import read_json
from graphfuse.training import compare_missing
from graphfuse.training.missing import thinned


def made(count: int = 400) -> list[gf.Sample]:
    return [
        gf.Sample(f"s{i}", {k: torch.ones(2, 3) for k in ("text", "chars", "image", "table")}) for i in range(count)
    ]


def test_each_modality_is_hidden_as_often_as_asked_and_never_all():
    hidden = gf.training.hide(made(), 0.6, seed=0)
    shares = [sum(kind not in s.nodes for s in hidden) / 400 for kind in ("text", "chars", "image", "table")]
    assert all(0.5 < share < 0.65 for share in shares)  # below 0.6, since one of four is always kept
    assert all(s.nodes for s in gf.training.hide(made(), 1.0, seed=0))
    assert all(len(s.nodes) == 1 for s in gf.training.hide(made(), 1.0, seed=0))


def test_a_larger_share_hides_what_a_smaller_one_does_whatever_the_order():
    few, many = (gf.training.hide(made(), share, seed=3) for share in (0.3, 0.6))
    assert all(set(b.nodes) <= set(a.nodes) for a, b in zip(few, many))
    turned = gf.training.hide(made()[::-1], 0.3, seed=3)[::-1]
    assert [set(s.nodes) for s in turned] == [set(s.nodes) for s in few]
    assert [set(s.nodes) for s in gf.training.hide(made(), 0.3, seed=4)] != [set(s.nodes) for s in few]


def test_nothing_hidden_is_the_sample_itself():
    samples = made(3)
    assert all(a is b for a, b in zip(gf.training.hide(samples, 0.0, seed=0), samples))


def test_kinds_of_one_source_are_hidden_as_one():
    hidden = gf.training.hide(made(), 0.5, seed=0, together=[("text", "chars")])
    assert all(("text" in s.nodes) == ("chars" in s.nodes) for s in hidden)
    assert 0 < sum("text" in s.nodes for s in hidden) < 400


def test_a_hidden_modality_is_treated_as_one_that_lacks():
    model, sample = tasks.model().eval(), tasks.TEST[0]
    lacking = gf.Sample(sample.name, {"text": sample.nodes["text"]}, target=sample.target)
    hidden = next(s for i in range(50) if set((s := gf.training.hide([sample], 0.5, i)[0]).nodes) == {"text"})
    assert model.predict([hidden]) == model.predict([lacking])
    model.train()
    losses = []
    for each in (hidden, lacking):
        with gf.seeded(0):
            losses.append(model.head.loss(model(model.collate([each])).scores, model.collate([each])))
    assert losses[0] == losses[1]


def test_modality_dropout_hides_in_training_only_and_is_a_function_of_the_seed(monkeypatch):
    seen: list[int] = []
    course = importlib.import_module("graphfuse.training.course")
    monkeypatch.setattr(course, "thinned", lambda *each: seen.append(1) or thinned(*each))
    with_it = [gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, epochs=2, modality_dropout=0.5).rows for _ in range(2)]
    assert len(seen) == 2 * 2 * len(tasks.TRAIN)
    without = gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, epochs=2).rows
    assert with_it[0][1]["train_loss"] == with_it[1][1]["train_loss"] != without[1]["train_loss"]
    with pytest.raises(gf.InputError, match=r"fit: modality_dropout is 1\.5; it must be from 0 to 1\."):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, modality_dropout=1.5)


def test_the_experiment_has_a_row_for_each_pair_and_reuses_the_whole_run(tmp_path):
    budget = {"epochs": 2, "batch_size": 16, "learning_rate": 0.02}
    methods = {"sage": tasks.maker("sage"), "concat": tasks.maker("concat")}
    whole = gf.compare(methods, tasks.TRAIN, tasks.VALID, tasks.TEST, range(2), tmp_path, **budget)
    rows = compare_missing(methods, tasks.TRAIN, tasks.VALID, tasks.TEST, (0, 0.5), range(2), tmp_path, **budget)
    assert len(rows) == 2 * 2 * 4
    assert rows == [json.loads(line) for line in (tmp_path / "missing.jsonl").read_text().splitlines()]
    for run in whole.runs:
        row = next(r for r in rows if (r["method"], r["seed"], r["train"], r["test"]) == (run.method, run.seed, 0, 0))
        assert row["value"] == pytest.approx(sum(run.scores.values()) / len(run.scores))
    assert read_json(tmp_path / "sage" / "seed-0-hidden-0.5" / "metrics.json")
    assert len({r["value"] for r in rows}) > 2


def test_a_metric_that_the_test_split_lacks_is_named():
    test = [sample for sample in tasks.TEST if sample.target == "a"]
    with pytest.raises(gf.InputError, match=r"compare_missing: auc is not defined on the test split"):
        compare_missing(
            {"sage": tasks.maker("sage")}, tasks.TRAIN, tasks.VALID, test, (0,), [0], epochs=1, metric="auc"
        )


def test_kinds_of_one_source_are_hidden_together_in_training(monkeypatch):
    seen: list[gf.Sample] = []
    course = importlib.import_module("graphfuse.training.course")
    monkeypatch.setattr(course, "thinned", lambda *each: seen.append(thinned(*each)) or seen[-1])
    both = [replace(s, nodes={**s.nodes, "word": s.nodes["text"]}) for s in (*tasks.TRAIN, *tasks.VALID)]
    schema = gf.Schema({"text": 6, "word": 6, "image": 4})
    with gf.seeded(0):
        model = gf.FusionModel(schema, gf.heads.Classify("ab"), "concat", dim=8)
    gf.fit(model, both[:48], both[48:], epochs=2, modality_dropout=0.5, together=[("text", "word")])
    assert all(("text" in sample.nodes) is ("word" in sample.nodes) for sample in seen)
    assert {("text" in sample.nodes, "image" in sample.nodes) for sample in seen} == {
        (True, True), (True, False), (False, True)
    }  # fmt: skip
