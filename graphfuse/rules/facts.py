"""What is observed of the things that rules speak of, and the groundings of a rule that it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.graph import Ints
from graphfuse.rules.atoms import COMPARISONS, Measured, Related

KEPT = 10_000
"""As many relations and groundings are kept."""


@dataclass(frozen=True, eq=False)
class Facts:
    """Relations and features of the ``B`` things that logits have a row for each: papers, persons, samples.

    Attributes:
        relations: name -> rows, source over target, ``int64 [2, E]``; a pair that is there twice counts once.
        features: name -> one number a row, ``[B]``, or one word a row, ``B`` of them. NaN, which is not measured, and
            ``None``, which is not known, satisfy no comparison but ``!=``.
        groups: The group of each row, ``int64 [B]``, such as the sample of each node: all that a rule speaks of at once
            is of one group, and that something exists is said of each group. If left out, all rows are of one.
        known: Groundings as found so far, for one number of rows; found anew where a tensor was changed in place.

    Raises:
        InputError: A tensor has another shape or type.
    """

    relations: Mapping[str, Tensor] = field(default_factory=dict)
    features: Mapping[str, Tensor | Sequence[str | None]] = field(default_factory=dict)
    groups: Tensor | None = None
    known: dict[Any, Any] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, pairs in self.relations.items():
            if not isinstance(pairs, Tensor):
                raise InputError(f"Relation {name!r} is a {type(pairs).__name__}; expected a tensor int64 [2, E].")
            if pairs.ndim != 2 or len(pairs) != 2 or pairs.dtype != torch.int64:
                raise InputError(f"Relation {name!r} is {pairs.dtype} {list(pairs.shape)}; expected int64 [2, E], the "
                                 "rows of source and target.")  # fmt: skip
        for name, values in self.features.items():
            if isinstance(values, Tensor) and (values.ndim != 1 or values.is_complex()):
                raise InputError(f"Feature {name!r} is {list(values.shape)}; expected one number a row, [B].")
            if isinstance(values, Tensor):
                continue
            if isinstance(values, str) or not isinstance(values, Sequence):
                raise InputError(f"Feature {name!r} is a {type(values).__name__}; expected a tensor [B], or B words.")
            if not all(issubclass(kind, str | NoneType) for kind in set(map(type, values))):
                raise InputError(f"Feature {name!r} is no tensor, and not all of it are words.")
        if self.groups is not None and not isinstance(self.groups, Tensor):
            raise InputError(f"groups is a {type(self.groups).__name__}; expected a tensor int64 [B].")
        if self.groups is not None and (self.groups.ndim != 1 or self.groups.dtype != torch.int64):
            raise InputError(f"groups is {self.groups.dtype} {list(self.groups.shape)}; expected int64 [B].")

    def kept(self, rows: int) -> dict[Any, Any]:
        """What is known for so many rows, as long as no tensor was changed in place."""
        given = (*self.relations.values(), *self.features.values(), self.groups)
        tensors = [x for x in given if isinstance(x, Tensor)]
        stamp = (rows, *((id(x), None if x.is_inference() else x._version) for x in tensors))
        if self.known.get("stamp") != stamp or len(self.known) > KEPT:
            self.known.clear()
            self.known["stamp"] = stamp
        return self.known

    def among(self, chosen: Tensor) -> Facts:
        """What is known of some rows, ``bool [B]``, numbered anew in their order, and of those that they meet."""
        place = torch.where(chosen, chosen.cumsum(0) - 1, -1)
        relations = {name: place[pairs][:, (place[pairs] >= 0).all(0)] for name, pairs in self.relations.items()}
        features = {name: values[chosen] if isinstance(values, Tensor) else
                    [word for word, own in zip(values, chosen.tolist()) if own]
                    for name, values in self.features.items()}  # fmt: skip
        return Facts(relations, features, None if self.groups is None else self.groups[chosen])

    def pairs(self, name: str, rows: int) -> Ints:
        """The rows that meet in a relation, each pair once, by source and then by target: ``[2, E]``."""
        if ("pairs", name) not in self.kept(rows):
            given = self._named(name, self.relations, "relation").detach().cpu().numpy()
            outside = given[(given < 0) | (given >= rows)]
            if len(outside):
                raise InputError(f"Relation {name!r} speaks of row {outside[0]}; the logits have rows 0 to {rows - 1}.")
            if (group := self.group(rows)) is not None:
                given = given[:, group[given[0]] == group[given[1]]]
            key = np.unique(given[0] * rows + given[1])
            self.known["pairs", name] = np.stack([key // max(rows, 1), key % max(rows, 1)])
        found: Ints = self.known["pairs", name]
        return found

    def group(self, rows: int) -> Ints | None:
        """Of each row, numbered from 0; ``None`` where all are of one."""
        if self.groups is None:
            return None
        if "group" not in self.kept(rows):
            if len(self.groups) != rows:
                raise InputError(f"groups has {len(self.groups)} rows; the logits have {rows}.")
            self.known["group"] = np.unique(self.groups.cpu().numpy(), return_inverse=True)[1].reshape(-1)
        found: Ints = self.known["group"]
        return found

    def measured(self, atom: Measured, rows: int) -> Tensor:
        """Of which rows a comparison is true, ``bool [B]``."""
        key = ("measured", atom.feature, atom.sign, atom.value)
        if key not in self.kept(rows):
            self.known[key] = self._measured(atom, rows)
        found: Tensor = self.known[key]
        return found

    def _measured(self, atom: Measured, rows: int) -> Tensor:
        values = self._named(atom.feature, self.features, "feature")
        if len(values) != rows:
            raise InputError(f"Feature {atom.feature!r} has {len(values)} values; the logits have {rows} rows.")
        if isinstance(values, Tensor) == isinstance(atom.value, str):
            is_, other = ("numbers", "a number") if isinstance(values, Tensor) else ("words", "a word, in quotes")
            raise InputError(f"Feature {atom.feature!r} is {is_}; compare it with {other}, not with {atom.value!r}.")
        if isinstance(values, Tensor):
            numbers = values if values.is_floating_point() else values.double()  # whole ones beyond float32 too
            return COMPARISONS[atom.sign](numbers, float(atom.value))
        if ("words", atom.feature) not in self.known:
            number = {word: place for place, word in enumerate(dict.fromkeys(values))}
            self.known["words", atom.feature] = number, torch.tensor([number[word] for word in values])
        number, words = self.known["words", atom.feature]
        return (words == number.get(atom.value, -1)) == (atom.sign == "=")

    def related(self, atom: Related, source: Ints, target: Ints, rows: int) -> Any:
        """Which pairs of rows meet in a relation, ``bool [G]``."""
        pairs = self.pairs(atom.name, rows)
        key, among = source * rows + target, pairs[0] * rows + pairs[1]
        if not len(among):
            return np.zeros(len(key), dtype=bool)
        place = np.searchsorted(among, key)
        return among[np.minimum(place, len(among) - 1)] == key

    @staticmethod
    def _named(name: str, given: Mapping[str, Any], sort: str) -> Any:
        if name not in given:
            raise InputError(f"The facts have no {sort} {name!r}.{did_you_mean(name, given)}")
        return given[name]


def given_facts(facts: object) -> Facts | None:
    """The facts, if there are any; raises ``InputError`` where it is something else."""
    if facts is not None and not isinstance(facts, Facts):
        raise InputError(f"graph is a {type(facts).__name__}; expected a gf.rules.Facts.")
    return facts


def needed(facts: Facts | None, rule: str, atoms: Sequence[object]) -> Facts:
    """The facts.

    Raises:
        InputError: There are none, or it is something else.
    """
    facts = given_facts(facts)
    if facts is None:
        listed = ", ".join(f"'{atom}'" for atom in atoms)
        raise InputError(f"{rule} speaks of {listed}; give graph, a gf.rules.Facts that says where it is true.")
    return facts
