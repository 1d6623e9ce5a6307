"""The knowledge graph: entities, relations and the triples between them."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.kg import link, paths, read, retrieve
from graphfuse.kg.adjacency import Adjacency, Ints, first_of_each, rank_in_group
from graphfuse.kg.link import Link, NameIndex
from graphfuse.kg.read import Names, Triple
from graphfuse.kg.subgraph import Subgraph


@dataclass(frozen=True, eq=False, repr=False)
class KnowledgeGraph:
    """A directed multigraph of named entities; make one with ``from_triples``, ``read`` or ``from_networkx``.

    Every distinct triple is one edge, and its id is its row: parallel relations and both directions stay, exact
    repetitions are merged into the first. Entities, relations and edges keep the order in which they came.

    Shape: ``heads [E]``, ``relation_ids [E]``, ``tails [E]``: rows of ``entities``, ``relations`` and ``entities``.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    heads: Ints
    relation_ids: Ints
    tails: Ints
    aliases: Mapping[str, tuple[str, ...]]
    pictures: Mapping[str, str]

    @classmethod
    def from_triples(
        cls,
        triples: Iterable[Sequence[str]],
        aliases: Mapping[str, Names] | None = None,
        pictures: Mapping[str, str | os.PathLike[str]] | None = None,
        entities: Iterable[str] = (),
    ) -> "KnowledgeGraph":
        """The graph of ``(head, relation, tail)`` names.

        Args:
            triples: Rows of three texts.
            aliases: Other names of an entity, by which ``link`` finds it too.
            pictures: The file that shows an entity. It is opened when it is encoded, not here.
            entities: Names to hold in any case, first and in this order, even where no triple has them.

        Raises:
            InputError: A triple is not three filled texts, or an alias or picture is given to an unknown entity.
        """
        rows = list(dict.fromkeys(read.checked_triples(triples)))
        others = read.checked_aliases(aliases or {})
        both_ends = (name for head, _, tail in rows for name in (head, tail))
        ids = {name: i for i, name in enumerate(dict.fromkeys([*read.checked_names(entities), *both_ends]))}
        labels = {name: i for i, name in enumerate(dict.fromkeys(row[1] for row in rows))}
        table = np.array([(ids[head], labels[label], ids[tail]) for head, label, tail in rows], dtype=np.int64)
        table = np.ascontiguousarray(table.reshape(-1, 3).T)  # [3, E]
        table.setflags(write=False)
        heads, relation_ids, tails = table
        files = {entity: os.fspath(path) for entity, path in (pictures or {}).items()}
        graph = cls(tuple(ids), tuple(labels), heads, relation_ids, tails, others, files)
        for name in [*graph.aliases, *graph.pictures]:
            graph.index(name)
        return graph

    @classmethod
    def read(
        cls,
        source: Any,
        aliases: Mapping[str, Names] | None = None,
        pictures: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> "KnowledgeGraph":
        """The graph in a UTF-8 file with lines ``head <tab> relation <tab> tail``, or a networkx graph.

        Blank lines, a byte order mark and Windows line ends do no harm; spaces around a field are dropped.

        Raises:
            InputError: The file cannot be read or holds no triple, or a line has not three filled fields; the message
                has file and line.
        """
        if isinstance(source, str | os.PathLike):
            return cls.from_triples(read.read_tsv(source), aliases, pictures)
        return cls.from_networkx(source, aliases=aliases, pictures=pictures)

    @classmethod
    def from_networkx(
        cls,
        graph: Any,
        relation: str = "relation",
        aliases: Mapping[str, Names] | None = None,
        pictures: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> "KnowledgeGraph":
        """The graph of any networkx graph; an undirected edge becomes one triple, as networkx lists it.

        The relation of an edge is its attribute ``relation``, or else its key if that is text. Where ``aliases`` or
        ``pictures`` are not given they are taken from the node attributes ``aliases`` and ``picture``.

        Raises:
            InputError: An edge has no relation, or two nodes have the same name as text.
        """
        names = read.networkx_nodes(graph)
        if aliases is None:
            aliases = {names[node]: data["aliases"] for node, data in graph.nodes(data=True) if "aliases" in data}
        if pictures is None:
            pictures = {names[node]: data["picture"] for node, data in graph.nodes(data=True) if "picture" in data}
        return cls.from_triples(read.networkx_triples(graph, names, relation), aliases, pictures, names.values())

    def to_networkx(self) -> Any:
        """A ``networkx.MultiDiGraph``; relations are edge keys and the edge attribute ``relation``.

        ``from_networkx`` gives back equal entities, triples, aliases and pictures.
        """
        return read.to_networkx(self)

    def __len__(self) -> int:
        return len(self.entities)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __repr__(self) -> str:
        return f"KnowledgeGraph({len(self)} entities, {len(self.relations)} relations, {len(self.heads)} triples)"

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.entities)}

    @cached_property
    def adjacency(self) -> Adjacency:
        """The edges at every entity, in both directions; built once."""
        return Adjacency.of(self.heads, self.tails, len(self))

    @cached_property
    def arrivals(self) -> tuple[Ints, Ints]:
        """For each edge: how many edges of its relation arrive at its tail, and how many of them have a lower id."""
        return rank_in_group(self.tails * len(self.relations) + self.relation_ids)

    @cached_property
    def names(self) -> NameIndex:
        """The names and aliases as ``link`` looks them up; built once."""
        return NameIndex.of(self)

    @property
    def triples(self) -> list[Triple]:
        """Every triple in order of its edge id, as a new list."""
        names, labels = self.entities, self.relations
        columns = self.heads, self.relation_ids, self.tails
        return [(names[h], labels[r], names[t]) for h, r, t in zip(*(column.tolist() for column in columns))]

    def triple(self, edge_id: int) -> Triple:
        """The triple of one edge; raises ``InputError`` if there is no such edge."""
        if not 0 <= edge_id < len(self.heads):
            raise InputError(f"There is no edge {edge_id}; edge ids go from 0 to {len(self.heads) - 1}.")
        return (
            self.entities[self.heads[edge_id]],
            self.relations[self.relation_ids[edge_id]],
            self.entities[self.tails[edge_id]],
        )

    def path_triples(self, edge_ids: Iterable[int]) -> list[Triple]:
        """The triples of several edges, in the order given; raises ``InputError`` if there is no such edge."""
        return [self.triple(edge) for edge in edge_ids]

    def index(self, name: str) -> int:
        """The row of an entity; raises ``InputError`` with near names if there is no entity of that name."""
        if name not in self._rows:
            near = self.entities if len(self) <= 20_000 else _alike(name, self.entities)
            raise InputError(f"The knowledge graph has no entity called {name!r}.{did_you_mean(name, near)}")
        return self._rows[name]

    def relation_index(self, name: str) -> int:
        """The row of a relation; raises ``InputError`` with near names if there is no relation of that name."""
        if name not in self.relations:
            near = did_you_mean(name, self.relations)
            raise InputError(f"The knowledge graph has no relation called {name!r}.{near}")
        return self.relations.index(name)

    def degree(self, name: str) -> int:
        """How many edges stand at an entity, in either direction; one from it to itself counts once."""
        row = self.index(name)
        return int(self.adjacency.start[row + 1] - self.adjacency.start[row])

    def neighbours(self, name: str, relation: str | None = None, direction: str = "both") -> list[str]:
        """The distinct entities one step away: first along edges that leave ``name``, then against those that arrive.

        Args:
            name: The entity.
            relation: Take steps over this relation only.
            direction: ``"forward"`` along the edges only, ``"backward"`` against them only, or ``"both"``.

        Raises:
            InputError: The entity, relation or direction is unknown.
        """
        adjacency, row = self.adjacency, self.index(name)
        bounds = adjacency.start[row], adjacency.middle[row], adjacency.start[row + 1]
        spans = {"forward": bounds[:2], "backward": bounds[1:], "both": bounds[::2]}
        if direction not in spans:
            raise InputError(f"There is no direction called {direction!r}.{did_you_mean(direction, spans)}")
        here = slice(*spans[direction])
        others = adjacency.other[here]
        if relation is not None:
            others = others[self.relation_ids[adjacency.edge[here]] == self.relation_index(relation)]
        return [self.entities[i] for i in others[first_of_each(others)]]

    def retrieve(
        self,
        seeds: Names,
        hops: int = 2,
        max_nodes: int = 500,
        max_degree: int | Mapping[str, int] | None = None,
    ) -> Subgraph:
        """The entities within ``hops`` steps of the seeds, in either direction, with every triple among them.

        The order is fixed: the seeds as given, then ring by ring; in a ring, by the place of the entity stepped from,
        then edges that leave it before edges that arrive, then edge id. The budget cuts the end of that order.

        Args:
            seeds: One name or several.
            hops: How many steps.
            max_nodes: The most entities the sub-graph may have; the seeds are always inside.
            max_degree: Hubs are arrived at, but not gone on from. A number: an entity with more edges than this is not
                left again. A mapping from relations to numbers: edges of that relation are not followed against their
                direction, out of their tail, where the tail has more of them than this; ``{"language": 0,
                "currency": 40}`` arrives at every language and comes back from none, and comes back from a currency
                of at most 40 countries. From a seed the first edges are followed, up to the number.

        Returns:
            The sub-graph. Its ``truncated`` is True if the budget left out an entity, or if ``max_degree`` kept back a
            step to an entity that no other step of that ring arrived at; False says that nothing is missing.

        Raises:
            InputError: A seed or relation is unknown, there are no seeds or more than ``max_nodes``, or a number is
                negative.
        """
        return retrieve.retrieve(self, seeds, hops, max_nodes, max_degree)

    def link(self, text: str, k: int = 5, fuzzy: bool = False, required: bool = False) -> list[Link]:
        """The entities that ``text`` names, best score first, then by place; ``[]`` if it names none.

        Names and aliases are found whatever their case, Unicode form and kind of apostrophe or dash. They are found as
        whole words, in Chinese, Japanese, Korean and Thai as parts of the text. The longest name wins, and links do
        not overlap. Entities that fit one place equally well share its score.

        Score: 1 for a name, 0.95 for an alias; times 0.9 if accents or hyphens differ, times 0.7 for a slip.

        Args:
            text: Any text.
            k: The most links to return.
            fuzzy: Find names of five letters or more with one slip of spelling too: a letter more, less, wrong or
                moved.
            required: Raise if the text names no entity.

        Raises:
            InputError: ``required``, and the text names no entity; says which names are one slip away.
        """
        return link.link(self, text, k, fuzzy, required)

    def paths(self, a: str, b: str, max_hops: int = 3, limit: int = 100) -> list[list[Triple]]:
        """The paths from ``a`` to ``b`` that visit no entity twice, shortest first, then by edge ids.

        A step may run against its edge: the triple is given as it stands in the graph. Parallel edges make paths of
        their own. From an entity to itself there is one path, without steps.

        Args:
            a: Where paths begin.
            b: Where they end.
            max_hops: The most steps of a path.
            limit: The most paths to return.

        Raises:
            InputError: An entity is unknown, ``max_hops`` is negative or ``limit`` is below 1.
        """
        return [self.path_triples(path) for path in paths.paths(self, a, b, max_hops, limit)]


def _alike(name: str, entities: Iterable[str]) -> list[str]:
    """The few names worth comparing letter by letter: they begin alike and are about as long."""
    initial = name[:1].casefold()
    return [each for each in entities if each[:1].casefold() == initial and abs(len(each) - len(name)) <= 2]
