"""One epoch of training from samples to the optimizer's step: ours against ``benchmarks.pyg_script``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import graphfuse as gf
from benchmarks import batching, pyg_script
from benchmarks.clock import compared, in_turn
from benchmarks.stock import STOCK, bare
from benchmarks.workload import HEADS, LAYERS, check_close, parameters_of, samples_of, workload
from graphfuse.core.sample import Batch

CLASSES, BATCHES = 5, 2


class Model(nn.Module):
    """Our layers, the mean of all nodes of a sample, scores of classes: what ``pyg_script.Model`` computes."""

    def __init__(self, layers: nn.ModuleList, dim: int, schema: gf.Schema):
        super().__init__()
        self.layers, self.schema, self.head = layers, schema, nn.Linear(dim, CLASSES)

    def forward(self, batch: Batch) -> Tensor:
        graph = gf.lay(batch, self.schema, batch.nodes)
        for layer in self.layers:
            graph = layer(graph)
        sums = graph.x.new_zeros(len(graph), graph.x.shape[1]).index_add(0, graph.owners, graph.x)
        return self.head(sums / torch.bincount(graph.owners, minlength=len(graph))[:, None])


def epoch(model: Model, batches: Iterable[Batch], optimizer: torch.optim.Optimizer, device: str) -> list[Tensor]:
    """The loss of each step."""
    losses = []
    for batch in batches:
        batch = batch.to(device)
        loss = nn.functional.cross_entropy(model(batch), torch.tensor(batch.targets, device=device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def measured(seed: int, quick: bool, device: str) -> dict[str, float]:
    """Both from the same weights; the losses of the first batch, before any step, must be the same."""
    size = 8 if quick else batching.SAMPLES
    samples = [
        gf.Sample(s.name, s.nodes, target=int(s.name) % CLASSES) for s in samples_of(seed, quick, 1, BATCHES * size)
    ]
    ours, theirs, graphs = models(samples, seed, device)
    batches = DataLoader(samples, batch_size=size, collate_fn=partial(gf.collate, schema=ours.schema))
    ways = [
        partial(run, model, some, torch.optim.AdamW(model.parameters()), device)
        for run, model, some in ((epoch, ours, batches), (pyg_script.epoch, theirs, pyg_script.loader(graphs, size)))
    ]
    mine, stock = (way()[0] for way in ways)
    check_close("epoch, first loss", mine, stock)
    return compared(in_turn(ways, 1 if quick else 2, device), parameters_of(ours))


def models(samples: list[gf.Sample], seed: int, device: str) -> tuple[Model, pyg_script.Model, list]:
    """Ours, PyG's with the same weights, and the graphs that PyG's takes, with their classes."""
    way = batching.WAYS["complete"]
    work = workload(samples, way, device, listed=False)
    schema, dim = work.graph.schema, batching.WIDTH
    ours = Model(bare("hgt", work, seed), dim, schema).to(device)
    graphs = batching.hetero(samples, way.pairs)
    for graph, sample in zip(graphs, samples):
        graph.y = torch.tensor([sample.target])
    theirs = pyg_script.Model(dim, CLASSES, graphs[0].metadata(), LAYERS, HEADS).to(device)
    with torch.no_grad():
        for mine, their in zip(ours.layers, theirs.convs):
            STOCK["hgt"].copy(mine, their, schema)
    theirs.head.load_state_dict(ours.head.state_dict())
    return ours, theirs, graphs
