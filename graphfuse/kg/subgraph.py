"""The part of a knowledge graph that a question needs, ready to stand in a sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from graphfuse.core.errors import InputError
from graphfuse.kg.adjacency import Adjacency, Ints
from graphfuse.kg.read import Triple

if TYPE_CHECKING:
    from torch import Tensor

    from graphfuse.kg.graph import KnowledgeGraph

    Features = Tensor | np.ndarray | Callable[[list[str]], Tensor | np.ndarray]


@dataclass(frozen=True, eq=False, repr=False)
class Subgraph:
    """Some entities of a knowledge graph and every triple among them.

    Shape: ``nodes [n]`` (rows of the entities in ``kg``, in the order of ``entities``), ``edge_ids [e]`` (ids in
    ``kg``, ascending, in the order of ``triples``), ``edge_index [2, e]`` (head and tail as rows within the sub-graph).
    """

    kg: "KnowledgeGraph"
    nodes: Ints
    edge_ids: Ints
    edge_index: Ints
    seeds: tuple[str, ...]
    truncated: bool

    @classmethod
    def among(cls, kg: "KnowledgeGraph", nodes: Ints, seeds: Sequence[str], truncated: bool) -> "Subgraph":
        """The sub-graph of the entities ``nodes`` (rows of ``kg``, each once)."""
        row = np.full(len(kg), -1)
        row[nodes] = np.arange(len(nodes))
        edges = kg.adjacency.leaving(nodes)
        edges = np.sort(edges[row[kg.tails[edges]] >= 0])
        ends = row[np.stack([kg.heads[edges], kg.tails[edges]])]  # [2, e]
        for array in (nodes, edges, ends):
            array.setflags(write=False)
        return cls(kg, nodes, edges, ends, tuple(seeds), truncated)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        cut = ", truncated" if self.truncated else ""
        return f"Subgraph({len(self)} entities, {len(self.edge_ids)} triples{cut})"

    @cached_property
    def entities(self) -> list[str]:
        """The names of the entities: the seeds first, then by distance."""
        return [self.kg.entities[i] for i in self.nodes]

    @cached_property
    def triples(self) -> list[Triple]:
        """Every triple of the graph whose ends are both inside, parallel ones too."""
        names, labels = self.entities, self.kg.relations
        columns = self.edge_index[0], self.kg.relation_ids[self.edge_ids], self.edge_index[1]
        return [(names[h], labels[r], names[t]) for h, r, t in zip(*(column.tolist() for column in columns))]

    @cached_property
    def adjacency(self) -> Adjacency:
        """The edges at every entity inside; edge ``i`` is ``edge_ids[i]`` of the whole graph."""
        return Adjacency.of(self.edge_index[0], self.edge_index[1], len(self))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.entities)}

    def index(self, name: str) -> int:
        """The row of an entity within the sub-graph; raises ``InputError`` if it is not inside."""
        if name not in self._rows:
            self.kg.index(name)
            raise InputError(f"{name!r} is not among the {len(self)} entities of the sub-graph around {self._about}.")
        return self._rows[name]

    @property
    def _about(self) -> str:
        return ", ".join(map(repr, self.seeds[:3])) + (", ..." if len(self.seeds) > 3 else "")

    def pictures(self) -> list[tuple[int, str]]:
        """Row and picture file of each entity that has a picture."""
        known = self.kg.pictures
        return [(row, known[name]) for row, name in enumerate(self.entities) if name in known]

    def sample_nodes(
        self, features: "Features", kind: str = "entity"
    ) -> "tuple[dict[str, Tensor], dict[tuple[str, str, str], Tensor]]":
        """The ``nodes`` and ``links`` by which a ``Sample`` holds this sub-graph.

        Args:
            features: One row for each entity of the whole graph ``[len(kg), w]``, or a function from the names of the
                entities inside to their rows ``[n, w]``.
            kind: The kind of the nodes.

        Returns:
            ``{kind: Tensor [n, w]}`` in the order of ``entities``, and for each relation inside, in the order of
            ``kg.relations``, ``{(kind, relation, kind): LongTensor [2, e_r]}`` in the order of ``edge_ids``.

        Raises:
            InputError: ``features`` has not one row for each entity.
        """
        import torch

        if callable(features):
            rows = _checked(features(self.entities), len(self), "entity of the sub-graph")
        else:
            rows = _checked(features, len(self.kg), "entity of the knowledge graph")[self.nodes.copy()]
        labels = self.kg.relation_ids[self.edge_ids]
        links = {
            (kind, self.kg.relations[label], kind): torch.from_numpy(self.edge_index[:, labels == label])
            for label in np.unique(labels)
        }
        return {kind: torch.as_tensor(rows)}, links


def _checked(features: Any, rows: int, of: str) -> Any:
    if features.ndim != 2 or len(features) != rows:
        raise InputError(f"features has shape {list(features.shape)}; expected [{rows}, width], one row for each {of}.")
    return features
