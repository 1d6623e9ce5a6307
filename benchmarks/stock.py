"""Each of our layers and the PyG layer that it equals, with the weights of ours copied into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv, GCNConv, HeteroConv, HGTConv, RGCNConv, SAGEConv, TransformerConv

import graphfuse as gf
from benchmarks.workload import HEADS, LAYERS, Workload

FUZZ = 0.02
"""Added at random to all weights: biases and priors begin alike, and would hide that one was copied to another."""


@dataclass(frozen=True)
class Stock:
    """How PyG's layer is made, filled and run.

    Attributes:
        make: ``(dim, schema) -> layer``.
        copy: ``(ours, theirs, schema)`` copies weights.
        options: What ours is made with beside ``(dim, schema)``.
        typed: For a layer over homogeneous graphs, whether it takes the relation of an edge; ``None`` for others.
    """

    make: Callable[[int, gf.Schema], nn.Module]
    copy: Callable[[Any, Any, gf.Schema], None]
    options: dict[str, int]
    typed: bool | None = None


def pair(name: str, work: Workload, seed: int) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Our layers and PyG's, with the same weights."""
    stock, schema, dim = STOCK[name], work.graph.schema, work.graph.x.shape[1]
    ours = bare(name, work, seed)
    theirs = nn.ModuleList(stock.make(dim, schema) for _ in ours).to(work.graph.x.device)
    with torch.no_grad():
        for mine, their in zip(ours, theirs):
            stock.copy(mine, their, schema)
    return ours, theirs


def bare(name: str, work: Workload, seed: int) -> nn.ModuleList:
    """The layers of one of our fusions, without norm, activation and readout."""
    torch.manual_seed(seed)
    x = work.graph.x
    layers = gf.FUSIONS[name](x.shape[1], work.graph.schema, layers=LAYERS, **STOCK[name].options).to(x.device).layers
    with torch.no_grad():
        for weight in layers.parameters():
            weight.add_(FUZZ * torch.randn_like(weight))
    return layers


def run_stock(name: str, work: Workload, layers: nn.ModuleList) -> Callable[[Tensor], Tensor]:
    """From states to states by PyG's layers."""
    typed = STOCK[name].typed
    if typed is None:
        return lambda x: work.stock(layers, x)
    return lambda x: work.stock_joined(layers, x, typed)


def hetero(conv: Callable[[int], nn.Module]) -> Callable[[int, gf.Schema], nn.Module]:
    """A layer of its own for each relation, what they give to a node added."""
    return lambda dim, schema: HeteroConv({relation: conv(dim) for relation in schema.relations}, aggr="sum")


def copy_hgt(ours: Any, theirs: Any, schema: gf.Schema) -> None:
    for k, kind in enumerate(schema.all_kinds):
        for lin, own in (
            (theirs.kqv_lin.lins[kind], ours.project.maps[k]),
            (theirs.out_lin.lins[kind], ours.out.maps[k]),
        ):
            lin.weight.copy_(own.weight)
            lin.bias.copy_(own.bias)
        theirs.skip[kind].copy_(ours.skip[k : k + 1])
    for r, relation in enumerate(schema.relations):
        theirs.p_rel["__".join(relation)].copy_(ours.prior[r : r + 1])
    theirs.k_rel.weight.copy_(ours.key.transpose(0, 1).flatten(0, 1))  # [R, H, c, c] -> [H * R, c, c]
    theirs.v_rel.weight.copy_(ours.value.transpose(0, 1).flatten(0, 1))


def copy_sage(ours: Any, theirs: Any, schema: gf.Schema) -> None:
    for r, relation, conv, share in each(theirs, schema):
        own = ours.own.maps[schema.all_kinds.index(relation[2])]
        conv.lin_l.weight.copy_(ours.neighbour[r].weight)
        conv.lin_r.weight.copy_(share * own.weight)
        conv.lin_l.bias.copy_(share * own.bias)


def copy_rgcn(ours: Any, theirs: Any, schema: gf.Schema) -> None:
    for name in ("weight", "root", "bias"):
        getattr(theirs, name).copy_(getattr(ours, name))


def copy_gcn(ours: Any, theirs: Any, schema: gf.Schema) -> None:
    theirs.lin.weight.copy_(ours.lin.weight)
    theirs.bias.copy_(ours.bias)


def copy_graph_transformer(ours: Any, theirs: Any, schema: gf.Schema) -> None:
    for r, relation, conv, share in each(theirs, schema):
        maps = (conv.lin_query, ours.query, 0), (conv.lin_key, ours.tell, 0), (conv.lin_value, ours.tell, 1)
        for lin, own, number in maps:
            lin.weight.copy_(own.weight[r, number])
            lin.bias.copy_(own.bias[r, number])
        own = ours.own.maps[schema.all_kinds.index(relation[2])]
        conv.lin_skip.weight.copy_(share * own.weight)
        conv.lin_skip.bias.copy_(share * own.bias)


def copy_gatv2(ours: Any, theirs: Any, schema: gf.Schema) -> None:
    for r, relation, conv, share in each(theirs, schema):
        for lin, own in ((conv.lin_l, ours.tell), (conv.lin_r, ours.ask)):
            lin.weight.copy_(own.weight[r, 0])
            lin.bias.copy_(own.bias[r, 0])
        conv.att.copy_(ours.att[r][None])
        conv.bias.copy_(share * ours.bias[schema.all_kinds.index(relation[2])])


def each(theirs: Any, schema: gf.Schema) -> list[tuple[int, tuple[str, str, str], Any, float]]:
    """Number, relation and layer of each relation, and its share in what all that end at the same kind add up to."""
    ends = [relation[2] for relation in schema.relations]
    return [(r, rel, theirs.convs[rel], 1 / ends.count(rel[2])) for r, rel in enumerate(schema.relations)]


STOCK = {
    "hgt": Stock(lambda dim, schema: HGTConv(dim, dim, (list(schema.all_kinds), list(schema.relations)), heads=HEADS),
                 copy_hgt, {"heads": HEADS}),
    "sage": Stock(hetero(lambda dim: SAGEConv((dim, dim), dim)), copy_sage, {}),
    "rgcn": Stock(lambda dim, schema: RGCNConv(dim, dim, len(schema.relations)), copy_rgcn, {}, typed=True),
    "gcn": Stock(lambda dim, schema: GCNConv(dim, dim), copy_gcn, {}, typed=False),
    "graph_transformer": Stock(hetero(lambda dim: TransformerConv((dim, dim), dim // HEADS, heads=HEADS)),
                               copy_graph_transformer, {"heads": HEADS}),
    "gatv2": Stock(hetero(lambda dim: GATv2Conv((dim, dim), dim // HEADS, heads=HEADS, add_self_loops=False)),
                   copy_gatv2, {"heads": HEADS}),
}  # fmt: skip
