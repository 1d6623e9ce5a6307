"""Which nodes of a sample are most like which, for a whole batch at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphfuse.core.graph import FusionGraph, Ints

DIGITS = 10
"""After the point, to which likeness is compared: a product's last bits depend on the shape of the batch."""
NEAR = {torch.float32: 1e-5, torch.float64: 1e-9}
"""Cosines that differ by more are in their true order: far more than the rounding errors of a product add up to."""
AT_ONCE = 2**22
"""Pairs of nodes that are compared in one go."""


class Targets(NamedTuple):
    """Nodes of some kinds, sample after sample."""

    row: Ints
    """The row of ``graph.x`` of each, ``[T]``."""
    owner: Ints
    """Its sample."""
    place: Ints
    """Where each node stands here, in the order of ``graph.x``."""
    sizes: dict[str, int]
    """How many nodes there are of each kind, in that order."""

    @classmethod
    def of(cls, graph: FusionGraph, kinds: Collection[str]) -> Targets:
        """All nodes of some kinds."""
        own = [place for place, kind in enumerate(graph.schema.all_kinds) if kind in kinds]
        row = np.concatenate([np.arange(graph.starts[k], graph.starts[k + 1]) for k in own])
        owner = np.tile(np.arange(len(graph)), len(own)).repeat(graph.counts[own].ravel())
        order = owner.argsort(kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        sizes = {graph.schema.all_kinds[k]: graph.kind_sizes[k] for k in own}
        return cls(row[order], owner[order], place, sizes)


class Sources(NamedTuple):
    """Nodes of some kinds, a row of them a sample: kind after kind, each in the same columns for all samples."""

    row: Ints
    """The row of ``graph.x`` of each, ``[B, S]``; of one that pads, any."""
    real: npt.NDArray[np.bool_]
    """Those that do not pad."""
    columns: dict[str, slice]
    """Of each kind."""

    @classmethod
    def of(cls, graph: FusionGraph, kinds: Collection[str]) -> Sources:
        """All nodes of some kinds."""
        own = [place for place, kind in enumerate(graph.schema.all_kinds) if kind in kinds]
        most = graph.counts[own].max(axis=1)
        kind = np.arange(len(own)).repeat(most)  # of each column, as is its number among those of its kind
        number = np.arange(len(kind)) - (most.cumsum() - most).repeat(most)
        real, first = number < graph.counts[own][kind].T, np.array([begins(graph, k) for k in own])
        ends, names = most.cumsum().tolist(), [graph.schema.all_kinds[k] for k in own]
        columns = {name: slice(end - n, end) for name, end, n in zip(names, ends, most.tolist())}
        return cls(np.where(real, first[kind].T + number, 0), real, columns)


def begins(graph: FusionGraph, place: int) -> Ints:
    """The row of ``graph.x`` of the first node of a kind in each sample, ``[B]``."""
    first: Ints = graph.counts[place].cumsum() - graph.counts[place] + graph.starts[place]
    return first


class Compared(NamedTuple):
    """Target nodes, each compared with all sources of its sample."""

    x: Tensor
    """States of all nodes, ``[N, d]``."""
    likeness: Tensor
    """Scaled, ``[T, S]``; under :attr:`Keys.least` what may not be chosen."""
    targets: Targets
    sources: Sources
    keys: Keys
    """What orders it."""

    @classmethod
    def of(cls, graph: FusionGraph, targets: Collection[str], sources: Collection[str]) -> Compared:
        """All nodes of some kinds compared with all of others; none of the kinds is empty."""
        here, there, x = Targets.of(graph, targets), Sources.of(graph, sources), graph.x.detach()
        # single precision is what it says unless the user lets products be made in less
        quick = torch.float32 if torch.get_float32_matmul_precision() == "highest" else torch.float64
        keys = Keys.of(quick, max(places.stop - places.start for places in there.columns.values()))
        # one more column, 1 for a target and not 0 for a source that pads, puts those below all cosines
        unit = x.new_ones(len(x), x.shape[1] + 1, dtype=quick)
        torch.div(x.to(quick), _length(x.to(quick)), out=unit[:, :-1])
        unit.nan_to_num_()  # a state that is not finite is like nothing
        told = unit.index_select(0, _to(there.row.ravel(), x)).unflatten(0, there.row.shape)
        told[..., -1] = _to(np.where(there.real, 0.0, -2.5), x)
        sizes = np.bincount(here.owner, minlength=len(graph)).tolist()
        asked, likeness = unit.index_select(0, _to(here.row, x)), unit.new_empty(len(here.row), there.row.shape[1])
        for mine, others, into in zip(asked.split(sizes), told.transpose(1, 2), likeness.split(sizes)):
            torch.addmm(into, mine, others, beta=0, alpha=keys.scale, out=into)
        itself = np.full(len(here.row), -1)  # the column of each target
        for kind in here.sizes.keys() & there.columns.keys():
            first = begins(graph, graph.place(kind)) - there.columns[kind].start
            own = (here.row >= graph.rows(kind).start) & (here.row < graph.rows(kind).stop)
            itself[own] = (here.row - first[here.owner])[own]
        place = np.flatnonzero(itself >= 0)
        likeness.view(-1).index_fill_(0, _to(place * likeness.shape[1] + itself[place], x), -1.5 * keys.scale)
        return cls(x, likeness, here, there, keys)

    def best(self, source: str, k: int) -> Tensor:
        """The ``k`` sources of a kind that each target is most like, ``int64 [T, min(k, columns)]``, targets in the
        order of ``graph.x``: by their number within the sample, and as many as there are columns where it has fewer."""
        columns = self.sources.columns[source]
        chosen, unsure = self.keys.best(self.likeness[:, columns], k)
        place = unsure.nonzero()[:, 0]
        if len(place):
            chosen.index_copy_(0, place, self._exactly(place, columns, k).to(chosen.dtype))
        return in_order(chosen).index_select(0, _to(self.targets.place, chosen)).long()

    def width(self, source: str) -> int:
        """How many columns a kind has."""
        return self.sources.columns[source].stop - self.sources.columns[source].start

    def _exactly(self, place: Tensor, columns: slice, k: int) -> Tensor:
        """The choice of the targets at some places ``[n]``, by double precision; as :meth:`Keys.best`."""
        owner, row = (_to(each, self.x)[place] for each in (self.targets.owner, self.targets.row))
        sources, real = (_to(each[:, columns], self.x) for each in (self.sources.row, self.sources.real))
        found, size = [], sources.shape[1]
        samples, many = owner.unique_consecutive(return_counts=True)  # targets stand sample after sample
        for sample, own in zip(samples.tolist(), row.split(many.tolist())):
            for some in own.split(max(1, AT_ONCE // size)):
                states = (self.x[each].double() for each in (some, sources[sample]))
                target, source = ((x / _length(x)).nan_to_num_() for x in states)
                likeness = (target @ source.t()).round(decimals=DIGITS)
                likeness.masked_fill_(~real[sample] | (sources[sample] == some[:, None]), -torch.inf)
                best = likeness.sort(dim=1, descending=True, stable=True)
                found.append(torch.where(best.values == -torch.inf, size, best.indices)[:, :k])
        return torch.cat(found)


class Keys(NamedTuple):
    """Whole numbers whose order is that of likeness, and that end with the number of the source.

    Of those a processor sorts many at once, far faster than torch finds the largest and where they stood.
    """

    dtype: torch.dtype
    bits: int
    """Of the number of a source."""
    scale: float
    near: int
    """Scaled likeness that differs by more is in its true order."""

    @classmethod
    def of(cls, dtype: torch.dtype, sources: int) -> Keys:
        """For as many sources; short ones where they still tell apart what single precision does."""
        bits = sources.bit_length()
        short = dtype == torch.float32 and bits <= 12
        scale = 2.0 ** ((29 if short else 61) - bits)  # what pads is down to 3.5 times as much below 0
        return cls(torch.int32 if short else torch.int64, bits, scale, int(NEAR[dtype] * scale) + 2)

    @property
    def least(self) -> int:
        """Under all keys of what may be chosen."""
        return -int(1.25 * self.scale) << self.bits

    def best(self, likeness: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Of likeness ``[n, S]``, scaled, the ``k`` best, ``[n, min(k, S)]``, where ``S`` stands for none; and whether
        the next is so near that rounding may have parted them, ``bool [n]``."""
        sources = likeness.shape[1]
        keys = likeness.to(self.dtype, memory_format=torch.contiguous_format).mul_(1 << self.bits)
        keys = in_order(keys.add_(torch.arange(sources, dtype=self.dtype, device=keys.device)))
        best = keys[:, -k:].contiguous()
        chosen = torch.where(best < self.least, sources, best & ((1 << self.bits) - 1))
        if sources <= k:
            return chosen, torch.zeros_like(chosen[:, 0], dtype=torch.bool)
        last, after = best[:, 0], keys[:, -k - 1]
        return chosen, (after >= self.least) & ((last >> self.bits) - (after >> self.bits) <= self.near)


def in_order(x: Tensor) -> Tensor:
    """Each row of ``x [n, m]``, which may be changed, sorted."""
    if not x.is_cpu:
        return x.sort(-1).values
    x.numpy().sort(axis=-1)  # many times faster than torch
    return x


def _length(x: Tensor) -> Tensor:
    """Of ``x [.., d]``, ``[.., 1]``; more than 0."""
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(1e-12)


def _to(numbers: npt.NDArray, x: Tensor) -> Tensor:
    """As a tensor on the device of ``x``."""
    return torch.from_numpy(numbers).to(x.device, non_blocking=True)
