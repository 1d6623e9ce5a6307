"""The graph: rows, owners and hubs as a loop counts them."""

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core.graph import Laid


def test_rows_stand_kind_after_kind_and_sample_after_sample():
    samples, plan = contract.samples(), contract.schema()
    batch = gf.collate(samples, plan)
    states = {kind: x[:, :3].clone() for kind, x in batch.nodes.items()}
    graph = gf.lay(batch, plan, states)
    for (kind, place, row), number in contract.row_numbers(samples, plan).items():
        expected = torch.zeros(3) if kind == "hub" else samples[place].nodes[kind][row, :3]
        assert graph.x[number].tolist() == expected.tolist()
    assert len(graph.x) == len(contract.row_numbers(samples, plan))
    assert len(graph) == len(samples)


def test_offsets_owners_and_sizes_are_those_that_a_loop_counts():
    samples, plan = contract.samples(), contract.schema()
    graph = contract.graph_of(samples, plan)
    numbers = contract.row_numbers(samples, plan)
    for k, kind in enumerate(plan.all_kinds):
        own = [(place, number) for (other, place, _), number in numbers.items() if other == kind]
        sizes = [sum(place == b for place, _ in own) for b in range(len(samples))]
        assert graph.owner(kind).tolist() == [place for place, _ in own]
        assert graph.sizes(kind).tolist() == sizes
        assert list(range(graph.rows(kind).start, graph.rows(kind).stop)) == [number for _, number in own]
        assert graph.offsets[k].tolist() == [graph.starts[k] + sum(sizes[:b]) for b in range(len(samples) + 1)]
        assert graph.within(kind).tolist() == [sum(sizes[:b]) for b in range(len(samples) + 1)]


def test_a_listed_dense_relation_has_every_pair_within_a_sample_and_no_other():
    samples, plan = contract.samples(), contract.schema()
    graph = contract.graph_of(samples, plan)
    numbers = contract.row_numbers(samples, plan)
    for laid in graph.relations:
        if laid.dense:
            source, _, target = laid.relation
            expected = [[a, b] for (k, p, _), a in numbers.items() for (kk, q, _), b in numbers.items()
                        if k == source and kk == target and p == q]  # fmt: skip
            listed = graph.edges(laid)
            assert sorted(listed.t().tolist()) == sorted(expected)
            assert listed[1].tolist() == sorted(listed[1].tolist())


def test_sparse_relations_are_sorted_by_target_and_their_weights_with_them():
    samples, plan = contract.samples(), contract.schema()
    graph = contract.graph_of(samples, plan)
    numbers = contract.row_numbers(samples, plan)
    back = (contract.RESEMBLES[2], "rev_resembles", contract.RESEMBLES[0])
    for laid in graph.relations:
        if not laid.dense:
            assert laid.pairs[1].tolist() == sorted(laid.pairs[1].tolist())
        if laid.relation in (contract.RESEMBLES, back):
            expected = []
            for p, one in enumerate(samples):
                for (a, b), w in zip(one.links.get(contract.RESEMBLES, torch.zeros(2, 0)).t().tolist(),
                                     one.weights.get(contract.RESEMBLES, torch.zeros(0)).tolist()):  # fmt: skip
                    ends = [numbers["image", p, a], numbers["entity", p, b]]
                    expected.append((*(ends if laid.relation == contract.RESEMBLES else ends[::-1]), w))
            assert sorted((*pair, w) for pair, w in zip(laid.pairs.t().tolist(), laid.weight.tolist())) == sorted(
                expected
            )
        else:
            assert laid.weight is None


def test_a_graph_is_frozen_and_replace_gives_another():
    graph = contract.graph_of(contract.samples(), contract.schema())
    with pytest.raises(AttributeError):
        graph.x = graph.x + 1
    assert_close(graph.replace(x=graph.x + 1).x, graph.x + 1, rtol=0, atol=0)


@pytest.mark.parametrize(("change", "found"), [
    (lambda states: states.pop("image"), "none"), (lambda states: states.update(image=torch.zeros(1, 3)), r"\[1, 3\]"),
])  # fmt: skip
def test_states_that_lack_or_do_not_fit_are_named(change, found):
    plan = contract.schema()
    batch = gf.collate(contract.samples(), plan)
    states = {kind: x[:, :3] for kind, x in batch.nodes.items()}
    change(states)
    with pytest.raises(gf.InputError, match=rf"States of kind 'image': expected \[\d+, 3\], found {found}\."):
        gf.lay(batch, plan, states)


def test_hubs_that_share_a_target_are_one_node_a_sample():
    plan = gf.Schema(contract.KINDS, [gf.Hub("text"), gf.Hub("image"), gf.Hub("entity", target="other")])
    graph = contract.graph_of([gf.Sample(s.name, s.nodes) for s in contract.samples()], plan)
    assert plan.hubs == ("hub", "other")
    assert graph.sizes("hub").tolist() == graph.sizes("other").tolist() == [1] * len(graph)


class Wrong:
    """A builder of one's own that joins rows which are none of its kinds'."""

    source, target, name, direction, dense = "text", "image", "wrong", "forward", False

    def __init__(self, pair):
        self.pair = pair

    def __call__(self, graph, batch):
        return torch.tensor(self.pair)[:, None], None


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ((9, 3), r"Relation \('text', 'wrong', 'image'\) of sample 'b': row 9 is no node of kind 'text', whose rows "
                 r"are 0 to 1\."),
        ((0, 1), r"of sample 'a': row 1 is no node of kind 'image', whose rows are 2 to 3\."),
        ((-1, 2), r"of sample 'a': row -1 is no node of kind 'text'"),
    ],
)  # fmt: skip
def test_an_edge_out_of_range_is_named_with_its_sample_and_relation(pair, said):
    plan = gf.Schema({"text": 1, "image": 1}, [Wrong(pair)])
    samples = [gf.Sample(name, {"text": torch.ones(1, 1), "image": torch.ones(1, 1)}) for name in "ab"]
    with pytest.raises(gf.InputError, match=said):
        contract.graph_of(samples, plan, dim=1)


def test_a_relation_of_ones_own_with_an_unknown_kind_is_named():
    graph = contract.graph_of(contract.samples(), contract.schema(), dim=4)
    strange = graph.replace(relations=(Laid(("txt", "likes", "image"), 0),))
    for primitive in (lambda: gf.aggregate(strange, strange.x), lambda: gf.attend(strange, *[strange.x] * 3)):
        with pytest.raises(gf.InputError, match=r"The graph has no nodes of kind 'txt'\. Did you mean 'text'\?"):
            primitive()
