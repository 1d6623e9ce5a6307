"""Building a batch: ``collate`` and ``lay`` against one ``HeteroData`` a sample and PyG's ``Batch``, numbers checked.

32 samples with kinds of 20, 49, 30 and 10 nodes (half more or less), width 128. ``complete``: every pair of nodes of
every ordered pair of kinds, which we never list; ``listed``: the same, listed; ``nearest``: the 8 most like by cosine,
in every ordered pair of kinds; ``overlap``: nodes whose spans overlap. Ratios are of medians from runs in turn in one
process; edges are compared one by one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

import graphfuse as gf
from benchmarks.clock import in_turn
from benchmarks.rows import row
from graphfuse.core.graph import FusionGraph

SIZES, WIDTH, SAMPLES, K = {"text": 20, "image": 49, "audio": 30, "entity": 10}, 128, 32, 8


def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str) -> list[dict[str, object]]:
    torch.set_num_threads(2)
    found = []
    seeds = list(seeds)
    for name, way in WAYS.items():
        times = [[statistics.median(own) for own in measured(make(seed), way, 2 if quick else 5)] for seed in seeds]
        for metric, values in {
            "times faster than HeteroData + Batch": [theirs / ours for ours, theirs in times],
            "milliseconds, ours": [1000 * ours for ours, _ in times],
            "milliseconds, stock": [1000 * theirs for _, theirs in times],
        }.items():
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            found.append(row(
                task="batching", method=name, metric=metric, mean=round(statistics.mean(values), 2),
                std=round(spread, 2), seeds=seeds, split="generated", tuned_on="nothing",
                seconds=round(sum(map(sum, times)), 2), parameters=0, command=command,
            ))  # fmt: skip
    return found


def measured(samples: Sequence[gf.Sample], way: Way, repeats: int, before: int = 0) -> list[list[float]]:
    """Seconds of our way and of the stock one, once their edges are found equal; ``before``: see ``clock.in_turn``."""
    if way.spans:
        samples = [spanned(sample) for sample in samples]
    schema = gf.Schema(dict.fromkeys(SIZES, WIDTH), [way.edges(a, b) for a in SIZES for b in SIZES])
    check(build(samples, schema)[0], stock(samples, way.pairs))
    ways = [partial(build, samples, schema, way.listed), partial(stock, samples, way.pairs)]
    return in_turn(ways, repeats, before=before)


def make(seed: int, sizes: Mapping[str, int] | None = None, many: int | None = None) -> list[gf.Sample]:
    """Samples with about as many nodes of each kind as ``SIZES`` or ``sizes`` say, by chance half more or less."""
    g = torch.Generator().manual_seed(seed)
    samples = []
    for number in range(many or SAMPLES):
        counts = {
            kind: int(torch.randint(n // 2, n + n // 2 + 1, (), generator=g)) for kind, n in (sizes or SIZES).items()
        }
        samples.append(gf.Sample(str(number), {k: torch.randn(n, WIDTH, generator=g) for k, n in counts.items()}))
    return samples


def spanned(sample: gf.Sample) -> gf.Sample:
    """The same sample with spans of up to 2 seconds within 20."""
    g = torch.Generator().manual_seed(int(sample.name))
    spans = {}
    for kind, x in sample.nodes.items():
        start = 20 * torch.rand(len(x), generator=g)
        spans[kind] = torch.stack([start, start + 2 * torch.rand(len(x), generator=g)], 1)
    return replace(sample, spans=spans)


def build(samples: Sequence[gf.Sample], schema: gf.Schema, listed: bool = False) -> tuple[FusionGraph, list[Tensor]]:
    """Our way; ``listed`` also lists the edges of dense relations."""
    batch = gf.collate(samples, schema)
    graph = gf.lay(batch, schema, batch.nodes)
    return graph, [graph.edges(laid) for laid in graph.relations] if listed else []


def stock(samples: Sequence[gf.Sample], pairs: Callable[[gf.Sample, str, str], Tensor]) -> Any:
    """The usual script: one ``HeteroData`` a sample with its edges, then PyG's ``Batch``."""
    from torch_geometric.data import Batch

    return Batch.from_data_list(hetero(samples, pairs))


def hetero(samples: Sequence[gf.Sample], pairs: Callable[[gf.Sample, str, str], Tensor]) -> list[Any]:
    """One ``HeteroData`` a sample with its edges."""
    from torch_geometric.data import HeteroData

    graphs = []
    for sample in samples:
        data = HeteroData()
        for kind, x in sample.nodes.items():
            data[kind].x = x
        for a in SIZES:
            for b in SIZES:
                data[a, "to", b].edge_index = pairs(sample, a, b)
        graphs.append(data)
    return graphs


def complete(sample: gf.Sample, source: str, target: str) -> Tensor:
    n, m = len(sample.nodes[source]), len(sample.nodes[target])
    return torch.stack([torch.arange(n).repeat_interleave(m), torch.arange(m).repeat(n)])


def nearest(sample: gf.Sample, source: str, target: str) -> Tensor:
    there, here = (normalize(sample.nodes[kind].double(), dim=1) for kind in (source, target))
    likeness = here @ there.T
    if source == target:
        likeness.fill_diagonal_(-torch.inf)
    k = min(K, len(there) - (source == target))
    chosen = likeness.topk(k, 1).indices
    return torch.stack([chosen.flatten(), torch.arange(len(here)).repeat_interleave(k)])


def overlap(sample: gf.Sample, source: str, target: str) -> Tensor:
    there, here = sample.spans[source], sample.spans[target]
    meet = (there[:, :1] < here[:, 1]) & (here[:, 0] < there[:, 1:])  # [S, T]
    if source == target:
        meet.fill_diagonal_(False)
    return meet.nonzero().T


class Way(NamedTuple):
    """How edges are made: by ``edges(source, target)`` with us, by ``pairs(sample, source, target)`` in a script."""

    edges: Callable[..., Any]
    pairs: Callable[[gf.Sample, str, str], Tensor]
    listed: bool = True
    spans: bool = False


WAYS = {
    "complete": Way(gf.AllPairs, complete, listed=False),
    "listed": Way(gf.AllPairs, complete),
    "nearest": Way(partial(gf.Nearest, k=K), nearest),
    "overlap": Way(gf.Overlap, overlap, spans=True),
}


def check(graph: FusionGraph, theirs: Any) -> None:
    """Every node has the same features and every relation the same edges in both.

    Raises:
        ValueError: They differ; names the kind or relation.
    """
    for kind in SIZES:
        if not torch.equal(graph.of(kind), theirs[kind].x):
            raise ValueError(f"kind {kind!r}: the two ways differ in features.")
    for laid in graph.relations:
        source, _, target = laid.relation
        first = torch.tensor([[graph.rows(source).start], [graph.rows(target).start]])
        ours, other = graph.edges(laid) - first, theirs[source, "to", target].edge_index
        if not torch.equal(ordered(ours), ordered(other)):
            raise ValueError(f"relation {laid.relation}: the two ways differ in edges.")


def ordered(pairs: Tensor) -> Tensor:
    """The same edges by source, then target."""
    pairs = pairs[:, pairs[1].argsort()]
    return pairs[:, pairs[0].argsort(stable=True)]
