"""How the nodes of many samples are laid side by side for attention: a few buckets of blocks of like size.

A block is a sample's nodes of one target kind and all sources that they attend to. Blocks are put together with others
of like size, whatever their sample and kind, so that padding costs little; what pads is never attended to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

CALL = 6144
"""What one more bucket costs, in pairs of nodes: a kernel call with its backward pass, measured on two cores."""


Ints = npt.NDArray[np.int64]


class Bucket(NamedTuple):
    """Blocks of like size: how many, their most target nodes, and their most sources."""

    blocks: int
    queries: int
    sources: int
    real: Tensor | None
    """Which sources a node attends to, ``bool [blocks, 1, queries or 1, sources]``, or what is added to the score;
    ``None`` where all are."""
    group: Tensor
    """The group of target nodes of each, ``int64 [blocks]``."""


class Places(NamedTuple):
    """What stands where in the blocks, bucket after bucket: row ``row`` of group ``group``; padding repeats a row."""

    group: Ints
    row: Ints
    real: npt.NDArray[np.bool_]
    sizes: tuple[int, ...]

    def rows(self, first: tuple[int, ...], step: tuple[int, ...]) -> Ints:
        """Rows of a table that holds row ``i`` of group ``g`` at ``first[g] + step[g] * i``, ``int64 [m]``."""
        return np.asarray(first)[self.group] + np.asarray(step)[self.group] * self.row


@dataclass(frozen=True, eq=False)
class Plan:
    """All blocks of some relations.

    Attributes:
        buckets: The blocks, those of like size together.
        blocks: The number of each, group after group and sample after sample, ``[n]``.
        query: Where target nodes stand, by the group that they attend with.
        source: Where sources stand, by relation.
        back: Of each target node, group after group, its place among all places of all buckets, or the one after the
            last where nothing reaches it; ``int64 [n]``.
        answer: Of each place of each bucket the target node that stands there, or ``n`` where one pads.
        reached: Whether anything reaches a node, ``bool [n]``.
        known: Rows of tables by head, and masks as they are added to scores, as found so far.
    """

    buckets: tuple[Bucket, ...]
    blocks: Ints
    query: Places
    source: Places
    back: Tensor
    answer: tuple[Tensor, ...]
    reached: Tensor
    known: dict[Any, Any] = field(default_factory=dict, repr=False)


def plan(sizes: Ints, into: Sequence[tuple[int, Sequence[int], Sequence[int]]], device: torch.device) -> Plan:
    """Lays blocks out.

    Args:
        sizes: Nodes of each kind and sample, ``int64 [K, B]``.
        into: For each group of target nodes its kind, and the places of its relations and of their source kinds. A
            group gives one block a sample.
        device: Where the nodes are.
    """
    samples = sizes.shape[1]
    begin = np.concatenate([np.zeros((len(sizes), 1), np.int64), sizes.cumsum(1)], 1)  # [K, B + 1]
    kind = np.array([kind for kind, _, _ in into])
    # a block's sources stand in order of sample and relation: where its own begin, how many, and what stands there
    many, order = np.zeros((len(into), samples), np.int64), list[tuple[Ints, Ints]]()
    for group, (_, relations, kinds) in enumerate(into):
        many[group] = sizes[list(kinds)].sum(0) if kinds else 0
        order.append(_side_by_side(sizes, begin, relations, kinds))
    queries, sources = sizes[kind].reshape(-1), many.reshape(-1)  # [G * B]
    start = many.reshape(-1).cumsum() - sources
    at_group, at_row = (np.concatenate(each) for each in zip(*order))
    parts = _alike(queries, sources)
    shape = [(len(part), int(queries[part].max()), int(sources[part].max())) for part in parts]
    blocks = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    group = blocks // max(samples, 1)

    block, place, real_q = _grid(queries[blocks], [(n, q) for n, q, _ in shape])
    rows = sizes.sum(1)[kind]
    row = begin[kind[group], blocks % max(samples, 1)][block] + place
    answer = np.where(real_q, (rows.cumsum() - rows)[group[block]] + row, rows.sum())
    back = np.full(rows.sum() + 1, len(answer))
    back[answer] = np.arange(len(answer))
    block_s, place, real_s = _grid(sources[blocks], [(n, s) for n, _, s in shape])
    place = start[blocks][block_s] + place
    wide = [tuple(each[0] * each[end] for each in shape) for end in (1, 2)]
    groups = np.split(group, np.cumsum([n for n, _, _ in shape]))
    masks = [real.reshape(n, 1, 1, s) for real, (n, _, s) in zip(np.split(real_s, np.cumsum(wide[1])), shape)]

    def moved(x: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(x).to(device, non_blocking=True)

    return Plan(
        tuple(Bucket(*s, None if r.all() else moved(r), moved(own)) for s, r, own in zip(shape, masks, groups)),
        blocks,
        Places(group[block], row, real_q, wide[0]),
        Places(at_group[place], at_row[place], real_s, wide[1]),
        moved(back[:-1]),
        moved(answer).split(wide[0]),
        moved(back[:-1] < len(answer)),
    )  # fmt: skip


def _side_by_side(sizes: Ints, begin: Ints, relations: Sequence[int], kinds: Sequence[int]) -> tuple[Ints, Ints]:
    """The sources of some relations, sample after sample and relation after relation: the relation, and the row."""
    if not relations:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    counts: Ints = sizes[list(kinds)].T.reshape(-1)  # [B * R]
    first: Ints = begin[list(kinds), :-1].T.reshape(-1)
    segment: Ints = np.repeat(np.arange(len(counts)), counts)
    shift: Ints = first - counts.cumsum() + counts
    row: Ints = np.arange(len(segment), dtype=np.int64) + shift[segment]
    relation: Ints = np.asarray(relations, np.int64)[segment % len(relations)]
    return relation, row


def _grid(lengths: Ints, shape: Sequence[tuple[int, int]]) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """All places of all blocks: the block, the number within it (of its last real one, if it pads), whether it is real.

    ``shape`` has the blocks and the places of each of each bucket.
    """
    width = np.repeat([size for _, size in shape], [n for n, _ in shape]).astype(np.int64)
    block = np.repeat(np.arange(len(lengths)), width)
    place = np.arange(len(block)) - np.repeat(width.cumsum() - width, width)
    last = np.repeat(lengths - 1, width)
    return block, np.minimum(place, last), place <= last


def _alike(queries: Ints, sources: Ints) -> list[Ints]:
    """Blocks ``[n]`` parted so that padded pairs and calls cost least; those without a node or a source are left out.

    A part is cut in two, in the order of its queries or of its sources, wherever that saves more than a call costs.
    """
    done, rest = list[Ints](), [np.flatnonzero((queries > 0) & (sources > 0))]
    while rest:
        part = rest.pop()
        if not len(part):
            continue
        many, gain, halves = np.arange(1, len(part) + 1), CALL, list[Ints]()
        for size in (queries, sources):
            order = part[size[part].argsort(kind="stable")]
            q, s = queries[order], sources[order]
            below = many * np.maximum.accumulate(q) * np.maximum.accumulate(s)  # padded pairs of the first 1, 2, ..
            above = many * np.maximum.accumulate(q[::-1]) * np.maximum.accumulate(s[::-1])
            saved = below[-1] - below[:-1] - above[-2::-1]
            if len(saved) and saved.max() > gain:
                cut = int(saved.argmax()) + 1
                gain, halves = saved[cut - 1], [order[:cut], order[cut:]]
        if halves:
            rest += halves
        else:
            done.append(part)
    return done
