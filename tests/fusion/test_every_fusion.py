"""What holds for every fusion of the catalog."""

import contextlib
import itertools

import contract
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core.graph import Laid

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
EXACT = {"rtol": 0, "atol": 0}
every_fusion = pytest.mark.parametrize("case", contract.FUSION_CASES)
SUBSETS = [gone for n in range(len(contract.KINDS)) for gone in itertools.combinations(contract.KINDS, n)]


def fused(module: torch.nn.Module, samples: list[gf.Sample], plan: gf.Schema) -> gf.Fused:
    with torch.no_grad():
        return module(contract.graph_of(samples, plan))


def scores(model: gf.FusionModel, samples: list[gf.Sample]) -> Tensor:
    with torch.no_grad():
        return model(model.collate(samples)).scores


def test_the_contract_names_every_fusion():
    assert {name for name, _ in contract.FUSION_CASES.values()} == set(gf.FUSIONS)


@every_fusion
def test_shapes_are_those_of_the_contract(case):
    samples, plan = contract.samples(), contract.schema()
    graph = contract.graph_of(samples, plan)
    result = contract.fusion_of(case, plan)(graph)
    assert isinstance(result, gf.Fused)
    assert result.graph.x.shape == graph.x.shape
    assert result.vector.shape == (len(samples), graph.x.shape[1])
    assert result.graph.starts == graph.starts
    assert result.graph.relations == graph.relations


@every_fusion
def test_a_sample_is_fused_alike_alone_and_in_company(case):
    samples, plan = contract.samples(), contract.schema()
    module = contract.fusion_of(case, plan)
    together = fused(module, samples, plan)
    assert float((together.vector[0] - together.vector[5]).abs().max()) > 1e-3, "the check would prove nothing"
    for place, one in enumerate(samples):
        alone = fused(module, [one], plan)
        assert_close(together.vector[place], alone.vector[0], **CLOSE)
        assert_close(together.graph.x[contract.rows_of(samples, plan, place)], alone.graph.x, **CLOSE)


@every_fusion
def test_a_sample_is_fused_alike_in_any_order(case):
    samples, plan = contract.samples(), contract.schema()
    model = contract.model_of(case, plan)
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(4)).tolist()
    assert_close(scores(model, [samples[i] for i in order]), scores(model, samples)[order], **CLOSE)


@every_fusion
def test_a_very_large_batch_mate_changes_nothing(case):
    samples, plan = contract.samples(), contract.schema()
    model = contract.model_of(case, plan)
    rng = torch.Generator().manual_seed(5)
    nodes = {kind: 30 * torch.randn(120, width, generator=rng) for kind, width in contract.KINDS.items()}
    big = gf.Sample("big", nodes, spans={kind: torch.rand(120, 2, generator=rng) for kind in ("text", "image")})
    assert_close(scores(model, [big, *samples])[1:], scores(model, samples), **CLOSE)


@every_fusion
def test_values_of_a_kind_that_a_sample_lacks_never_matter_to_it(case):
    samples, plan = contract.samples(), contract.schema()
    model = contract.model_of(case, plan)
    before = scores(model, samples)
    for kind in contract.KINDS:
        changed = [gf.Sample(s.name, {k: x.flip(1) * 7 - 3 if k == kind else x for k, x in s.nodes.items()}, s.links,
                             s.spans, s.weights) for s in samples]  # fmt: skip
        after = scores(model, changed)
        lacks = torch.tensor([kind not in s.nodes for s in samples])
        assert_close(after[lacks], before[lacks], **CLOSE)
        assert float((after[~lacks] - before[~lacks]).abs().amax(1).min()) > 1e-6, f"{kind} does not matter at all"


@every_fusion
def test_zero_rows_and_an_absent_kind_are_the_same(case):
    plan = contract.schema()
    model = contract.model_of(case, plan)
    for kind in contract.KINDS:
        absent = contract.sample(1, (kind,))
        empty = gf.Sample(absent.name, {**absent.nodes, kind: torch.zeros(0, contract.KINDS[kind])}, absent.links,
                          absent.spans, absent.weights)  # fmt: skip
        assert_close(scores(model, [empty]), scores(model, [absent]), **EXACT)


@every_fusion
def test_permuting_the_nodes_of_a_kind_permutes_their_rows(case):
    samples, plan = contract.samples(), contract.schema(ordered=False)
    module = contract.fusion_of(case, plan)
    moved = [contract.permuted(one, seed) for seed, one in enumerate(samples)]
    before, after = fused(module, samples, plan), fused(module, [one for one, _ in moved], plan)
    assert_close(after.vector, before.vector, **CLOSE)
    for (kind, place, row), number in contract.row_numbers(samples, plan).items():
        old = int(moved[place][1][kind][row]) if kind in moved[place][1] else row
        origin = contract.row_numbers(samples, plan)[kind, place, old]
        assert_close(after.graph.x[number], before.graph.x[origin], **CLOSE)


@every_fusion
def test_gradients_are_right(case):
    plan = contract.schema()
    module = contract.fusion_of(case, plan, dim=4).double()
    graph = contract.graph_of(contract.samples(5, most=3), plan, dim=4, dtype=torch.double)
    weights = dict(sorted(module.named_parameters(), key=lambda item: (item[1].numel(), item[0]))[-3:])
    weights |= dict(sorted(module.named_parameters(), key=lambda item: (item[1].numel(), item[0]))[:3])

    def run(x: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        result = torch.func.functional_call(module, dict(zip(weights, values)), graph.replace(x=x))
        return result.vector, result.graph.x

    values = [w.detach().clone().requires_grad_() for w in weights.values()]
    assert torch.autograd.gradcheck(run, (graph.x.requires_grad_(), *values), fast_mode=True)


@every_fusion
def test_saving_and_loading_is_bit_equal(case, tmp_path):
    samples, plan = contract.samples(), contract.schema()
    model = contract.model_of(case, plan)
    model.save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert not again.training
    assert_close(scores(again, samples), scores(model, samples), **EXACT)
    assert_close(again.state_dict(), model.state_dict(), **EXACT)


@every_fusion
def test_every_subset_of_lacking_kinds_gives_finite_results_and_gradients(case):
    plan = contract.schema()
    model = contract.model_of(case, plan).train()
    for gone in SUBSETS:
        for samples in ([contract.sample(i, gone) for i in range(2)], [contract.sample(0, gone), contract.sample(1)]):
            model.zero_grad()
            out = model(model.collate(samples)).scores
            out.square().sum().backward()
            assert torch.isfinite(out).all(), gone
            for name, parameter in model.named_parameters():
                assert parameter.grad is None or torch.isfinite(parameter.grad).all(), (gone, name)


@pytest.mark.parametrize("case", [case for case in contract.FUSION_CASES if not case.startswith("pyg")])
def test_every_weight_can_learn(case):
    model = contract.model_of(case, contract.schema(hubs=False))  # attention to a single node has one outcome
    model(model.collate(contract.samples())).scores.square().sum().backward()
    free = "pooling.score.bias"  # a softmax does not see what is added to all its scores
    weights = {name: p for name, p in model.named_parameters() if p.numel() and not name.endswith(free)}
    assert not [name for name, p in weights.items() if p.grad is None or not p.grad.any()]


@every_fusion
def test_a_sample_without_any_node_is_named(case):
    model = contract.model_of(case, contract.schema())
    with pytest.raises(gf.InputError, match=r"^Sample 'empty/1' has no node of any kind; it needs one of: text, "):
        model.predict([contract.sample(0), gf.Sample("empty/1", {})])


@every_fusion
def test_training_and_prediction_treat_a_lacking_kind_alike(case):
    model = contract.model_of(case, contract.schema(), dropout=0.0)
    samples = contract.samples()
    predicted = scores(model.eval(), samples)
    assert_close(scores(model.train(), samples), predicted, **EXACT)


@every_fusion
def test_a_dense_relation_and_the_same_links_listed_give_the_same(case):
    samples = contract.samples()
    names = [("text", "all_pairs", "image"), ("image", "all_pairs", "image"), ("entity", "all_pairs", "entity")]
    given = [gf.Linked(*contract.NEXT), gf.Linked(*contract.MENTIONS), gf.Linked(*contract.RESEMBLES, weighted=True)]
    dense = gf.Schema(contract.KINDS, [*(gf.AllPairs(a, b) for a, _, b in names), *given])
    listed = gf.Schema(contract.KINDS, [*(gf.Linked(*name) for name in names), *given])

    def complete(one: gf.Sample) -> gf.Sample:
        sizes = {kind: len(one.nodes.get(kind, ())) for kind in contract.KINDS}
        pairs = {r: torch.cartesian_prod(torch.arange(sizes[r[0]]), torch.arange(sizes[r[2]])).t() for r in names}
        links = {r: p for r, p in pairs.items() if p.numel()}
        return gf.Sample(one.name, one.nodes, {**one.links, **links}, one.spans, one.weights)

    left = fused(contract.fusion_of(case, dense), samples, dense)
    right = fused(contract.fusion_of(case, listed), [complete(s) for s in samples], listed)
    assert_close(right.vector, left.vector, **CLOSE)
    assert_close(right.graph.x, left.graph.x, **CLOSE)


@every_fusion
def test_a_schema_whose_only_relation_has_no_edge_works(case):
    plan = gf.Schema(contract.KINDS, [gf.Linked(*contract.NEXT)])
    samples = [gf.Sample(s.name, s.nodes) for s in contract.samples()]
    assert torch.isfinite(scores(contract.model_of(case, plan), samples)).all()


@pytest.mark.parametrize("case", [case for case in contract.FUSION_CASES if not case.startswith("pyg")])
def test_a_schema_without_relations_works(case):
    model = contract.model_of(case, gf.Schema(contract.KINDS))
    assert torch.isfinite(scores(model, [gf.Sample(s.name, s.nodes) for s in contract.samples()])).all()


@every_fusion
def test_a_schema_of_one_kind_works(case):
    plan = gf.Schema({"text": 6}, [gf.AllPairs("text", "text")])
    model = contract.model_of(case, plan)
    assert torch.isfinite(scores(model, [gf.Sample("a", {"text": torch.ones(1, 6)})])).all()


@every_fusion
def test_one_layer_works(case):
    model = contract.model_of(case, contract.schema(), layers=1)
    assert torch.isfinite(scores(model, contract.samples())).all()


@every_fusion
def test_the_graph_that_came_in_is_left_as_it_was(case):
    plan = contract.schema()
    graph = contract.graph_of(contract.samples(), plan)
    before = graph.x.clone()
    contract.fusion_of(case, plan)(graph)
    assert_close(graph.x, before, **EXACT)


@every_fusion
def test_weights_are_a_function_of_the_seed(case):
    plan = contract.schema()
    assert_close(contract.model_of(case, plan).state_dict(), contract.model_of(case, plan).state_dict(), **EXACT)


@pytest.mark.parametrize("case", ["hgt", "attention", "cross_transformer"])
def test_heads_that_do_not_divide_the_width_are_named(case):
    with pytest.raises(gf.InputError, match=rf"^{case}: width 8 is not divisible by 3 heads; choose "):
        gf.FUSIONS[case](8, contract.schema(), heads=3)


@every_fusion
def test_a_fusion_without_layers_is_refused_or_works(case):
    name, options = contract.FUSION_CASES[case]
    plan = contract.schema()
    with contextlib.suppress(gf.InputError):
        module = gf.FUSIONS[name](8, plan, layers=0, **options)
        assert torch.isfinite(fused(module, contract.samples(), plan).vector).all()


def test_links_with_weights_reach_the_layers_of_pyg_that_take_them():
    plan = gf.Schema(contract.KINDS, [gf.Linked(*contract.NEXT, weighted=True)])
    nodes, links = {"entity": torch.randn(3, 3)}, {contract.NEXT: torch.tensor([[0, 1], [2, 2]])}
    made = [gf.Sample("s", nodes, links, weights={contract.NEXT: torch.tensor(w)}) for w in ([1.0, 1.0], [1.0, 0.2])]
    left, right = (fused(contract.fusion_of("pyg:GCNConv", plan), [one], plan).vector for one in made)
    assert float((left - right).abs().max()) > 1e-4


def test_pyg_layers_may_be_given_as_a_function():
    from torch_geometric.nn import TransformerConv

    def conv(dim: int, plan: gf.Schema) -> torch.nn.Module:
        return TransformerConv(dim, dim, heads=1)

    plan = contract.schema()
    module = gf.FUSIONS["pyg"](8, plan, conv=conv)
    assert torch.isfinite(fused(module, contract.samples(), plan).vector).all()


def test_an_unknown_layer_of_pyg_is_named_with_the_nearest():
    with pytest.raises(gf.InputError, match=r"There is no layer in torch_geometric\.nn called 'GATv3Conv'\. Did you"):
        gf.FUSIONS["pyg"](8, contract.schema(), conv="GATv3Conv")


@pytest.mark.parametrize(("conv", "options"), [("ChebConv", {}), ("EdgeConv", {}), ("GATv2Conv", {"foo": 1})])
def test_a_layer_of_pyg_that_cannot_be_built_is_one_sentence(conv, options):
    with pytest.raises(gf.InputError, match=rf"{conv} of torch_geometric\.nn cannot be built with the widths 8, 8"):
        gf.FUSIONS["pyg"](8, contract.schema(), conv=conv, **options)


def test_a_layer_of_pyg_that_needs_more_than_a_graph_has_is_named():
    with pytest.raises(gf.InputError, match=r"GCN2Conv of torch_geometric\.nn needs x_0 beside states and edges"):
        gf.FUSIONS["pyg"](8, contract.schema(), conv="GCN2Conv")


def test_a_layer_of_pyg_with_another_width_says_what_to_do():
    module = gf.FUSIONS["pyg"](8, contract.schema(), conv="GATv2Conv", heads=2)
    with pytest.raises(gf.InputError, match=r"gave states \[\d+, 16\], expected \[\d+, 8\]; .* concat=False\."):
        module(contract.graph_of(contract.samples(), contract.schema()))


def test_relation_gate_asks_the_kind_that_it_is_told_to_ask():
    plan = contract.schema()
    with pytest.raises(gf.InputError, match=r"There is no kind called 'imgae'\. Did you mean 'image'"):
        gf.FUSIONS["relation_gate"](8, plan, query="imgae")
    graph = contract.graph_of(contract.samples(), plan)
    left, right = (contract.perturbed(_gate(plan, query))(graph).vector.detach() for query in ("text", "image"))
    assert float((left - right).abs().max()) > 1e-3


def _gate(plan: gf.Schema, query: str) -> torch.nn.Module:
    with gf.seeded(0):
        return gf.FUSIONS["relation_gate"](8, plan, query=query)


def test_relation_gate_grounds_with_shares_that_add_to_one_a_sample():
    from graphfuse.core.message import segment, segment_softmax

    samples, plan = contract.samples(), contract.schema()
    grounding = contract.fusion_of("relation_gate", plan).grounding
    graph = contract.graph_of(samples, plan)
    score, meant, owner = grounding.score(graph, torch.randn(len(samples), 8))
    touched = set()
    for laid in graph.relations:
        if laid.relation[1] in ("mentions", "resembles"):
            touched |= set(laid.pairs[1].tolist())
    assert set(meant.nonzero()[:, 0].tolist()) == touched
    share = segment_softmax(score[meant][:, None], owner[meant], len(samples))
    total = segment(share, owner[meant], len(samples))[:, 0]
    assert_close(total, torch.tensor([float(bool(set(contract.rows_of(samples, plan, b)) & touched))
                                      for b in range(len(samples))]), rtol=1e-5, atol=1e-6)  # fmt: skip


def test_a_laid_relation_says_whether_it_is_dense():
    assert Laid(contract.NEXT, 0).dense
    assert not Laid(contract.NEXT, 0, torch.zeros(2, 0).long()).dense
