"""A sample as a networkx graph."""

import json

import contract
import networkx
import pytest
import torch

import graphfuse as gf

SPANS = {"text": torch.tensor([[0.0, 0.5], [0.5, 1.0]])}
LINKS = {contract.MENTIONS: torch.tensor([[0, 1, 1], [0, 0, 0]])}
NODES = {"text": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "entity": torch.tensor([[5.0], [6.0], [7.0]])}
SAMPLE = gf.Sample("case/7", NODES, LINKS, SPANS, {contract.MENTIONS: torch.tensor([0.5, 1.0, 2.0])}, "a")


def edges(drawn: networkx.MultiDiGraph, relation: str) -> list[tuple]:
    return sorted((source, target) for source, target, name in drawn.edges(data="relation") if name == relation)


def test_nodes_are_kind_and_row_with_plain_values():
    drawn = SAMPLE.to_networkx()
    assert isinstance(drawn, networkx.MultiDiGraph)
    assert drawn.graph == {"name": "case/7", "target": "a"}
    assert list(drawn) == [("text", 0), ("text", 1), ("entity", 0), ("entity", 1), ("entity", 2)]
    assert drawn.nodes["text", 1] == {"kind": "text", "x": [3.0, 4.0], "span": [0.5, 1.0]}
    assert drawn.nodes["entity", 2] == {"kind": "entity", "x": [7.0]}


def test_edges_are_the_links_with_name_and_weight_repeated_ones_too():
    drawn = SAMPLE.to_networkx()
    assert [edge for edge in drawn.edges(data=True) if edge[0] == ("text", 1)] == [
        (("text", 1), ("entity", 0), {"relation": "mentions", "weight": 1.0}),
        (("text", 1), ("entity", 0), {"relation": "mentions", "weight": 2.0}),
    ]
    assert drawn.number_of_edges() == 3


def test_a_link_without_weight_has_none():
    drawn = gf.Sample("s", NODES, LINKS).to_networkx()
    assert [told for *_, told in drawn.edges(data=True)] == [{"relation": "mentions"}] * 3


def test_a_schema_lays_the_relations_of_its_builders_too():
    schema = gf.Schema({"text": 2, "entity": 1}, [
        gf.Linked(*contract.MENTIONS, direction="both", weighted=True), gf.AllPairs("text", "entity"),
        gf.Window("text", 1), gf.Hub("text"), gf.Nearest("entity", "entity", k=1),
    ])  # fmt: skip
    drawn = SAMPLE.to_networkx(schema)
    assert edges(drawn, "all_pairs") == [(("text", a), ("entity", b)) for a in range(2) for b in range(3)]
    assert edges(drawn, "window") == [(("text", 0), ("text", 1))]
    assert edges(drawn, "hub") == [(("text", 0), ("hub", 0)), (("text", 1), ("hub", 0))]
    assert edges(drawn, "rev_mentions") == [(("entity", 0), ("text", a)) for a in (0, 1, 1)]
    assert len(edges(drawn, "nearest")) == 3
    assert drawn.nodes["hub", 0] == {"kind": "hub"}


def test_nearest_compares_the_states_that_are_given():
    schema = gf.Schema({"text": 2, "entity": 1}, [gf.Nearest("text", "entity", k=1)])
    states = {"text": torch.eye(2), "entity": torch.eye(2)[[1, 0, 1]]}
    drawn = SAMPLE.without("entity").to_networkx(schema)
    assert drawn.number_of_edges() == 0
    found = gf.Sample("s", NODES).to_networkx(schema, states)
    assert edges(found, "nearest") == [
        (("text", 0), ("entity", 1)),
        (("text", 1), ("entity", 0)),
        (("text", 1), ("entity", 2)),
    ]


@pytest.mark.parametrize("lacking", contract.LACKING)
def test_every_node_and_edge_of_a_laid_sample_is_there(lacking):
    one, schema = contract.sample(3, lacking), contract.schema()
    graph, drawn = contract.graph_of([one], schema), one.to_networkx(schema)
    assert len(drawn) == len(graph.x)
    counted = {r: graph.edges(laid).shape[1] for laid in graph.relations for r in [laid.relation]}
    for relation, many in counted.items():
        found = [(a, b) for a, b, name in drawn.edges(data="relation") if (a[0], name, b[0]) == relation]
        assert len(found) == many, relation


def test_it_is_written_as_json():
    told = networkx.node_link_data(SAMPLE.to_networkx(), edges="edges")
    again = networkx.node_link_graph(json.loads(json.dumps(told)), edges="edges")
    assert again.number_of_edges() == 3


def test_a_sample_without_anything_is_an_empty_graph():
    drawn = gf.Sample("nothing", {}).to_networkx()
    assert len(drawn) == 0
    assert drawn.graph == {"name": "nothing", "target": None}
    assert len(gf.Sample("no rows", {"text": torch.zeros(0, 2)}).to_networkx()) == 0


def test_a_sample_without_links_has_no_edge():
    drawn = gf.Sample("s", NODES).to_networkx()
    assert len(drawn) == 5
    assert drawn.number_of_edges() == 0


def test_a_link_out_of_range_is_named_and_makes_no_node():
    wrong = gf.Sample("case/7", NODES, {contract.MENTIONS: torch.tensor([[0], [9]])})
    with pytest.raises(
        gf.InputError, match=r"Sample 'case/7', links \('text', 'mentions', 'entity'\): row 9 is out of"
    ):
        wrong.to_networkx()


def test_a_link_to_an_unknown_kind_is_named():
    wrong = gf.Sample("case/7", NODES, {("text", "mentions", "entities"): torch.tensor([[0], [0]])})
    with pytest.raises(gf.InputError, match=r"Sample 'case/7' has links .*, which join kind 'entities'; .* 'entity'"):
        wrong.to_networkx()


def test_an_empty_sample_with_a_schema_is_named():
    with pytest.raises(gf.InputError, match=r"^Sample 'nothing' has no node of any kind"):
        gf.Sample("nothing", {}).to_networkx(gf.Schema({"text": 2}))
