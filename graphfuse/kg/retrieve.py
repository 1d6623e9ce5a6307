"""Breadth-first retrieval of the part of a knowledge graph around some entities."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphfuse.core.errors import InputError
from graphfuse.kg.adjacency import Bools, Ints, Steps, first_of_each
from graphfuse.kg.subgraph import Subgraph

if TYPE_CHECKING:
    from graphfuse.kg.graph import KnowledgeGraph


def retrieve(
    kg: "KnowledgeGraph",
    seeds: str | Sequence[str],
    hops: int,
    max_nodes: int,
    max_degree: int | Mapping[str, int] | None,
) -> Subgraph:
    """See ``KnowledgeGraph.retrieve``. Cost: one vectorised step a ring, over the edges at its entities."""
    names = list(dict.fromkeys([seeds] if isinstance(seeds, str) else seeds))
    _check(names, hops, max_nodes)
    caps = _caps(kg, max_degree)
    ring = np.array([kg.index(name) for name in names], dtype=np.int64)
    seen = np.zeros(len(kg), dtype=bool)
    seen[ring] = True
    rings, room, truncated = [ring], max_nodes - len(ring), False
    for hop in range(hops):
        steps = kg.adjacency.steps(ring)
        others = kg.adjacency.other[steps.slot]
        fresh = others[_followed(kg, steps, caps, from_seeds=hop == 0) & ~seen[others]]
        fresh = fresh[first_of_each(fresh)]
        seen[fresh] = True
        truncated = truncated or len(fresh) > room or not seen[others].all()
        ring = fresh[:room]
        rings.append(ring)
        if len(fresh) > room or not len(fresh):
            break
        room -= len(ring)
    return Subgraph.among(kg, np.concatenate(rings), names, truncated)


def _check(names: list[str], hops: int, max_nodes: int) -> None:
    if not names:
        raise InputError("retrieve: got no seeds; name at least one entity to start from.")
    if hops < 0:
        raise InputError(f"retrieve: hops is {hops}; expected 0 or more.")
    if max_nodes < len(names):
        raise InputError(f"retrieve: max_nodes is {max_nodes} with {len(names)} seeds; expected {len(names)} or more.")


def _caps(kg: "KnowledgeGraph", max_degree: int | Mapping[str, int] | None) -> int | Ints | None:
    """The cap on every entity, or one for each relation ``[R]``."""
    if max_degree is None:
        return None
    for cap in max_degree.values() if isinstance(max_degree, Mapping) else [max_degree]:
        if cap < 0:
            raise InputError(f"retrieve: max_degree is {max_degree}; expected 0 or more.")
    if not isinstance(max_degree, Mapping):
        return int(max_degree)
    caps = np.full(len(kg.relations), len(kg.heads))
    for relation, cap in max_degree.items():
        caps[kg.relation_index(relation)] = cap
    return caps


def _followed(kg: "KnowledgeGraph", steps: Steps, caps: int | Ints | None, from_seeds: bool) -> Bools:
    """Which steps the caps allow: up to the cap from seeds, and else all or none. [S]"""
    if caps is None:
        return np.ones(len(steps.slot), dtype=bool)
    if isinstance(caps, int):
        return steps.rank < caps if from_seeds else steps.count <= caps
    edge = kg.adjacency.edge[steps.slot]
    count, rank = kg.arrivals
    cap = caps[kg.relation_ids[edge]]
    return kg.adjacency.forward[steps.slot] | (rank[edge] < cap if from_seeds else count[edge] <= cap)
