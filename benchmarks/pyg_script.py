"""What a user of PyG would write by hand: samples as ``HeteroData`` with their edges, ``HGTConv``, a mean, a class.

Edges are made once, before training; batches come from PyG's ``DataLoader``. Kept short and quick, for ours is measured
against it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, HeteroData
from torch_geometric.loader import DataLoader
from torch_geometric.nn import HGTConv
from torch_geometric.utils import scatter


class Model(nn.Module):
    """Layers of ``HGTConv``, the mean of all nodes of a sample, scores of classes."""

    def __init__(self, dim: int, classes: int, metadata: tuple, layers: int, heads: int):
        super().__init__()
        self.convs = nn.ModuleList(HGTConv(dim, dim, metadata, heads=heads) for _ in range(layers))
        self.head = nn.Linear(dim, classes)

    def forward(self, batch: Batch) -> Tensor:
        x = batch.x_dict
        for conv in self.convs:
            x = conv(x, batch.edge_index_dict)
        owner = torch.cat([batch[kind].batch for kind in x])
        return self.head(scatter(torch.cat(list(x.values())), owner, dim_size=batch.num_graphs, reduce="mean"))


def loader(graphs: Sequence[HeteroData], batch_size: int) -> DataLoader:
    return DataLoader(graphs, batch_size=batch_size)


def epoch(model: Model, batches: DataLoader, optimizer: torch.optim.Optimizer, device: str = "cpu") -> list[Tensor]:
    """The loss of each step."""
    losses = []
    for batch in batches:
        batch = batch.to(device)
        loss = nn.functional.cross_entropy(model(batch), batch.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses
