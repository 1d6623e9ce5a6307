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
    way = batching.WAYS[request.param]
    samples = [batching.spanned(sample) if way.spans else sample for sample in batching.make(0)]
    edges = [way.edges(a, b) for a in batching.SIZES for b in batching.SIZES]
    schema = gf.Schema(dict.fromkeys(batching.SIZES, 5), edges)
    return batching.build(samples, schema, listed=True), batching.stock(samples, way.pairs)


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


def test_both_ways_are_timed_for_every_kind_of_edges(monkeypatch):
    monkeypatch.setattr(batching, "SIZES", {"text": 4, "image": 6})
    monkeypatch.setattr(batching, "SAMPLES", 3)
    for way in batching.WAYS.values():
        assert [len(own) for own in batching.measured(batching.make(0), way, repeats=2)] == [2, 2]
