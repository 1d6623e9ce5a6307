"""Paths between two entities, and the one that is the evidence for an answer."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from graphfuse.core.errors import InputError
from graphfuse.kg.adjacency import Adjacency, Ints
from graphfuse.kg.subgraph import Subgraph

if TYPE_CHECKING:
    from graphfuse.kg.graph import KnowledgeGraph


def paths(kg: "KnowledgeGraph", a: str, b: str, max_hops: int, limit: int) -> list[list[int]]:
    """The edge ids of each path; see ``KnowledgeGraph.paths``."""
    if max_hops < 0 or limit < 1:
        raise InputError(f"paths: max_hops is {max_hops}, limit is {limit}; expected 0 or more, and 1 or more.")
    start, goal = kg.index(a), kg.index(b)
    far = _distances(kg.adjacency, goal, max_hops)
    lengths = range(far[start], max_hops + 1)
    return list(islice((path for length in lengths for path in _walks(kg.adjacency, far, start, goal, length)), limit))


def _distances(adjacency: Adjacency, goal: int, max_hops: int) -> Ints:
    """Steps from each node to ``goal`` ``[N]``; ``max_hops + 1`` where there are more than ``max_hops``."""
    far = np.full(len(adjacency.middle), max_hops + 1)
    far[goal] = 0
    ring = np.array([goal])
    for hop in range(1, max_hops + 1):
        others = adjacency.other[adjacency.steps(ring).slot]
        ring = np.unique(others[far[others] > hop])
        far[ring] = hop
    return far


def _walks(adjacency: Adjacency, far: Ints, start: int, goal: int, length: int) -> Iterator[list[int]]:
    """The simple paths of exactly ``length`` steps, by edge ids; steps that put the goal out of reach are not tried."""
    visited, path = [start], list[int]()

    def walk(node: int, left: int) -> Iterator[list[int]]:
        if node == goal:
            if not left:
                yield path.copy()
            return
        here = slice(adjacency.start[node], adjacency.start[node + 1])
        edges, others = adjacency.edge[here], adjacency.other[here]
        near = np.flatnonzero(far[others] < left)
        for i in near[np.argsort(edges[near])]:
            if others[i] not in visited:
                visited.append(int(others[i]))
                path.append(int(edges[i]))
                yield from walk(visited[-1], left - 1)
                visited.pop()
                path.pop()

    yield from walk(start, length)


def evidence(
    graph: "KnowledgeGraph | Subgraph", answer: str, linked: Sequence[str], prefer: ArrayLike | None = None
) -> list[int]:
    """The shortest path from one of ``linked`` to ``answer``: ids of edges of the whole knowledge graph, in order.

    Consecutive edges share an entity, and a step may run against its edge. ``kg.path_triples`` shows the path.

    Args:
        graph: The knowledge graph, or the sub-graph in which the path must run.
        answer: The entity that is to be explained.
        linked: The entities that the question names; the earlier wins where all else is equal.
        prefer: A weight for each edge of ``graph`` ``[E]``, higher is better: of the shortest paths, the one with the
            highest sum is taken. What is still equal goes by edge id.

    Returns:
        The edge ids; ``[]`` if the answer is itself linked, or no path exists.

    Raises:
        InputError: An entity is not in ``graph``, or ``prefer`` has not one weight for each of its edges.
    """
    adjacency, goal = graph.adjacency, graph.index(answer)
    edges = graph.edge_ids if isinstance(graph, Subgraph) else np.arange(len(graph.heads))
    weights = np.zeros(len(edges)) if prefer is None else np.asarray(prefer, dtype=np.float64)
    if weights.shape != edges.shape:
        raise InputError(f"evidence: prefer has shape {list(weights.shape)}; expected [{len(edges)}], one per edge.")
    ring = np.array([graph.index(name) for name in dict.fromkeys(linked)], dtype=np.int64)
    came_by, came_from = _best_tree(adjacency, ring, goal, weights)
    path = []
    while came_by[goal] >= 0:
        path.append(int(edges[came_by[goal]]))
        goal = int(came_from[goal])
    return path[::-1]


def _best_tree(adjacency: Adjacency, ring: Ints, goal: int, weights: np.ndarray) -> tuple[Ints, Ints]:
    """Breadth first from ``ring`` until ``goal``: the edge and node by which each node is best reached, or -1. [N]"""
    came_by, came_from = np.full((2, len(adjacency.middle)), -1)
    value = np.full(len(adjacency.middle), -np.inf)  # best sum of weights on the way here
    reached = np.zeros(len(adjacency.middle), dtype=bool)
    value[ring], reached[ring] = 0.0, True
    while len(ring) and not reached[goal]:
        steps = adjacency.steps(ring)
        source, other, edge = ring[steps.owner], adjacency.other[steps.slot], adjacency.edge[steps.slot]
        sums = value[source] + weights[edge]
        new = np.flatnonzero(~reached[other])
        new = new[np.lexsort((edge[new], steps.owner[new], -sums[new]))]
        ring, first = np.unique(other[new], return_index=True)
        best = new[first]
        order = np.lexsort((edge[best], steps.owner[best]))
        ring, best = ring[order], best[order]
        value[ring], reached[ring] = sums[best], True
        came_by[ring], came_from[ring] = edge[best], source[best]
    return came_by, came_from
