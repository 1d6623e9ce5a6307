"""Batches one after another: within their limits, in order, and made beside the computing where that helps."""

import threading

import contract
import pytest
import torch

import graphfuse as gf
from graphfuse.core.loader import AHEAD, Limits, batches

CPU, OTHER = torch.device("cpu"), torch.device("meta")


def sample(nodes: int) -> gf.Sample:
    return gf.Sample(str(nodes), {"text": torch.zeros(nodes, 6)})


@pytest.mark.parametrize("samples", [1, 3, 64])
@pytest.mark.parametrize("nodes", [1, 7, 20, 1000])
def test_batches_stay_within_their_limits_and_take_each_sample_once_in_order(samples, nodes):
    rng = torch.Generator().manual_seed(nodes)
    sizes = torch.randint(0, 12, (60,), generator=rng).tolist()
    order = torch.randperm(60, generator=rng).tolist()
    parts = Limits(samples, nodes).parts(order, sizes)
    assert [place for part in parts for place in part] == order
    for part, after in zip(parts, [*parts[1:], []]):
        total = sum(sizes[place] for place in part)
        assert len(part) == 1 or (total <= nodes and len(part) <= samples)
        if after:
            assert len(part) == samples or total + sizes[after[0]] > nodes, "there was room for one more"


def test_without_a_limit_of_nodes_every_batch_but_the_last_is_full():
    assert Limits(4).parts(range(10), None) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert Limits(4).sizes([sample(3)]) is None
    assert Limits(4, 9).sizes([sample(3), contract.sample(0)]) == [3, sum(map(len, contract.sample(0).nodes.values()))]


@pytest.mark.parametrize("limit", [{"samples": 0}, {"nodes": 0}, {"edges": -2}])
def test_a_limit_below_one_is_named(limit):
    name = {"samples": "batch_size", "nodes": "batch_nodes", "edges": "max_edges"}[next(iter(limit))]
    with pytest.raises(gf.InputError, match=rf"^{name} is {next(iter(limit.values()))}; it must be at least 1\.$"):
        Limits(**limit)


@pytest.mark.parametrize("device", [CPU, OTHER])
def test_batches_are_those_that_a_loop_makes(device):
    made, plan = contract.samples(), contract.schema()
    parts = [[3, 1], [0], [7, 6, 5, 4, 2]]
    found = list(batches(made, parts, lambda part: gf.collate(part, plan), device))
    assert [batch.names for batch in found] == [tuple(made[i].name for i in part) for part in parts]
    assert all(a.nodes["text"].equal(gf.collate([made[i] for i in part], plan).nodes["text"])
               for a, part in zip(found, parts))  # fmt: skip


def test_beside_an_accelerator_a_thread_makes_the_next_batches_meanwhile():
    made, ready = [], threading.Semaphore(0)

    def join(part):
        assert threading.current_thread() is not threading.main_thread()
        made.append(part)
        ready.release()
        return gf.collate(part, contract.schema())

    running = batches(contract.samples(8), [[i] for i in range(8)], join, OTHER)
    next(running)
    for _ in range(1 + AHEAD):
        assert ready.acquire(timeout=10)
    assert len(made) == 1 + AHEAD
    running.close()


def test_on_the_processor_a_batch_is_made_when_it_is_asked_for():
    made = []

    def join(part):
        made.append(threading.current_thread())
        return gf.collate(part, contract.schema())

    running = batches(contract.samples(8), [[i] for i in range(8)], join, CPU)
    next(running)
    assert made == [threading.main_thread()]


@pytest.mark.parametrize("device", [CPU, OTHER])
def test_an_error_in_collating_comes_where_the_batch_would(device):
    wrong = gf.Sample("case/8", {"text": torch.zeros(2, 5)})
    running = batches([contract.sample(0), wrong], [[0], [1]], lambda part: gf.collate(part, contract.schema()), device)
    next(running)
    with pytest.raises(gf.InputError, match=r"^Sample 'case/8', kind 'text': expected width 6, found width 5\."):
        next(running)


def test_memory_is_pinned_for_cuda_alone(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(x) or x)
    plan = contract.schema()
    for device in (CPU, OTHER, torch.device("cuda")):
        list(batches([contract.sample(0, target=torch.zeros(2))], [[0]], lambda part: gf.collate(part, plan), device))
        assert bool(pinned) == (device.type == "cuda")
    batch = gf.collate([contract.sample(0, target=torch.zeros(2))], plan)
    fields = (batch.nodes, batch.offsets, batch.links, batch.spans, batch.weights)
    assert len(pinned) == sum(map(len, fields)) + 1
