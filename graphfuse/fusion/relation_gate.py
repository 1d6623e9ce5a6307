"""Messages through relations that a question opens and closes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph, Laid
from graphfuse.core.message import aggregate, aggregate_one, counted, gated, segment, segment_softmax
from graphfuse.core.schema import Schema
from graphfuse.fusion.parts import Pooling, Readout, feed_forward

LEAST = 0.01
"""The mass below which nodes are hardly told apart."""


class RelationGate(nn.Module):
    """Message passing in which a sample's question opens and closes every relation, anew in each layer.

    A node adds, for each relation that ends at it, its neighbours' mapped sum times the question's gate. Between the
    first two layers the nodes at which a relation named in ``ground`` ends are *grounded*: a softmax over those of a
    sample says which of them is meant, and each gets its share of a mark that the later layers carry on. The score is
    a sum of few numbers, each with a weight from the question: the node's link weights by relation, whether it is
    named by a link without weight, and whether a named node stands next to it, for each relation. So what a picture
    resembles and what the words say about its neighbours decide together, and a doubtful guess stays a share.

    Args:
        dim: Width of the states.
        schema: Order of kinds and relations.
        layers: Rounds of message passing, each with weights of its own.
        query: The kind that asks; the first of the schema if left out. A sample without it asks a learned default.
        ground: Names of the relations whose links say which nodes may be meant.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    Source: R-GCN (Schlichtkrull et al. 2018, eq. 2) with gates from the question as the instructions of NSM (He et al.
    2021, "Improving multi-hop knowledge base question answering by learning intermediate supervision signals",
    eq. 1-4).
    """

    def __init__(self, dim: int, schema: Schema, layers: int = 4, query: str | None = None,
                 ground: str | Sequence[str] = ("resembles", "mentions")):  # fmt: skip
        super().__init__()
        if layers < 1:
            raise InputError(f"relation_gate: layers is {layers}; it needs at least 1.")
        ground = (ground,) if isinstance(ground, str) else tuple(ground)
        kinds = schema.all_kinds
        self.query = kinds[0] if query is None else kinds[look_up({k: i for i, k in enumerate(kinds)}, query, "kind")]
        self.pooling = Pooling(dim)
        self.unasked = nn.Parameter(torch.zeros(dim))
        grounding = any(relation[1] in ground for relation in schema.relations)
        self.layers = nn.ModuleList(GatedLayer(dim, schema, walks=grounding and n > 0) for n in range(layers))
        self.grounding = Grounding(dim, schema, ground) if grounding else None
        self.readout = Readout(dim)
        self.join = nn.Linear(2 * dim, dim)

    def forward(self, graph: FusionGraph) -> Fused:
        """Fuses a graph."""
        pooled, present = self.pooling(graph, graph.x)
        place = graph.place(self.query)
        asked = torch.where(present[:, place, None], pooled[:, place], self.unasked)  # [B, d]
        meant, mass = None, None
        for number, layer in enumerate(self.layers):
            graph, mass = layer(graph, mass, asked)
            if number == 0 and self.grounding is not None:
                graph, meant = self.grounding(graph, asked)
                mass = meant[:, None]
        return Fused(graph, self.join(torch.cat([self.readout(graph), asked], 1)), meant)


class GatedLayer(nn.Module):
    """One round: ``g = h + sum over in-edges of gate(question, relation) * value(neighbour) + mark``, and ``g + f(g)``.

    Where it ``walks``, each node also carries a mass that begins as its share of being what is meant: a node's
    new mass is the sum of its neighbours' masses times how far the question opens the relation (0 to 1), and its
    logarithm, times a vector from the question, is the mark that is added to the state.

    Source of the walk: TransferNet, Shi et al. 2021, "An effective and transparent framework for multi-hop question
    answering over relation graph", eq. 2-3.
    """

    def __init__(self, dim: int, schema: Schema, walks: bool):
        super().__init__()
        relations = max(1, len(schema.relations))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.value = nn.Linear(dim, dim)
        self.gate = nn.Linear(dim, relations * dim)
        self.open = nn.Linear(dim, relations) if walks else None
        self.mark = nn.Linear(dim, dim) if walks else None
        self.deep = feed_forward(dim)

    def forward(self, graph: FusionGraph, mass: Tensor | None, asked: Tensor) -> tuple[FusionGraph, Tensor | None]:
        """Passes messages once; ``mass [N, 1]`` once nodes are grounded, ``asked [B, d]``."""
        value = self.value(self.norms[0](graph.x)).to(graph.x.dtype)  # [N, d], summed so also under autocast
        gate = self.gate(asked).view(len(graph), -1, value.shape[1])[:, : len(graph.relations)]  # [B, R, d]
        if mass is None or self.open is None or self.mark is None:
            x = graph.x + aggregate(graph, value, reduce="sum", gate=gate)
        else:
            both = torch.cat([gate, self.open(asked).sigmoid()[..., None]], 2)  # [B, R, d + 1]
            got, mass = aggregate(graph, torch.cat([value, mass], 1), reduce="sum", gate=both).split(
                [value.shape[1], 1], 1
            )
            x = graph.x + got + log_mass(mass) * self.mark(asked).index_select(0, graph.owners)
        return graph.replace(x=x + self.deep(self.norms[1](x))), mass


def log_mass(mass: Tensor) -> Tensor:
    """0 where there is no mass, then its logarithm above that of ``LEAST``."""
    return ((mass + LEAST) / LEAST).log()


class Grounding(nn.Module):
    """Which nodes of a sample are meant: a softmax over those at which a grounding relation ends, added as a mark."""

    def __init__(self, dim: int, schema: Schema, ground: tuple[str, ...]):
        super().__init__()
        self.ground = ground
        self.scale = nn.Linear(dim, len(schema.relations))
        self.named = nn.Linear(dim, len(schema.relations))
        self.beside = nn.Linear(dim, len(schema.relations))
        self.mark = nn.Linear(dim, dim)
        for part, start in ((self.scale, 1.0), (self.named, 1.0), (self.beside, 0.0)):
            nn.init.zeros_(part.weight)
            nn.init.constant_(part.bias, start)

    def forward(self, graph: FusionGraph, asked: Tensor) -> tuple[FusionGraph, Tensor]:
        """Marks the nodes that are meant, and says how much each is, ``[N]``; ``asked [B, d]``."""
        score, meant, owner = self.score(graph, asked)
        rows = meant.nonzero()[:, 0]
        share = segment_softmax(score.index_select(0, rows)[:, None], owner[rows], len(graph))  # [n, 1]
        marked = graph.x.index_add(0, rows, log_mass(share) * self.mark(asked).index_select(0, owner[rows]))
        return graph.replace(x=marked), torch.zeros_like(score).index_copy(0, rows, share[:, 0])

    def score(self, graph: FusionGraph, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A score a node ``[N]``, whether it may be meant ``bool [N]``, and its sample ``int64 [N]``."""
        owner = graph.owners
        scale, named, beside = self.scale(asked), self.named(asked), self.beside(asked)  # [B, R]
        score, meant = graph.x.new_zeros(len(owner)), torch.zeros_like(owner, dtype=torch.bool)
        mark = graph.x.new_zeros(len(owner))
        for laid in self._grounding(graph):
            rows, index = graph.rows(laid.relation[2]), laid.index
            weight, touched = self._links(graph, laid)  # [N_target] each
            own = owner[rows]
            score = _added(score, rows, (named if laid.weight is None else scale)[own, index] * weight)
            meant = meant | _added(meant.long(), rows, touched.long()).bool()
            if laid.weight is None:
                mark = _added(mark, rows, touched.to(mark.dtype)).clamp(max=1)
        for laid in graph.relations:
            if laid.relation[1] not in self.ground and laid.pairs is not None:
                near = aggregate_one(graph, mark[graph.rows(laid.relation[0]), None], laid, "sum")[:, 0]
                rows = graph.rows(laid.relation[2])
                score = _added(score, rows, beside[owner[rows], laid.index] * near.clamp(max=1))
        return score, meant, owner

    def _grounding(self, graph: FusionGraph) -> list[Laid]:
        return [laid for laid in graph.relations if laid.relation[1] in self.ground]

    def _links(self, graph: FusionGraph, laid: Laid) -> tuple[Tensor, Tensor]:
        """The mean weight of a relation's links that end at each node, and whether any does."""
        pairs, rows = graph.edges(laid), graph.rows(laid.relation[2])
        weight = graph.x.new_ones(pairs.shape[1]) if laid.weight is None else laid.weight.to(graph.x.dtype)
        weight = gated(weight, laid.gate)
        index, size = pairs[1] - rows.start, rows.stop - rows.start
        return segment(weight, index, size, "mean"), counted(index, size) > 0


def _added(total: Tensor, rows: slice, values: Tensor) -> Tensor:
    """``total`` with ``values`` added to some rows, as a new tensor."""
    return torch.cat([total[: rows.start], total[rows] + values, total[rows.stop :]])
