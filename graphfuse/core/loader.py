"""How samples become batches one after another: which go together, and who collates them meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Sample

AHEAD = 2
"""Batches that are made while one is computed with."""


@dataclass(frozen=True)
class Limits:
    """How large a batch may be.

    Attributes:
        samples: At most.
        nodes: Of all its samples at most; a sample that has more is a batch by itself.
        edges: At most, or :func:`graphfuse.core.collate.collate` says so.

    Raises:
        InputError: A limit is below 1.
    """

    samples: int = 64
    nodes: int | None = None
    edges: int | None = None

    def __post_init__(self) -> None:
        given = {"batch_size": self.samples, "batch_nodes": self.nodes, "max_edges": self.edges}
        for name, value in given.items():
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; it must be at least 1.")

    def sizes(self, samples: Sequence[Sample]) -> list[int] | None:
        """The nodes of each sample, where they count; features are not looked at."""
        return [sum(map(len, sample.nodes.values())) for sample in samples] if self.nodes is not None else None

    def parts(self, order: Sequence[int], sizes: Sequence[int] | None) -> list[list[int]]:
        """Samples in an order cut into batches: each takes the next sample as long as it stays within the limits."""
        if self.nodes is None or sizes is None:
            return [list(order[i : i + self.samples]) for i in range(0, len(order), self.samples)]
        parts, nodes = list[list[int]](), 0
        for place in order:
            nodes += sizes[place]
            if not parts or len(parts[-1]) == self.samples or nodes > self.nodes:
                parts.append([])
                nodes = sizes[place]
            parts[-1].append(place)
        return parts


USUAL = Limits()


def batches(
    samples: Sequence[Sample],
    parts: Iterable[Sequence[int]],
    join: Callable[[list[Sample]], Batch],
    device: torch.device,
) -> Iterator[Batch]:
    """The batches of parts of the samples, in their order, in main memory.

    Beside an accelerator a thread makes the next ones meanwhile, in pinned memory, from which ``Batch.to`` copies
    without waiting. On the processor alone there is nobody to spare, and a batch is made when it is asked for: there a
    thread gained nothing, see ``docs/architecture.md``.

    Args:
        samples: A list, or a store whose samples are read here.
        parts: Places of the samples of each batch.
        join: Collates; must not draw from a shared source of chance.
        device: Where batches will go.
    """

    def made(part: Sequence[int]) -> Batch:
        return join([samples[place] for place in part])

    if device.type == "cpu":
        yield from map(made, parts)
        return

    def pinned(part: Sequence[int]) -> Batch:
        return made(part).pin_memory() if device.type == "cuda" else made(part)

    waiting = deque[Future[Batch]]()
    with ThreadPoolExecutor(1, "graphfuse-batches") as beside:
        for part in parts:
            waiting.append(beside.submit(pinned, part))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
