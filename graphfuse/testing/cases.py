"""Made-up samples on which fusions are checked: kinds that lack, relations of every sort, each made from its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.collate import collate
from graphfuse.core.graph import FusionGraph
from graphfuse.core.lay import lay
from graphfuse.core.sample import Relation, Sample
from graphfuse.core.schema import Schema
from graphfuse.edges import AllPairs, Hub, Linked, Nearest, Overlap, Window

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
SUBSETS = [gone for many in range(len(KINDS)) for gone in combinations(KINDS, many)]
"""Every choice of kinds that a sample may lack."""


def schema(ordered: bool = True, hubs: bool = True) -> Schema:
    """Dense, sparse and hub relations mixed, weighted and not; what reads the order of nodes only if ``ordered``."""
    windows = [Window("text", 2, direction="both")] if ordered else []
    joined = [Hub("text", direction="both"), Hub("entity")] if hubs else []
    return Schema(KINDS, [
        AllPairs("text", "image", direction="both"), AllPairs("text", "text"), *windows,
        Nearest("image", "image", k=2), Nearest("text", "entity", k=2, direction="both"),
        Linked(*NEXT, direction="both"), Linked(*MENTIONS),
        Linked(*RESEMBLES, direction="both", weighted=True), Overlap("text", "image"), *joined,
    ])  # fmt: skip


def sample(number: int, lacking: Sequence[str] = (), most: int = 5, target: Any = "a") -> Sample:
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
    return Sample(f"s/{number}", nodes, links, spans, weights, target).without(*lacking)


def samples(count: int = 8, lacking: Sequence[Sequence[str]] = LACKING, most: int = 5) -> list[Sample]:
    """Samples of varied sizes that lack various kinds."""
    return [sample(i, lacking[i % len(lacking)], most, LABELS[i % 3]) for i in range(count)]


def large(nodes: int = 120) -> Sample:
    """One sample with many nodes of each kind and values thirty times as large as those of the others."""
    rng = torch.Generator().manual_seed(5)
    x = {kind: 30 * torch.randn(nodes, width, generator=rng) for kind, width in KINDS.items()}
    return Sample("large", x, spans={kind: torch.rand(nodes, 2, generator=rng) for kind in ("text", "image")})


def without_links(one: Sample) -> Sample:
    """The nodes of a sample alone, for schemas that expect no links."""
    return replace(one, links={}, weights={})


def changed(one: Sample, kind: str) -> Sample:
    """The sample with other values of a kind, if it has the kind."""
    return replace(one, nodes={own: x.flip(1) * 7 - 3 if own == kind else x for own, x in one.nodes.items()})


def permuted(one: Sample, seed: int) -> tuple[Sample, Mapping[str, Tensor]]:
    """The same sample with each kind's nodes in another order, and the order: new row ``i`` is old ``order[i]``."""
    rng = torch.Generator().manual_seed(seed)
    order = {kind: torch.randperm(len(x), generator=rng) for kind, x in one.nodes.items()}
    place = {kind: each.argsort() for kind, each in order.items()}
    nodes = {kind: x[order[kind]] for kind, x in one.nodes.items()}
    spans = {kind: x[order[kind]] for kind, x in one.spans.items()}

    def moved(relation: Relation, pairs: Tensor) -> Tensor:
        return torch.stack([place[relation[0]][pairs[0]], place[relation[2]][pairs[1]]])

    links = {relation: moved(relation, pairs) for relation, pairs in one.links.items()}
    return replace(one, nodes=nodes, links=links, spans=spans), order


def relinked(one: Sample, seed: int) -> Sample:
    """The same sample with the links of each relation, and their weights with them, in another order."""
    rng = torch.Generator().manual_seed(seed)
    order = {relation: torch.randperm(pairs.shape[1], generator=rng) for relation, pairs in one.links.items()}
    links = {relation: pairs[:, order[relation]] for relation, pairs in one.links.items()}
    return replace(one, links=links, weights={relation: w[order[relation]] for relation, w in one.weights.items()})


def graph_of(made: Sequence[Sample], plan: Schema, dim: int = 8, dtype: torch.dtype = torch.float32, seed: int = 0,
             device: str = "cpu") -> FusionGraph:  # fmt: skip
    """Samples as a laid graph, their features brought to one width by fixed random maps."""
    rng = torch.Generator().manual_seed(seed)
    batch = collate(made, plan)
    maps = {kind: torch.randn(width, dim, generator=rng, dtype=dtype) for kind, width in plan.kinds.items()}
    states = {kind: (batch.nodes[kind].to(dtype) @ maps[kind]).to(device) for kind in plan.kinds}
    hubs = {kind: torch.randn(1, dim, generator=rng, dtype=dtype) for kind in plan.hubs}
    states |= {kind: x.expand(len(batch), -1).to(device) for kind, x in hubs.items()}
    return lay(batch.to(device), plan, states)
