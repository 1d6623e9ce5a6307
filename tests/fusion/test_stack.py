"""What a stack adds to its layers."""

import contract
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core.graph import Laid

PLAN = contract.schema()


class Counting(nn.Module):
    """Keeps the relations that each call gets."""

    def __init__(self, dim: int, schema: gf.Schema):
        super().__init__()
        self.lin = nn.Linear(dim, dim)
        self.seen: list[tuple[Laid, ...]] = []

    def forward(self, graph: gf.FusionGraph) -> gf.FusionGraph:
        self.seen.append(graph.relations)
        return graph.replace(x=self.lin(graph.x))


def stack(layer: object = "sage", **options: object) -> nn.Module:
    with gf.seeded(0):
        if isinstance(layer, str):
            return gf.FUSIONS[layer](8, PLAN, layers=3, **options)
        return gf.fusion.Stack(layer, 8, PLAN, layers=3, **options)


def graph() -> gf.FusionGraph:
    return contract.graph_of(contract.samples(), PLAN)


def edges(relations: tuple[Laid, ...]) -> list[int]:
    return [laid.pairs.shape[1] for laid in relations if laid.pairs is not None]


def test_edge_dropout_leaves_out_edges_of_sparse_relations_in_training_alone():
    module, laid = stack(Counting, edge_dropout=0.5), graph()
    torch.manual_seed(1)
    module.train()(laid)
    module.eval()(laid)
    trained, used = module.layers[0].seen
    assert sum(edges(trained)) < 0.75 * sum(edges(used))
    assert edges(used) == edges(laid.relations)
    assert [r.relation for r in trained] == [r.relation for r in laid.relations]
    for kept, whole in zip(trained, laid.relations):
        assert kept.dense == whole.dense
        if kept.pairs is not None and kept.weight is not None:
            left = {(a, b, w) for (a, b), w in zip(kept.pairs.t().tolist(), kept.weight.tolist())}
            assert left <= {(a, b, w) for (a, b), w in zip(whole.pairs.t().tolist(), whole.weight.tolist())}
    assert edges(module.layers[1].seen[0]) != edges(trained), "each layer drops edges of its own"


@pytest.mark.parametrize("name", ["sage", "gcn", "gat", "hgt", "graph_transformer"])
def test_dropped_edges_reach_no_node(name):
    """Without any sparse edge the result is that of the dense relations alone."""
    module, laid = stack(name).eval(), graph()
    none = tuple(
        r if r.dense else Laid(r.relation, r.index, r.pairs[:, :0], None if r.weight is None else r.weight[:0])
        for r in laid.relations
    )
    module(laid)  # what is found for the whole graph must not be taken for the other
    left = module(laid.replace(relations=none)).vector
    right = module(graph().replace(relations=none)).vector
    assert_close(left, right, rtol=0, atol=0)


def test_jumping_knowledge_reads_the_states_of_all_layers():
    laid = graph()
    last, most, joined = (stack(jump=jump).eval() for jump in ("last", "max", "cat"))
    for other in (most, joined):
        other.load_state_dict(last.state_dict(), strict=False)
    states = []
    x = laid
    for norm, layer in zip(last.norms, last.layers):
        x = x.replace(x=x.x + torch.nn.functional.gelu(layer(x.replace(x=norm(x.x))).x))
        states.append(x.x)
    assert_close(last(laid).graph.x, last.norms[-1](states[-1]))
    assert_close(most(laid).graph.x, last.norms[-1](torch.stack(states).amax(0)))
    assert_close(joined(laid).graph.x, last.norms[-1](joined.join(torch.cat(states, 1))))


def test_a_feed_forward_network_follows_each_layer():
    module, laid = stack(Counting, feed_forward=True, residual=False).eval(), graph()
    x = laid.x
    for norm, layer, deep in zip(module.norms, module.layers, module.deep):
        x = torch.nn.functional.gelu(layer.lin(norm(x)))
        x = x + deep.maps(deep.norm(x))
    assert_close(module(laid).graph.x, module.norms[-1](x))


@pytest.mark.parametrize("options", [{"jump": "cat"}, {"jump": "max"}, {"feed_forward": True}, {"edge_dropout": 0.3}])
def test_options_are_saved_with_a_model(options, tmp_path):
    model = gf.FusionModel(PLAN, gf.heads.Classify(contract.LABELS), "gatv2", dim=8, layers=2, **options)
    model.eval().save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path)
    batch = model.collate(contract.samples())
    assert_close(again(batch).scores, model(batch).scores, rtol=0, atol=0)


@pytest.mark.parametrize(("options", "message"), [
    ({"edge_dropout": 1.0}, r"edge_dropout is 1\.0; it must be at least 0 and less than 1"),
    ({"jump": "lst"}, r"no jump called 'lst'\. Did you mean 'last'"),
])  # fmt: skip
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(gf.InputError, match=message):
        stack(**options)
