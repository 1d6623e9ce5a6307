"""The speed benchmark measures all that it names, refuses to compare what differs, and leaves memory as it is."""

import json
import subprocess
from functools import partial

import pytest
import torch

import graphfuse as gf
from benchmarks import apart, batching, measures, rows, scaling, share, speed, speed_table, stock, workload
from benchmarks.run import main

DIM = 16
LAYERS = [name for name in stock.STOCK if name in gf.FUSIONS]
KNOWN = [method for method in measures.MEASURES if measures.known(method)]
TASK = {"task": "speed", "split": "generated", "tuned_on": "nothing", "seconds": 1.0, "parameters": 1, "seeds": [0]}


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(workload, "SMALL", {"text": 3, "image": 4, "audio": 2, "entity": 2})
    monkeypatch.setattr(batching, "WIDTH", DIM)
    monkeypatch.setattr(share, "SQUARE", 32)
    # forks of a process that has computed on many threads may hang
    monkeypatch.setattr(scaling, "apart", lambda work, *given: work(*given))


@pytest.mark.parametrize("method", KNOWN)
def test_every_measure_gives_numbers(method, tiny, monkeypatch):
    monkeypatch.setattr(scaling, "peak_of", lambda run, device: run().numel())
    found = measures.MEASURES[method](0, True, "cpu")
    assert len(found) > 1
    assert all(value > 0 for metric, value in found.items() if metric != "parameters")
    if method in speed_table.STOCKS:
        assert set(found) >= set(speed_table.SMALLER if "memory" in method else speed_table.FASTER)


def test_every_measure_against_stock_says_what_it_is_against():
    alone = [m for m in measures.MEASURES if m not in speed_table.STOCKS]
    assert all("twice" in m or "times the nodes" in m or m.startswith(("one large", "hgt and one")) for m in alone)
    assert set(speed_table.STOCKS) - set(measures.MEASURES) == {f"{again}{speed.KEPT}" for again in speed.AGAIN}
    assert set(speed.AGAIN) <= set(measures.MEASURES)
    assert set(speed.BUILT) == set(batching.WAYS)


@pytest.mark.parametrize("way", ["complete", "nearest"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_wrong_weight_is_refused_whichever_it_is(name, way, tiny):
    work = workload.workload(workload.samples_of(0, True), batching.WAYS[way], "cpu")
    ours, theirs = stock.pair(name, work, seed=0)
    sides = partial(work.ours, ours), stock.run_stock(name, work, theirs)
    workload.check_same(name, *sides, work.leaf())
    for place, weight in theirs[0].named_parameters():
        if place.endswith("lin_key.bias"):
            continue  # adds the same to all scores of a softmax
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
        with pytest.raises(ValueError, match=rf"{name}, \w+: ours and stock differ by"):
            workload.check_same(name, *sides, work.leaf())
        with torch.no_grad():
            weight.copy_(kept)


def test_wrong_gradients_are_refused_where_states_are_right():
    x = torch.randn(5, 3, requires_grad=True)
    with pytest.raises(ValueError, match="odd, gradients: ours and stock differ by"):
        workload.check_same("odd", lambda x: 2 * x, lambda x: x + x.detach(), x)
    with pytest.raises(ValueError, match="nan"):
        workload.check_same("odd", lambda x: x * torch.nan, lambda x: x, x)


def test_twice_the_nodes_are_twice_the_nodes():
    once, twice = (workload.samples_of(3, True, scale) for scale in (1, 2))
    for a, b in zip(once, twice, strict=True):
        assert {kind: 2 * len(x) for kind, x in a.nodes.items()} == {kind: len(x) for kind, x in b.nodes.items()}
    assert sum(measures.counts(2000).values()) == 2000
    assert sum(measures.counts(20).values()) == 20


def test_multiply_adds_are_those_of_a_count_by_hand(tiny):
    work = workload.workload(workload.drawn(0, [measures.counts(8)] * 3), batching.WAYS["complete"], "cpu")
    nodes, heads, width = 24, 4, DIM // 4
    projected = nodes * DIM * DIM + 4 * nodes * DIM * 2 * DIM
    folded = 16 * 2 * heads * width * width * (DIM + 1)
    attended = 2 * 3 * 8 * 8 * DIM
    assert share.multiply_adds(work) == projected + folded + attended + nodes * DIM * DIM


def test_the_worker_gives_what_processes_of_their_own_found():
    asked = {"seeds": [0], "quick": True, "device": "cpu", "methods": ["building, complete", "hgt, twice the nodes"]}
    found = apart.fresh(speed.WORKER, asked)
    assert list(found) == asked["methods"]
    assert [len(each) for each in found.values()] == [1, 1]
    (grown,) = found["hgt, twice the nodes"]
    assert set(grown) == {"times the peak memory", "parameters", "seconds"}
    work = workload.workload(workload.samples_of(0, True), batching.WAYS["complete"], "cpu", listed=False)
    assert grown["parameters"] == workload.parameters_of(stock.bare("hgt", work, 0))
    assert 0 < grown["times the peak memory"] < 5  # of so few nodes what else is loaded counts too


@pytest.mark.parametrize("kept", [False, True])
def test_freed_memory_is_kept_only_where_it_is_asked_for(kept, monkeypatch):
    seen = {}

    def start(command, **options):
        seen.update(options["env"])
        return subprocess.CompletedProcess(command, 0, stdout="[1]")

    monkeypatch.setenv("MALLOC_TOP_PAD_", "77")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1")
    monkeypatch.setattr(subprocess, "run", start)
    assert apart.fresh("anything", {}, kept) == [1]
    assert {name: value for name, value in seen.items() if "MALLOC" in name} == (apart.KEPT if kept else {})
    assert "GLIBC_TUNABLES" not in seen


def test_rows_have_every_field_and_the_spread_over_seeds(monkeypatch, tmp_path, capsys):
    asked = []

    def worker(module, spec, kept=False):
        asked.append((spec["methods"], kept))
        values = [{"times faster than stock": 10.0 + seed, "parameters": 7, "seconds": 2.0} for seed in spec["seeds"]]
        return dict.fromkeys(spec["methods"] or [speed.LAYER, "building, complete"], values)

    monkeypatch.setattr(speed, "fresh", worker)
    assert main(["speed", "--quick", "--seeds", "3", "--json", "--out", str(tmp_path)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows.read("speed", tmp_path) == found
    assert asked == [(None, False), (speed.AGAIN, True)]
    again = [f"{method}{speed.KEPT}" for method in speed.AGAIN]
    assert [row["method"] for row in found] == [speed.LAYER, "building, complete", *again]
    for row in found:
        assert tuple(row) == rows.FIELDS
        assert (row["mean"], row["std"], row["seeds"]) == (11.0, 1.0, [0, 1, 2])
        assert (row["parameters"], row["seconds"]) == (7, 6.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["batching", "--device", "cuda"], "--device: batching has no choice of it, speed alone has"),
        (["speed", "--device", "tpu"], "--device is 'tpu'; it may be cpu or cuda."),
        (["speed", "--jobs", "2"], "--jobs: speed goes one at a time"),
    ],
)
def test_a_wrong_device_is_one_sentence_and_exit_code_2(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["speed", "--quick", "--device", "cuda"]) == 2
    assert "--device is cuda, and torch finds no such device here" in capsys.readouterr().err


def made(method, **values):
    return [
        rows.row(**TASK, method=method, metric=metric, mean=mean, std=0.5, command="python -m benchmarks.run speed")
        for metric, mean in values.items()
    ]


def scaled(nodes, stock=True):
    sides = ("ours", "stock") if stock else ("ours",)
    values = {f"{unit}, {side}": 3.0 * nodes for unit in ("milliseconds", "megabytes") for side in sides}
    return made(f"hgt, {nodes} nodes", **{speed_table.NODES: nodes}, **values)


def test_the_section_has_a_table_for_times_memory_and_ours_alone():
    found = [
        *made(speed.LAYER, **dict.fromkeys(speed_table.FASTER, 12.5)),
        *made("hgt, complete, peak memory", **dict.fromkeys(speed_table.SMALLER, 0.25)),
        *made("sage, twice the nodes", **{"times the milliseconds": 2.125}),
    ]
    text = speed_table.speed(found, [])
    assert f"| {speed.LAYER} | HGTConv |" + " 12.5 ± 0.5 |" * 5 in text
    assert "| hgt, complete, peak memory | HGTConv |" + " 0.25 ± 0.5 |" * 3 in text
    assert "| sage, twice the nodes | times the milliseconds | 2.125 ± 0.5 |" in text
    assert "`python -m benchmarks.run speed`, graphfuse " in text
    assert speed_table.PICTURE not in text
    assert speed_table.PICTURE in speed_table.speed([*found, *scaled(50)], [])
    assert speed_table.speed([], []) == "Not measured yet."


def test_the_picture_has_a_point_for_every_size_that_was_measured(tmp_path):
    found = [*scaled(109), *scaled(54), *scaled(436, stock=False)]
    assert speed_table.lines_of(found, "megabytes") == {
        "ours": [(54, 162.0), (109, 327.0), (436, 1308.0)], "stock": [(54, 162.0), (109, 327.0)],
    }  # fmt: skip
    assert speed_table.draw(found, tmp_path).read_bytes().startswith(b"\x89PNG")
    assert speed_table.draw([], tmp_path) is None
