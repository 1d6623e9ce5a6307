"""Samples to a batch and back."""

from dataclasses import replace

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf

NEXT = contract.NEXT


def simple(**fields: object) -> gf.Sample:
    given = {"nodes": {"text": torch.zeros(2, 6), "entity": torch.zeros(3, 3)}, **fields}
    return gf.Sample("case/7", **given)


def error_of(*samples: gf.Sample, schema: gf.Schema | None = None) -> str:
    with pytest.raises(gf.InputError) as caught:
        gf.collate(samples, schema or contract.schema())
    return str(caught.value)


def test_nodes_are_joined_sample_after_sample_as_a_loop_does():
    samples, schema = contract.samples(), contract.schema()
    batch = gf.collate(samples, schema)
    assert batch.names == tuple(s.name for s in samples)
    assert batch.targets == tuple(s.target for s in samples)
    assert list(batch.nodes) == list(contract.KINDS)
    for kind, width in contract.KINDS.items():
        rows, offsets, owner = [], [0], []
        for place, one in enumerate(samples):
            own = one.nodes.get(kind, torch.zeros(0, width))
            rows += list(own)
            owner += [place] * len(own)
            offsets.append(len(rows))
        assert_close(batch.nodes[kind], torch.stack(rows), rtol=0, atol=0)
        assert batch.offsets[kind].tolist() == offsets
        assert batch.owner(kind).tolist() == owner


def test_links_weights_and_spans_are_joined_as_a_loop_does():
    samples = contract.samples()
    batch = gf.collate(samples, contract.schema())
    for relation in (contract.NEXT, contract.MENTIONS, contract.RESEMBLES):
        expected, weights = [], []
        for place, one in enumerate(samples):
            for a, b in one.links.get(relation, torch.zeros(2, 0)).t().tolist():
                first = [sum(len(s.nodes.get(kind, ())) for s in samples[:place]) for kind in relation[::2]]
                expected.append([first[0] + a, first[1] + b])
            weights += one.weights.get(relation, torch.zeros(0)).tolist()
        assert batch.links[relation].t().tolist() == expected
        assert batch.links[relation].dtype == torch.long
        if relation == contract.RESEMBLES:
            assert batch.weights[relation].tolist() == weights
    assert list(batch.weights) == [contract.RESEMBLES]
    for kind in ("text", "image"):
        spans = [span for one in samples for span in one.spans.get(kind, torch.zeros(0, 2)).tolist()]
        assert batch.spans[kind].tolist() == spans


def test_a_weighted_relation_without_weights_counts_one_each():
    plan = gf.Schema(contract.KINDS, [gf.Linked(*NEXT, weighted=True)])
    one = simple(links={NEXT: torch.tensor([[0, 1], [1, 2]])})
    two = simple(links={NEXT: torch.tensor([[0], [2]])}, weights={NEXT: torch.tensor([0.25])})
    assert gf.collate([one, two], plan).weights[NEXT].tolist() == [1.0, 1.0, 0.25]


def test_a_kind_that_all_samples_lack_has_zero_rows_of_the_schemas_width():
    batch = gf.collate([contract.sample(i, ("image",)) for i in range(3)], contract.schema())
    assert batch.nodes["image"].shape == (0, 4)
    assert batch.offsets["image"].tolist() == [0, 0, 0, 0]
    assert batch.links[contract.RESEMBLES].shape == (2, 0)


def test_zero_rows_and_an_absent_kind_are_the_same():
    absent, empty = simple(), simple()
    empty = gf.Sample("case/7", {**empty.nodes, "image": torch.zeros(0, 4)})
    left, right = (gf.collate([each], contract.schema()) for each in (absent, empty))
    assert left.nodes["image"].shape == right.nodes["image"].shape
    assert contract.same_samples(left.samples(), right.samples())


def test_samples_of_a_batch_are_the_samples_it_was_made_of():
    samples = contract.samples(16)
    again = gf.collate(samples, contract.schema()).samples()
    assert contract.same_samples(again, samples)
    assert [s.target for s in again] == [s.target for s in samples]


def test_a_batch_of_the_samples_of_a_batch_is_the_same_batch():
    batch = gf.collate(contract.samples(16), contract.schema())
    again = gf.collate(batch.samples(), contract.schema())
    for field in ("nodes", "offsets", "links", "spans", "weights"):
        assert_close(getattr(again, field), getattr(batch, field), rtol=0, atol=0)


def test_order_of_links_does_not_depend_on_the_order_of_nodes():
    links = torch.tensor([[2, 0, 1, 0], [0, 2, 1, 1]])
    batch = gf.collate([simple(links={NEXT: links}), simple(links={NEXT: links})], contract.schema())
    assert [s.links[NEXT].tolist() for s in batch.samples()] == [links.tolist()] * 2


def test_links_of_a_batch_that_stand_in_any_order_find_their_samples():
    batch = gf.collate(contract.samples(), contract.schema())
    order = torch.randperm(batch.links[contract.RESEMBLES].shape[1], generator=torch.Generator().manual_seed(0))
    links = {relation: x.flip(1) for relation, x in batch.links.items()}
    links[contract.RESEMBLES] = batch.links[contract.RESEMBLES][:, order]
    mixed = replace(batch, links=links, weights={contract.RESEMBLES: batch.weights[contract.RESEMBLES][order]})
    for mine, one in zip(mixed.samples(), contract.samples()):
        assert set(mine.links) == set(one.links)
        for relation, pairs in mine.links.items():
            assert sorted(pairs.t().tolist()) == sorted(one.links[relation].t().tolist())
        told = [list(zip(*s.links.get(contract.RESEMBLES, torch.zeros(2, 0)).tolist(),
                         s.weights.get(contract.RESEMBLES, torch.zeros(0)).tolist())) for s in (mine, one)]  # fmt: skip
        assert sorted(told[0]) == sorted(told[1])


def test_a_sample_collates_in_company_if_it_collates_alone():
    with_spans, without = contract.sample(0), contract.sample(1)
    without = gf.Sample(without.name, without.nodes)  # no spans, although it has text
    plan = gf.Schema(contract.KINDS, [gf.Linked(*r) for r in (NEXT, contract.MENTIONS)]
                     + [gf.Linked(*contract.RESEMBLES, weighted=True)])  # fmt: skip
    gf.collate([without], plan)
    assert len(gf.collate([with_spans, without], plan)) == 2


def test_integer_features_stay_integers():
    batch = gf.collate([gf.Sample("a", {"text": torch.arange(6)[None]})], contract.schema())
    assert batch.nodes["text"].dtype == torch.long


def test_features_of_double_precision_stay_so():
    batch = gf.collate([gf.Sample("a", {"text": torch.zeros(1, 6).double()})], contract.schema())
    assert batch.nodes["text"].dtype == batch.nodes["image"].dtype == torch.double


def test_without_takes_the_links_and_spans_of_a_kind_with_it():
    less = contract.sample(0).without("entity")
    assert set(less.nodes) == {"text", "image"}
    assert not less.links
    assert not less.weights
    assert set(less.spans) == {"text", "image"}


def test_no_sample():
    assert error_of() == "There is no sample to collate; a batch needs at least one."


def test_an_unknown_kind_is_named_with_the_nearest():
    text = error_of(simple(), gf.Sample("case/8", {"imgae": torch.zeros(1, 4)}))
    assert text == ("Sample 'case/8' has nodes of kind 'imgae', which the schema lacks. Did you mean 'image'? "
                    "Known: text, image, entity.")  # fmt: skip


def test_spans_of_an_unknown_kind_are_named():
    assert "'txet'" in error_of(simple(spans={"txet": torch.zeros(2, 2)}))


def test_a_wrong_width_names_sample_kind_expected_and_found():
    text = error_of(simple(), gf.Sample("case/8", {"text": torch.zeros(2, 5)}))
    assert text == "Sample 'case/8', kind 'text': expected width 6, found width 5."


def test_features_that_are_no_matrix_are_named_with_their_shape():
    text = error_of(gf.Sample("case/8", {"text": torch.zeros(6)}))
    assert text == "Sample 'case/8', kind 'text': expected width 6, found shape [6]."


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_names_sample_kind_and_row(value):
    x = torch.zeros(3, 3)
    x[2, 1] = value
    text = error_of(simple(), gf.Sample("gap", {"text": torch.zeros(1, 6)}), gf.Sample("case/8", {"entity": x}))
    assert text == f"Sample 'case/8', kind 'entity', row 2: a feature is {value}; features must be finite."


@pytest.mark.parametrize(("pair", "row", "size", "kind"), [
    ([0, 3], 3, 3, "entity"), ([-1, 0], -1, 3, "entity"), ([3, 0], 3, 3, "entity"),
])  # fmt: skip
def test_a_link_out_of_range_names_the_row_and_how_many_there_are(pair, row, size, kind):
    good = torch.tensor([[0, 1], [1, 2]])
    bad = torch.cat([good, torch.tensor(pair)[:, None]], 1)
    text = error_of(simple(links={NEXT: good}), gf.Sample("case/8", simple().nodes, {NEXT: bad}))
    assert text == (f"Sample 'case/8', links {NEXT}: row {row} is out of range, the sample has {size} nodes of kind "
                    f"'{kind}'.")  # fmt: skip


def test_a_link_to_a_lacking_kind_is_out_of_range():
    text = error_of(gf.Sample("case/8", {"text": torch.zeros(1, 6)}, {contract.MENTIONS: torch.zeros(2, 1).long()}))
    assert text.endswith("row 0 is out of range, the sample has 0 nodes of kind 'entity'.")


@pytest.mark.parametrize(("pairs", "found"), [
    (torch.zeros(2, 1), "float32 [2, 1]"), (torch.zeros(3, 1).long(), "int64 [3, 1]"),
    (torch.zeros(2).long(), "int64 [2]"),
    (torch.ones(2, 1).bool(), "bool [2, 1]"),
])  # fmt: skip
def test_links_that_are_no_pairs_of_integers_are_named(pairs, found):
    text = error_of(simple(links={NEXT: pairs}))
    assert text == f"Sample 'case/7', links {NEXT}: not integers [2, e] but {found}."


def test_links_that_join_an_unknown_kind_are_named_with_the_nearest():
    wrong = ("entity", "next", "entities")
    text = error_of(simple(links={wrong: torch.zeros(2, 1).long()}))
    assert text.startswith(f"Sample 'case/7' has links {wrong}, which join kind 'entities'; there is no such kind. Did")
    assert "'entity'" in text


def test_links_under_a_bare_name_say_what_is_expected():
    text = error_of(simple(links={"next": torch.zeros(2, 1).long()}))
    assert text == "Sample 'case/7' has links under 'next'; expected (source kind, name, target kind)."


def test_an_unknown_relation_is_named_with_the_builder_that_it_needs():
    wrong = ("entity", "nxt", "entity")
    text = error_of(simple(links={wrong: torch.zeros(2, 1).long()}))
    assert text.startswith(f"Sample 'case/7' has links {wrong}, for which the schema has no gf.Linked{wrong}. Did you ")
    assert f'"{NEXT}"' in text


def test_weights_without_links_or_with_a_builder_that_expects_none_are_named():
    one = torch.zeros(2, 1).long()
    assert error_of(simple(weights={NEXT: torch.ones(1)})) == (
        f"Sample 'case/7' has weights for {NEXT}, but no links of that relation."
    )
    assert error_of(simple(links={NEXT: one}, weights={NEXT: torch.ones(1)})) == (
        f"Sample 'case/7' has weights for {NEXT}, which the schema's gf.Linked does not expect; give it weighted=True."
    )


@pytest.mark.parametrize("weight", [torch.ones(2), torch.tensor([float("nan")]), torch.ones(1, 1)])
def test_weights_of_a_wrong_number_or_not_finite_are_named(weight):
    plan = gf.Schema(contract.KINDS, [gf.Linked(*NEXT, weighted=True)])
    text = error_of(simple(links={NEXT: torch.zeros(2, 1).long()}, weights={NEXT: weight}), schema=plan)
    assert text == f"Sample 'case/7', weights {NEXT}: expected 1 finite numbers, found shape {list(weight.shape)}."


def test_spans_of_a_wrong_shape_are_named():
    text = error_of(simple(spans={"text": torch.zeros(3, 2)}))
    assert text == "Sample 'case/7', kind 'text': expected spans [2, 2], found [3, 2]."


@pytest.mark.parametrize("nodes", [{}, {"text": torch.zeros(0, 6)}])
def test_a_sample_without_any_node_is_named(nodes):
    text = error_of(simple(), gf.Sample("empty/1", nodes))
    assert text == "Sample 'empty/1' has no node of any kind; it needs one of: text, image, entity."


def test_a_batch_moves_with_all_its_tensors():
    batch = gf.collate(contract.targeted("choose"), contract.schema()).to("meta")
    tensors = [*batch.nodes.values(), *batch.offsets.values(), *batch.links.values(), *batch.spans.values(),
               *batch.weights.values(), *batch.targets]  # fmt: skip
    assert {x.device.type for x in tensors} == {"meta"}


def test_a_batch_over_the_budget_of_edges_says_how_many_before_it_is_joined(monkeypatch):
    samples, plan = (
        [gf.Sample(s.name, s.nodes, s.links, s.spans, s.weights) for s in contract.samples()],
        contract.schema(),
    )
    batch = gf.collate(samples, plan)
    graph = gf.lay(batch, plan, {kind: x[:, :3] for kind, x in batch.nodes.items()})
    given = {*plan.given, *((b, f"rev_{name}", a) for a, name, b in plan.given)}
    edges = sum(graph.edges(r).shape[1] for r in graph.relations if r.dense or r.relation in given)
    gf.collate(samples, plan, max_edges=edges)
    monkeypatch.setattr(torch, "cat", lambda *parts: pytest.fail("memory was taken"))
    with pytest.raises(gf.InputError) as caught:
        gf.collate(samples, plan, max_edges=edges - 1)
    nodes = sum(map(len, batch.nodes.values()))
    assert str(caught.value) == (
        f"A batch of 8 samples, from 's/0' on, has {nodes} nodes and {edges} edges; max_edges is {edges - 1}. Take "
        "fewer samples a batch (batch_size, batch_nodes), or allow more edges."
    )


def test_a_batch_without_features_keeps_what_a_head_reads():
    batch = gf.collate(contract.samples(), contract.schema())
    less = batch.without_features()
    assert (less.names, less.targets) == (batch.names, batch.targets)
    assert all(less.owner(kind).equal(batch.owner(kind)) for kind in batch.nodes)
    assert not any(x.numel() for x in less.nodes.values())
    assert [less.spans, less.weights] == [{}, {}]
    assert less.links is batch.links  # which rules ask for
