import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest

from graphfuse.core.errors import InputError
from graphfuse.kg import KnowledgeGraph


def test_triples_keep_their_order_and_only_exact_repetitions_merge(triples, kg):
    assert kg.triples == list(dict.fromkeys(triples))
    assert [kg.triple(i) for i in range(len(kg.triples))] == kg.triples


def test_entities_and_relations_come_in_order_of_first_appearance(triples, kg):
    assert list(kg.entities) == list(dict.fromkeys(name for head, _, tail in triples for name in (head, tail)))
    assert list(kg.relations) == list(dict.fromkeys(relation for _, relation, _ in triples))
    assert [kg.index(name) for name in kg.entities] == list(range(len(kg)))


def test_named_entities_come_first_and_need_no_triple():
    kg = KnowledgeGraph.from_triples([("a", "r", "b")], entities=["alone", "b"])
    assert kg.entities == ("alone", "b", "a")
    assert kg.neighbours("alone") == []
    assert kg.degree("alone") == 0


def test_degree_and_neighbours_equal_a_plain_scan(triples, kg):
    distinct = list(dict.fromkeys(triples))
    for name in kg.entities:
        out = [tail for head, _, tail in distinct if head == name]
        into = [head for head, _, tail in distinct if tail == name]
        liked = [tail for head, relation, tail in distinct if head == name and relation == "likes"]
        assert kg.degree(name) == sum(name in (head, tail) for head, _, tail in distinct)
        assert kg.neighbours(name) == list(dict.fromkeys([*out, *(other for other in into if other != name)]))
        assert kg.neighbours(name, direction="forward") == list(dict.fromkeys(out))
        assert set(kg.neighbours(name, direction="backward")) | {name} == {*into, name}
        assert kg.neighbours(name, "likes", "forward") == list(dict.fromkeys(liked))


def test_an_empty_graph_is_a_graph():
    kg = KnowledgeGraph.from_triples([])
    assert (len(kg), kg.triples, kg.link("France")) == (0, [], [])


def test_nothing_in_a_graph_can_be_changed(world):
    with pytest.raises(FrozenInstanceError):
        world.entities = ()
    for array in (world.heads, world.relation_ids, world.tails):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_graph_survives_pickling_with_its_indexes(world):
    world.link("France")
    again = pickle.loads(pickle.dumps(world))
    assert (again.triples, again.aliases, again.pictures) == (world.triples, world.aliases, world.pictures)
    assert again.link("la France") == world.link("la France")


def test_a_graph_shows_its_size_and_knows_what_it_holds(world):
    assert repr(world) == "KnowledgeGraph(5 entities, 3 relations, 6 triples)"
    assert "France" in world
    assert "france" not in world


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda kg: kg.index("Frnace"), "'Frnace'.*'France'"),
        (lambda kg: kg.neighbours("France", "border"), "'border'.*'borders'"),
        (lambda kg: kg.neighbours("France", direction="forwards"), "'forwards'.*'forward'"),
        (lambda kg: kg.triple(6), "no edge 6; .*0 to 5"),
        (lambda kg: kg.triple(-1), "no edge -1"),
        (lambda kg: KnowledgeGraph.from_triples([("a", "r", "b"), ("a", "r")]), r"Triple 1 is \('a', 'r'\)"),
        (lambda kg: KnowledgeGraph.from_triples([("a", "r", 3)]), r"Triple 0 is \('a', 'r', 3\)"),
        (lambda kg: KnowledgeGraph.from_triples([("a", " ", "b")]), r"Triple 0 is \('a', ' ', 'b'\)"),
        (lambda kg: KnowledgeGraph.from_triples([], entities=["a", ""]), "Name 1 is ''"),
        (lambda kg: KnowledgeGraph.from_triples([("a", "r", "b")], aliases={"aa": ["x"]}), "'aa'.*'a'"),
        (lambda kg: KnowledgeGraph.from_triples([("a", "r", "b")], aliases={"a": ["x", ""]}), r"'a' are \['x', ''\]"),
        (lambda kg: KnowledgeGraph.from_triples([("a", "r", "b")], pictures={"c": "c.png"}), "'c'"),
    ],
)
def test_a_wrong_name_or_triple_is_named_with_what_would_be_right(world, call, message):
    with pytest.raises(InputError, match=message):
        call(world)


def test_near_names_are_found_in_a_large_graph_too():
    kg = KnowledgeGraph.from_triples([(f"thing {i}", "in", "Mauritania") for i in range(21_000)])
    with pytest.raises(InputError, match=r"'Mauretania'.*'Mauritania'"):
        kg.index("Mauretania")


def test_importing_loads_neither_torch_nor_networkx():
    code = "import sys, graphfuse.kg; sys.exit(any(name in sys.modules for name in ('torch', 'networkx')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
