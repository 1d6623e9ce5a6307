"""The schema: what may be in a graph, in which order, for the life of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.core.relations import AllPairs, Linked, relations_of
from graphfuse.core.sample import Batch, Relation, Sample, check_relation

if TYPE_CHECKING:
    from graphfuse.core.graph import FusionGraph


class EdgeBuilder(Protocol):
    """Says which nodes meet. A frozen dataclass; one vectorised call over the whole batch.

    A builder is *dense* where every pair within a sample meets: it is never called, its pairs are never listed.
    """

    source: str
    target: str
    direction: str
    name: str
    dense: bool

    def __call__(self, graph: FusionGraph, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Rows of ``graph.x`` that meet ``int64 [2, E]``, and one weight a pair ``[E]`` or ``None``."""
        ...


@dataclass(frozen=True, eq=False)
class Schema:
    """The kinds of nodes with their widths, and the edge builders: fixed, with their order, for the life of a model.

    Attributes:
        kinds: kind -> width of its features, as samples bring them.
        edges: The edge builders that lay relations over the nodes.

    Raises:
        InputError: An edge builder names an unknown kind, or two of them lay the same relation.
    """

    kinds: Mapping[str, int]
    edges: Sequence[Any] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", dict(self.kinds))
        object.__setattr__(self, "edges", tuple(self.edges))
        if not self.kinds:
            raise InputError("A schema needs at least one kind, as in gf.Schema(kinds={'text': 384}).")
        for builder in self.edges:
            for kind in (builder.source, builder.target):
                if kind not in self.all_kinds:
                    raise InputError(f"{builder} joins kind {kind!r}, which the schema lacks."
                                     f"{did_you_mean(kind, self.kinds)}")  # fmt: skip
            if getattr(builder, "makes", None) in self.kinds:
                raise InputError(f"{builder}: samples bring kind {builder.target!r}; a hub needs a name of its own.")
        twice = {r for r in self.relations if self.relations.count(r) > 1}
        if twice:
            raise InputError(f"Relation {min(twice)} is laid by two edge builders; give one of them another name.")

    @cached_property
    def hubs(self) -> tuple[str, ...]:
        """Kinds that samples do not bring: one node a sample, made by a ``Hub`` edge builder."""
        made = (getattr(builder, "makes", None) for builder in self.edges)
        return tuple(dict.fromkeys(kind for kind in made if kind and kind not in self.kinds))

    @cached_property
    def all_kinds(self) -> tuple[str, ...]:
        """The kinds of a graph's nodes in their order: those of the samples, then the hubs."""
        return (*self.kinds, *self.hubs)

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """Every relation that is laid, in its order; a builder in both directions lays two."""
        return tuple(relation for builder in self.edges for relation in relations_of(builder))

    @cached_property
    def given(self) -> tuple[Relation, ...]:
        """The relations whose links the samples bring."""
        return tuple((b.source, b.name, b.target) for b in self.edges if isinstance(b, Linked))

    @cached_property
    def weighted(self) -> frozenset[Relation]:
        """Those of the given relations whose links bring a weight."""
        return frozenset((b.source, b.name, b.target) for b in self.edges if isinstance(b, Linked) and b.weighted)

    @classmethod
    def infer(cls, samples: Iterable[Sample]) -> Schema:
        """Kinds and widths as found (all samples are read); all pairs between and within all kinds; links as given.

        Raises:
            InputError: No sample has a node, or links join a kind that no sample has; names the first that has them.
        """
        kinds: dict[str, int] = {}
        linked: dict[Relation, bool] = {}
        first: dict[Relation, str] = {}  # the sample that brings a relation first, for an error
        for sample in samples:
            for kind, x in sample.nodes.items():
                if len(x):
                    kinds.setdefault(kind, x.shape[-1])
            for relation, pairs in sample.links.items():
                if pairs.numel():
                    linked[relation] = linked.get(relation, False) or relation in sample.weights
                    first.setdefault(relation, sample.name)
        for relation, name in first.items():
            check_relation(name, relation, kinds)
        every = [AllPairs(source, target) for source in kinds for target in kinds]
        return cls(kinds, [*every, *(Linked(*r, weighted=weighted) for r, weighted in linked.items())])

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; :meth:`from_dict` reads them back."""
        edges = [{"edge": type(builder).__name__, **asdict(builder)} for builder in self.edges]
        return {"kinds": dict(self.kinds), "edges": edges}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], edges: Mapping[str, Any]) -> Schema:
        """From the values of :meth:`to_dict`; ``edges`` is the catalog of edge builders, by their own names."""
        by_class = {part.__name__: part for part in edges.values()}
        builders = []
        for entry in data["edges"]:
            part = look_up(by_class, entry["edge"], "edge builder")
            builders.append(part(**{f.name: entry[f.name] for f in fields(part) if f.name in entry}))
        return cls(data["kinds"], builders)
