"""The batching benchmark compares like with like: equal edges pass, and a single wrong one is caught."""

import pytest
import torch

import graphfuse as gf
from benchmarks import batching


@pytest.fixture
def both(monkeypatch, request):
    """Our graph and PyG's batch of a few tiny samples, by the way that the test names."""
    monkeypatch.setattr(batching, "SIZES", {"text": 4, "image": 6})
    monkeypatch.setattr(batching, "SAMPLES", 3)
    monkeypatch.setattr(batching, "WIDTH", 5)
    monkeypatch.setattr(batching, "SECONDS", 1)
    name = request.param
    edges, pairs, _ = batching.WAYS[name]
    samples = batching.make(0, spans=name == "overlap")
    schema = gf.Schema(dict.fromkeys(batching.SIZES, 5), [edges(a, b) for a in batching.SIZES for b in batching.SIZES])
    return batching.build(samples, schema, listed=True), batching.stock(samples, pairs)


every_way = pytest.mark.parametrize("both", batching.WAYS, indirect=True)


@every_way
def test_equal_edges_pass(both):
    (graph, listed), theirs = both
    batching.check(graph, theirs)
    assert [pairs.shape[1] for pairs in listed] == [
        theirs[source, "to", target].edge_index.shape[1] for source, _, target in (r.relation for r in graph.relations)
    ]


@every_way
def test_one_wrong_edge_is_caught(both):
    (graph, _), theirs = both
    pairs = theirs["text", "to", "image"].edge_index
    pairs[0, 3] = (pairs[0, 3] + 1) % len(theirs["text"].x)
    with pytest.raises(ValueError, match=r"relation \('text', '\w+', 'image'\): the two ways differ in edges\."):
        batching.check(graph, theirs)


@every_way
def test_one_lacking_edge_is_caught(both):
    (graph, _), theirs = both
    theirs["image", "to", "image"].edge_index = theirs["image", "to", "image"].edge_index[:, 1:]
    with pytest.raises(ValueError, match="'image'"):
        batching.check(graph, theirs)


@every_way
def test_a_wrong_feature_is_caught(both):
    (graph, _), theirs = both
    theirs["text"].x = theirs["text"].x + torch.eye(len(theirs["text"].x), 5)
    with pytest.raises(ValueError, match=r"kind 'text': the two ways differ in features\."):
        batching.check(graph, theirs)


def test_times_are_of_every_way_in_turn_without_the_warm_up():
    calls = []
    found = batching.timed([lambda: calls.append("a"), lambda: calls.append("b")], repeats=3)
    assert calls == ["a", "b"] * 4
    assert len(found) == 2
    assert all(seconds >= 0 for seconds in found)
