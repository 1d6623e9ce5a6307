import networkx
import numpy as np
import pytest

from graphfuse.core.errors import InputError
from graphfuse.kg import KnowledgeGraph, evidence


def all_paths(triples, a, b, max_hops):
    """Every simple path as a list of edge ids, by plain recursion, shortest first, then by edge ids."""

    def walk(node, visited, path):
        if node == b:
            yield path
        elif len(path) < max_hops:
            for edge, (head, _, tail) in enumerate(triples):
                other = {head: tail, tail: head}.get(node)
                if other is not None and other not in visited:
                    yield from walk(other, [*visited, other], [*path, edge])

    return sorted(walk(a, [a], []), key=lambda path: (len(path), path))


def walked(kg, edges, start):
    """The entity that a path of edge ids leads to from ``start``; fails if it does not hang together."""
    for head, _, tail in kg.path_triples(edges):
        assert start in (head, tail)
        start = tail if start == head else head
    return start


def test_paths_equal_plain_recursion_in_the_same_order(kg, rng):
    for hops in range(4):
        a, b = rng.choices(kg.entities, k=2)
        want = [kg.path_triples(path) for path in all_paths(kg.triples, a, b, hops)]
        assert kg.paths(a, b, hops, limit=10**6) == want
        assert kg.paths(a, b, hops, limit=3) == want[:3]


def test_parallel_edges_and_both_directions_make_paths_of_their_own(world):
    between = [[triple] for triple in world.triples if {triple[0], triple[2]} == {"France", "Spain"}]
    assert len(between) == 3
    assert world.paths("Spain", "France", max_hops=1) == between


def test_no_path_and_the_path_to_oneself(kg):
    assert kg.paths("island", "n2") == []
    assert kg.paths("n2", "n2") == [[]]


def test_evidence_is_a_shortest_path_from_a_linked_entity(kg, rng):
    sub = kg.retrieve(rng.choice(kg.entities), hops=3)
    for where in (kg, sub):
        graph = networkx.Graph([(head, tail) for head, _, tail in where.triples])
        for answer in sub.entities:
            linked = rng.sample(sub.entities, min(2, len(sub)))
            away = {name: networkx.shortest_path_length(graph, name, answer) for name in linked}
            edges = evidence(where, answer, linked)
            assert len(edges) == min(away.values())
            assert set(kg.path_triples(edges)) <= set(where.triples)
            if edges:
                assert walked(kg, edges, min(away, key=away.get)) == answer


def test_evidence_among_shortest_paths_has_the_highest_sum_of_weights(kg, rng):
    weights = np.random.default_rng(len(kg)).normal(size=len(kg.triples))
    for _ in range(6):
        linked, answer = rng.choice(kg.entities), rng.choice(kg.entities)
        paths = all_paths(kg.triples, linked, answer, 3)
        shortest = [path for path in paths if len(path) == len(paths[0])]
        if shortest:
            assert evidence(kg, answer, [linked], weights) == max(shortest, key=lambda path: weights[path].sum())
            sub = kg.retrieve([linked, answer], hops=3)
            assert evidence(sub, answer, [linked], weights[sub.edge_ids]) == evidence(kg, answer, [linked], weights)


def test_equal_evidence_goes_by_linked_order_then_by_edge_id():
    kg = KnowledgeGraph.from_triples([("b", "r", "x"), ("a", "s", "x"), ("a", "r", "x"), ("x", "r", "y")])
    assert evidence(kg, "y", ["b", "a"]) == [0, 3]
    assert evidence(kg, "y", ["a", "b"]) == [1, 3]
    assert evidence(kg, "y", ["a", "b"], [0.5, 0.1, 0.6, 0.0]) == [2, 3]


def test_evidence_is_empty_if_the_answer_is_linked_or_out_of_reach(kg):
    assert evidence(kg, "n2", ["n3", "n2"]) == []
    assert evidence(kg, "n2", ["island"]) == []
    assert evidence(kg, "n2", []) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda kg: kg.paths("Frnace", "Spain"), "'Frnace'.*'France'"),
        (lambda kg: kg.paths("France", "Spain", max_hops=-1), "max_hops is -1"),
        (lambda kg: kg.paths("France", "Spain", limit=0), "limit is 0"),
        (lambda kg: evidence(kg, "Spian", ["France"]), "'Spian'.*'Spain'"),
        (lambda kg: evidence(kg.retrieve("Spain", hops=1), "Niger", ["Spain"]), "'Niger' is not among the 2"),
        (lambda kg: evidence(kg, "Spain", ["France"], [1.0]), r"prefer has shape \[1\]; expected \[6\]"),
    ],
)
def test_what_cannot_be_walked_is_explained(world, call, message):
    with pytest.raises(InputError, match=message):
        call(world)
