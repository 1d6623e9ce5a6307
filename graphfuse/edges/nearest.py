"""Nodes that look alike."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import FusionGraph
from graphfuse.core.relations import Direction
from graphfuse.core.sample import Batch

DIGITS = 10
"""After the point, to which likeness is compared: a product's last bits depend on the shape of the batch."""
NEAR = {torch.float32: 1e-5, torch.float64: 1e-9}
"""Cosines that differ by more are in their true order: far more than the rounding errors of a product add up to."""


@dataclass(frozen=True)
class Nearest:
    """Joins to each ``target`` node the ``k`` ``source`` nodes of its sample that are most like it; never itself.

    Likeness is the cosine of the states that ``lay`` is given (a model gives its projections, so two kinds of different
    widths can be compared); the choice itself carries no gradient. Of equals the earlier node is taken.

    Nodes are compared in single precision first. Where the last that is taken is hardly more like than the first that
    is not, by no more than rounding could make, they are compared in double precision: so a choice is never one of
    rounding, which depends on the other samples of the batch.
    """

    source: str
    target: str
    k: int = 4
    direction: Direction = "forward"
    name: str = "nearest"
    dense: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"Nearest({self.source!r}, {self.target!r}): k is {self.k}; it must be at least 1.")

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, None]:
        """Rows that meet, ``[2, E]``, sorted by target."""
        if not len(graph.of(self.source)) or not len(graph.of(self.target)):
            return graph.owners.new_zeros(2, 0), None
        there, here = _units(graph, self.source), _units(graph, self.target)
        likeness = self._likeness(there.x, here.x, there.padding)  # [B, T, S]
        least, unsure = _last_taken(likeness, self.k)  # [B, T]
        chosen = likeness >= least.masked_fill(~here.real, torch.inf)[..., None]
        unsure &= here.real
        if unsure.any():
            chosen[unsure] = self._exactly(graph.x.detach(), there, here, unsure)
        return _pairs(chosen, there.row[:, 0], here.row), None

    def _likeness(self, source: Tensor, target: Tensor, padding: Tensor) -> Tensor:
        """Cosines ``[B, T, S]`` of units ``[B, S, d]`` and ``[B, T, d]``; minus infinity for what may not be chosen."""
        with torch.autocast(target.device.type, enabled=False):
            likeness = torch.baddbmm(padding.to(source.dtype)[:, None], target, source.transpose(1, 2))
        if self.source == self.target:
            likeness.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
        return likeness

    def _exactly(self, x: Tensor, there: "_Units", here: "_Units", unsure: Tensor) -> Tensor:
        """Whether each source node is chosen by the targets at some places, ``bool [n, S]``."""
        samples, place = unsure.nonzero(as_tuple=True)
        samples, own = samples.unique(return_inverse=True)
        source, target = (_unit(x[each.row[samples]].double()) for each in (there, here))
        likeness = self._likeness(source, target, there.padding[samples])[own, place].round(decimals=DIGITS)
        best = likeness.sort(dim=1, descending=True, stable=True)
        chosen = torch.zeros_like(likeness, dtype=torch.bool)
        return chosen.scatter_(1, best.indices[:, : self.k], best.values[:, : self.k] > -torch.inf)


class _Units(NamedTuple):
    """A kind's nodes at length one, in one block a sample."""

    x: Tensor
    """``[B, M, d]``"""
    row: Tensor
    """Of each place the row of ``graph.x``, ``int64 [B, M]``; of one that pads, any of the kind."""
    real: Tensor
    """``bool [B, M]``"""
    padding: Tensor
    """0, or minus infinity where a place pads, ``[B, M]``."""


def _units(graph: FusionGraph, kind: str) -> _Units:
    """Made once a graph for all builders that compare the kind."""
    known = graph.laid_out.get((Nearest, kind))
    if known is None or known[0] is not graph.x:
        place = graph.place(kind)
        sizes, first = graph.sizes(kind)[:, None], graph.offsets[place, :-1, None]
        number = torch.arange(int(graph.counts[place].max()), device=first.device)
        row = (first + number).clamp(max=graph.starts[place + 1] - 1)
        # single precision is what it says unless the user lets products be made in less
        quick = torch.float32 if torch.get_float32_matmul_precision() == "highest" else torch.float64
        x = graph.x.detach().index_select(0, row.flatten()).to(quick).unflatten(0, row.shape)
        real = number < sizes
        known = graph.x, _Units(_unit(x), row, real, torch.where(real, 0.0, -torch.inf))
        graph.laid_out[Nearest, kind] = known
    found: _Units = known[1]
    return found


def _unit(x: Tensor) -> Tensor:
    """``x [.., d]``, which is changed, at length one."""
    return x.div_(torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(1e-12))


def _last_taken(likeness: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k``-th largest of each row ``[.., S]``, and whether the next is so near that rounding may have parted them.

    Of ``-2``, which is under every cosine, there are as many as it takes.
    """
    if likeness.shape[-1] <= k:
        return likeness.new_full(likeness.shape[:-1], -2.0), torch.zeros_like(likeness[..., 0], dtype=torch.bool)
    if likeness.is_cpu:  # numpy parts many times faster than torch finds the largest
        parted = torch.from_numpy(np.partition(likeness.numpy(), -k, axis=-1))
        last, after = parted[..., -k], parted[..., :-k].amax(-1)
    else:
        last, after = likeness.topk(k + 1).values[..., -2:].unbind(-1)
    return last.clamp(min=-2.0), last - after <= NEAR[likeness.dtype]  # false where both are minus infinity


def _pairs(chosen: Tensor, first: Tensor, target: Tensor) -> Tensor:
    """What ``chosen [B, T, S]`` joins, target after target; sources stand in a row from ``first [B]`` on."""
    _, targets, sources = chosen.shape
    if not chosen.is_cpu:
        sample, row, place = chosen.nonzero(as_tuple=True)
        return torch.stack([first[sample] + place, target[sample, row]])
    places, numbers = np.divmod(np.flatnonzero(chosen.numpy()), sources)  # several times faster than in torch
    pairs = np.stack([first.numpy().repeat(targets), target.numpy().ravel()]).take(places, axis=1)
    pairs[0] += numbers
    return torch.from_numpy(pairs)
