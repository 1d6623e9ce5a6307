import numpy as np
import pytest
import torch

from graphfuse.core.errors import InputError


@pytest.fixture
def sub(kg, rng):
    return kg.retrieve(rng.sample(kg.entities, 2), hops=2, max_nodes=12)


def test_features_follow_the_entities_whether_table_or_function(kg, sub):
    table = torch.randn(len(kg), 3, generator=torch.Generator().manual_seed(0))
    want = torch.stack([table[kg.index(name)] for name in sub.entities])
    for features in (table, table.numpy(), lambda names: table[[kg.index(name) for name in names]]):
        nodes, _ = sub.sample_nodes(features, kind="thing")
        assert list(nodes) == ["thing"]
        assert torch.equal(nodes["thing"], want)


def test_links_hold_each_triple_once_under_its_relation_in_order(kg, sub):
    _, links = sub.sample_nodes(np.zeros((len(kg), 1)))
    present = {relation for _, relation, _ in sub.triples}
    assert [relation for _, relation, _ in links] == [relation for relation in kg.relations if relation in present]
    for (source, relation, target), pairs in links.items():
        assert (source, target, pairs.dtype) == ("entity", "entity", torch.int64)
        ends = [(sub.entities[head], sub.entities[tail]) for head, tail in pairs.T.tolist()]
        assert ends == [(head, tail) for head, each, tail in sub.triples if each == relation]


def test_gradients_reach_the_rows_of_the_entities_inside_and_no_others(kg, sub):
    table = torch.ones(len(kg), 2, requires_grad=True)
    sub.sample_nodes(table)[0]["entity"].sum().backward()
    assert [bool(row.all()) for row in table.grad] == [name in sub.entities for name in kg.entities]


def test_index_is_the_row_among_the_entities(sub):
    assert [sub.index(name) for name in sub.entities] == list(range(len(sub)))


def test_pictures_come_with_their_rows(world):
    assert world.retrieve("Niger", hops=1).pictures() == [(2, "flags/ng.png")]
    assert world.retrieve(["Spain", "France"], hops=0).pictures() == [(1, "flags/fr.png")]


def test_a_subgraph_shows_its_size_and_truncation(world):
    assert repr(world.retrieve("France", hops=1)) == "Subgraph(3 entities, 4 triples)"
    assert repr(world.retrieve("France", hops=1, max_nodes=2)) == "Subgraph(2 entities, 3 triples, truncated)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda sub: sub.sample_nodes(np.zeros((4, 8))), r"shape \[4, 8\]; expected \[5, width\]"),
        (lambda sub: sub.sample_nodes(torch.zeros(5)), r"shape \[5\]; expected \[5, width\]"),
        (lambda sub: sub.sample_nodes(lambda names: torch.zeros(5, 8)), r"shape \[5, 8\]; expected \[2, width\]"),
        (lambda sub: sub.index("France"), "'France' is not among the 2 entities .* around 'Niger'"),
        (lambda sub: sub.index("Frnace"), "'Frnace'.*'France'"),
    ],
)
def test_what_does_not_fit_the_subgraph_is_explained(world, call, message):
    with pytest.raises(InputError, match=message):
        call(world.retrieve("Niger", hops=1, max_nodes=2))
