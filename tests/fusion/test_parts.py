"""What several fusions are made of, against plain loops."""

import contract
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.fusion.parts import PerKind, Pooling, Readout

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def graph() -> gf.FusionGraph:
    return contract.graph_of(contract.samples(), contract.schema(), dim=4, dtype=torch.double)


def pooled_by_loop(made: gf.FusionGraph, pooling: Pooling) -> list[dict[str, torch.Tensor]]:
    """kind -> the softmax-weighted mean of a sample's nodes, for the kinds that it has."""
    numbers = contract.row_numbers(contract.samples(), made.schema)
    found: list[dict[str, torch.Tensor]] = [{} for _ in made.names]
    for place in range(len(made)):
        for kind in made.schema.all_kinds:
            rows = [number for (k, p, _), number in numbers.items() if (k, p) == (kind, place)]
            if rows:
                share = pooling.score(made.x[rows])[:, 0].softmax(0)
                found[place][kind] = share @ made.x[rows]
    return found


def test_pooling_is_a_weighted_mean_of_each_samples_nodes_of_a_kind():
    made, pooling = graph(), contract.perturbed(Pooling(4), by=1.0).double()
    pooled, present = pooling(made, made.x)
    for place, expected in enumerate(pooled_by_loop(made, pooling)):
        for k, kind in enumerate(made.schema.all_kinds):
            assert bool(present[place, k]) == (kind in expected)
            assert_close(pooled[place, k], expected.get(kind, torch.zeros(4, dtype=torch.double)), **CLOSE)


def test_pooling_starts_as_the_plain_mean():
    made = graph()
    pooled, _ = Pooling(4).double()(made, made.x)
    first = made.of("text")[: int(made.sizes("text")[0])]
    assert_close(pooled[0, 0], first.mean(0), **CLOSE)


def test_the_readout_is_the_mean_over_the_kinds_that_a_sample_has():
    made, readout = graph(), contract.perturbed(Readout(4), by=1.0).double()
    expected = [torch.stack(list(each.values())).mean(0) for each in pooled_by_loop(made, readout.pooling)]
    assert_close(readout(made), torch.stack(expected), **CLOSE)


def test_each_kind_has_a_map_of_its_own():
    made, maps = graph(), PerKind(4, 3, contract.schema()).double()
    got = maps(made, made.x)
    for k, kind in enumerate(made.schema.all_kinds):
        assert_close(got[made.rows(kind)], maps.maps[k](made.of(kind)), **CLOSE)


def test_weighted_shares_add_to_one_over_the_kinds_that_a_sample_has():
    plan = contract.schema(hubs=False)
    fusion = contract.perturbed(gf.FUSIONS["weighted"](4, plan, layers=1), by=1.0)
    made = contract.graph_of(contract.samples(), plan, dim=4)
    got = fusion(made).vector
    pooled, present = fusion.pooling(made, made.x)
    for place in range(len(made)):
        there = present[place].nonzero()[:, 0]
        share = fusion.logit[there].softmax(0)
        expected = sum(s * pooled[place, k] @ fusion.maps[k] for s, k in zip(share, there))
        assert_close(got[place], expected, rtol=1e-5, atol=1e-5)


def test_cross_transformer_averages_over_the_sources_at_hand():
    """A kind of which no sample has a node reads as if the schema had never had it, but for the last join."""
    plan = contract.schema(hubs=False)
    fusion = contract.fusion_of("cross_transformer", plan)
    made = contract.graph_of([contract.sample(0, ("image", "entity"))], plan)
    own = fusion.own[0](made, fusion.itself[0], made.of("text"), made.of("text"))
    assert_close(fusion(made).graph.of("text"), own, rtol=1e-5, atol=1e-6)
