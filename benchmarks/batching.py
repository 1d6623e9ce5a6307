"""Building a batch: ``collate`` and ``lay`` against one ``HeteroData`` a sample and PyG's ``Batch``, numbers checked.

32 samples with kinds of 20, 49, 30 and 10 nodes (half more or less), width 128. ``complete``: every pair of nodes of
every ordered pair of kinds, which we never list; ``listed``: the same, listed; ``nearest``: the 8 most like by cosine,
in every ordered pair of kinds. Ratios are of medians from runs in turn in one process; edges are compared one by one.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

import graphfuse as gf
from benchmarks.rows import row
from graphfuse.core.graph import FusionGraph

SIZES, WIDTH, SAMPLES, K = {"text": 20, "image": 49, "audio": 30, "entity": 10}, 128, 32, 8


def run(out: Path, seeds: Iterable[int], quick: bool, command: str) -> list[dict[str, object]]:
    torch.set_num_threads(2)
    found = []
    seeds = list(seeds)
    for name, edges, listed in (("complete", gf.AllPairs, False), ("listed", gf.AllPairs, True), ("nearest", gf.Nearest, True)):
        ratios, ours, theirs = [], [], []
        for seed in seeds:
            samples = make(seed)
            options = {"k": K} if edges is gf.Nearest else {}
            schema = gf.Schema(dict.fromkeys(SIZES, WIDTH), [edges(a, b, **options) for a in SIZES for b in SIZES])
            pairs = complete if edges is gf.AllPairs else nearest
            check(build(samples, schema), stock(samples, pairs))
            mine, other = timed([lambda: build(samples, schema, listed), lambda: stock(samples, pairs)], 2 if quick else 5)
            ratios.append(other / mine)
            ours.append(mine)
            theirs.append(other)
        for metric, values in (("times faster than HeteroData + Batch", ratios), ("milliseconds, ours", ours),
                               ("milliseconds, stock", theirs)):  # fmt: skip
            values = [v if "times" in metric else 1000 * v for v in values]
            found.append(row(
                task="batching", method=name, metric=metric, mean=round(statistics.mean(values), 2),
                std=round(statistics.stdev(values), 2) if len(values) > 1 else 0.0, seeds=seeds, split="generated",
                tuned_on="nothing", seconds=round(sum(ours) + sum(theirs), 2), parameters=0, command=command,
            ))  # fmt: skip
    return found


def make(seed: int) -> list[gf.Sample]:
    g = torch.Generator().manual_seed(seed)
    counts = [{k: int(torch.randint(n // 2, n + n // 2 + 1, (), generator=g)) for k, n in SIZES.items()} for _ in range(SAMPLES)]
    return [
        gf.Sample(f"{i}", {k: torch.randn(n, WIDTH, generator=g) for k, n in own.items()}) for i, own in enumerate(counts)
    ]


def build(samples: list[gf.Sample], schema: gf.Schema, listed: bool = False) -> tuple[FusionGraph, list[Tensor]]:
    batch = gf.collate(samples, schema)
    graph = gf.lay(batch, schema, batch.nodes)
    return graph, [graph.edges(laid) for laid in graph.relations] if listed else []


def stock(samples: list[gf.Sample], pairs: Callable[[Tensor, Tensor, bool], Tensor]):
    """The usual script: one ``HeteroData`` a sample with its edges, then PyG's ``Batch``."""
    from torch_geometric.data import Batch, HeteroData

    graphs = []
    for sample in samples:
        data = HeteroData()
        for kind, x in sample.nodes.items():
            data[kind].x = x
        for a in SIZES:
            for b in SIZES:
                data[a, "to", b].edge_index = pairs(sample.nodes[a], sample.nodes[b], a == b)
        graphs.append(data)
    return Batch.from_data_list(graphs)


def complete(source: Tensor, target: Tensor, same: bool) -> Tensor:
    n, m = len(source), len(target)
    return torch.stack([torch.arange(n).repeat_interleave(m), torch.arange(m).repeat(n)])


def nearest(source: Tensor, target: Tensor, same: bool) -> Tensor:
    likeness = torch.nn.functional.normalize(target.double(), dim=1) @ torch.nn.functional.normalize(source.double(), dim=1).T
    if same:
        likeness.fill_diagonal_(-torch.inf)
    k = min(K, len(source) - same)
    chosen = likeness.topk(k, 1).indices
    return torch.stack([chosen.flatten(), torch.arange(len(target)).repeat_interleave(k)])


def check(built: tuple[FusionGraph, list[Tensor]], theirs) -> None:
    """Every relation has the same edges in both, and every node the same features."""
    graph = built[0]
    for kind in SIZES:
        assert torch.equal(graph.of(kind), theirs[kind].x)
    for laid in graph.relations:
        source, _, target = laid.relation
        first = torch.tensor([[graph.rows(source).start], [graph.rows(target).start]])
        ours = graph.edges(laid) - first
        other = theirs[source, "to", target].edge_index
        assert torch.equal(ordered(ours), ordered(other)), laid.relation


def ordered(pairs: Tensor) -> Tensor:
    return pairs[:, (pairs[0] * (int(pairs.max()) + 1) + pairs[1]).argsort()]


def timed(ways: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each way, run in turn after a warm-up."""
    seen: list[list[float]] = [[] for _ in ways]
    for turn in range(repeats + 1):
        for way, own in zip(ways, seen):
            start = time.perf_counter()
            way()
            if turn:
                own.append(time.perf_counter() - start)
    return [statistics.median(own) for own in seen]
