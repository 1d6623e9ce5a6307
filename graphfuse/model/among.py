"""What rules over the nodes of a kind, or the links of a relation, ask of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.kept import Kept
from graphfuse.core.sample import Batch, Relation
from graphfuse.core.schema import Schema
from graphfuse.model.observed import SORTS, relations_in, sorts_of
from graphfuse.rules import Facts, RuleSet

NEXT, REVERSE = "next", "reverse"
"""Relations among links: one begins where another ends; one joins what another joins, the other way."""


@dataclass(frozen=True, eq=False)
class Among:
    """Rules whose variables stand for the nodes of a kind, or for the links of a relation, of one sample.

    A comparison asks for a fact of the node, or of its sample. Between nodes of the kind there are the links among
    them; between links there are ``next`` and ``reverse``.

    Attributes:
        rules: Over the labels of the nodes or links.
        of: The kind or the relation.
        kept: What was known of the last batches.

    Raises:
        InputError: Rules compare one fact with numbers and with words, or links have no such relation.
    """

    rules: RuleSet
    of: str | Relation
    kept: Kept[Facts] = field(default_factory=Kept, repr=False)

    def __post_init__(self) -> None:
        _ = self.sorts
        for name in self.relations:
            if not isinstance(self.of, str) and name not in (NEXT, REVERSE):
                raise InputError(f"{self._source}: between links of {self.of} there are the relations {NEXT!r} and "
                                 f"{REVERSE!r}, not {name!r}.{did_you_mean(name, (NEXT, REVERSE))}")  # fmt: skip

    @cached_property
    def sorts(self) -> dict[str, type]:
        """Fact -> ``str`` or ``float``."""
        return sorts_of(self.rules)

    @cached_property
    def relations(self) -> tuple[str, ...]:
        """Those that rules speak of."""
        return relations_in(self.rules)

    @property
    def kind(self) -> str:
        """Of the nodes; empty for links."""
        return self.of if isinstance(self.of, str) else ""

    @property
    def _source(self) -> str:
        return self.rules.source or "Rules"

    def check(self, schema: Schema) -> None:
        """Raises ``InputError`` where rules speak of a relation that the schema does not give."""
        if not isinstance(self.of, str):
            return
        given = [name for source, name, target in schema.given if source == target == self.of]
        for name in self.relations:
            if name not in given:
                raise InputError(f"{self._source}: rules speak of links ({self.of!r}, {name!r}, {self.of!r}), which "
                                 f"the schema does not give.{did_you_mean(name, given)}")  # fmt: skip

    def owner(self, batch: Batch) -> Tensor:
        """The sample of each node or link, ``int64 [N]``."""
        return owner_of(batch, self.of)

    def facts(self, batch: Batch) -> Facts:
        """What is known of the nodes or links of a batch, as rules take it.

        Raises:
            InputError: A fact is a word and is compared with numbers, or the other way; names the sample.
        """
        return self.kept.of(batch, self._facts)

    def _facts(self, batch: Batch) -> Facts:
        owner = self.owner(batch)
        features = {name: feature_of(name, sort, batch, self.of, owner) for name, sort in self.sorts.items()}
        return Facts({name: pairs_of(name, batch, self.of) for name in self.relations}, features, owner)

    def nothing(self) -> Facts:
        """What is known of no node or link at all."""
        none = torch.zeros(0, dtype=torch.long)
        features: dict[str, Any] = {name: [] if sort is str else none.double() for name, sort in self.sorts.items()}
        return Facts({name: none.expand(2, 0) for name in self.relations}, features, none)


def owner_of(batch: Batch, of: str | Relation) -> Tensor:
    """The sample of each node of a kind, or of each link of a relation in the order of their samples, ``int64 [N]``."""
    return batch.owner(of).cpu() if isinstance(of, str) else links_of(batch, of)[0]


def links_of(batch: Batch, of: Relation) -> tuple[Tensor, Tensor]:
    """The sample of each link and the links ``[2, N]``, sample after sample, as scores are."""
    links = batch.links[of].cpu()
    owner = torch.searchsorted(batch.offsets[of[0]].cpu(), links[0].contiguous(), right=True) - 1
    owner, order = owner.sort(stable=True)
    return owner, links[:, order]


def pairs_of(name: str, batch: Batch, of: str | Relation) -> Tensor:
    """Which nodes of a kind, or links of a relation, meet in a relation of that name: rows, ``int64 [2, E]``."""
    if isinstance(of, str):
        return batch.links[of, name, of].cpu()
    source, target = links_of(batch, of)[1]
    if of[0] != of[2]:
        return torch.zeros(2, 0, dtype=torch.long)
    order = source.argsort(stable=True)
    first, end = (torch.searchsorted(source[order], target, right=right) for right in (False, True))
    many = end - first
    begin = (first - (many.cumsum(0) - many)).repeat_interleave(many)
    at = torch.arange(len(source)).repeat_interleave(many)
    pairs = torch.stack([at, order[begin + torch.arange(len(at))]])
    return pairs if name == NEXT else pairs[:, target[pairs[1]] == source[pairs[0]]]


def feature_of(name: str, sort: type, batch: Batch, of: str | Relation, owner: Tensor) -> Any:
    """A number or a word of each node or link: its own fact, else its sample's, which alone is there of links.

    Raises:
        InputError: It is a word and rules compare it with numbers, or the other way; names the sample.
    """
    counts = torch.bincount(owner, minlength=len(batch)).tolist()
    parts = list(_known(name, sort, batch, of, counts))
    if sort is str:
        return [word for part in parts for word in part]
    return torch.cat([torch.as_tensor(part, dtype=torch.double).cpu() for part in parts])


def _known(name: str, sort: type, batch: Batch, of: str | Relation, counts: list[int]) -> Iterator[Any]:
    """The words or numbers of each sample's nodes or links, of those that it has."""
    nothing: tuple[Mapping[str, Any], ...] = ({},) * len(batch)
    facts = zip(batch.facts or nothing, batch.node_facts or nothing)
    for sample, (known, of_nodes), many in zip(batch.names, facts, counts):
        own = of_nodes.get(of, {}).get(name) if isinstance(of, str) else None
        value = known.get(name)
        if own is None and value is not None and isinstance(value, str) != (sort is str):
            raise InputError(f"Sample {sample!r}: fact {name!r} is {value!r}, and rules compare it with "
                             f"{SORTS[sort][1]}.")  # fmt: skip
        if own is not None and isinstance(own, Tensor) == (sort is str):
            raise InputError(f"Sample {sample!r}: fact {name!r} of nodes of kind {of!r} is "
                             f"{'numbers' if sort is str else 'words'}, and rules compare it with "
                             f"{SORTS[sort][1]}.")  # fmt: skip
        lacks = None if sort is str else math.nan
        yield [lacks if value is None else value] * many if own is None else own
