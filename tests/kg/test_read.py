import networkx
import pytest

from graphfuse.core.errors import InputError
from graphfuse.kg import KnowledgeGraph


def test_a_file_is_read_with_blank_lines_byte_order_mark_windows_line_ends_and_spaces(tmp_path):
    file = tmp_path / "good.tsv"
    file.write_bytes("\ufeff中国\tborders\tИндия\r\n\r\n \t \n New York \tin\tUnited States\u2028\nx\tr\ty".encode())
    kg = KnowledgeGraph.read(file, aliases={"中国": "China"}, pictures={"x": tmp_path / "x.png"})
    assert kg.triples == [("中国", "borders", "Индия"), ("New York", "in", "United States"), ("x", "r", "y")]
    assert kg.link("China")[0].entity == "中国"
    assert kg.pictures == {"x": str(tmp_path / "x.png")}


def test_random_triples_come_back_from_a_file(tmp_path, triples, kg):
    file = tmp_path / "random.tsv"
    file.write_text("\n".join(map("\t".join, triples)), "utf-8")
    assert KnowledgeGraph.read(str(file)).triples == kg.triples


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tr\tb\na\tr\n", r"bad\.tsv:2: found 2 fields, expected 3"),
        (b"a\tr\tb\r\n\r\na r b\r\n", r"bad\.tsv:3: found 1 field, expected 3"),
        (b"a\tr\tb\tc\n", r"bad\.tsv:1: found 4 fields, expected 3"),
        (b"a\tr\tb\na\t \tb\n", r"bad\.tsv:2: the relation is empty"),
        (b"a\tr\tb\na\tr\t\xe9t\xe9\n", r"bad\.tsv:2: byte 0xe9 is not UTF-8"),
        (b"\n\n", r"bad\.tsv: holds no triple"),
    ],
)
def test_a_broken_line_is_named_by_file_and_number(tmp_path, content, message):
    file = tmp_path / "bad.tsv"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        KnowledgeGraph.read(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lacking\.tsv: cannot be read \(No such file"):
        KnowledgeGraph.read(tmp_path / "lacking.tsv")


def test_networkx_and_back_changes_nothing(kg, world):
    for graph in (kg, world):
        again = KnowledgeGraph.read(graph.to_networkx())
        assert again.entities == graph.entities
        assert set(again.triples) == set(graph.triples)
        assert (again.aliases, again.pictures) == (graph.aliases, graph.pictures)


def test_networkx_edges_keep_relation_as_key_and_attribute(world):
    graph = world.to_networkx()
    assert isinstance(graph, networkx.MultiDiGraph)
    assert {(head, key, tail) for head, tail, key in graph.edges(keys=True)} == set(world.triples)
    assert all(key == relation for _, _, key, relation in graph.edges(keys=True, data="relation"))


def test_any_networkx_graph_is_taken_with_nodes_as_text_and_isolated_nodes_kept():
    graph = networkx.Graph()
    graph.add_node(7)
    graph.add_edge(1, 2, label="near")
    kg = KnowledgeGraph.from_networkx(graph, relation="label")
    assert kg.entities == ("7", "1", "2")
    assert kg.triples == [("1", "near", "2")]
    assert KnowledgeGraph.read(networkx.MultiDiGraph([("a", "b", "key")])).triples == [("a", "key", "b")]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (networkx.path_graph(2), r"edge \(0, 1\) has no attribute 'relation'"),
        (networkx.MultiGraph([(0, 1)]), r"edge \(0, 1\) has no attribute 'relation'"),
        (networkx.empty_graph([1, "1"]), "1 and '1' are both called '1'"),
        (42, "Got int 42; expected"),
    ],
)
def test_a_graph_that_cannot_be_taken_is_explained(graph, message):
    with pytest.raises(InputError, match=message):
        KnowledgeGraph.read(graph)
