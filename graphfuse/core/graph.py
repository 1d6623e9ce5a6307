"""The graph that a fusion works on, and how a batch is laid out as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.relations import relations_of
from graphfuse.core.sample import Batch, Relation
from graphfuse.core.schema import Schema

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Laid:
    """One relation laid over a graph.

    Attributes:
        relation: (source kind, name, target kind).
        index: Its place in ``schema.relations``.
        pairs: Rows of ``graph.x``, source over target, sorted by target, ``int64 [2, E]``; ``None`` where the relation
            is dense: every pair within a sample, never listed.
        weight: One number an edge, ``[E]``, where given.
        gate: What the message of an edge is multiplied by, ``[E]``, where edges are learned: 1, with a gradient.
    """

    relation: Relation
    index: int
    pairs: Tensor | None = None
    weight: Tensor | None = None
    gate: Tensor | None = None

    @property
    def dense(self) -> bool:
        """Whether every pair within a sample meets."""
        return self.pairs is None


@dataclass(frozen=True, eq=False)
class Blocks:
    """Where the nodes of some kinds stand in one block a sample: kind after kind, then padding.

    Attributes:
        place: Of each node among all places of all blocks, ``int64 [n]``.
        real: Where a node stands, ``bool [B, M]``.
    """

    place: Tensor
    real: Tensor

    def spread(self, x: Tensor) -> Tensor:
        """Nodes to blocks, ``[n, ...] -> [B, M, ...]``, zeros where none stands."""
        block = x.new_zeros(self.real.numel(), *x.shape[1:]).index_copy(0, self.place, x)
        return block.unflatten(0, self.real.shape)

    def gather(self, block: Tensor) -> Tensor:
        """Blocks to nodes, ``[B, M, ...] -> [n, ...]``."""
        return block.flatten(0, 1).index_select(0, self.place)


@dataclass(frozen=True, eq=False)
class FusionGraph:
    """Many samples' nodes at one width, kind after kind and sample after sample, with their relations laid.

    Attributes:
        x: Node states, ``[N, d]``.
        schema: Order of kinds and relations.
        names: The samples' names.
        starts: First row of each kind and the end, ``K + 1`` numbers.
        offsets: ``offsets[k, b]`` is the first row of sample ``b``'s nodes of kind ``k``; ``int64 [K, B + 1]``.
        owners: The sample of each node, ``int64 [N]``.
        relations: The relations that are laid.
        laid_out: Where nodes stand in blocks, how many edges end at each and the like, as found so far; one for all
            graphs that differ in states or relations alone.
    """

    x: Tensor
    schema: Schema
    names: tuple[str, ...]
    starts: tuple[int, ...]
    offsets: Tensor
    owners: Tensor
    relations: tuple[Laid, ...] = ()
    laid_out: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def replace(self, **changes: Any) -> FusionGraph:
        """The same graph with other states (``x=``) or relations."""
        kept = self.laid_out if changes.keys() <= {"x", "relations"} else {}
        return replace(self, laid_out=kept, **changes)

    def place(self, kind: str) -> int:
        """A kind's place in the order of the schema.

        Raises:
            InputError: The schema lacks the kind; names those that are near.
        """
        kinds = self.schema.all_kinds
        if kind not in kinds:
            raise InputError(f"The graph has no nodes of kind {kind!r}.{did_you_mean(kind, kinds)}")
        return kinds.index(kind)

    def rows(self, kind: str) -> slice:
        """The rows of ``x`` that hold a kind."""
        place = self.place(kind)
        return slice(self.starts[place], self.starts[place + 1])

    def of(self, kind: str) -> Tensor:
        """The states of a kind, ``[N_kind, d]``."""
        return self.x[self.rows(kind)]

    @property
    def kind_sizes(self) -> list[int]:
        """How many nodes of each kind all samples have."""
        return [stop - start for start, stop in pairwise(self.starts)]

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """Rows as in the graph, ``[N, ...]``, taken apart by kind; in the backward pass cheaper than row by row."""
        return x.split(self.kind_sizes)

    def within(self, kind: str) -> Tensor:
        """A kind's offsets counted from its own first row, ``int64 [B + 1]``."""
        place = self.place(kind)
        return self.offsets[place] - self.starts[place]

    def owner(self, kind: str) -> Tensor:
        """The sample of each node of a kind, ``int64 [N_kind]``."""
        return self.owners[self.rows(kind)]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many nodes of each kind each sample has, ``[K, B]``; brought from the device once a graph."""
        if "counts" not in self.laid_out:
            self.laid_out["counts"] = self.offsets.diff(dim=1).cpu().numpy()
        found: npt.NDArray[np.int64] = self.laid_out["counts"]
        return found

    @property
    def cells(self) -> Tensor:
        """Of each node the number of its sample and kind, ``sample * K + kind``, ``int64 [N]``."""
        if "cells" not in self.laid_out:
            kinds = torch.arange(len(self.offsets), device=self.x.device)
            sizes = torch.tensor(self.kind_sizes, device=self.x.device)
            kind = kinds.repeat_interleave(sizes, output_size=len(self.x))
            self.laid_out["cells"] = self.owners * len(self.offsets) + kind
        found: Tensor = self.laid_out["cells"]
        return found

    def sizes(self, kind: str) -> Tensor:
        """How many nodes of a kind each sample has, ``int64 [B]``."""
        return self.within(kind).diff()

    def blocks(self, *kinds: str) -> Blocks:
        """One block a sample for all nodes of some kinds, which may repeat."""
        if kinds not in self.laid_out:
            sizes = torch.stack([self.sizes(kind) for kind in kinds])  # [K, B]
            most = int(sizes.sum(0).max()) if len(self) else 0
            first = sizes.cumsum(0) - sizes + most * torch.arange(len(self), device=sizes.device)
            places = []
            for kind, own in zip(kinds, first):
                owner, within = self.owner(kind), self.within(kind)
                places.append((own - within[:-1])[owner] + torch.arange(len(owner), device=owner.device))
            real = torch.arange(most, device=sizes.device) < sizes.sum(0)[:, None]
            self.laid_out[kinds] = Blocks(torch.cat(places), real)
        found: Blocks = self.laid_out[kinds]
        return found

    def edges(self, laid: Laid) -> Tensor:
        """Rows of ``x`` that meet by a relation, listed also if it is dense and sorted by target, ``int64 [2, E]``."""
        return pairs_within(self, laid.relation[0], laid.relation[2]) if laid.pairs is None else laid.pairs


def pairs_within(graph: FusionGraph, source: str, target: str) -> Tensor:
    """Every pair of nodes of two kinds within each sample, sorted by target: rows of ``graph.x``, ``int64 [2, E]``."""
    from_, into = graph.place(source), graph.place(target)
    left, right = graph.counts[from_], graph.counts[into]  # [B]
    first = left.cumsum() + (graph.starts[from_] - left)
    return torch.from_numpy(runs(first.repeat(right), left.repeat(right), graph.starts[into])).to(graph.x.device)


def runs(first: Ints, many: Ints, begin: int) -> Ints:
    """Pairs whose sources stand in a row: ``first[i]``, ``first[i] + 1``, ... (``many[i]`` of them) with ``begin + i``.

    Shape: ``first [n], many [n] -> int64 [2, E]``, sorted by target. In numpy, which repeats many times faster.
    """
    end = many.cumsum()
    number = np.arange(end[-1] if len(end) else 0)
    shift = first + many - end  # what to add to a pair's number to have its source
    pairs: Ints = np.stack([shift, np.arange(begin, begin + len(many))]).repeat(many, axis=1)
    pairs[0] += number
    return pairs


def sorted_by_target(pairs: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Edges in the order of their targets, those of one target in the order they came."""
    if bool((pairs[1, 1:] >= pairs[1, :-1]).all()):
        return pairs, weight
    order = pairs[1].sort(stable=True).indices
    return pairs[:, order], None if weight is None else weight[order]


def lay(batch: Batch, schema: Schema, states: Mapping[str, Tensor]) -> FusionGraph:
    """Joins the kinds' states in the schema's order and lays the relations over them.

    Args:
        batch: Where the offsets, links and spans are taken from.
        schema: The one that the batch was collated with.
        states: kind -> ``[N_kind, d]``, one ``d`` for all; hubs that are left out start from zeros, ``[B, d]``.

    Raises:
        InputError: A kind's states are missing or have the wrong number of rows or another width.
    """
    reference = next(iter(states.values()))
    parts, offsets, size = list[Tensor](), list[Tensor](), len(batch)
    for kind in schema.all_kinds:
        own = torch.arange(size + 1, device=reference.device) if kind in schema.hubs else batch.offsets[kind]
        rows = size if kind in schema.hubs else len(batch.nodes[kind])
        x = states.get(kind, reference.new_zeros(rows, reference.shape[1]) if kind in schema.hubs else None)
        if x is None or tuple(x.shape) != (rows, reference.shape[1]):
            found = "none" if x is None else list(x.shape)
            raise InputError(f"States of kind {kind!r}: expected [{rows}, {reference.shape[1]}], found {found}.")
        parts.append(x)
        offsets.append(own)
    starts = tuple(accumulate(map(len, parts), initial=0))
    joined = torch.stack(offsets)  # [K, B + 1]
    joined = joined + torch.tensor(starts[:-1], device=joined.device)[:, None]
    owners = torch.arange(size, device=joined.device).repeat(len(parts))
    owners = owners.repeat_interleave(joined.diff(dim=1).flatten(), output_size=starts[-1])
    graph = FusionGraph(torch.cat(parts), schema, batch.names, starts, joined, owners)
    return replace(graph, relations=_lay_relations(graph, batch), laid_out={})  # what builders shared is let go


def _lay_relations(graph: FusionGraph, batch: Batch) -> tuple[Laid, ...]:
    laid: list[Laid] = []
    for builder in graph.schema.edges:
        pairs, weight = (None, None) if builder.dense else builder(graph, batch)
        for relation in relations_of(builder):
            if pairs is None:
                laid.append(Laid(relation, len(laid)))
            else:
                forward = relation[1] == builder.name
                edges, number = sorted_by_target(pairs if forward else pairs.flip(0), weight)
                borne = "gate" if getattr(builder, "gated", False) else "weight"
                laid.append(Laid(relation, len(laid), edges, **{borne: number}))
    _check_range(graph, [own for own in laid if own.pairs is not None and own.pairs.numel()])
    return tuple(laid)


def _check_range(graph: FusionGraph, listed: Sequence[Laid]) -> None:
    """Refuses an edge of which an end is no node of its kind: what a builder of one's own may give."""
    ends = [(laid, end, own) for laid in listed if laid.pairs is not None for end, own in zip((0, 2), laid.pairs)]
    found = torch.stack([torch.stack(own.aminmax()) for _, _, own in ends]).tolist() if ends else []  # read once
    for (laid, end, own), (least, most) in zip(ends, found):
        rows = graph.rows(laid.relation[end])
        if least < rows.start or most >= rows.stop:
            assert laid.pairs is not None
            at = int(((own < rows.start) | (own >= rows.stop)).nonzero()[0])
            other = int(laid.pairs[1 if end == 0 else 0, at])
            where = f" of sample {graph.names[int(graph.owners[other])]!r}" if 0 <= other < len(graph.owners) else ""
            raise InputError(f"Relation {laid.relation}{where}: row {int(own[at])} is no node of kind "
                             f"{laid.relation[end]!r}, whose rows are {rows.start} to {rows.stop - 1}.")  # fmt: skip
