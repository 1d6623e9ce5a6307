"""Building a batch: ``collate`` and ``lay`` against one ``HeteroData`` a sample and PyG's ``Batch``, numbers checked.

32 samples with kinds of 20, 49, 30 and 10 nodes (half more or less), width 128. ``complete``: every pair of nodes of
every ordered pair of kinds, which we never list; ``listed``: the same, listed; ``nearest``: the 8 most like by cosine,
in every ordered pair of kinds; ``overlap``: those whose spans of up to 2 seconds within a minute overlap, likewise.
Ratios are of the least time of runs in turn in one process; edges are compared one by one.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

import graphfuse as gf
from benchmarks.rows import row
from graphfuse.core.graph import FusionGraph

SIZES, WIDTH, SAMPLES, K, SECONDS = {"text": 20, "image": 49, "audio": 30, "entity": 10}, 128, 32, 8, 60
def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str) -> list[dict[str, object]]:
    torch.set_num_threads(2)
    found = []
    seeds = list(seeds)
    for name in WAYS:
        times = [measured(seed, name, 2 if quick else 15) for seed in seeds]
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


def measured(seed: int, name: str, repeats: int) -> list[float]:
    """Seconds of our way and of the stock one, on the samples of a seed, once their edges are found equal."""
    edges, pairs, listed = WAYS[name]
    samples = make(seed, spans=name == "overlap")
    schema = gf.Schema(dict.fromkeys(SIZES, WIDTH), [edges(a, b) for a in SIZES for b in SIZES])
    check(build(samples, schema)[0], stock(samples, pairs))
    return timed([partial(build, samples, schema, listed), partial(stock, samples, pairs)], repeats)


def make(seed: int, spans: bool = False) -> list[gf.Sample]:
    g = torch.Generator().manual_seed(seed)
    samples = []
    for number in range(SAMPLES):
        counts = {kind: int(torch.randint(n // 2, n + n // 2 + 1, (), generator=g)) for kind, n in SIZES.items()}
        nodes = {k: torch.randn(n, WIDTH, generator=g) for k, n in counts.items()}
        starts = {k: SECONDS * torch.rand(n, 1, generator=g) for k, n in counts.items()} if spans else {}
        times = {k: torch.cat([x, x + 2 * torch.rand(len(x), 1, generator=g)], 1) for k, x in starts.items()}
        samples.append(gf.Sample(str(number), nodes, spans=times))
    return samples


def build(samples: Sequence[gf.Sample], schema: gf.Schema, listed: bool = False) -> tuple[FusionGraph, list[Tensor]]:
    """Our way; ``listed`` also lists the edges of dense relations."""
    batch = gf.collate(samples, schema)
    graph = gf.lay(batch, schema, batch.nodes)
    return graph, [graph.edges(laid) for laid in graph.relations] if listed else []


def stock(samples: Sequence[gf.Sample], pairs: Callable[[gf.Sample, str, str], Tensor]) -> Any:
    """The usual script: one ``HeteroData`` a sample with its edges, then PyG's ``Batch``."""
    from torch_geometric.data import Batch, HeteroData

    graphs = []
    for sample in samples:
        data = HeteroData()
        for kind, x in sample.nodes.items():
            data[kind].x = x
        for a in SIZES:
            for b in SIZES:
                data[a, "to", b].edge_index = pairs(sample, a, b)
        graphs.append(data)
    return Batch.from_data_list(graphs)


def complete(sample: gf.Sample, a: str, b: str) -> Tensor:
    n, m = len(sample.nodes[a]), len(sample.nodes[b])
    return torch.stack([torch.arange(n).repeat_interleave(m), torch.arange(m).repeat(n)])


def nearest(sample: gf.Sample, a: str, b: str) -> Tensor:
    likeness = normalize(sample.nodes[b].double(), dim=1) @ normalize(sample.nodes[a].double(), dim=1).T
    if a == b:
        likeness.fill_diagonal_(-torch.inf)
    k = min(K, len(sample.nodes[a]) - (a == b))
    chosen = likeness.topk(k, 1).indices
    return torch.stack([chosen.flatten(), torch.arange(len(likeness)).repeat_interleave(k)])


def overlap(sample: gf.Sample, a: str, b: str) -> Tensor:
    (start, end), (begin, stop) = sample.spans[a].T, sample.spans[b].T
    meet = (start[:, None] < stop) & (begin < end[:, None])
    return (meet.fill_diagonal_(False) if a == b else meet).nonzero().T


WAYS = {
    "complete": (gf.AllPairs, complete, False),
    "listed": (gf.AllPairs, complete, True),
    "nearest": (partial(gf.Nearest, k=K), nearest, True),
    "overlap": (gf.Overlap, overlap, True),
}
"""Our edge builder, the stock script's pairs of a sample, and whether ours are listed in time."""


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
    return pairs[:, (pairs[0] * (int(pairs.max()) + 1 if pairs.numel() else 1) + pairs[1]).argsort()]


def timed(ways: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Least seconds of each way, run in turn after a warm-up: what others do on the machine only ever adds."""
    seen: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, own in zip(ways, seen):
            start = time.perf_counter()
            way()
            if turn:
                own.append(time.perf_counter() - start)
    return [min(own) for own in seen]
