"""Training: learns, chooses on validation alone, is a function of the seed, and is taken up where it stopped."""

import json
import random
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import tasks
import torch
from torch import nn
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.training import checkpoint, measure

EXACT = {"rtol": 0, "atol": 0}
QUICK = {"epochs": 3, "batch_size": 16, "learning_rate": 0.02}

RUN = """
import sys, json, tasks, graphfuse as gf
gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, sys.argv[1], **json.loads(sys.argv[2]))
"""
RUN_AND_TWO_BROKEN = """
import os, resource, signal, sys, json, tasks, torch._dynamo, graphfuse as gf
from graphfuse.training import checkpoint
save = checkpoint.save
def save_and_die(folder, model, optimizer, progress, run):
    save(folder, model, optimizer, progress, run)
    if len(progress.rows) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
def save_once(folder, model, optimizer, progress, run):
    if len(progress.rows) == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    save(folder, model, optimizer, progress, run)
def train(folder):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, folder, **json.loads(sys.argv[2]))
def train_apart(folder, broken):
    child = os.fork()  # before torch starts a thread
    if child:
        return os.waitpid(child, 0)[1]
    checkpoint.save = broken
    try:
        train(folder)
    except gf.InputError as error:
        print(error, flush=True)
    finally:
        os._exit(0)
print(train_apart(sys.argv[3], save_and_die), flush=True)
print(train_apart(sys.argv[4], save_once))
train(sys.argv[1])
"""


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_simple_task_is_learned():
    model = tasks.model()
    before = gf.evaluate(model, tasks.TEST)
    history = gf.fit(model, tasks.TRAIN, tasks.VALID, epochs=15, batch_size=8, learning_rate=0.02)
    after = gf.evaluate(model, tasks.TEST)
    assert after["accuracy"] >= 0.85
    assert after["loss"] < before["loss"]
    assert history.rows[-1]["train_loss"] < history.rows[0]["train_loss"] / 2
    assert not model.training


def test_history_has_a_row_an_epoch_and_the_learning_rate_goes_up_and_down():
    history = gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, epochs=10, batch_size=16, learning_rate=0.02)
    assert [row["epoch"] for row in history.rows] == list(range(1, 11))
    assert {"train_loss", "learning_rate", "seconds", "valid_accuracy", "valid_loss"} <= set(history.rows[0])
    rates = [row["learning_rate"] for row in history.rows]
    assert max(rates) == pytest.approx(0.02, rel=0.05)
    assert rates.index(max(rates)) <= 1
    assert 0 < rates[-1] < 0.0004


def test_the_model_ends_with_the_weights_of_the_epoch_that_was_best_on_validation(tmp_path):
    noise = tasks.split("valid", 16, 2, noisy=True)  # so that the best epoch is hardly the last
    model = tasks.model()
    history = gf.fit(model, tasks.TRAIN, noise, tmp_path, epochs=8, batch_size=8, learning_rate=0.05)
    ranks = [(row["valid_accuracy"], -row["valid_loss"]) for row in history.rows]
    assert history.best_epoch == 1 + ranks.index(max(ranks))
    assert history.best_epoch < 8, "the check would prove nothing"
    now = gf.evaluate(model, noise)
    assert now == pytest.approx(history.metrics, abs=1e-6)
    assert now == pytest.approx(gf.evaluate(gf.FusionModel.from_pretrained(tmp_path), noise), abs=1e-6)
    assert len({tuple(r) for r in ranks}) > 1


def test_a_head_whose_metric_falls_takes_the_lowest():
    def numbered(samples: list[gf.Sample]) -> list[gf.Sample]:
        return [replace(s, target=float(s.nodes["text"][:, 0].sum())) for s in samples]

    with gf.seeded(0):
        model = gf.FusionModel(tasks.PLAN, gf.heads.Regress(), "sage", dim=8, layers=1)
    train, valid = numbered(tasks.TRAIN), numbered(tasks.split("valid", 16, 9))
    history = gf.fit(model, train, valid, epochs=6, batch_size=8, learning_rate=0.05)
    errors = [row["valid_absolute_error"] for row in history.rows]
    assert history.metrics["absolute_error"] == min(errors)


def test_patience_stops_after_so_many_epochs_without_a_better_one():
    noise = tasks.split("valid", 16, 2, noisy=True)
    history = gf.fit(tasks.model(), tasks.TRAIN, noise, epochs=30, batch_size=16, learning_rate=0.05, patience=2)
    assert len(history.rows) == history.best_epoch + 2 < 30


def test_test_and_validation_labels_do_not_reach_the_weights():
    noise = [replace(s, target="ab"[i % 2]) for i, s in enumerate(tasks.VALID)]
    trained = []
    for valid in (tasks.VALID, noise):
        model = tasks.model()
        rows = gf.fit(model, tasks.TRAIN, valid, **QUICK).rows
        trained.append([row["train_loss"] for row in rows])
    assert trained[0] == trained[1]


def test_training_changes_no_generator_and_no_sample():
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    copies = [x.clone() for s in tasks.TRAIN for x in s.nodes.values()]
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, **QUICK)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    assert_close([x for s in tasks.TRAIN for x in s.nodes.values()], copies, **EXACT)


def test_the_result_does_not_depend_on_the_state_of_generators():
    states = []
    for start in (0, 1):
        torch.manual_seed(start)
        model = tasks.model()
        gf.fit(model, tasks.TRAIN, tasks.VALID, **QUICK)
        states.append(model.state_dict())
    assert_close(states[0], states[1], **EXACT)


def test_another_seed_gives_another_order():
    losses = []
    for seed in (0, 1):
        rows = gf.fit(tasks.model(dropout=0.0), tasks.TRAIN, tasks.VALID, seed=seed, **QUICK).rows
        losses.append(rows[0]["train_loss"])
    assert losses[0] != losses[1]


def test_another_seed_drops_other_values():
    alike = [replace(tasks.TRAIN[0], name=f"alike/{i}") for i in range(4)]  # so that their order does not matter
    rows = [gf.fit(tasks.model(dropout=0.5), alike, tasks.VALID, seed=seed, epochs=1).rows[0] for seed in (0, 1)]
    assert abs(rows[0]["train_loss"] - rows[1]["train_loss"]) > 1e-3


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, run_task: Callable) -> tuple[Path, list[str]]:
    """Runs of fresh processes, ``a`` to ``c`` whole, ``killed`` and ``full`` (disk) after two epochs; what was said."""
    folder, said = tmp_path_factory.mktemp("apart"), []

    def run(name: str) -> subprocess.CompletedProcess:
        code, more = (RUN_AND_TWO_BROKEN, [folder / "killed", folder / "full"]) if name == "c" else (RUN, [])
        return run_task(code, folder / name, json.dumps(QUICK), *more, PYTHONHASHSEED=str(ord(name)))

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(run, "abc"):
            assert done.returncode == 0, done.stderr
            said += done.stdout.splitlines()
    return folder, said


def test_three_fresh_processes_with_one_seed_end_alike(apart):
    folder, _ = apart
    for name in "bc":
        assert weights(folder / name) == weights(folder / "a")
        for file in ("metrics.json", "config.json", "predictions.jsonl"):
            assert (folder / name / file).read_bytes() == (folder / "a" / file).read_bytes()


def test_a_run_folder_has_its_files(tmp_path):
    model = tasks.model()
    history = gf.fit(model, tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert rows == list(history.rows)
    told = json.loads((tmp_path / "metrics.json").read_text())
    assert told == {"split": "validation", "best_epoch": history.best_epoch, **history.metrics}
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == [s.name for s in tasks.VALID]
    assert [line["value"] for line in lines] == [a.value for a in model.predict(tasks.VALID)]
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["training"]["epochs"] == 3
    assert config["best_epoch"] == history.best_epoch
    assert gf.FusionModel.from_pretrained(tmp_path).predict(tasks.VALID) == model.predict(tasks.VALID)


def test_a_run_that_was_killed_ends_with_the_weights_of_one_that_was_not(apart):
    folder, said = apart
    whole, cut = folder / "a", folder / "killed"
    assert int(said[0]) == signal.SIGKILL
    assert sorted(path.name for path in cut.iterdir()) == [".lock", "checkpoint.safetensors"]
    model = tasks.model(seed=7)  # its weights come from the checkpoint
    history = gf.fit(model, tasks.TRAIN, tasks.VALID, cut, **QUICK)
    assert weights(cut) == weights(whole)
    assert (cut / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    assert len(history.rows) == 3


@pytest.mark.parametrize("after", [1, 3])
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(after, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, whole, **QUICK)

    def save_and_stop(*arguments: Any) -> None:
        save(*arguments)
        if len(arguments[3].rows) == after:
            raise KeyboardInterrupt

    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, cut, **QUICK)
    monkeypatch.undo()
    history = gf.fit(tasks.model(seed=7), tasks.TRAIN, tasks.VALID, cut, **QUICK)
    assert weights(cut) == weights(whole)
    assert [row["train_loss"] for row in history.rows] == [row["train_loss"] for row in expected.rows]


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    bytes_then, model = weights(tmp_path), tasks.model(seed=7)
    again = gf.fit(model, tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    assert again == first
    assert weights(tmp_path) == bytes_then
    assert_close(safetensors.torch.load_file(tmp_path / "model.safetensors"), dict(model.state_dict()), **EXACT)


@pytest.mark.parametrize(("change", "named"), [
    ({"epochs": 4}, "epochs was 3, now 4"), ({"seed": 1}, "seed was 0, now 1"),
    ({"learning_rate": 0.5}, "learning_rate was 0.02, now 0.5"), ({"patience": 2}, "patience was None, now 2"),
])  # fmt: skip
def test_a_folder_of_another_run_is_refused_and_says_what_differs(change, named, tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    with pytest.raises(gf.InputError, match=rf"{tmp_path.name}: holds another run \({named}\); choose another folder "):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **{**QUICK, **change})


def test_a_folder_of_another_fusion_is_refused(tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    with pytest.raises(gf.InputError, match=r"holds another run \(model was "):
        gf.fit(tasks.model("concat"), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)


def test_a_folder_of_other_samples_is_refused(tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    with pytest.raises(gf.InputError, match=r"holds another run \(data was "):
        gf.fit(tasks.model(), tasks.TRAIN[:-1], tasks.VALID, tmp_path, **QUICK)


@pytest.mark.parametrize("change", [
    lambda s: replace(s, target="b" if s.target == "a" else "a"),
    lambda s: replace(s, nodes={k: x + 1 for k, x in s.nodes.items()}),
], ids=["other targets", "other features"])  # fmt: skip
def test_a_folder_of_other_values_under_the_same_names_is_refused(change, tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    with pytest.raises(gf.InputError, match="holds another run"):
        gf.fit(tasks.model(), [change(s) for s in tasks.TRAIN], tasks.VALID, tmp_path, **QUICK)


@pytest.mark.parametrize(("plan", "labels"), [
    (gf.Schema(tasks.PLAN.kinds, [tasks.PLAN.edges[0], gf.Nearest("text", "image", k=3)]), "ab"), (tasks.PLAN, "ba"),
], ids=["edge builder", "labels"])  # fmt: skip
def test_a_folder_of_another_schema_or_head_is_refused(plan, labels, tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    other = gf.FusionModel(plan, gf.heads.Classify(labels), "sage", dim=8, layers=1)
    with pytest.raises(gf.InputError, match="holds another run"):
        gf.fit(other, tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)


class Own(nn.Module):
    def __init__(self, dim: int, schema: gf.Schema, layers: int = 1):
        super().__init__()
        self.map = nn.Linear(dim, dim)

    def forward(self, graph: gf.FusionGraph) -> gf.Fused:
        return gf.Fused(graph, self.map(gf.aggregate(graph, graph.x)[: len(graph)]))


class Other(Own):
    def __init__(self, dim: int, schema: gf.Schema, layers: int = 1):
        super().__init__(dim, schema)
        self.more = nn.Linear(dim, dim)


def test_a_folder_of_another_own_fusion_is_refused(tmp_path):
    gf.fit(gf.FusionModel(tasks.PLAN, gf.heads.Classify("ab"), Own, dim=8), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    with pytest.raises(gf.InputError):
        gf.fit(
            gf.FusionModel(tasks.PLAN, gf.heads.Classify("ab"), Other, dim=8),
            tasks.TRAIN,
            tasks.VALID,
            tmp_path,
            **QUICK,
        )


def test_a_layer_of_pyg_given_as_a_function_can_be_trained():
    from torch_geometric.nn import SAGEConv

    with gf.seeded(0):
        model = gf.FusionModel(
            tasks.PLAN, gf.heads.Classify("ab"), "pyg", dim=8, conv=lambda dim, plan: SAGEConv(dim, dim)
        )
    assert gf.fit(model, tasks.TRAIN, tasks.VALID, epochs=1).best_epoch == 1


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: b"no checkpoint"])
def test_a_damaged_checkpoint_is_named(spoil, tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(gf.InputError, match=r"checkpoint\.safetensors: is damaged \(.*\); delete it to train anew\."):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_from_it(apart):
    folder, said = apart
    whole, cut = folder / "a", folder / "full"
    assert said[1] == f"{cut}/checkpoint.safetensors: cannot be written (File too large); what was there is kept."
    assert said[2:] == ["0"]
    assert sorted(path.name for path in cut.iterdir()) == [".lock", "checkpoint.safetensors"]
    assert len(gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, cut, **QUICK).rows) == 3
    assert weights(cut) == weights(whole)


@pytest.mark.parametrize(("train", "valid", "text"), [
    ([], tasks.VALID, r"The training split is empty; it needs at least one sample\."),
    (tasks.TRAIN, [], r"The validation split is empty; it needs at least one sample\."),
    (tasks.TRAIN, [*tasks.VALID, tasks.TRAIN[3]],
     r"Sample name 'train/3' occurs twice, in the training split and in the validation split; names must differ\."),
    ([*tasks.TRAIN, tasks.TRAIN[0]], tasks.VALID, r"Sample name 'train/0' occurs twice, in the training split and "),
    ([replace(tasks.TRAIN[0], target="c")], tasks.VALID, r"Sample 'train/0': target 'c' is not a label of the head\."),
    ([replace(tasks.TRAIN[0], target=None)], tasks.VALID, r"Sample 'train/0': target None is not a label of the "),
])  # fmt: skip
def test_splits_that_cannot_be_trained_on_are_named_and_nothing_is_written(train, valid, text, tmp_path):
    with pytest.raises(gf.InputError, match=f"^{text}"):
        gf.fit(tasks.model(), train, valid, tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("budget", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1.0}, {"patience": 0}])
def test_a_budget_that_makes_no_sense_is_named(budget):
    with pytest.raises(gf.InputError, match=next(iter(budget))):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, **{**QUICK, **budget})


def test_a_loss_that_is_not_finite_names_the_epoch_and_keeps_what_was_there(tmp_path):
    far = [replace(s, target=1e30 if i == 3 else 0.0) for i, s in enumerate(tasks.TRAIN)]
    near = [replace(s, target=0.0) for s in tasks.VALID]
    model = gf.FusionModel(tasks.PLAN, gf.heads.Regress(), "sage", dim=8, layers=1)
    with pytest.raises(gf.InputError, match=r"^Epoch 1: the training loss is (inf|nan); lower learning_rate \(0\.02\)"):
        gf.fit(model, far, near, tmp_path, **QUICK)
    assert not list(tmp_path.glob("*.safetensors"))


def test_evaluation_is_the_mean_of_each_samples_measure():
    model = tasks.model()
    values = measure(model, tasks.TEST, batch_size=5)
    told = gf.evaluate(model, tasks.TEST, batch_size=5)
    right = [a.value == s.target for a, s in zip(model.predict(tasks.TEST), tasks.TEST)]
    assert values["accuracy"].tolist() == [float(r) for r in right]
    assert told["accuracy"] == pytest.approx(sum(right) / len(right))
    assert gf.evaluate(model, tasks.TEST, batch_size=64) == pytest.approx(told, abs=1e-5)


def test_evaluation_needs_samples_with_targets():
    with pytest.raises(gf.InputError, match=r"There is no sample to evaluate on; the split is empty\."):
        gf.evaluate(tasks.model(), [])
    with pytest.raises(gf.InputError, match="Sample 'test/0': target None"):
        gf.evaluate(tasks.model(), [replace(tasks.TEST[0], target=None)])


def test_two_runs_into_one_folder_at_once_are_refused(tmp_path, monkeypatch):
    said = []

    def meanwhile(*words: object) -> None:
        with pytest.raises(
            gf.InputError, match=r"another process is training in this folder; wait for it or ch"
        ) as error:
            gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
        said.append(str(error.value))

    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *words: (meanwhile(), save(*words)))
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    assert len(said) == QUICK["epochs"]
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)  # and afterwards it is free again


def test_the_metric_that_is_asked_for_decides_the_epoch():
    noise = tasks.split("valid", 16, 2, noisy=True)
    history = gf.fit(tasks.model(), tasks.TRAIN, noise, epochs=8, batch_size=8, learning_rate=0.05, metric="log_loss")
    losses = [row["valid_log_loss"] for row in history.rows]
    assert history.best_epoch == 1 + losses.index(min(losses))
    with pytest.raises(gf.InputError, match=r"no metric of this head called 'macro_f2'\. Did you mean 'macro_f1'"):
        gf.fit(tasks.model(), tasks.TRAIN, noise, metric="macro_f2")
    alike = [replace(s, target="a") for s in noise]
    with pytest.raises(gf.InputError, match=r"fit: auc is not defined on the validation split"):
        gf.fit(tasks.model(), tasks.TRAIN, alike, metric="auc")


@pytest.mark.parametrize("change", [lambda x: -x, lambda x: x.flip(0), lambda x: x.flip(1)])
def test_a_folder_of_other_features_is_refused(change, tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    other = [replace(s, nodes={**s.nodes, "text": change(s.nodes["text"])}) for s in tasks.TRAIN]
    with pytest.raises(gf.InputError, match=r"holds another run \(features was "):
        gf.fit(tasks.model(), other, tasks.VALID, tmp_path, **QUICK)


def test_a_folder_of_samples_with_each_others_features_is_refused(tmp_path):
    first, second = (next(i for i, s in enumerate(tasks.TRAIN) if s.target == label) for label in "ab")
    train = list(tasks.TRAIN)
    train[first], train[second] = (
        replace(
            train[a], nodes={**train[a].nodes, "text": train[b].nodes["text"][:1].expand_as(train[a].nodes["text"])}
        )
        for a, b in ((first, second), (second, first))
    )
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    with pytest.raises(gf.InputError, match=r"holds another run \(features was "):
        gf.fit(tasks.model(), train, tasks.VALID, tmp_path, **QUICK)


def test_features_that_differ_in_their_last_bits_are_the_same_run(tmp_path):
    first = gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    near = [replace(s, nodes={k: x * (1 + 1e-6) for k, x in s.nodes.items()}) for s in tasks.TRAIN]
    assert gf.fit(tasks.model(), near, tasks.VALID, tmp_path, **QUICK).rows == first.rows


def test_mixed_precision_ends_with_training(run_python):
    done = run_python("""
import sys; sys.path.insert(0, sys.argv[1])
import tasks, torch, graphfuse as gf
model, fresh = tasks.model(), tasks.model(seed=7)
gf.fit(model, tasks.TRAIN, tasks.VALID, epochs=1)
fresh.load_state_dict(model.state_dict())
batch = model.collate(tasks.TEST)
print(torch.equal(model(batch).scores, fresh.eval()(batch).scores))
""", Path(__file__).parent, ACCELERATE_MIXED_PRECISION="bf16", ACCELERATE_USE_CPU="1")  # fmt: skip
    assert done.stdout.strip() == "True", done.stderr


def test_a_fusion_with_tied_weights_is_saved_and_taken_up(tmp_path):
    class Tied(nn.Module):
        def __init__(self, dim: int, schema: gf.Schema, layers: int = 1):
            super().__init__()
            self.first, self.second = nn.Linear(dim, dim), nn.Linear(dim, dim)
            self.second.weight = self.first.weight

        def forward(self, graph: gf.FusionGraph) -> gf.Fused:
            x = self.second(self.first(graph.x).relu())
            return gf.Fused(graph.replace(x=x), x[: len(graph)])

    def made() -> gf.FusionModel:
        with gf.seeded(0):
            return gf.FusionModel(gf.Schema({"text": 6}), gf.heads.Classify("ab"), Tied, dim=8, layers=1)

    train, valid = ([s.without("image") for s in own] for own in (tasks.TRAIN, tasks.VALID))
    first = gf.fit(made(), train, valid, tmp_path, **QUICK)
    again = made()
    assert gf.fit(again, train, valid, tmp_path, **QUICK) == first
    assert again.fusion.second.weight is again.fusion.first.weight
