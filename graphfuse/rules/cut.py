"""Heaviest sets that are closed under implications, by maximum flow.

Source: Picard 1976, "Maximal closure of a graph and applications to combinatorial problems".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from graphfuse.rules.levels import Ints

LARGEST = 30
"""Bits of what one search for a flow may carry: the capacities of ``scipy`` are whole numbers of 32 bits."""
EXACT = 61
"""Bits of the sum of all weights of a block."""


def heaviest(weight: npt.NDArray[np.float64], block: Ints, child: Ints, parent: Ints) -> npt.NDArray[np.bool_]:
    """The heaviest set of nodes in which no child is without its parents, of equally heavy ones the smallest.

    Weights are rounded once, to whole multiples of the sum of their sizes over ``2 ** 61``; from there on all is exact.

    Args:
        weight: Of each node, ``[N]``.
        block: The number of the problem that each belongs to, ``[N]``; each is solved by itself, all at once.
        child: What implies, ``[E]``.
        parent: What is implied, ``[E]``, in the same block.
    """
    blocks = int(block.max(initial=-1)) + 1
    size = np.bincount(block, np.abs(weight), blocks)
    whole = np.rint(np.ldexp(weight, EXACT - np.frexp(size)[1][block])).astype(np.int64)
    gives, takes, flow = np.maximum(whole, 0), np.maximum(-whole, 0), np.zeros(len(child), np.int64)
    arcs = np.bincount(block, minlength=blocks) + np.bincount(block[child], minlength=blocks)
    rest = np.zeros(blocks, np.int64)  # at least what may still flow
    np.add.at(rest, block, gives)
    network = _Network(len(weight), child, parent)
    while True:
        # A search that leaves out the last bits leaves less than those of every arc of a cut.
        shift = np.maximum(np.frexp(rest.astype(np.float64))[1] - LARGEST, 0)
        own, between = shift[block], shift[block[child]]
        given, taken, more = network.flow(gives >> own, takes >> own, flow >> between)
        gives, takes, flow = gives - (given << own), takes - (taken << own), flow + (more << between)
        if not shift.any():
            return network.reached(gives > 0, flow > 0)
        rest = np.where(shift > 0, np.minimum(rest, arcs << shift), 0)


class _Network:
    """From a source to every node, from every node to a sink, and between child and parent, both ways."""

    def __init__(self, nodes: int, child: Ints, parent: Ints):
        every, source, sink = np.arange(nodes), np.full(nodes, nodes), np.full(nodes, nodes + 1)
        self.nodes, self.child, self.parent = nodes, child, parent
        tail = np.concatenate([source, every, child, every, sink, parent])
        head = np.concatenate([every, sink, parent, source, every, child])
        self.order = np.lexsort((head, tail))
        self.indices = head[self.order].astype(np.int32)
        self.starts = np.searchsorted(tail[self.order], np.arange(nodes + 3)).astype(np.int32)

    def flow(self, gives: Ints, takes: Ints, back: Ints) -> tuple[Ints, Ints, Ints]:
        """A maximum flow: out of the source, into the sink, and from each child to its parent, less what comes back."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_flow

        most, none = (1 << LARGEST) - 1, np.zeros(self.nodes, np.int64)
        capacity = np.concatenate([gives, takes, np.full(len(self.child), most), none, none, back])
        shape = self.nodes + 2, self.nodes + 2
        data = np.minimum(capacity, most)[self.order].astype(np.int32)
        graph = csr_array((data, self.indices, self.starts), shape=shape)
        found = np.empty(len(self.order), np.int64)
        found[self.order] = maximum_flow(graph, self.nodes, self.nodes + 1).flow.data
        given, taken, more = np.split(found[: 2 * self.nodes + len(self.child)], [self.nodes, 2 * self.nodes])
        return given, taken, more

    def reached(self, begin: npt.NDArray[np.bool_], back: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """The nodes that are reached from some, up along all edges and down along those that carry a flow."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import breadth_first_order

        first = np.flatnonzero(begin)
        tail = np.concatenate([np.full(len(first), self.nodes), self.child, self.parent[back]])
        head = np.concatenate([first, self.parent, self.child[back]])
        graph = csr_array((np.ones(len(tail), np.int8), (tail, head)), shape=(self.nodes + 1, self.nodes + 1))
        found = np.zeros(self.nodes + 1, np.bool_)
        found[breadth_first_order(graph, self.nodes, return_predecessors=False)] = True
        return found[:-1]
