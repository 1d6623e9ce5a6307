"""One tiny instance of each catalogued part, for the suites that hold for every part.

A new fusion is picked up by itself, with its default options. A new edge builder needs a line in ``BUILDERS`` and a
new head a line in ``TARGETS`` and ``HEADS``; tests say so.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

import graphfuse as gf
from graphfuse.core.sample import Relation

KINDS = {"text": 6, "image": 4, "entity": 3}
LABELS = ("a", "b", "c")
NEXT, MENTIONS, RESEMBLES = (
    ("entity", "next", "entity"),
    ("text", "mentions", "entity"),
    ("image", "resembles", "entity"),
)

# Which samples of a batch lack what: nothing, each kind, each pair of kinds.
LACKING: tuple[tuple[str, ...], ...] = (
    (), ("image",), ("entity",), ("text",), ("image", "entity"), (), ("text", "entity"), ("text", "image"),
)  # fmt: skip

# Edge builders by their name in the catalog, each called with a direction.
BUILDERS = {
    "all_pairs": lambda **way: gf.AllPairs("text", "image", **way),
    "nearest": lambda **way: gf.Nearest("image", "entity", k=2, **way),
    "window": lambda **way: gf.Window("text", 2, **way),
    "overlap": lambda **way: gf.Overlap("text", "image", **way),
    "linked": lambda **way: gf.Linked(*RESEMBLES, weighted=True, **way),
    "hub": lambda **way: gf.Hub("text", **way),
}

# Options of heads by their name in the catalog.
HEADS: dict[str, dict[str, Any]] = {
    "classify": {"labels": LABELS},
    "multilabel": {"labels": LABELS},
    "regress": {"mean": 2.0, "scale": 3.0},
    "choose": {"kind": "entity"},
}

# A target of each head for sample number ``i``, which has ``n`` entities.
TARGETS = {
    "classify": lambda i, n: LABELS[i % 3] if i % 4 else (LABELS[0], LABELS[2]),
    "multilabel": lambda i, n: LABELS[: i % 4],
    "regress": lambda i, n: 0.5 * i - 1.0,
    "choose": lambda i, n: torch.arange(n)[i % 3 :: 2],
}

# Layers of torch-geometric with which the fusion ``pyg`` is tried, beside its default.
CONVS: tuple[dict[str, Any], ...] = (
    {}, {"conv": "SAGEConv"}, {"conv": "RGCNConv"}, {"conv": "GATv2Conv", "heads": 1}, {"conv": "GCNConv"},
    {"conv": "HGTConv", "heads": 2},
)  # fmt: skip


def fusion_cases() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every fusion of the catalog with options, by a name for the report."""
    cases: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in gf.FUSIONS:
        for options in CONVS if name == "pyg" else ({},):
            cases[":".join([name, *map(str, options.values())][:2])] = name, dict(options)
    return cases


FUSION_CASES = fusion_cases()


def schema(ordered: bool = True, hubs: bool = True) -> gf.Schema:
    """Dense, sparse and hub relations mixed, weighted and not; what reads the order of nodes only if ``ordered``."""
    windows = [gf.Window("text", 2, direction="both")] if ordered else []
    joined = [gf.Hub("text", direction="both"), gf.Hub("entity")] if hubs else []
    return gf.Schema(KINDS, [
        gf.AllPairs("text", "image", direction="both"), gf.AllPairs("text", "text"), *windows,
        gf.Nearest("image", "image", k=2), gf.Nearest("text", "entity", k=2, direction="both"),
        gf.Linked(*NEXT, direction="both"), gf.Linked(*MENTIONS),
        gf.Linked(*RESEMBLES, direction="both", weighted=True), gf.Overlap("text", "image"), *joined,
    ])  # fmt: skip


def sample(number: int, lacking: Sequence[str] = (), most: int = 5, target: Any = "a") -> gf.Sample:
    """One sample with 1 to ``most`` nodes of each kind that it does not lack, random links, weights and spans."""
    rng = torch.Generator().manual_seed(1_000 + number)

    def some(high: int, low: int = 0) -> int:
        return int(torch.randint(low, high, (), generator=rng))

    sizes = {kind: some(most + 1, 1) for kind in KINDS}
    nodes = {kind: torch.randn(n, KINDS[kind], generator=rng) for kind, n in sizes.items()}
    links = {}
    for relation in (NEXT, MENTIONS, RESEMBLES):
        ends = [torch.randint(sizes[kind], (some(2 * most, 1),), generator=rng) for kind in (relation[0], relation[2])]
        links[relation] = torch.stack([end[: min(map(len, ends))] for end in ends])
    start = {kind: 3 * torch.rand(sizes[kind], generator=rng) for kind in ("text", "image")}
    spans = {kind: torch.stack([a, a + torch.rand(len(a), generator=rng)], 1) for kind, a in start.items()}
    weights = {RESEMBLES: torch.rand(links[RESEMBLES].shape[1], generator=rng)}
    return gf.Sample(f"s/{number}", nodes, links, spans, weights, target).without(*lacking)


def samples(count: int = 8, lacking: Sequence[Sequence[str]] = LACKING, most: int = 5) -> list[gf.Sample]:
    """Samples of varied sizes that lack various kinds."""
    return [sample(i, lacking[i % len(lacking)], most, LABELS[i % 3]) for i in range(count)]


def targeted(head: str, count: int = 8) -> list[gf.Sample]:
    """The same samples with targets of a head."""
    made = samples(count)
    targets = [TARGETS[head](i, len(s.nodes.get("entity", ()))) for i, s in enumerate(made)]
    return [gf.Sample(s.name, s.nodes, s.links, s.spans, s.weights, t) for s, t in zip(made, targets)]


def graph_of(made: Sequence[gf.Sample], plan: gf.Schema, dim: int = 8, dtype: torch.dtype = torch.float32,
             seed: int = 0) -> gf.FusionGraph:  # fmt: skip
    """Samples as a laid graph, their features brought to one width by fixed random maps."""
    rng = torch.Generator().manual_seed(seed)
    batch = gf.collate(made, plan)
    maps = {kind: torch.randn(width, dim, generator=rng, dtype=dtype) for kind, width in plan.kinds.items()}
    states = {kind: batch.nodes[kind].to(dtype) @ maps[kind] for kind in plan.kinds}
    hubs = {kind: torch.randn(1, dim, generator=rng, dtype=dtype).expand(len(batch), -1) for kind in plan.hubs}
    return gf.lay(batch, plan, states | hubs)


def perturbed(module: nn.Module, seed: int = 0, by: float = 0.1) -> nn.Module:
    """The module, in eval mode, with parameters away from their initial values, where faults can hide."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=rng, dtype=parameter.dtype))
    return module.eval()


def fusion_of(case: str, plan: gf.Schema, dim: int = 8, layers: int = 2) -> nn.Module:
    """A perturbed fusion; every call gives the same weights."""
    name, options = FUSION_CASES[case]
    with gf.seeded(3):
        return perturbed(gf.FUSIONS[name](dim, plan, layers=layers, **options))


def model_of(case: str, plan: gf.Schema, head: Any = None, **settings: Any) -> gf.FusionModel:
    """A perturbed model; every call gives the same weights."""
    name, options = FUSION_CASES[case]
    head = gf.heads.Classify(LABELS) if head is None else head
    with gf.seeded(3):
        return perturbed(gf.FusionModel(plan, head, name, **{"dim": 8, "layers": 2, **options, **settings}))


def row_numbers(made: Sequence[gf.Sample], plan: gf.Schema) -> dict[tuple[str, int, int], int]:
    """The row of each node of a laid graph, by kind, place of the sample and row within it, counted one by one."""
    rows: dict[tuple[str, int, int], int] = {}
    for kind in plan.all_kinds:
        for place, one in enumerate(made):
            for row in range(1 if kind in plan.hubs else len(one.nodes.get(kind, ()))):
                rows[kind, place, row] = len(rows)
    return rows


def rows_of(made: Sequence[gf.Sample], plan: gf.Schema, place: int) -> list[int]:
    """The rows of one sample's nodes, kind after kind."""
    return [number for (_, owner, _), number in row_numbers(made, plan).items() if owner == place]


def permuted(one: gf.Sample, seed: int) -> tuple[gf.Sample, Mapping[str, Tensor]]:
    """The same sample with each kind's nodes in another order, and the order: new row ``i`` is old ``order[i]``."""
    rng = torch.Generator().manual_seed(seed)
    order = {kind: torch.randperm(len(x), generator=rng) for kind, x in one.nodes.items()}
    place = {kind: each.argsort() for kind, each in order.items()}
    nodes = {kind: x[order[kind]] for kind, x in one.nodes.items()}
    spans = {kind: x[order[kind]] for kind, x in one.spans.items()}

    def moved(relation: Relation, pairs: Tensor) -> Tensor:
        return torch.stack([place[relation[0]][pairs[0]], place[relation[2]][pairs[1]]])

    links = {relation: moved(relation, pairs) for relation, pairs in one.links.items()}
    return gf.Sample(one.name, nodes, links, spans, one.weights, one.target), order


def same_samples(left: Sequence[gf.Sample], right: Sequence[gf.Sample]) -> bool:
    """Whether samples are equal in every field, empty kinds and relations aside."""

    def filled(values: Mapping[Any, Tensor]) -> dict[Any, list]:
        return {key: x.tolist() for key, x in values.items() if x.numel()}

    def told(s: gf.Sample) -> tuple:
        target = s.target.tolist() if isinstance(s.target, Tensor) else s.target
        return s.name, filled(s.nodes), filled(s.links), filled(s.spans), filled(s.weights), target

    return [told(s) for s in left] == [told(s) for s in right]
