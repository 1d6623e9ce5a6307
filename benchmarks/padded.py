"""HGT in blocks against ``nn.TransformerEncoder`` on the same nodes, padded to the largest sample.

Both have norms before, residuals and a feed-forward of twice the width. The mathematics differs (an encoder knows no
kinds and relations), so there are no numbers to compare.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from benchmarks import batching
from benchmarks.clock import compared, in_turn
from benchmarks.stock import bare
from benchmarks.workload import HEADS, LAYERS, parameters_of, samples_of, step, workload
from graphfuse.core.graph import FusionGraph
from graphfuse.fusion.parts import feed_forward


class Block(nn.Module):
    """Our layer as one of ``nn.TransformerEncoder``: with norms before, residuals and a feed-forward of ``2d``."""

    def __init__(self, layer: nn.Module, dim: int):
        super().__init__()
        self.layer, self.after = layer, feed_forward(dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))

    def forward(self, graph: FusionGraph) -> FusionGraph:
        x = graph.x + self.layer(graph.replace(x=self.norms[0](graph.x))).x
        return graph.replace(x=x + self.after(self.norms[1](x)))


def measured(seed: int, quick: bool, device: str) -> dict[str, float]:
    """Forward and backward of both."""
    work = workload(samples_of(seed, quick), batching.WAYS["complete"], device, listed=False)
    dim = work.graph.x.shape[1]
    ours = nn.ModuleList(Block(layer, dim) for layer in bare("hgt", work, seed)).to(device)
    block = nn.TransformerEncoderLayer(
        dim, HEADS, 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    theirs = nn.TransformerEncoder(block, LAYERS, enable_nested_tensor=False).to(device)
    blocks = work.graph.blocks(*work.graph.schema.all_kinds)
    padded = blocks.spread(work.graph.x.detach()).requires_grad_()  # [B, M, d]
    pad = ~blocks.real
    ways = [
        partial(step, partial(work.ours, ours), work.leaf()),
        partial(step, lambda x: theirs(x, src_key_padding_mask=pad)[blocks.real], padded),
    ]
    return compared(in_turn(ways, 1 if quick else 5, device), parameters_of(ours))
