"""The graph: rows, owners and hubs as a loop counts them."""

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf


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
