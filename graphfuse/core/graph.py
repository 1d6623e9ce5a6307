"""The graph that a fusion works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Relation
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
        counts: How many nodes of each kind each sample has, ``[K, B]``; in main memory wherever the tensors are.
        relations: The relations that are laid.
        links: Given relation -> row numbers within its two kinds, in the order of the batch, ``int64 [2, E]``.
        laid_out: Where nodes stand in blocks, how many edges end at each and the like, as found so far; one for all
            graphs that differ in states or relations alone.
    """

    x: Tensor
    schema: Schema
    names: tuple[str, ...]
    starts: tuple[int, ...]
    offsets: Tensor
    owners: Tensor
    counts: Ints
    relations: tuple[Laid, ...] = ()
    links: Mapping[Relation, Tensor] = field(default_factory=dict)
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
    pairs = runs(first.repeat(right), left.repeat(right))
    pairs[1] += graph.starts[into]
    return torch.from_numpy(pairs).to(graph.x.device)


def runs(first: Ints, many: Ints) -> Ints:
    """Numbers that stand in a row, ``first[i]``, ``first[i] + 1``, ... (``many[i]`` of them), over ``i`` for each.

    Shape: ``first [n], many [n] -> int64 [2, E]``. In numpy, which repeats many times faster, and into one place: of a
    large array the first touch costs more than what is done to it.
    """
    end = many.cumsum()
    pairs = np.empty((2, int(many.sum())), dtype=np.int64)
    pairs[1] = np.arange(len(many)).repeat(many)
    np.take(first + many - end, pairs[1], out=pairs[0], mode="clip")
    pairs[0] += np.arange(pairs.shape[1])
    return pairs
