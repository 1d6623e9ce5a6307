"""Fusions: from a graph to fused node states and one vector a sample. Adding one: a file here, a line in ``FUSIONS``.

Each is called ``(dim, schema, layers=.., **options)`` and gives a module ``FusionGraph -> Fused``. Importing this room
loads no torch-geometric; ``pyg`` does when it is made.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from graphfuse.core.schema import Schema
from graphfuse.fusion.attention import Attention
from graphfuse.fusion.bottleneck import Bottleneck
from graphfuse.fusion.concat import Concat
from graphfuse.fusion.cross_transformer import CrossTransformer
from graphfuse.fusion.film import FiLM
from graphfuse.fusion.film_fusion import FilmFusion
from graphfuse.fusion.gat import GAT
from graphfuse.fusion.gated import Gated
from graphfuse.fusion.gatv2 import GATv2
from graphfuse.fusion.gcn import GCN
from graphfuse.fusion.gin import GIN
from graphfuse.fusion.graph_transformer import GraphTransformer
from graphfuse.fusion.han import HAN
from graphfuse.fusion.hgt import HGT
from graphfuse.fusion.late import Late
from graphfuse.fusion.low_rank import LowRank
from graphfuse.fusion.mixture import Mixture
from graphfuse.fusion.perceiver import Perceiver
from graphfuse.fusion.relation_gate import RelationGate
from graphfuse.fusion.rgcn import RGCN
from graphfuse.fusion.sage import SAGE
from graphfuse.fusion.stack import Stack
from graphfuse.fusion.tensor import TensorFusion
from graphfuse.fusion.weighted import Weighted


def _pyg(dim: int, schema: Schema, **options: Any) -> nn.Module:
    from graphfuse.fusion.pyg import PyG

    return PyG(dim, schema, **options)


FUSIONS: dict[str, Callable[..., nn.Module]] = {
    "concat": Concat,
    "weighted": Weighted,
    "attention": Attention,
    "cross_transformer": CrossTransformer,
    "gated": Gated,
    "film_fusion": FilmFusion,
    "tensor": TensorFusion,
    "low_rank": LowRank,
    "bottleneck": Bottleneck,
    "perceiver": Perceiver,
    "mixture": Mixture,
    "late": Late,
    "stacking": partial(Late, how="stacking"),
    "evidential": partial(Late, how="evidential"),
    "gcn": partial(Stack, GCN),
    "gin": partial(Stack, GIN),
    "sage": partial(Stack, SAGE),
    "rgcn": partial(Stack, RGCN),
    "gat": partial(Stack, GAT),
    "gatv2": partial(Stack, GATv2),
    "graph_transformer": partial(Stack, GraphTransformer),
    "han": partial(Stack, HAN),
    "film": partial(Stack, FiLM),
    "hgt": partial(Stack, HGT),
    "relation_gate": RelationGate,
    "pyg": partial(Stack, _pyg),
}

__all__ = ["FUSIONS", "Stack"]
