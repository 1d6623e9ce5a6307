"""How high each node of a directed graph without cycles stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class CycleError(Exception):
    """There is a cycle; ``node`` is on it."""

    def __init__(self, node: int):
        super().__init__(node)
        self.node = node


def heights(low: Sequence[int], high: Sequence[int], count: int) -> Ints:
    """The most edges of a path that ends in each node, ``[count]``; edges run from ``low`` to ``high``.

    Raises:
        CycleError: A path never ends.
    """
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for down, up in zip(low, high):
        above[down].append(up)
        below[up].append(down)
    waiting, height = [len(own) for own in below], [0] * count
    ready = [node for node in range(count) if not waiting[node]]
    for node in ready:  # which grows meanwhile
        for up in above[node]:
            height[up] = max(height[up], height[node] + 1)
            waiting[up] -= 1
            if not waiting[up]:
                ready.append(up)
    if len(ready) < count:  # each node that still waits does so for one below it
        node, seen = next(node for node in range(count) if waiting[node]), set[int]()
        while node not in seen:
            seen.add(node)
            node = next(down for down in below[node] if waiting[down])
        raise CycleError(node)
    return np.array(height, dtype=np.int64)
