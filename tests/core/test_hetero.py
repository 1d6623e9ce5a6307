"""To and from PyG's HeteroData, and what PyG's own Batch does."""

import contract
import pytest
import torch
import torch_geometric
from torch.testing import assert_close
from torch_geometric.data import Batch as PyGBatch
from torch_geometric.data import HeteroData

import graphfuse as gf


def assert_same(left: gf.Batch, right: gf.Batch) -> None:
    assert left.names == right.names
    assert len(left.targets) == len(right.targets)
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


def test_pygs_batch_drops_the_kind_that_its_first_graph_lacks_and_ours_keeps_it():
    """torch-geometric issue 10801."""
    samples = [contract.sample(0, ("image",)), contract.sample(1)]
    ours = gf.collate(samples, contract.schema()).to_hetero_data()
    assert len(ours["image"].x) == len(samples[1].nodes["image"])
    assert ours["image"].batch.tolist() == [1] * len(samples[1].nodes["image"])
    theirs = PyGBatch.from_data_list([plain(one) for one in samples])
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
