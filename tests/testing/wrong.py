"""Fusions that are wrong on purpose, each by the check that is meant to catch it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

import graphfuse as gf


class Sound(nn.Module):
    """A layer without fault: each node adds the mapped mean of its in-edges' sources to its own map."""

    def __init__(self, dim: int, schema: gf.Schema):
        super().__init__()
        self.own, self.heard = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, graph: gf.FusionGraph) -> gf.FusionGraph:
        return graph.replace(x=self.own(graph.x) + self.heard(gf.aggregate(graph, graph.x, reduce="mean")))


class BatchMean(Sound):
    def forward(self, graph):
        return graph.replace(x=self.own(graph.x) + self.heard(graph.x.mean(0, keepdim=True)))


class NearlyApart(Sound):
    """Adds so little of its batch mates that no result shows it; the gradient does."""

    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x + 1e-9 * graph.x.mean(0, keepdim=True))


class SampleNumber(Sound):
    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x + graph.owners[:, None])


class RowNumber(Sound):
    def forward(self, graph):
        first = graph.offsets[:, :-1][torch.bucketize(torch.arange(len(graph.x)), torch.tensor(graph.starts[1:]),
                                                      right=True), graph.owners]  # fmt: skip
        return graph.replace(x=super().forward(graph).x + (torch.arange(len(graph.x)) - first)[:, None])


class Loops(Sound):
    """Weighs links by their place in the list."""

    def forward(self, graph):
        x = self.own(graph.x)
        for laid in graph.relations:
            source, target = graph.edges(laid)
            rank = 1 + torch.arange(len(source), dtype=x.dtype)[:, None] - torch.searchsorted(target, target)[:, None]
            x = x.index_add(0, target, self.heard(graph.x)[source] * rank)
        return graph.replace(x=x)


class Normed(Sound):
    """Lacking kinds stand as zeros in one row a sample, over which a batch norm runs."""

    def __init__(self, dim, schema):
        super().__init__(dim, schema)
        self.norm = nn.BatchNorm1d(dim * len(schema.all_kinds))

    def forward(self, graph):
        parts = [torch.zeros(len(graph), graph.x.shape[1]).to(graph.x).index_add(0, graph.owner(k), graph.of(k))
                 for k in graph.schema.all_kinds]  # fmt: skip
        rows = self.norm(torch.cat(parts, 1)).view(len(graph), len(parts), -1).mean(1)
        return graph.replace(x=super().forward(graph).x + rows[graph.owners])


class Average(Sound):
    """Keeps a running mean of what it saw, and takes it off."""

    def __init__(self, dim, schema):
        super().__init__(dim, schema)
        self.register_buffer("seen", torch.zeros(dim))

    def forward(self, graph):
        if self.training:
            self.seen = 0.9 * self.seen + 0.1 * graph.x.detach().mean(0)
        return super().forward(graph.replace(x=graph.x - self.seen))


class Remembers(Sound):
    def __init__(self, dim, schema):
        super().__init__(dim, schema)
        self.last = 0.0

    def forward(self, graph):
        x, self.last = super().forward(graph).x + self.last, float(graph.x.detach().mean())
        return graph.replace(x=x)


class InPlace(Sound):
    def forward(self, graph):
        with torch.no_grad():
            graph.x.mul_(1.5)
        return super().forward(graph)


class Unseeded(Sound):
    def __init__(self, dim, schema):
        super().__init__(dim, schema)
        rng = torch.Generator()
        rng.seed()
        self.own.weight = nn.Parameter(torch.randn(dim, dim, generator=rng))


class Reseeds(Sound):
    def __init__(self, dim, schema):
        torch.manual_seed(0)
        super().__init__(dim, schema)


class Noisy(Sound):
    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x + 0.01 * torch.randn_like(graph.x))


class Draws(Sound):
    def forward(self, graph):
        torch.rand(())
        return super().forward(graph)


class EmptyMean(Sound):
    """The mean over the nodes of each kind, which is 0 / 0 where a kind lacks."""

    def forward(self, graph):
        means = [torch.zeros(len(graph), graph.x.shape[1]).to(graph.x).index_add(0, graph.owner(k), graph.of(k))
                 / graph.sizes(k)[:, None] for k in graph.schema.all_kinds]  # fmt: skip
        return graph.replace(x=super().forward(graph).x + torch.stack(means).mean(0)[graph.owners])


class Idle(Sound):
    """A weight that it never uses."""

    def __init__(self, dim, schema):
        super().__init__(dim, schema)
        self.spare = nn.Linear(dim, dim)


class Detached(Sound):
    def forward(self, graph):
        return graph.replace(x=self.own(graph.x) * self.heard(graph.x.detach()))


class Hidden(Sound):
    """A weight in a plain list, which PyTorch does not see."""

    def __init__(self, dim, schema):
        super().__init__(dim, schema)
        self.more = [nn.Linear(dim, dim)]

    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x + self.more[0].to(graph.x.dtype)(graph.x))


class Exponential(Sound):
    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x.exp())


class Scaled(Sound):
    """Divides by the length of a state, which may be zero."""

    def forward(self, graph):
        return super().forward(graph.replace(x=graph.x / graph.x.norm(dim=1, keepdim=True)))


class ListedOnly(Sound):
    """Hears over sparse relations alone."""

    def forward(self, graph):
        sparse = tuple(laid for laid in graph.relations if not laid.dense)
        return super().forward(graph.replace(relations=sparse)).replace(relations=graph.relations)


class NeedsEdges(Sound):
    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x + torch.cat([graph.edges(r)[0] for r in graph.relations]).max())


class LogWeights(Sound):
    def forward(self, graph):
        x = super().forward(graph).x
        for laid in graph.relations:
            if laid.weight is not None:
                x = x.index_add(0, laid.pairs[1], laid.weight.log()[:, None] * graph.x[laid.pairs[0]])
        return graph.replace(x=x)


class Relabelled(nn.Module):
    """A fusion that takes its relations off the graph."""

    def __init__(self, dim, schema, layers=2):
        super().__init__()
        self.stack = gf.Stack(Sound, dim, schema, layers)

    def forward(self, graph):
        fused = self.stack(graph)
        return gf.Fused(fused.graph.replace(relations=()), fused.vector)


class LosesAKind(Relabelled):
    """Reads the first kind alone."""

    def forward(self, graph):
        fused, kind = self.stack(graph.replace(relations=())), graph.schema.all_kinds[0]
        total = torch.zeros_like(fused.vector).index_add(0, graph.owner(kind), fused.graph.of(kind))
        return gf.Fused(fused.graph.replace(relations=graph.relations), total)


class Constant(Relabelled):
    def forward(self, graph):
        fused = self.stack(graph)
        return gf.Fused(fused.graph, 0 * fused.vector)


class Wide(Relabelled):
    def forward(self, graph):
        fused = self.stack(graph)
        return gf.Fused(fused.graph, torch.cat([fused.vector, fused.vector], 1))


class Single(Relabelled):
    """A vector in float32, whatever comes."""

    def forward(self, graph):
        fused = self.stack(graph)
        return gf.Fused(fused.graph, fused.vector.float())


class Layerless(Relabelled):
    """Falls over where it has no layer."""

    def __init__(self, dim, schema, layers=2):
        super().__init__(dim, schema, max(layers, 1))
        self.share = 1 / layers


class OneLayer(Relabelled):
    """Falls over where it has one layer."""

    def __init__(self, dim, schema, layers=2):
        super().__init__(dim, schema, layers)
        self.step = 1 / (layers - 1)


class WrongGradient(Sound):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx, gradient: Tensor) -> Tensor:
            return 2 * gradient

    def forward(self, graph):
        return super().forward(graph.replace(x=self.Double.apply(graph.x)))


class Unlike(Sound):
    """Does something else where gradients are not asked for."""

    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x * (1.0 if torch.is_grad_enabled() else 1.1))


class Autocast(Sound):
    """Adds what a linear map gives to states of another type, under autocast."""

    def forward(self, graph):
        return graph.replace(x=torch.zeros_like(graph.x).index_add(0, torch.arange(len(graph.x)), self.own(graph.x)))


class Shared(Sound):
    def __deepcopy__(self, memo):
        return self


class ByType(Sound):
    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x + graph.x * (graph.x.dtype == torch.double))


class NeedsImages(Sound):
    def forward(self, graph):
        return graph.replace(x=super().forward(graph).x + graph.of("image").sum() * 0)


BARE = {"norm": False}  # a norm before each layer would hide what it does
CAUGHT: list[tuple[str, Callable[..., nn.Module], dict[str, bool]]] = [
    ("alone_and_in_company", BatchMean, {}),
    ("beside_a_very_large_sample", BatchMean, {}),
    ("hubs_belong_to_one_sample", BatchMean, {}),
    ("values_of_a_lacking_kind_never_matter", BatchMean, {}),
    ("gradients_stay_within_a_sample", NearlyApart, {}),
    ("any_order", SampleNumber, {}),
    ("equal_samples_agree", SampleNumber, {}),
    ("permuted_nodes_permute_their_rows", RowNumber, {}),
    ("the_order_of_links_never_matters", Loops, {}),
    ("training_and_prediction_agree", Normed, {}),
    ("buffers_do_not_depend_on_batches", Normed, {}),
    ("buffers_do_not_depend_on_batches", Average, {}),
    ("an_earlier_batch_changes_nothing", Remembers, {}),
    ("the_graph_that_came_in_is_unchanged", InPlace, BARE),
    ("weights_are_a_function_of_the_seed", Unseeded, {}),
    ("making_it_sets_no_seed", Reseeds, {}),
    ("evaluation_is_deterministic", Noisy, {}),
    ("prediction_draws_no_random_number", Draws, {}),
    ("lacking_kinds_stay_finite", EmptyMean, {}),
    ("a_single_node", EmptyMean, {}),
    ("every_weight_can_learn", Idle, {}),
    ("gradients_are_right", Detached, {}),
    ("gradients_are_right", WrongGradient, {}),
    ("a_state_dict_loads_strictly", Hidden, {}),
    ("saved_and_opened_is_bit_equal", Hidden, {}),
    ("shapes_are_those_of_the_contract", Single, {}),
    ("shapes_are_those_of_the_contract", Wide, {}),
    ("large_values_stay_finite", Exponential, BARE),
    ("zeros_stay_finite", Scaled, BARE),
    ("dense_and_listed_agree", ListedOnly, {}),
    ("without_relations", NeedsEdges, {}),
    ("a_relation_without_any_edge", NeedsEdges, {}),
    ("weighted_links_stay_finite", LogWeights, {}),
    ("nodes_and_relations_are_kept", Relabelled, {}),
    ("every_kind_matters", LosesAKind, {}),
    ("different_samples_differ", Constant, {}),
    ("no_layers_are_refused_or_work", Layerless, {}),
    ("with_and_without_gradients_agree", Unlike, {}),
    ("one_layer", OneLayer, {}),
    ("bfloat16_stays_finite", Autocast, {}),
    ("a_deep_copy_is_equal_and_apart", Shared, {}),
    ("float64_agrees_with_float32", ByType, {}),
    ("a_schema_of_one_kind", NeedsImages, {}),
    ("zero_rows_are_as_absent", Noisy, {}),
    ("another_device_and_back", Noisy, {}),
]
