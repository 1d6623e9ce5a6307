"""Training from a store and with limits: the same as from a list, in any batches, taken up to the bit."""

import importlib
import json
from pathlib import Path

import pytest
import tasks

import graphfuse as gf
from graphfuse.training import scored

QUICK = {"epochs": 3, "batch_size": 16, "learning_rate": 0.02}


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> list[gf.SampleStore]:
    folder = tmp_path_factory.mktemp("stores")
    return [
        gf.SampleStore.write(folder / name, split) for name, split in (("train", tasks.TRAIN), ("valid", tasks.VALID))
    ]


def test_a_store_trains_to_the_same_bits_as_a_list_and_takes_up_its_run(stores, tmp_path):
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path / "list", **QUICK)
    history = gf.fit(tasks.model(), *stores, tmp_path / "store", **QUICK)
    assert weights(tmp_path / "list") == weights(tmp_path / "store")
    assert gf.fit(tasks.model(), *stores, tmp_path / "list", **QUICK).best_epoch == history.best_epoch
    model = gf.FusionModel.from_pretrained(tmp_path / "store")
    assert model.predict(stores[1]) == model.predict(tasks.VALID)
    assert gf.evaluate(model, stores[1]) == gf.evaluate(model, tasks.VALID)


def test_a_store_is_trained_anew_on_both_splits_as_lists_are(stores, tmp_path):
    for name, splits in (("list", (tasks.TRAIN, tasks.VALID)), ("store", stores)):
        gf.fit(tasks.model(), *splits, tmp_path / name, refit=True, **QUICK)
    assert weights(tmp_path / "list") == weights(tmp_path / "store")


def test_no_more_samples_of_a_store_are_held_than_a_few_batches(stores, monkeypatch, tmp_path):
    import gc
    import weakref

    alive, most, real = weakref.WeakSet(), [0], gf.SampleStore.__getitem__

    def seen(store, place):
        one = real(store, place)
        if isinstance(place, int):
            token = one.nodes["text"]
            alive.add(token)
            most[0] = max(most[0], len(alive))
        return one

    monkeypatch.setattr(gf.SampleStore, "__getitem__", seen)
    gc.collect()
    gf.fit(tasks.model(), *stores, tmp_path, epochs=2, batch_size=4, refit=True)
    assert 0 < most[0] <= 16  # of 64: validation goes in batches of up to 64 samples, and it has 16


def test_what_was_scored_holds_no_features():
    assert not any(x.numel() for _, batch in scored(tasks.model(), tasks.VALID).scored for x in batch.nodes.values())


def test_batches_by_nodes_are_a_function_of_seed_and_epoch_and_a_run_is_taken_up_to_the_bit(tmp_path, monkeypatch):
    course = importlib.import_module("graphfuse.training.course")
    budget, seen, real = QUICK | {"batch_nodes": 11}, [], course.batches
    monkeypatch.setattr(course, "batches", lambda s, parts, *rest: seen.append(parts) or real(s, parts, *rest))
    history = gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path / "whole", **budget)
    sizes = [sum(map(len, s.nodes.values())) for s in tasks.TRAIN]
    assert len(seen) == 3
    assert seen[0] != seen[1]
    for parts in seen:
        assert sorted(place for part in parts for place in part) == list(range(48))
        assert max(sum(sizes[place] for place in part) for part in parts) <= 11
    checkpoint = importlib.import_module("graphfuse.training.checkpoint")
    save = checkpoint.save

    def cut(folder, model, optimizer, progress, run):
        save(folder, model, optimizer, progress, run)
        if len(progress.rows) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(checkpoint, "save", cut)
        with pytest.raises(KeyboardInterrupt):
            gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path / "cut", **budget)
    again = gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path / "cut", **budget)
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")
    assert [r["learning_rate"] for r in again.rows] == [r["learning_rate"] for r in history.rows]
    assert history.rows[-1]["learning_rate"] == pytest.approx(0.0002, rel=0.2)
    assert seen[3:] == [*seen[:2], seen[2]]
    with pytest.raises(gf.InputError, match=r"holds another run \(batch_nodes was 11, now 12\)"):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path / "cut", **budget | {"batch_nodes": 12})


def test_the_learning_rate_goes_through_its_cycle_step_by_step_though_epochs_differ_in_steps(monkeypatch):
    course = importlib.import_module("graphfuse.training.course")
    seen, steps, rate, real = [], [], course._rate, course.batches
    monkeypatch.setattr(course, "_rate", lambda step, **rest: seen.append(step) or rate(step, **rest))
    monkeypatch.setattr(course, "batches", lambda s, parts, *rest: steps.append(len(parts)) or real(s, parts, *rest))
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, **QUICK | {"batch_nodes": 7, "epochs": 4})
    assert len(set(steps)) > 1, "the check would prove nothing"
    assert list(dict.fromkeys(seen)) == list(range(sum(steps)))


def test_answers_and_measures_do_not_depend_on_the_batches():
    model = tasks.model()
    told = gf.evaluate(model, tasks.TEST)
    assert gf.evaluate(model, tasks.TEST, batch_nodes=5) == pytest.approx(told, abs=1e-5)
    values = [[a.value for a in model.predict(tasks.TEST, batch_nodes=n)] for n in (None, 1, 9)]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("budget", [{"batch_nodes": 0}, {"max_edges": 0}])
def test_a_limit_below_one_is_named_and_nothing_is_written(budget, tmp_path):
    name = next(iter(budget))
    with pytest.raises(gf.InputError, match=rf"^{name} is 0; it must be at least 1\.$"):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path / "run", **budget)
    assert not (tmp_path / "run").exists()


def test_a_batch_with_too_many_edges_is_refused_and_the_run_goes_on_once_more_are_allowed(tmp_path):
    with pytest.raises(
        gf.InputError, match=r"^A batch of 16 samples, from 'train/\d+' on, has \d+ nodes and \d+ edges; "
    ):
        gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, max_edges=20, **QUICK)
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, max_edges=10_000, **QUICK)
    gf.fit(tasks.model(), tasks.TRAIN, tasks.VALID, tmp_path, **QUICK)
    assert json.loads((tmp_path / "config.json").read_text())["training"]["max_edges"] is None


def test_a_set_several_times_larger_than_the_memory_it_may_take_is_trained_on(tmp_path, run_python):
    done = run_python("""
import sys, torch, graphfuse as gf
def made(name, count):
    for i in range(count):
        x = torch.randn(250, 1000, generator=torch.Generator().manual_seed(i))  # 1 MB
        yield gf.Sample(f"{name}/{i}", {"text": x}, target="ab"[i % 2])
train, valid = (gf.SampleStore.write(f"{sys.argv[1]}/{n}", made(n, c)) for n, c in (("train", 300), ("valid", 100)))
def anonymous():
    return sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1000
def model():
    with gf.seeded(0):
        return gf.FusionModel(gf.Schema({"text": 1000}), gf.heads.Classify("ab"), "concat", dim=8, layers=1)
gf.fit(model(), train[:4], valid[:4], epochs=1, batch_size=2)
before = anonymous()
gf.fit(model(), train, valid, sys.argv[1] + "/run", epochs=1, batch_nodes=2000)
print(anonymous() - before)
""", tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) < 200  # megabytes of 400; the allocator keeps some
