"""Each fusion without a graph against a plain loop over samples, written from its paper's equation."""

from collections.abc import Callable, Mapping

import contract
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, softplus
from torch.testing import assert_close

import graphfuse as gf

EXACT = {"rtol": 1e-10, "atol": 1e-10}
DIM = 8
PLAN = contract.schema()
Nodes = Mapping[int, Tensor]
"""Place of a kind in the schema -> one sample's nodes of it, for the kinds that it has."""


def pool(fusion: nn.Module, x: Tensor) -> Tensor:
    pooling = fusion.readout.pooling if hasattr(fusion, "readout") else fusion.pooling
    return pooling.score(x)[:, 0].softmax(0) @ x


def deeper(fusion: nn.Module, vector: Tensor) -> Tensor:
    for first, _, second in fusion.deep:
        vector = vector + second(gelu(first(vector)))
    return vector


def mapped(maps: nn.Module, k: int, x: Tensor) -> Tensor:
    return x @ maps.weight[k] + maps.bias[k]


def weighted(fusion: nn.Module, nodes: Nodes) -> Tensor:
    total, result = 0.0, torch.zeros(DIM, dtype=torch.double)
    for k, x in nodes.items():
        vector = pool(fusion, x)
        weight = (fusion.logit[k] + (0.0 if fusion.ask is None else fusion.ask[k] @ vector)).exp()
        total, result = total + weight, result + weight * (vector @ fusion.maps[k])
    return deeper(fusion, result / total)


def gated(fusion: nn.Module, nodes: Nodes) -> Tensor:
    kinds = len(fusion.maps)
    gates = fusion.gates.weight.view(kinds, DIM, kinds, DIM)
    result = torch.zeros(DIM, dtype=torch.double)
    for k, x in nodes.items():
        opened = sum(gates[k, :, j] @ pool(fusion, other) for j, other in nodes.items())
        result = result + torch.sigmoid(opened) * torch.tanh(pool(fusion, x) @ fusion.maps[k])
    return deeper(fusion, result)


def film_fusion(fusion: nn.Module, nodes: Nodes) -> tuple[Tensor, Nodes]:
    score = fusion.pooling.score
    asked = score(nodes[fusion.query])[:, 0].softmax(0) @ nodes[fusion.query] if fusion.query in nodes else None
    for layer in fusion.layers:
        result = {}
        for k, x in nodes.items():
            gamma, beta = torch.ones(DIM, dtype=torch.double), torch.zeros(DIM, dtype=torch.double)
            if k != fusion.query and asked is not None:
                film = mapped(layer.film, k - (k > fusion.query), asked)
                gamma, beta = 1 + film[:DIM], film[DIM:]
            h = layer.first.maps[k](x).clamp(min=0)
            result[k] = h + (gamma * layer_norm(layer.second.maps[k](h), (DIM,)) + beta).clamp(min=0)
        nodes = result
    return torch.stack([pool(fusion, x) for x in nodes.values()]).mean(0), nodes


def tensor(fusion: nn.Module, nodes: Nodes) -> Tensor:
    """The weight tensor times the outer product, one kind after the other; of a lacking kind no term."""
    kinds, width = fusion.embed.bias.shape
    weight = fusion.join.weight.view(DIM, *[width + 1] * kinds)
    for k in range(kinds):
        if k in nodes:
            z = torch.cat([torch.tanh(mapped(fusion.embed, k, pool(fusion, nodes[k]))), torch.ones(1).double()])
            weight = torch.tensordot(weight, z, dims=([1], [0]))
        else:
            weight = weight.select(1, width)  # what the kind's one multiplies
    return deeper(fusion, weight + fusion.join.bias)


def low_rank(fusion: nn.Module, nodes: Nodes) -> Tensor:
    """By the full weight tensor of each rank and the outer product, over the kinds at hand."""
    result = fusion.bias
    for i in range(fusion.rank):
        for c in range(DIM):
            weight, product = torch.ones(1).double(), torch.ones(1).double()
            for k, x in nodes.items():
                own = torch.cat([fusion.factors.weight[k], fusion.factors.bias[k][None]])[:, i * DIM + c]
                weight = torch.outer(weight, own).flatten()
                product = torch.outer(product, torch.cat([pool(fusion, x), torch.ones(1).double()])).flatten()
            result = result + nn.functional.one_hot(torch.tensor(c), DIM) * (weight @ product)
    return deeper(fusion, result)


def block(own: nn.Module, x: Tensor, source: Tensor | None = None) -> Tensor:
    """A transformer's layer over unpadded rows, head after head."""
    here = own.norms[0](x)
    key, value = own.key_value(here if source is None else source).chunk(2, 1)
    query, width = own.query(here), DIM // own.heads
    heads = []
    for h in range(own.heads):
        part = slice(h * width, (h + 1) * width)
        heads.append((query[:, part] @ key[:, part].T * width**-0.5).softmax(1) @ value[:, part])
    x = x + own.out(torch.cat(heads, 1))
    first, _, second = own.deep
    return x + second(gelu(first(own.norms[1](x))))


def bottleneck(fusion: nn.Module, nodes: Nodes) -> tuple[Tensor, Nodes]:
    tokens, many = fusion.tokens, len(fusion.tokens)
    for layer in fusion.layers:
        both = {k: block(layer.kinds[k], torch.cat([x, tokens])) for k, x in nodes.items()}
        nodes = {k: x[:-many] for k, x in both.items()}
        tokens = sum(x[-many:] for x in both.values()) / len(both)
    nodes = {k: fusion.norm(x) for k, x in nodes.items()}
    return torch.stack([pool(fusion, x) for x in nodes.values()]).mean(0), nodes


def perceiver(fusion: nn.Module, nodes: Nodes) -> Tensor:
    x = torch.cat([x + fusion.kind.weight[k] for k, x in nodes.items()])
    latents = fusion.latents
    for told, read, think in zip(fusion.told, fusion.read, fusion.think):
        latents = block(think, block(read, latents, told(x)))
    return fusion.norm(latents).mean(0)


def experts(fusion: nn.Module, nodes: Nodes) -> list[tuple[Tensor, Tensor]]:
    given = [mapped(fusion.experts, k, pool(fusion, x)).split(DIM) for k, x in nodes.items()]
    return [(mean, softplus(spread) + 1e-6) for mean, spread in given]


def product_of_experts(fusion: nn.Module, nodes: Nodes) -> Tensor:
    mean, precision = torch.zeros(DIM, dtype=torch.double), torch.ones(DIM, dtype=torch.double)  # the prior
    for own, variance in experts(fusion, nodes):  # two normal densities multiplied, one expert after the other
        mean = (mean * precision + own / variance) / (precision + 1 / variance)
        precision = precision + 1 / variance
    return deeper(fusion, fusion.join(torch.cat([mean, -precision.log()])))


def mixture_of_experts(fusion: nn.Module, nodes: Nodes) -> Tensor:
    given = experts(fusion, nodes)
    mean = sum(own for own, _ in given) / len(given)
    second = sum(variance + own**2 for own, variance in given) / len(given)
    return deeper(fusion, fusion.join(torch.cat([mean, (second - mean**2).log()])))


def decided(fusion: nn.Module, nodes: Nodes) -> dict[int, Tensor]:
    result = {}
    for k, x in nodes.items():
        vector = mapped(fusion.first, k, pool(fusion, x))
        for wide, back in zip(fusion.wide, fusion.back):
            vector = vector + mapped(back, k, gelu(mapped(wide, k, vector)))
        result[k] = vector
    return result


def average(fusion: nn.Module, nodes: Nodes) -> Tensor:
    return torch.stack(list(decided(fusion, nodes).values())).mean(0)


def stacking(fusion: nn.Module, nodes: Nodes) -> Tensor:
    weight = {k: fusion.join.logit[k].exp() for k in nodes}
    return sum(weight[k] * vector for k, vector in decided(fusion, nodes).items()) / sum(weight.values())


def evidential(fusion: nn.Module, nodes: Nodes) -> Tensor:
    """Belief and what is left open, combined two at a time with the conflict counted pair by pair."""
    belief, left = torch.zeros(DIM, dtype=torch.double), torch.ones((), dtype=torch.double)  # knows nothing
    for vector in decided(fusion, nodes).values():
        evidence = softplus(vector)
        strength = (evidence + 1).sum()
        b, u = evidence / strength, DIM / strength
        conflict = sum(belief[i] * b[j] for i in range(DIM) for j in range(DIM) if i != j)
        belief, left = (belief * b + belief * u + b * left) / (1 - conflict), left * u / (1 - conflict)
        assert_close(belief.sum() + left, torch.ones((), dtype=torch.double), **EXACT)
    return (belief * DIM / left + 1).log()


CASES: dict[str, tuple[str, dict, Callable[..., Tensor | tuple[Tensor, Nodes]]]] = {
    "weighted": ("weighted", {}, weighted),
    "weighted by input": ("weighted", {"by": "input"}, weighted),
    "gated": ("gated", {}, gated),
    "film_fusion": ("film_fusion", {}, film_fusion),
    "film_fusion by image": ("film_fusion", {"query": "image"}, film_fusion),
    "tensor": ("tensor", {}, tensor),
    "tensor of width 2": ("tensor", {"width": 2}, tensor),
    "low_rank": ("low_rank", {}, low_rank),
    "low_rank of rank 2": ("low_rank", {"rank": 2}, low_rank),
    "bottleneck": ("bottleneck", {}, bottleneck),
    "bottleneck of one token": ("bottleneck", {"tokens": 1, "heads": 2}, bottleneck),
    "perceiver": ("perceiver", {}, perceiver),
    "perceiver of two latents": ("perceiver", {"latents": 2, "heads": 1}, perceiver),
    "mixture": ("mixture", {}, product_of_experts),
    "mixture of experts": ("mixture", {"how": "mixture"}, mixture_of_experts),
    "late": ("late", {}, average),
    "stacking": ("stacking", {}, stacking),
    "evidential": ("evidential", {}, evidential),
}
BATCHES = {"varied": contract.LACKING, "none lacks": ((),), "all lack the same": (("text", "image"),)}


def fusion_of(case: str, plan: gf.Schema, layers: int) -> nn.Module:
    name, options, _ = CASES[case]
    with gf.seeded(1):
        return contract.perturbed(gf.FUSIONS[name](DIM, plan, layers=layers, **options), by=0.4).double()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("hubs", [True, False])
def test_a_method_equals_the_plain_loop_of_its_equation(case, batch, hubs):
    plan, made = contract.schema(hubs=hubs), contract.samples(8, BATCHES[batch])
    graph = contract.graph_of(made, plan, dim=DIM, dtype=torch.double)
    for layers in (1, 2):
        fusion = fusion_of(case, plan, layers)
        got = fusion(graph)
        for place in range(len(made)):
            rows: dict[int, list[int]] = {}
            for (kind, owner, _), row in contract.row_numbers(made, plan).items():
                if owner == place:
                    rows.setdefault(plan.all_kinds.index(kind), []).append(row)
            nodes = {k: graph.x[own] for k, own in rows.items()}
            told = CASES[case][2](fusion, nodes)
            vector, states = told if isinstance(told, tuple) else (told, nodes)
            assert_close(got.vector[place], vector, **EXACT)
            for k, own in rows.items():
                assert_close(got.graph.x[own], states[k], **EXACT)


@pytest.mark.parametrize("case", [case for case, (name, *_) in CASES.items() if case != name])
def test_options_survive_saving_and_every_weight_learns(case, tmp_path):
    name, options, _ = CASES[case]
    made, plan = contract.samples(), contract.schema(hubs=False)
    with gf.seeded(1):
        model = gf.FusionModel(plan, gf.heads.Classify(contract.LABELS), name, dim=DIM, dropout=0.0, **options)
    model(model.collate(made)).scores.square().sum().backward()
    assert not [key for key, p in model.named_parameters() if p.numel() and (p.grad is None or not p.grad.any())]
    model.save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert_close(again(model.collate(made)).scores, model(model.collate(made)).scores, rtol=0, atol=0)


def test_weights_by_input_start_as_those_that_are_learned():
    graph = contract.graph_of(contract.samples(), PLAN)
    left, right = (_made("weighted", by=by)(graph).vector for by in ("learned", "input"))
    assert_close(left, right, rtol=0, atol=0)


def test_kinds_meet_at_the_bottleneck_from_the_second_layer_on():
    made = contract.samples(1)
    graph = contract.graph_of(made, PLAN)
    x = graph.x.clone()
    x[graph.rows("image")] = graph.of("image").flip(1)
    for layers, meet in ((1, False), (2, True)):
        fusion = contract.fusion_of("bottleneck", PLAN, layers=layers)
        moved = fusion(graph.replace(x=x)).graph.of("text") - fusion(graph).graph.of("text")
        assert bool(moved.abs().max() > 1e-5) == meet


def test_a_kind_without_evidence_changes_no_belief():
    fusion = contract.perturbed(_made("evidential"))
    graph = contract.graph_of([contract.sample(0)], PLAN)
    alone = fusion(contract.graph_of([contract.sample(0, ("image",))], PLAN)).vector
    with torch.no_grad():
        for maps in (fusion.first, *fusion.back):
            maps.weight[1], maps.bias[1] = 0.0, -1e4
    assert_close(fusion(graph).vector, alone, rtol=1e-6, atol=1e-6)


def test_the_product_of_experts_listens_to_the_surest():
    from graphfuse.fusion.mixture import mixture, product

    mean, present = torch.tensor([[[3.0], [-1.0]]]), torch.ones(1, 2, 1)
    surest, _ = product(mean, torch.tensor([[[1e-4], [1.0]]]), present)
    assert_close(surest, torch.tensor([[3.0]]), rtol=1e-3, atol=0)
    assert_close(mixture(mean, torch.tensor([[[1e-4], [1.0]]]), present)[0], torch.tensor([[1.0]]))


@pytest.mark.parametrize(("kinds", "width"), [(1, 32), (2, 32), (3, 15), (4, 7), (5, 4), (6, 3), (13, 1)])
def test_the_width_of_the_tensor_follows_the_number_of_kinds(kinds, width):
    fusion = gf.FUSIONS["tensor"](2, gf.Schema({f"k{i}": 2 for i in range(kinds)}))
    assert fusion.embed.bias.shape == (kinds, width)


@pytest.mark.parametrize(("width", "size"), [(9, "100,000"), (0, "1")])
def test_a_tensor_that_is_too_large_or_empty_is_refused_with_its_size(width, size):
    kinds = gf.Schema({f"k{i}": 2 for i in range(5)})
    with pytest.raises(gf.InputError, match=rf"^tensor: the product of 5 kinds of width {width} has {size} numbers a "):
        gf.FUSIONS["tensor"](8, kinds, width=width)
    with pytest.raises(gf.InputError, match=r"^tensor: the product of 17 kinds of width 1 has 131,072 numbers a sampl"):
        gf.FUSIONS["tensor"](8, gf.Schema({f"k{i}": 2 for i in range(17)}))


@pytest.mark.parametrize("name", ["bottleneck", "perceiver"])
def test_heads_that_do_not_divide_the_width_are_named(name):
    with pytest.raises(gf.InputError, match=rf"^{name}: width 8 is not divisible by 3 heads; choose heads that divide"):
        gf.FUSIONS[name](8, PLAN, heads=3)
    with pytest.raises(gf.InputError, match=r"not divisible by 0 heads"):
        gf.FUSIONS[name](8, PLAN, heads=0)


@pytest.mark.parametrize(("name", "options", "said"), [
    ("weighted", {"by": "inputs"}, r"There is no way to weigh kinds called 'inputs'\. Did you mean 'input'\?"),
    ("film_fusion", {"query": "imgae"}, r"There is no kind called 'imgae'\. Did you mean 'image'\?"),
    ("low_rank", {"rank": 0}, r"low_rank: rank is 0; it needs at least 1\."),
    ("bottleneck", {"tokens": 0}, r"bottleneck: tokens is 0; it needs at least 1\."),
    ("perceiver", {"latents": 0}, r"perceiver: layers is 2 and latents is 0; each needs at least 1\."),
    ("perceiver", {"layers": 0}, r"perceiver: layers is 0 and latents is 8; each needs at least 1\."),
    ("mixture", {"how": "products"}, r"There is no way to join experts called 'products'\. Did you mean 'product'\?"),
    ("late", {"how": "stack"}, r"There is no way to join experts called 'stack'\. Did you mean 'stacking'\?"),
])  # fmt: skip
def test_a_wrong_option_is_named(name, options, said):
    with pytest.raises(gf.InputError, match="^" + said):
        gf.FUSIONS[name](8, PLAN, **options)


def _made(name: str, **options: object) -> nn.Module:
    with gf.seeded(2):
        return gf.FUSIONS[name](8, PLAN, **options)
