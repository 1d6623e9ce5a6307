"""Every edge builder, in every direction, against the plain loop that it replaces."""

from collections.abc import Callable

import contract
import pytest
import torch

import graphfuse as gf
from graphfuse.core.relations import BACK, relations_of
from graphfuse.edges import likeness
from graphfuse.edges import nearest as near

Pairs = set[tuple[int, int]]
"""(row of the source node, row of the target node) within a sample."""


def all_pairs(builder: gf.AllPairs, one: gf.Sample, states: dict[str, torch.Tensor]) -> Pairs:
    return {(a, b) for a in range(len(states[builder.source])) for b in range(len(states[builder.target]))}


def nearest(builder: gf.Nearest, one: gf.Sample, states: dict[str, torch.Tensor]) -> Pairs:
    pairs = set()
    for b, target in enumerate(states[builder.target]):
        likeness = []
        for a, source in enumerate(states[builder.source]):
            if builder.source != builder.target or a != b:
                cosine = float(source.double() @ target.double() / source.double().norm() / target.double().norm())
                likeness.append((-cosine, a))
        pairs |= {(a, b) for _, a in sorted(likeness)[: builder.k]}
    return pairs


def window(builder: gf.Window, one: gf.Sample, states: dict[str, torch.Tensor]) -> Pairs:
    many = len(states[builder.source])
    return {(a, b) for a in range(many) for b in range(many) if 0 < b - a <= builder.size}


def overlap(builder: gf.Overlap, one: gf.Sample, states: dict[str, torch.Tensor]) -> Pairs:
    left, right = (one.spans.get(kind, torch.zeros(0, 2)).tolist() for kind in (builder.source, builder.target))
    same = builder.source == builder.target
    return {(a, b) for a, (s, e) in enumerate(left) for b, (t, u) in enumerate(right)
            if min(e, u) > max(s, t) and not (same and a == b)}  # fmt: skip


def linked(builder: gf.Linked, one: gf.Sample, states: dict[str, torch.Tensor]) -> Pairs:
    relation = (builder.source, builder.name, builder.target)
    return {(a, b) for a, b in one.links.get(relation, torch.zeros(2, 0)).t().long().tolist()}


def hub(builder: gf.Hub, one: gf.Sample, states: dict[str, torch.Tensor]) -> Pairs:
    return {(a, 0) for a in range(len(states[builder.source]))}


LOOPS: dict[str, Callable[..., Pairs]] = {
    "all_pairs": all_pairs, "nearest": nearest, "window": window, "overlap": overlap, "linked": linked, "hub": hub,
    "learned": nearest,
}  # fmt: skip

# More than the contract has: within one kind, more or fewer neighbours than there are nodes, other sizes.
BUILDERS = [
    *((name, make) for name, make in contract.BUILDERS.items()),
    ("all_pairs", lambda **way: gf.AllPairs("entity", "entity", **way)),
    ("nearest", lambda **way: gf.Nearest("text", "text", k=1, **way)),
    ("nearest", lambda **way: gf.Nearest("image", "image", k=3, **way)),
    ("nearest", lambda **way: gf.Nearest("text", "image", k=99, **way)),
    ("learned", lambda **way: gf.Learned("text", "text", k=3, **way)),
    ("window", lambda **way: gf.Window("entity", 1, **way)),
    ("window", lambda **way: gf.Window("text", 99, **way)),
    ("overlap", lambda **way: gf.Overlap("text", "text", **way)),
    ("linked", lambda **way: gf.Linked(*contract.NEXT, **way)),
]


def plan_of(builder: object) -> gf.Schema:
    """A schema of this builder that accepts the links of the contract's samples."""
    mine = (builder.source, builder.name, builder.target)
    links = [(contract.NEXT, False), (contract.MENTIONS, False), (contract.RESEMBLES, True)]
    others = [gf.Linked(*r, weighted=w) for r, w in links if not (isinstance(builder, gf.Linked) and r == mine)]
    return gf.Schema(contract.KINDS, [builder, *others])


def graph_and_states(samples: list[gf.Sample], plan: gf.Schema) -> tuple[gf.FusionGraph, list[dict[str, torch.Tensor]]]:
    graph = contract.graph_of(samples, plan, dim=5)
    numbers = contract.row_numbers(samples, plan)
    states: list[dict[str, list]] = [{kind: [] for kind in plan.all_kinds} for _ in samples]
    for (kind, place, _), number in numbers.items():
        states[place][kind].append(graph.x[number])
    return graph, states


def test_every_builder_of_the_catalog_is_tried():
    add = "add it to BUILDERS in tests/contract.py and its plain loop to LOOPS in tests/edges/test_every_builder.py"
    assert set(gf.EDGES) == set(contract.BUILDERS) == set(LOOPS), add
    assert all(type(contract.BUILDERS[name]()) is part for name, part in gf.EDGES.items()), add


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
@pytest.mark.parametrize(("name", "make"), BUILDERS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(BUILDERS)])
def test_a_builder_lays_what_the_plain_loop_lays(name, make, direction):
    builder = make(direction=direction)
    samples, plan = contract.samples(12), plan_of(builder)
    graph, states = graph_and_states(samples, plan)
    numbers = contract.row_numbers(samples, plan)
    expected = []
    for place, one in enumerate(samples):
        for a, b in LOOPS[name](builder, one, states[place]):
            expected.append((numbers[builder.source, place, a], numbers[builder.target, place, b]))
    assert expected, "the check would prove nothing"
    forward = (builder.source, builder.name, builder.target)
    backward = (builder.target, BACK + builder.name, builder.source)
    relations = {"forward": [forward], "backward": [backward], "both": [forward, backward]}[direction]
    assert [laid.relation for laid in graph.relations[: len(relations)]] == relations
    for laid in graph.relations[: len(relations)]:
        assert laid.dense == builder.dense
        pairs = {(a, b) for a, b in graph.edges(laid).t().tolist()}
        assert pairs == {(a, b) if laid.relation == forward else (b, a) for a, b in expected}
        if name != "linked":
            assert graph.edges(laid).shape[1] == len(pairs), "an edge is laid twice"


@pytest.mark.parametrize("name", gf.EDGES)
@pytest.mark.parametrize("lacking", [("text",), ("image",), ("text", "entity"), ("image", "entity"), ("text", "image")])
def test_a_builder_works_where_all_samples_lack_a_kind(name, lacking):
    builder = contract.BUILDERS[name](direction="both")
    graph = contract.graph_of([contract.sample(i, lacking) for i in range(3)], plan_of(builder))
    there = graph.edges(graph.relations[0]).shape[1]
    assert there == 0 or not {builder.source, builder.target} & set(lacking)


@pytest.mark.parametrize("name", gf.EDGES)
def test_a_builder_lays_the_same_whatever_else_is_in_the_batch(name):
    builder = contract.BUILDERS[name]()
    samples, plan = contract.samples(6), plan_of(builder)
    together, numbers = contract.graph_of(samples, plan), contract.row_numbers(samples, plan)
    pairs = set(map(tuple, together.edges(together.relations[0]).t().tolist()))
    for place, one in enumerate(samples):
        alone, own = contract.graph_of([one], plan), contract.row_numbers([one], plan)
        moved = {number: numbers[kind, place, row] for (kind, _, row), number in own.items()}
        mine = {(moved[a], moved[b]) for a, b in alone.edges(alone.relations[0]).t().tolist()}
        assert mine == {pair for pair in pairs if set(pair) <= set(moved.values())}


def test_repeated_links_are_kept():
    links = {contract.NEXT: torch.tensor([[0, 0, 1], [1, 1, 1]])}
    plan = gf.Schema(contract.KINDS, [gf.Linked(*contract.NEXT)])
    graph = contract.graph_of([gf.Sample("s", {"entity": torch.randn(2, 3)}, links)], plan)
    assert graph.relations[0].pairs.t().tolist() == [[0, 1], [0, 1], [1, 1]]


@pytest.mark.parametrize("mates", [0, 1, 6, 17, 40])
@pytest.mark.parametrize("many", [2, 3, 5, 9, 17])
def test_of_equals_the_earlier_is_taken_whatever_the_shape_of_the_batch(many, mates):
    rng = torch.Generator().manual_seed(many)
    equal = torch.randn(1, 3, generator=rng).expand(many, 3)
    one = gf.Sample("s", {"entity": equal, "image": torch.randn(3, 4, generator=rng)})
    mate = gf.Sample("mate", {"entity": torch.randn(mates, 3), "image": torch.randn(mates + 1, 4)})
    plan = gf.Schema(contract.KINDS, [gf.Nearest("entity", "image", k=2)])
    graph = contract.graph_of([one, mate], plan, dim=7)
    own = graph.relations[0].pairs[:, graph.relations[0].pairs[1] < graph.rows("image").start + 3]
    first = graph.rows("entity").start
    assert sorted(own[0].tolist()) == sorted([first, first + 1] * 3)


def test_nodes_of_zeros_are_like_all_others_alike():
    plan = gf.Schema(contract.KINDS, [gf.Nearest("entity", "entity", k=1)])
    graph = contract.graph_of([gf.Sample("s", {"entity": torch.zeros(3, 3)})], plan)
    assert graph.relations[0].pairs.t().tolist() == [[1, 0], [0, 1], [0, 2]]


def test_a_choice_of_neighbours_carries_no_gradient():
    plan = gf.Schema(contract.KINDS, [gf.Nearest("text", "image")])
    batch = gf.collate([contract.sample(0).without("entity")], plan)
    states = {kind: x[:, :3].clone().requires_grad_() for kind, x in batch.nodes.items()}
    assert not gf.lay(batch, plan, states).relations[0].pairs.requires_grad


def test_spans_that_touch_in_a_point_do_not_overlap():
    spans = {"text": torch.tensor([[0.0, 1.0], [1.0, 2.0]]), "image": torch.tensor([[1.0, 1.5], [0.0, 1.0]])}
    plan = gf.Schema(contract.KINDS, [gf.Overlap("text", "image")])
    graph = contract.graph_of(
        [gf.Sample("s", {"text": torch.zeros(2, 6), "image": torch.zeros(2, 4)}, spans=spans)], plan
    )
    assert sorted(graph.relations[0].pairs.t().tolist()) == [[0, 3], [1, 2]]


def test_spans_that_nest_that_run_backward_or_have_no_length_overlap_as_a_loop_says():
    rng = torch.Generator().manual_seed(0)
    samples = []
    for number in range(6):
        spans = {k: torch.randint(0, 12, (9 + number, 2), generator=rng) for k in ("text", "image")}
        nodes = {"text": torch.zeros(9 + number, 6), "image": torch.zeros(9 + number, 4)}
        samples.append(gf.Sample(str(number), nodes, spans=spans))
    for ends in (("text", "image"), ("image", "image")):
        plan = gf.Schema(contract.KINDS, [gf.Overlap(*ends)])
        graph, numbers = contract.graph_of(samples, plan), contract.row_numbers(samples, plan)
        expected = {(numbers[ends[0], place, a], numbers[ends[1], place, b])
                    for place, one in enumerate(samples) for a, b in overlap(plan.edges[0], one, {})}  # fmt: skip
        found = graph.relations[0].pairs.t().tolist()
        assert expected, "the check would prove nothing"
        assert set(map(tuple, found)) == expected
        assert len(found) == len(expected)


@pytest.mark.parametrize("apart", [1e-6, 1e-3, 2e-3])
def test_neighbours_that_differ_less_than_single_precision_tells_are_chosen_as_in_double_precision(apart):
    rng = torch.Generator().manual_seed(0)
    samples = []
    for number in range(20):
        near = 1 + apart * torch.randn(12, 8, generator=rng).double()
        asked = torch.randn(5, 8, generator=rng).double() + (100 if apart > 1e-4 else 0)  # near them, or far
        samples.append(gf.Sample(str(number), {"entity": near, "text": asked}))
    plan = gf.Schema({"entity": 8, "text": 8}, [gf.Nearest("entity", "text", k=4)])
    batch = gf.collate(samples, plan)
    graph, numbers = gf.lay(batch, plan, batch.nodes), contract.row_numbers(samples, plan)
    expected = {(numbers["entity", place, a], numbers["text", place, b])
                for place, one in enumerate(samples) for a, b in nearest(plan.edges[0], one, one.nodes)}  # fmt: skip
    assert set(map(tuple, graph.relations[0].pairs.t().tolist())) == expected


@pytest.mark.parametrize("setting", ["autocast", "products in less than single precision"])
def test_settings_for_speed_change_no_choice_of_neighbours(setting):
    plan = gf.Schema(contract.KINDS, [gf.Nearest("entity", "image", k=3)])
    samples = [contract.sample(i, most=30) for i in range(8)]
    samples = [gf.Sample(s.name, s.nodes) for s in samples]
    batch = gf.collate(samples, plan)
    rng = torch.Generator().manual_seed(0)
    states = {kind: torch.randn(len(x), 64, generator=rng) for kind, x in batch.nodes.items()}
    expected = gf.lay(batch, plan, states).relations[0].pairs
    if setting == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            found = gf.lay(batch, plan, states).relations[0].pairs
    else:
        torch.set_float32_matmul_precision("medium")
        try:
            found = gf.lay(batch, plan, states).relations[0].pairs
        finally:
            torch.set_float32_matmul_precision("highest")
    assert found.equal(expected)


def test_the_nearest_are_those_of_the_states_that_the_graph_has_now():
    plan = gf.Schema(contract.KINDS, [gf.Learned("entity", "entity", k=1)])
    batch = gf.collate([gf.Sample("s", {"entity": torch.zeros(9, 3)})], plan)
    rng = torch.Generator().manual_seed(0)
    one, two = (torch.randn(9, 3, generator=rng) for _ in range(2))
    graph = gf.lay(batch, gf.Schema(contract.KINDS), {k: one if k == "entity" else one[:0] for k in contract.KINDS})
    first, second = (plan.edges[0](g, batch)[0] for g in (graph, graph.replace(x=two)))
    assert not first.equal(second)
    assert graph.laid_out, "the check would prove nothing"
    assert not gf.lay(batch, plan, {k: one if k == "entity" else one[:0] for k in contract.KINDS}).laid_out


TOGETHER = [
    gf.Nearest("text", "image", 2), gf.Overlap("image", "text"), gf.Nearest("image", "image", 2, name="few"),
    gf.Overlap("text", "text", "both"), gf.Nearest("text", "text", 2), gf.Nearest("image", "image", 5, "both"),
    gf.Nearest("entity", "text", 3), gf.Overlap("text", "image"), gf.Nearest("text", "image", 9, name="many"),
    gf.Nearest("image", "text", 2), gf.Nearest("image", "hub", 1), gf.Hub("text"),
]  # fmt: skip


@pytest.mark.parametrize("at_once", [1, 2**22])
def test_builders_of_one_class_find_together_what_the_plain_loops_find(at_once, monkeypatch):
    monkeypatch.setattr(near, "AT_ONCE", at_once)
    plan = gf.Schema(contract.KINDS, TOGETHER)
    samples = [gf.Sample(s.name, s.nodes, spans=s.spans) for s in contract.samples(9)]
    graph, states = graph_and_states(samples, plan)
    numbers = contract.row_numbers(samples, plan)
    for laid in graph.relations:
        one = next(b for b in TOGETHER if laid.relation in relations_of(b))
        loop = LOOPS[type(one).__name__.lower()]
        expected = [(numbers[one.source, place, a], numbers[one.target, place, b])
                    for place, sample in enumerate(samples) for a, b in loop(one, sample, states[place])]  # fmt: skip
        if laid.relation[1] != one.name:
            expected = [pair[::-1] for pair in expected]
        assert expected
        assert sorted(map(tuple, graph.edges(laid).t().tolist())) == sorted(expected), one
        assert (graph.edges(laid)[1].diff() >= 0).all()


class Heavy(gf.Overlap):
    """A class beneath one of ours, with a call of its own."""

    def __call__(self, graph, batch):
        pairs, _ = super().__call__(graph, batch)
        return pairs, torch.full((pairs.shape[1],), 7.0)


def test_a_class_beneath_one_of_ours_is_called_as_it_says():
    plan = gf.Schema(contract.KINDS, [gf.Overlap("image", "text"), Heavy("text", "image")])
    samples = [gf.Sample(s.name, s.nodes, spans=s.spans) for s in contract.samples(5)]
    graph = contract.graph_of(samples, plan)
    assert graph.relations[0].weight is None
    assert graph.relations[1].weight.eq(7).all()
    assert len(graph.relations[1].weight)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e40])
@pytest.mark.parametrize("row", [0, 4, 10])
@pytest.mark.parametrize("k", [2, 9])
def test_states_that_are_not_finite_join_nothing_to_another_sample(value, row, k):
    plan = gf.Schema({"a": 3, "b": 3}, [gf.Nearest("a", "b", k), gf.Nearest("b", "b", k), gf.Nearest("b", "a", k)])
    rng = torch.Generator().manual_seed(0)
    samples = [gf.Sample(str(n), {"a": torch.randn(n, 3, generator=rng), "b": torch.randn(2, 3, generator=rng)})
               for n in (5, 3, 3)]  # fmt: skip
    batch = gf.collate(samples, plan)
    states = {kind: x.double() for kind, x in batch.nodes.items()}
    whole = gf.lay(batch, plan, states)
    states["a"] = states["a"].clone()
    states["a"][row] = value
    graph = gf.lay(batch, plan, states)
    for laid, before in zip(graph.relations, whole.relations):
        assert laid.pairs.shape == before.pairs.shape
        assert graph.owners[laid.pairs[0]].equal(graph.owners[laid.pairs[1]])
        bad, other = graph.owners[row], graph.owners[laid.pairs[1]]
        assert laid.pairs[:, other != bad].equal(before.pairs[:, other != bad])


def test_spans_that_share_the_least_that_numbers_tell_overlap():
    rng = torch.Generator().manual_seed(0)
    plan = gf.Schema(contract.KINDS, [gf.Overlap("image", "text"), gf.Overlap("text", "image")])
    samples = []
    for number in range(300):
        first = 1000 * torch.rand(1, generator=rng).double()
        middle = first + torch.rand(1, generator=rng).double()
        spans = {"text": torch.stack([first, middle], 1),
                 "image": torch.stack([middle.nextafter(first), middle + 1], 1)}  # fmt: skip
        samples.append(gf.Sample(str(number), {"text": torch.zeros(1, 6), "image": torch.zeros(1, 4)}, spans=spans))
    graph = contract.graph_of(samples, plan)
    assert [laid.pairs.shape[1] for laid in graph.relations] == [300, 300]


def test_whole_numbers_as_times_are_compared_as_they_are():
    long = torch.tensor([[1_700_000_000, 1_700_000_015], [1_700_000_016, 1_700_000_020]])
    one = gf.Sample("s", {"text": torch.zeros(2, 6)}, spans={"text": long})
    plan = gf.Schema(contract.KINDS, [gf.Overlap("text", "text"), gf.Overlap("text", "image")])
    assert not contract.graph_of([one], plan).relations[0].pairs.numel()
    beside = gf.Sample("t", {"image": torch.zeros(1, 4)}, spans={"image": torch.tensor([[0.0, 1.0]])})
    assert not contract.graph_of([one, beside], plan).relations[0].pairs.numel()


@pytest.mark.parametrize(
    ("scale", "away"), [(1, 0), (9, -1e16), (99, 1e17), (1e-3, 1e9), (1e10, 1e12), (1e307, 0), (1.7e308, 0)]
)
def test_times_of_any_size_meet_as_the_plain_loop_says(scale, away):
    rng = torch.Generator().manual_seed(0)
    plan = gf.Schema(contract.KINDS, [gf.Overlap("image", "text"), gf.Overlap("text", "text")])
    for _ in range(40):
        samples = []
        for number in range(5):
            ends = {k: torch.randint(-6, 7, (4, 2), generator=rng).sort(1).values.double() / 6 * scale + away
                    for k in ("text", "image")}  # fmt: skip
            samples.append(gf.Sample(str(number), {"text": torch.zeros(4, 6), "image": torch.zeros(4, 4)}, spans=ends))
        graph, numbers = contract.graph_of(samples, plan), contract.row_numbers(samples, plan)
        for laid, builder in zip(graph.relations, plan.edges):
            expected = {(numbers[builder.source, place, a], numbers[builder.target, place, b])
                        for place, one in enumerate(samples) for a, b in overlap(builder, one, {})}  # fmt: skip
            assert sorted(map(tuple, laid.pairs.t().tolist())) == sorted(expected)


def test_spans_without_end_never_reach_into_another_sample():
    spans = [(0.0, 5.0), (float("-inf"), 3.0), (2.0, float("inf")), (float("-inf"), float("inf"))]
    rows = torch.tensor(spans)
    samples = [gf.Sample(str(i), {k: torch.zeros(4, w) for k, w in (("text", 6), ("image", 4))},
                         spans={"text": rows, "image": rows.flip(0)}) for i in range(3)]  # fmt: skip
    plan = gf.Schema(contract.KINDS, [gf.Overlap("image", "text"), gf.Overlap("text", "text")])
    graph, numbers = contract.graph_of(samples, plan), contract.row_numbers(samples, plan)
    for laid, builder in zip(graph.relations, plan.edges):
        expected = {(numbers[builder.source, place, a], numbers[builder.target, place, b])
                    for place, one in enumerate(samples) for a, b in overlap(builder, one, {})}  # fmt: skip
        assert sorted(map(tuple, laid.pairs.t().tolist())) == sorted(expected)


@pytest.mark.parametrize("at_once", [1, 40])
def test_likeness_in_double_precision_goes_part_by_part(at_once, monkeypatch):
    parts, sort = [], torch.Tensor.sort
    monkeypatch.setattr(likeness, "AT_ONCE", at_once)
    monkeypatch.setattr(torch.Tensor, "sort", lambda x, **how: parts.append(len(x)) or sort(x, **how))
    test_neighbours_that_differ_less_than_single_precision_tells_are_chosen_as_in_double_precision(1e-6)
    assert max(parts) == max(1, at_once // 12)


def test_the_nearest_of_very_many_are_those_of_double_precision():
    rng = torch.Generator().manual_seed(0)
    plan = gf.Schema({"note": 6}, [gf.Nearest("note", "note", k=3)])
    batch = gf.collate([gf.Sample("s", {"note": torch.randn(4200, 6, generator=rng)})], plan)
    unit = torch.nn.functional.normalize(batch.nodes["note"].double(), dim=1)
    expected = (unit @ unit.T).fill_diagonal_(-2).topk(3).indices.sort(1).values
    found = gf.lay(batch, plan, batch.nodes).relations[0].pairs
    assert found[0].equal(expected.flatten())
    assert found[1].equal(torch.arange(4200).repeat_interleave(3))


@pytest.mark.parametrize(("make", "text"), [
    (lambda: gf.Nearest("text", "image", k=0), r"^Nearest\('text', 'image'\): k is 0; it must be at least 1\.$"),
    (lambda: gf.Window("text", 0), r"^Window\('text'\): size is 0; it must be at least 1\.$"),
])  # fmt: skip
def test_options_out_of_range_are_named(make, text):
    with pytest.raises(gf.InputError, match=text):
        make()


def test_a_sample_without_the_spans_that_a_builder_reads_is_named():
    plan = gf.Schema(contract.KINDS, [gf.Overlap("text", "image")])
    samples = [gf.Sample("gap", {"entity": torch.zeros(1, 3)}), gf.Sample("case/8", {"text": torch.zeros(1, 6)})]
    with pytest.raises(gf.InputError, match=r"^Overlap: sample 'case/8' has no spans of kind 'text'; give "):
        contract.graph_of(samples, plan)


def test_overlap_with_a_hub_says_that_a_hub_has_no_spans():
    plan = gf.Schema(contract.KINDS, [gf.Hub("text"), gf.Overlap("hub", "text")])
    with pytest.raises(gf.InputError, match="'hub'"):
        contract.graph_of([gf.Sample("s", {"text": torch.zeros(1, 6)}, spans={"text": torch.zeros(1, 2)})], plan)


def test_builders_are_frozen_and_equal_by_value():
    for make in contract.BUILDERS.values():
        assert make() == make()
        assert hash(make()) == hash(make())
        with pytest.raises(AttributeError):
            make().source = "image"
