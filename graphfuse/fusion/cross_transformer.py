"""Cross-modal transformer."""

import torch
from torch import Tensor, nn

from graphfuse.core.attention import attend_each
from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.schema import Schema
from graphfuse.core.table import Table
from graphfuse.fusion.parts import Pooling, feed_forward


class CrossTransformer(nn.Module):
    """Each kind is read through each other kind by cross-attention, then by itself; the results are pooled and joined.

    For every ordered pair of kinds the target's nodes attend to the source's nodes, ``layers`` times; a kind's readings
    are averaged over the sources at hand and pass one layer of self-attention. Nodes carry no positions here, so their
    order does not matter.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: MulT, Tsai et al. 2019, "Multimodal transformer for unaligned multimodal language sequences", eq. 2-5; the
    readings are averaged rather than joined end to end, so that a lacking source leaves no hole.
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 2, heads: int = 4):
        super().__init__()
        kinds = schema.all_kinds
        pairs = [(source, target) for target in kinds for source in kinds if source != target]
        self.crossed = [Laid((source, "cross", target), place) for place, (source, target) in enumerate(pairs)]
        self.itself = [Laid((kind, "self", kind), place) for place, kind in enumerate(kinds)]
        self.layers = layers
        self.cross = nn.ModuleList(_Block(dim, heads) for _ in range(layers * len(pairs)))
        self.own = nn.ModuleList(_Block(dim, heads) for _ in kinds)
        self.pooling = Pooling(dim)
        self.join = nn.Linear(len(kinds) * dim, dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        out = []
        for kind, laid, own in zip(graph.schema.all_kinds, self.itself, self.own):
            here, owner = graph.of(kind), graph.owner(kind)
            total, count = here, here.new_ones(len(here), 1)
            for cross in self.crossed:
                if cross.relation[2] == kind:
                    there = (graph.sizes(cross.relation[0]) > 0)[owner, None].to(here.dtype)  # [N_kind, 1]
                    read = here
                    for number in range(self.layers):
                        block = self.cross[self.layers * cross.index + number]
                        read = block(graph, cross, read, graph.of(cross.relation[0]))
                    total, count = total + there * read, count + there
            read = total / count
            out.append(own(graph, laid, read, read))
        graph = graph.replace(x=torch.cat(out))
        pooled, _ = self.pooling(graph, graph.x)
        return Fused(graph, self.join(pooled.flatten(1)))


class _Block(nn.Module):
    """Pre-norm attention of a target kind to a source kind, then a feed-forward network; MulT eq. 5."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if dim % heads:
            raise InputError(f"cross_transformer: width {dim} is not divisible by {heads} heads; choose others.")
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.query, self.key_value, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.deep = feed_forward(dim)

    def forward(self, graph: FusionGraph, laid: Laid, here: Tensor, there: Tensor) -> Tensor:
        query, told = self.query(self.norms[0](here)), self.key_value(self.norms[1](there)).view(-1, here.shape[1])
        key, value = Table(told, (0,), (2,)), Table(told, (1,), (2,))  # of each node by turns
        x = here + self.out(attend_each(graph, [query], key, value, [laid], heads=self.heads)[0])
        return x + self.deep(self.norms[2](x))
