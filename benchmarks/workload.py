"""What the speed of layers is measured on: the samples of ``benchmarks.batching``, as a graph and as PyG's edge lists.

Both sides get their edges ready, found equal one by one; nothing that could be kept from a batch to the next one is
kept: our plan of blocks is made in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

import graphfuse as gf
from benchmarks import batching
from graphfuse.core.graph import FusionGraph
from graphfuse.core.sample import Batch, Relation

HEADS, LAYERS, CLOSE = 4, 2, 1e-4
"""``CLOSE``: float32 results of the two sides may differ by this share of the largest."""
SMALL = {kind: max(2, n // 4) for kind, n in batching.SIZES.items()}
"""Nodes of each kind in a quick run, with 8 samples."""


@dataclass(frozen=True)
class Workload:
    """One batch.

    Attributes:
        graph: The nodes with their relations laid.
        edges: relation -> its edge list in rows of the two kinds, as PyG takes it.
        joined: All edges in rows of ``graph.x``, for layers over homogeneous graphs.
        types: The relation of each of them.
    """

    batch: Batch
    graph: FusionGraph
    edges: dict[Relation, Tensor]
    joined: Tensor
    types: Tensor

    def leaf(self) -> Tensor:
        """The states to begin with, ``[N, d]``, which gather a gradient."""
        return self.graph.x.detach().clone().requires_grad_()

    def ours(self, layers: Sequence[nn.Module], x: Tensor) -> Tensor:
        """States after our layers, one after the other."""
        graph = replace(self.graph, x=x, laid_out={})
        for layer in layers:
            graph = layer(graph)
        return graph.x

    def stock(self, layers: Sequence[nn.Module], x: Tensor) -> Tensor:
        """States after PyG's layers over heterogeneous graphs."""
        states = dict(zip(self.graph.schema.all_kinds, self.graph.split(x)))
        for layer in layers:
            states = layer(states, self.edges)
        return torch.cat([states[kind] for kind in self.graph.schema.all_kinds])

    def stock_joined(self, layers: Sequence[nn.Module], x: Tensor, typed: bool) -> Tensor:
        """States after PyG's layers over homogeneous graphs."""
        for layer in layers:
            x = layer(x, self.joined, self.types) if typed else layer(x, self.joined)
        return x


def workload(samples: Sequence[gf.Sample], way: batching.Way, device: str, listed: bool = True) -> Workload:
    """The batch of some samples; ``listed``: with PyG's edge lists, without which only ours can run."""
    kinds = list(batching.SIZES)
    relations = [way.edges(a, b, name="to") for a in kinds for b in kinds]
    schema = gf.Schema(dict.fromkeys(kinds, batching.WIDTH), relations)
    batch = gf.collate(samples, schema)
    graph = gf.lay(batch, schema, batch.nodes)
    edges: dict[Relation, Tensor] = {}
    if listed:
        theirs = batching.stock(samples, way.pairs)
        batching.check(graph, theirs)
        edges = {relation: pairs.to(device) for relation, pairs in theirs.edge_index_dict.items()}
    batch = batch.to(device, non_blocking=False)
    graph = gf.lay(batch, schema, batch.nodes)
    rows = [torch.tensor([[graph.rows(a).start], [graph.rows(b).start]], device=device) for a, _, b in edges]
    none = torch.zeros(2, 0, dtype=torch.long, device=device)
    joined = torch.cat([none, *(pairs + first for pairs, first in zip(edges.values(), rows))], 1)
    sizes = torch.tensor([pairs.shape[1] for pairs in edges.values()], dtype=torch.long, device=device)
    return Workload(batch, graph, edges, joined, torch.arange(len(edges), device=device).repeat_interleave(sizes))


def samples_of(seed: int, quick: bool, scale: float = 1, many: int | None = None) -> list[gf.Sample]:
    """The samples of a seed, each with ``scale`` times its nodes."""
    samples = batching.make(seed, SMALL if quick else None, many or (8 if quick else None))
    if scale == 1:
        return samples
    counts = [{kind: max(1, round(scale * len(x))) for kind, x in sample.nodes.items()} for sample in samples]
    return drawn(seed, counts)


def drawn(seed: int, counts: Sequence[Mapping[str, int]]) -> list[gf.Sample]:
    """Samples with just so many nodes of each kind."""
    g = torch.Generator().manual_seed(seed)
    return [
        gf.Sample(str(number), {kind: torch.randn(n, batching.WIDTH, generator=g) for kind, n in own.items()})
        for number, own in enumerate(counts)
    ]


def step(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Forward and backward: the gradient of a number that depends on all results, to the states ``x``."""
    x.grad = None
    run(x).square().mean().backward()
    return x.grad


def forward(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Without what only a backward pass needs."""
    with torch.no_grad():
        return run(x)


def parameters_of(module: nn.Module) -> int:
    """How many weights are learned."""
    return sum(weight.numel() for weight in module.parameters())


def check_close(what: str, ours: Tensor, stock: Tensor) -> None:
    """Both are the same up to what float32 rounds.

    Raises:
        ValueError: They are not; says by how much.
    """
    apart = float((ours - stock).abs().max() / stock.abs().max())
    if not apart <= CLOSE:
        raise ValueError(f"{what}: ours and stock differ by {apart:.2g} of the largest; at most {CLOSE:g} is rounding.")


def check_same(what: str, ours: Callable[[Tensor], Tensor], stock: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Both sides give the same states, and the same gradients to those that they began with."""
    with torch.no_grad():
        check_close(f"{what}, states", ours(x), stock(x))
    check_close(f"{what}, gradients", step(ours, x), step(stock, x))
