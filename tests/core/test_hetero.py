"""To and from PyG's HeteroData, and what PyG's own Batch does."""

from dataclasses import replace

import contract
import pytest
import torch
import torch_geometric
from torch.testing import assert_close
from torch_geometric.data import Batch as PyGBatch
from torch_geometric.data import HeteroData
from torch_geometric.loader import DataLoader

import graphfuse as gf


def assert_same(left: gf.Batch, right: gf.Batch) -> None:
    assert left.names == right.names
    assert len(left.targets) == len(right.targets)
    assert left.facts == right.facts
    for a, b in zip(left.targets, right.targets):
        assert type(a) is type(b)
        assert a.tolist() == b.tolist() if isinstance(a, torch.Tensor) else a == b
    for field in ("nodes", "offsets", "links", "spans", "weights"):
        mine, theirs = getattr(left, field), getattr(right, field)
        assert list(mine) == list(theirs), field
        assert_close(dict(mine), dict(theirs), rtol=0, atol=0)


@pytest.mark.parametrize("head", contract.TARGETS)
def test_a_batch_survives_the_way_to_hetero_data_and_back(head):
    batch = gf.collate(contract.targeted(head), contract.schema())
    assert_same(gf.Batch.from_hetero_data(batch.to_hetero_data()), batch)


@pytest.mark.parametrize("lacking", [(), ("image",), ("text", "entity")])
def test_a_batch_in_which_all_lack_a_kind_survives(lacking):
    batch = gf.collate([contract.sample(i, lacking) for i in range(3)], contract.schema())
    data = batch.to_hetero_data()
    assert set(data.node_types) == set(contract.KINDS)
    assert_same(gf.Batch.from_hetero_data(data), batch)


def test_hetero_data_has_pygs_own_fields():
    batch = gf.collate(contract.samples(), contract.schema())
    data = batch.to_hetero_data()
    assert data.validate(raise_on_error=True)
    for kind in contract.KINDS:
        assert_close(data[kind].batch, batch.owner(kind), rtol=0, atol=0)
        assert_close(data[kind].ptr, batch.offsets[kind], rtol=0, atol=0)
    assert_close(data[contract.RESEMBLES].edge_weight, batch.weights[contract.RESEMBLES], rtol=0, atol=0)


def one_by_one(samples: list[gf.Sample]) -> list[HeteroData]:
    return [gf.collate([one], contract.schema()).to_hetero_data() for one in samples]


def test_a_batch_that_pyg_made_of_our_single_graphs_is_our_batch():
    samples = [contract.sample(i) for i in range(4)]
    theirs = gf.Batch.from_hetero_data(PyGBatch.from_data_list(one_by_one(samples)))
    assert_same(theirs, gf.collate(samples, contract.schema()))


def test_a_batch_that_pyg_made_of_our_single_graphs_keeps_lacking_kinds_in_place():
    samples = contract.samples()
    theirs = gf.Batch.from_hetero_data(PyGBatch.from_data_list(one_by_one(samples)))
    assert_same(theirs, gf.collate(samples, contract.schema()))


def test_pyg_batches_our_single_graphs_also_where_only_some_have_spans():
    samples = [contract.sample(0), contract.sample(1)]
    samples.append(gf.Sample("no spans", samples[0].nodes, samples[0].links, weights=samples[0].weights, target="a"))
    theirs = gf.Batch.from_hetero_data(PyGBatch.from_data_list(one_by_one(samples)))
    assert list(theirs.spans) == ["text", "image"]
    assert contract.same_samples(theirs.samples(), samples)


@pytest.mark.parametrize("head", contract.TARGETS)
@pytest.mark.parametrize("size", [1, 3, 8])
def test_what_pygs_loader_makes_of_our_single_graphs_is_our_batch(head, size):
    """The samples lack each kind and each pair of kinds; their graphs carry all kinds, with zero rows if need be."""
    samples = contract.targeted(head)
    batches = list(DataLoader(one_by_one(samples), batch_size=size))
    for start, theirs in zip(range(0, len(samples), size), batches, strict=True):
        assert_same(gf.Batch.from_hetero_data(theirs), gf.collate(samples[start : start + size], contract.schema()))


@pytest.mark.parametrize("lacking", [("image",), ("text", "entity")])
def test_a_kind_that_all_graphs_of_pygs_loader_lack_is_kept(lacking):
    samples = [contract.sample(i, lacking) for i in range(3)]
    (theirs,) = DataLoader(one_by_one(samples), batch_size=3)
    assert_same(gf.Batch.from_hetero_data(theirs), gf.collate(samples, contract.schema()))


TARGETS = [
    (0.1, 0.2), (3, 4), (True, False), (None, None), (None, 0.5), ("a", None), ("a", ("a", "b")), ((), ("a",)),
    (torch.tensor(0.1), torch.tensor([[1, 2]])), ({"a": 1.0}, {}),
]  # fmt: skip


@pytest.mark.parametrize("targets", TARGETS)
def test_targets_come_back_from_pygs_loader_as_they_were(targets):
    samples = [gf.Sample(f"s/{i}", contract.sample(i).nodes, target=target) for i, target in enumerate(targets)]
    (theirs,) = DataLoader(one_by_one(samples), batch_size=2)
    for found, target in zip(gf.Batch.from_hetero_data(theirs).targets, targets, strict=True):
        assert type(found) is type(target)
        assert torch.equal(found, target) if isinstance(target, torch.Tensor) else found == target


def plain(one: gf.Sample) -> HeteroData:
    """A sample as people who use PyG write it: only the kinds that it has."""
    data = HeteroData()
    for kind, x in one.nodes.items():
        data[kind].x = x
    for relation, pairs in one.links.items():
        data[relation].edge_index = pairs
    data.name = one.name
    return data


def test_a_batch_that_pyg_made_of_graphs_with_all_kinds_is_read():
    samples = [contract.sample(i) for i in range(3)]
    batch = gf.Batch.from_hetero_data(PyGBatch.from_data_list([plain(one) for one in samples]))
    again = batch.samples()
    assert [one.name for one in again] == [one.name for one in samples]
    for mine, one in zip(again, samples):
        assert_close(dict(mine.nodes), dict(one.nodes), rtol=0, atol=0)
        assert_close(dict(mine.links), dict(one.links), rtol=0, atol=0)


def test_a_batch_of_pyg_whose_nodes_cannot_be_told_apart_is_refused():
    """PyG counts only the graphs that have a node type, so that its ``ptr`` belongs to other samples."""
    samples = [contract.sample(0), contract.sample(1, ("image",)), contract.sample(2)]
    with pytest.raises(gf.InputError, match="'image'"):
        gf.Batch.from_hetero_data(PyGBatch.from_data_list([plain(one) for one in samples]))


def pygs_batch(graphs: list[HeteroData]) -> HeteroData:
    return PyGBatch.from_data_list(graphs)


def loaded(graphs: list[HeteroData]) -> HeteroData:
    (batch,) = DataLoader(graphs, batch_size=len(graphs))
    return batch


@pytest.mark.parametrize("joined", [pygs_batch, loaded])
def test_pygs_batch_drops_the_kind_that_its_first_graph_lacks_and_ours_keeps_it(joined):
    """torch-geometric issue 10801."""
    samples = [contract.sample(0, ("image",)), contract.sample(1)]
    singles = joined([gf.collate([one], contract.schema()).to_hetero_data() for one in samples])
    for ours in (gf.collate(samples, contract.schema()).to_hetero_data(), singles):
        assert len(ours["image"].x) == len(samples[1].nodes["image"])
        assert ours["image"].batch.tolist() == [1] * len(samples[1].nodes["image"])
    theirs = joined([plain(one) for one in samples])
    if "image" in theirs.node_types:
        pytest.skip(f"torch-geometric {torch_geometric.__version__} keeps the kind: its issue 10801 is mended")
    assert set(theirs.node_types) == {"text", "entity"}


def test_one_graph_without_batch_is_one_sample():
    one = contract.sample(0)
    batch = gf.Batch.from_hetero_data(plain(one))
    assert batch.names == (one.name,)
    assert len(batch) == 1
    assert_close(dict(batch.samples()[0].nodes), dict(one.nodes), rtol=0, atol=0)


def test_a_batch_with_owners_but_without_offsets_is_read():
    data = gf.collate(contract.samples(), contract.schema()).to_hetero_data()
    for kind in data.node_types:
        del data[kind].ptr
    expected = gf.collate(contract.samples(), contract.schema())
    assert_same(gf.Batch.from_hetero_data(data), expected)


def test_a_node_type_without_features_is_named():
    data = HeteroData()
    data["text"].num_nodes = 3
    with pytest.raises(gf.InputError, match=r"HeteroData: node type 'text' has no features 'x'\."):
        gf.Batch.from_hetero_data(data)


def test_a_node_type_whose_samples_are_unknown_is_named():
    data = gf.collate(contract.samples(), contract.schema()).to_hetero_data()
    del data["image"].ptr, data["image"].batch
    with pytest.raises(gf.InputError, match="node type 'image' has neither 'ptr' nor 'batch'"):
        gf.Batch.from_hetero_data(data)


@pytest.mark.parametrize(("row", "end"), [(9, 0), (-1, 0), (7, 1)])
def test_an_edge_to_a_node_that_is_not_there_is_named(row, end):
    data = plain(gf.Sample("case/7", {"text": torch.ones(2, 6), "entity": torch.ones(4, 3)}))
    data[contract.MENTIONS].edge_index = torch.tensor([[0, 1], [0, 1]])
    data[contract.MENTIONS].edge_index[end, 1] = row
    kind, many = (("text", 2), ("entity", 4))[end]
    told = (rf"^HeteroData, sample 'case/7', edge type \('text', 'mentions', 'entity'\): row {row} is out of range, "
            rf"the sample has {many} nodes of type '{kind}'\.$")  # fmt: skip
    with pytest.raises(gf.InputError, match=told):
        gf.Batch.from_hetero_data(data)


def test_an_edge_to_a_node_that_is_not_there_is_named_in_a_batch():
    data = gf.collate([contract.sample(i) for i in range(3)], contract.schema()).to_hetero_data()
    data[contract.NEXT].edge_index[1, -1] = 1_000
    many = len(contract.sample(2).nodes["entity"])
    with pytest.raises(
        gf.InputError, match=rf"sample 's/2', edge type .*: row \d+ is out of range, the sample has {many}"
    ):
        gf.Batch.from_hetero_data(data)


def test_an_edge_from_one_sample_to_another_is_named():
    """So does PyG join graphs of which one has an id that is out of its own range."""
    graphs = [plain(gf.Sample(f"case/{i}", {"entity": torch.ones(2, 3)})) for i in range(2)]
    for one, last in zip(graphs, (2, 1)):
        one[contract.NEXT].edge_index = torch.tensor([[0, 1], [1, last]])
    told = (r"^HeteroData, edge type \('entity', 'next', 'entity'\): edge 1 joins row 1 of sample 'case/0' to row 0 of "
            r"sample 'case/1'; an edge stays within a sample")  # fmt: skip
    with pytest.raises(gf.InputError, match=told):
        gf.Batch.from_hetero_data(PyGBatch.from_data_list(graphs))


def test_an_edge_type_of_an_unknown_node_type_is_named_with_the_nearest():
    data = plain(gf.Sample("case/7", {"text": torch.ones(2, 6), "entity": torch.ones(4, 3)}))
    data["text", "mentions", "entities"].edge_index = torch.tensor([[0], [0]])
    with pytest.raises(
        gf.InputError, match=r"joins node type 'entities', which the data lacks\. Did you mean 'entity'"
    ):
        gf.Batch.from_hetero_data(data)


@pytest.mark.parametrize("pairs", [torch.zeros(2, 3), torch.zeros(3, 2).long(), torch.zeros(2, 3).bool()])
def test_edges_that_are_no_pairs_of_integers_are_named(pairs):
    data = plain(contract.sample(0))
    data[contract.NEXT].edge_index = pairs
    with pytest.raises(gf.InputError, match=r"edge type \('entity', 'next', 'entity'\): 'edge_index' is not integers"):
        gf.Batch.from_hetero_data(data)


def test_facts_survive_pyg_also_where_some_samples_have_none():
    samples = [
        replace(contract.sample(i), facts=facts) for i, facts in enumerate([{"age": 3.5, "sex": "f"}, {}, {"x": 1}])
    ]
    batch = gf.collate(samples, contract.schema())
    assert_same(gf.Batch.from_hetero_data(batch.to_hetero_data()), batch)
    apart = [gf.collate([sample], contract.schema()).to_hetero_data() for sample in samples]
    assert gf.Batch.from_hetero_data(PyGBatch.from_data_list(apart)).facts == batch.facts
    assert [sample.facts for sample in batch.samples()] == [sample.facts for sample in samples]


def test_facts_of_nodes_survive_pyg_and_go_with_their_nodes():
    words = ["noun"] * len(contract.sample(0).nodes["text"])
    samples = [replace(contract.sample(i), node_facts=own) for i, own in enumerate([{"text": {"is": words}}, {}])]
    batch = gf.collate(samples, contract.schema())
    apart = [gf.collate([sample], contract.schema()).to_hetero_data() for sample in samples]
    assert gf.Batch.from_hetero_data(batch.to_hetero_data()).node_facts == batch.node_facts
    assert gf.Batch.from_hetero_data(PyGBatch.from_data_list(apart)).node_facts == batch.node_facts
    assert [sample.node_facts for sample in batch.samples()] == [sample.node_facts for sample in samples]
    assert samples[0].without("text").node_facts == {}


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        ("text", ["noun"] * 99, "fact 'is' of nodes of kind 'text' has 99 words; the sample has"),
        ("text", torch.ones(99), r"fact 'is' of nodes of kind 'text' has shape \[99\]; expected"),
        ("text", [1], "fact 'is' of nodes of kind 'text' has 1; words or None are needed"),
        ("text", "noun", "fact 'is' of nodes of kind 'text' is a str"),
        ("txt", ["noun"], "facts of nodes of kind 'txt', which the schema lacks. Did you mean 'text'"),
    ],
)
def test_facts_of_nodes_are_checked(kind, values, says):
    with pytest.raises(gf.InputError, match=f"Sample 's/0'.*{says}"):
        gf.collate([replace(contract.sample(0), node_facts={kind: {"is": values}})], contract.schema())


@pytest.mark.parametrize("own", [None, torch.ones(2), [1, 2], 3.0])
def test_facts_of_nodes_of_a_kind_are_a_mapping(own):
    with pytest.raises(gf.InputError, match=f"Sample 's/0': facts of nodes of kind 'text' are a {type(own).__name__}"):
        gf.collate([replace(contract.sample(0), node_facts={"text": own})], contract.schema())


@pytest.mark.parametrize("value", [None, True, [1], torch.ones(())])
def test_a_fact_is_a_number_or_a_word(value):
    with pytest.raises(gf.InputError, match="Sample 's/0': fact 'age' is"):
        gf.collate([replace(contract.sample(0), facts={"age": value})], contract.schema())
