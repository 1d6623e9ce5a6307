"""The schema: order fixed, read and written, errors that name what is wrong."""

import json

import contract
import pytest
import torch

import graphfuse as gf


def test_the_order_of_kinds_and_relations_is_the_one_given():
    plan = contract.schema()
    assert plan.all_kinds == ("text", "image", "entity", "hub")
    assert plan.hubs == ("hub",)
    assert plan.relations[:5] == (
        ("text", "all_pairs", "image"), ("image", "rev_all_pairs", "text"), ("text", "all_pairs", "text"),
        ("text", "window", "text"), ("text", "rev_window", "text"),
    )  # fmt: skip
    assert plan.relations[-3:] == (("text", "hub", "hub"), ("hub", "rev_hub", "text"), ("entity", "hub", "hub"))
    assert plan.given == (contract.NEXT, contract.MENTIONS, contract.RESEMBLES)
    assert plan.weighted == {contract.RESEMBLES}


def test_no_batch_shifts_the_order():
    plan = contract.schema()
    for lacking in contract.LACKING:
        graph = contract.graph_of([contract.sample(0, lacking)], plan)
        assert tuple(laid.relation for laid in graph.relations) == plan.relations
        assert [laid.index for laid in graph.relations] == list(range(len(plan.relations)))


def test_a_schema_does_not_change_with_what_it_was_made_from():
    kinds, edges = dict(contract.KINDS), [gf.AllPairs("text", "image")]
    plan = gf.Schema(kinds, edges)
    kinds["sound"] = 9
    edges.clear()
    assert list(plan.kinds) == list(contract.KINDS)
    assert plan.relations == (("text", "all_pairs", "image"),)


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
@pytest.mark.parametrize("name", gf.EDGES)
def test_every_builder_is_written_and_read_again(name, direction):
    plan = gf.Schema(contract.KINDS, [contract.BUILDERS[name](direction=direction)])
    again = gf.Schema.from_dict(json.loads(json.dumps(plan.to_dict())), gf.EDGES)
    assert again.edges == plan.edges
    assert again.kinds == plan.kinds
    assert again.relations == plan.relations


def test_the_whole_schema_is_written_and_read_again():
    plan = contract.schema()
    again = gf.Schema.from_dict(json.loads(json.dumps(plan.to_dict())), gf.EDGES)
    assert again.edges == plan.edges
    assert list(again.kinds.items()) == list(plan.kinds.items())


def test_an_unknown_edge_builder_in_a_written_schema_is_named():
    data = gf.Schema(contract.KINDS, [gf.AllPairs("text", "image")]).to_dict()
    data["edges"][0]["edge"] = "AllPiars"
    with pytest.raises(gf.InputError, match=r"There is no edge builder called 'AllPiars'\. Did you mean 'AllPairs'"):
        gf.Schema.from_dict(data, gf.EDGES)


def test_infer_finds_kinds_widths_links_and_weights_of_all_samples():
    first, second = contract.sample(0, ("image", "entity")), contract.sample(1)
    plan = gf.Schema.infer([first, second])
    assert plan.kinds == contract.KINDS
    pairs = [(a, "all_pairs", b) for a in contract.KINDS for b in contract.KINDS]
    assert sorted(plan.relations) == sorted([*pairs, contract.NEXT, contract.MENTIONS, contract.RESEMBLES])
    assert plan.weighted == {contract.RESEMBLES}
    assert len(gf.collate([first, second], plan)) == 2


def test_infer_reads_samples_once_and_from_any_iterable():
    assert gf.Schema.infer(iter(contract.samples(3))).kinds == gf.Schema.infer(contract.samples(3)).kinds


def test_infer_takes_no_kind_from_empty_nodes():
    plan = gf.Schema.infer([gf.Sample("a", {"text": torch.zeros(2, 6), "image": torch.zeros(0, 4)})])
    assert plan.kinds == {"text": 6}


def test_infer_fits_the_samples_that_it_was_inferred_from_even_if_a_kind_is_always_empty():
    one = gf.Sample(
        "a", {"text": torch.zeros(2, 6), "entity": torch.zeros(0, 3)}, {contract.NEXT: torch.zeros(2, 0).long()}
    )
    assert len(gf.collate([one], gf.Schema.infer([one]))) == 1


def test_a_schema_needs_a_kind():
    with pytest.raises(gf.InputError, match="A schema needs at least one kind"):
        gf.Schema({})


def test_a_builder_of_an_unknown_kind_is_named_with_the_nearest():
    with pytest.raises(gf.InputError, match=r"joins kind 'imgae', which the schema lacks\. Did you mean 'image'\?"):
        gf.Schema(contract.KINDS, [gf.AllPairs("text", "imgae")])


def test_a_relation_laid_twice_is_named():
    with pytest.raises(gf.InputError, match=r"Relation \('text', 'all_pairs', 'image'\) is laid by two edge builders"):
        gf.Schema(contract.KINDS, [gf.AllPairs("text", "image"), gf.AllPairs("text", "image", direction="both")])


@pytest.mark.parametrize("name", gf.EDGES)
def test_an_unknown_direction_is_named(name):
    with pytest.raises(gf.InputError, match=r"direction is 'sideways'; it may be forward, backward, both\."):
        gf.Schema(contract.KINDS, [contract.BUILDERS[name](direction="sideways")])


def test_a_hub_whose_name_is_taken_by_a_kind_of_the_samples_is_refused():
    with pytest.raises(gf.InputError, match="'image'"):
        gf.Schema(contract.KINDS, [gf.Hub("text", target="image")])


def test_inferring_names_the_sample_whose_links_join_a_kind_that_no_sample_has():
    samples = [contract.sample(0), gf.Sample("case/7", {"text": torch.ones(1, 6)},
                                             {("text", "says", "entities"): torch.zeros(2, 1).long()})]  # fmt: skip
    with pytest.raises(gf.InputError, match=r"^Sample 'case/7' has links .* join kind 'entities'; .* 'entity'"):
        gf.Schema.infer(samples)
