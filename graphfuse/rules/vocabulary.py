"""What rules may speak of: the names of labels, relations and features."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError

ALL = "labels"
"""The group of all labels."""


@dataclass(frozen=True)
class Vocabulary:
    """What rules may speak of; ``None`` where it is not known before.

    Attributes:
        labels: In the order of the logits; or groups of them by name, one group after the other.
        relations: Names.
        features: Names.
    """

    labels: Collection[str] | Mapping[str, Collection[str]] | None = None
    relations: Collection[str] | None = None
    features: Collection[str] | None = None

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The labels of each group, and of all of them."""
        if self.labels is None:
            return {}
        if not isinstance(self.labels, Mapping):
            return {ALL: tuple(self.labels)}
        groups = {name: tuple(own) for name, own in self.labels.items()}
        if ALL in groups:
            raise InputError(f"A group of labels is called {ALL!r}, which is the group of all labels; rename it.")
        return {ALL: tuple(label for own in groups.values() for label in own), **groups}

    @cached_property
    def known(self) -> dict[str, frozenset[str] | None]:
        """The names of each sort."""
        given = {"label": self.groups.get(ALL), "relation": self.relations, "feature": self.features}
        return {sort: None if names is None else frozenset(names) for sort, names in given.items()}

    def unknown(self, name: str, sort: str) -> str:
        """What is wrong with a name that is used as a label, a relation or a feature; nothing if it may be one."""
        names = self.known[sort]
        if names is None or name in names:
            return ""
        other = next((each for each, own in self.known.items() if own and name in own), None)
        if other:
            form = {"label": "name(x)", "relation": "name(x, y)", "feature": "name(x) >= 1"}
            return f"{name!r} is a {other}, written {form[other].replace('name', name)}, and here a {sort} stands"
        return f"there is no {sort} {name!r}.{did_you_mean(name, sorted(names))}"
