"""All that rules over several tasks speak of: the samples, nodes and links of a batch, as rows of one table."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.kept import Kept
from graphfuse.core.sample import Batch, Relation
from graphfuse.core.schema import Schema
from graphfuse.heads import MultiTask, Regress
from graphfuse.heads.task import Labelling, shape_of
from graphfuse.model.among import NEXT, REVERSE, feature_of, links_of, owner_of, pairs_of
from graphfuse.model.observed import relations_in, sorts_of
from graphfuse.model.sorts import SAMPLE, SORT, Bearing, Sort, bears, called, is_a, lack, sort_of
from graphfuse.rules import (
    And,
    Exists,
    Facts,
    ForAll,
    Implies,
    Label,
    Measured,
    Or,
    Related,
    Rule,
    RuleSet,
    RuleWarning,
)
from graphfuse.rules.atoms import renamed

SOURCE, TARGET = "source", "target"
"""Relations of a link to the nodes at its ends."""
AMONG = (NEXT, REVERSE, SOURCE, TARGET)


class Laid(NamedTuple):
    """The rows of a batch, ``U`` of them, sort after sort.

    Attributes:
        owner: The sample of each, ``int64 [U]``.
        rows: Those of each sort.
        places: Where the scores of labels stand in the flattened table ``[U * L]``, ``int64 [S']``.
        taken: Which scores these are, of the ``S`` of the head, ``int64 [S']``.
        facts: What is known of the rows.
    """

    owner: Tensor
    rows: Mapping[Sort, range]
    places: Tensor
    taken: Tensor
    facts: Facts


@dataclass(frozen=True, eq=False)
class Universe:
    """A table with a row for each sample, node and link of which a part has labels, and a column for each label.

    A variable stands for what its labels are of: for a sample, a node or a link; one without labels for any row that
    its relations lead to, and one that is only compared for nodes that have such a fact, and for the sample, where it
    has one itself or none of its nodes does. A rule without variables speaks of each row
    that its labels are of. Related are the nodes that links join, of one kind or of two, links by ``next`` and
    ``reverse``, and a link with the nodes at its ends by ``source`` and ``target``. All variables of one rule stand for
    rows of one sample. Of a sample without rows of a sort, nothing is said that such a row exists.

    Attributes:
        head: With the labels.
        rules: Over these.
        kept: The last batches.

    Raises:
        InputError: A variable is said to be of two sorts, a sample to be related, or a fact is compared with numbers
            and with words.
    """

    head: MultiTask
    rules: RuleSet
    kept: Kept[Laid] = field(default_factory=Kept, repr=False)

    def __post_init__(self) -> None:
        _ = self.sorts, self.variables

    @cached_property
    def parts(self) -> dict[str, Labelling]:
        """Those that have labels."""
        return {name: part for name, part in self.head.parts.items() if not isinstance(part, Regress)}

    @cached_property
    def columns(self) -> dict[str, slice]:
        """The labels of each part among those of all."""
        found, first = dict[str, slice](), 0
        for name, part in self.parts.items():
            found[name] = slice(first, first := first + len(part.labels))
        return found

    @cached_property
    def part_of(self) -> dict[str, str]:
        """Label, as rules call it -> part."""
        return {label: name for name, own in self.columns.items() for label in self.rules.labels[own]}

    @cached_property
    def sorts(self) -> dict[str, type]:
        """Fact -> ``str`` or ``float``."""
        return sorts_of(self.rules)

    @cached_property
    def relations(self) -> tuple[str, ...]:
        """Those that rules speak of."""
        return relations_in(self.rules)

    @cached_property
    def variables(self) -> dict[str, dict[str, Sort | Bearing | None]]:
        """Rule -> variable -> what it stands for; the empty one is the row itself, and ``None`` may be any row."""
        return {rule.name: self._variables(rule) for rule in self.rules.rules}

    @cached_property
    def bearing(self) -> list[Bearing]:
        """Those that variables stand for."""
        every = (sort for own in self.variables.values() for sort in own.values())
        return list(dict.fromkeys(sort for sort in every if isinstance(sort, Bearing)))

    def _variables(self, rule: Rule) -> dict[str, Sort | Bearing | None]:
        found, by, related = dict[str, Sort](), dict[str, Label](), set[str]()
        compared = dict[str, list[str]]()
        where = f"{self.rules.source or 'Rules'}: rule {rule.name!r}"
        for atom in rule.says.atoms():
            if isinstance(atom, Related):
                related.update(atom.variables)
            if isinstance(atom, Measured):
                compared.setdefault(atom.of, []).append(atom.feature)
            if not isinstance(atom, Label):
                continue
            sort, first = sort_of(self.parts[self.part_of[atom.name]]), by.setdefault(atom.of, atom)
            if found.setdefault(atom.of, sort) != sort:
                what = f"{atom.of!r} is said to be" if atom.of else "it speaks of"
                raise InputError(f"{where}: {what} {first.name!r}, of {called(found[atom.of])}, and {atom.name!r}, of "
                                 f"{called(sort)}; give each a variable of its own, as in 'forall x, y. "
                                 f"{first.name}(x) -> {atom.name}(y)'.")  # fmt: skip
        for name in related:
            if found.get(name) == SAMPLE:
                raise InputError(f"{where}: {name!r} is related to others and said to be {by[name].name!r}, of a "
                                 "sample; nodes and links are related.")  # fmt: skip
        bound = rule.says.variables if isinstance(rule.says, ForAll | Exists) else ("",)
        bearing = {name: Bearing(tuple(sorted(set(facts)))) for name, facts in compared.items() if name not in related}
        return {name: found.get(name, bearing.get(name)) for name in bound}

    def guarded(self, rules: RuleSet) -> RuleSet:
        """Rules of the same names, each said of rows of the sorts that its variables stand for."""
        with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
            return replace(rules, rules=tuple(self._guarded(rule) for rule in rules.rules))

    def _guarded(self, rule: Rule) -> Rule:
        says, named = rule.says, self.variables[rule.name]
        if not isinstance(says, ForAll | Exists):
            named = {"x": named[""]}
            says = ForAll(("x",), says.each(lambda atom: renamed(atom, {"": "x"})))
        are = tuple(is_a(name, sort) for name, sort in named.items() if sort is not None and name in says.variables)
        if isinstance(says, ForAll):
            return replace(rule, says=replace(says, of=Implies(And(are), says.of)) if are else says)
        sorts = [sort for sort in dict.fromkeys(named.values()) if sort and not isinstance(sort, Bearing)]
        lacks = [Measured(lack(sort), says.variables[0], "=", 1.0) for sort in sorts]
        return replace(rule, says=replace(says, of=Or((And((*are, says.of)), *lacks))))

    def check(self, schema: Schema) -> None:
        """Raises ``InputError`` where rules speak of a relation that there is not."""
        for rule in self.rules.rules:
            named = self.variables[rule.name]
            for atom in rule.says.atoms():
                if isinstance(atom, Related) and not self._leads(atom, named, schema.given):
                    known = [name for *_, name, _ in self._relations(schema.given)]
                    ends = " and ".join(called(named[end], any_="any row") for end in atom.variables)
                    where = f"{self.rules.source or 'Rules'}: rule {rule.name!r}"
                    raise InputError(f"{where} speaks of {str(atom)!r}, and between {ends} there is no such relation."
                                     f"{did_you_mean(atom.name, known)}")  # fmt: skip

    def _leads(self, atom: Related, named: Mapping[str, Sort | Bearing | None], given: Collection[Relation]) -> bool:
        ends = [named[end] for end in atom.variables]
        return any(name == atom.name and all(end in (None, own) for end, own in zip(ends, (source, target)))
                   for source, name, target in self._relations(given))  # fmt: skip

    def _relations(self, given: Collection[Relation]) -> Iterator[tuple[Sort, str, Sort]]:
        """All that rules may speak of."""
        yield from given
        for of in self._given_sorts():
            if not isinstance(of, str):
                yield from ((of, NEXT, of), (of, REVERSE, of), (of, SOURCE, of[0]), (of, TARGET, of[2]))

    def _given_sorts(self) -> list[Sort]:
        return list(dict.fromkeys([SAMPLE, *map(sort_of, self.parts.values())]))

    def laid(self, batch: Batch) -> Laid:
        """The rows of a batch.

        Raises:
            InputError: A fact is a word and is compared with numbers, or the other way; names the sample.
        """
        return self.kept.of(batch, self._laid)

    def _laid(self, batch: Batch) -> Laid:
        asked = [own for own in self._relations(batch.links) if own[1] in self.relations]
        asking = {name for own in self.bearing for name in own.facts}
        told = (kind for own in batch.node_facts for kind, facts in own.items() if asking & facts.keys())
        sorts = dict.fromkeys([*self._given_sorts(), *(end for source, _, target in asked for end in (source, target)),
                               *told])  # fmt: skip
        owners = {sort: torch.arange(len(batch)) if sort == SAMPLE else owner_of(batch, sort) for sort in sorts}
        rows, first = dict[Sort, range](), 0
        for sort, own in owners.items():
            rows[sort] = range(first, first := first + len(own))
        facts = Facts({name: _pairs([own for own in asked if own[1] == name], batch, rows) for name in self.relations},
                      self._features(batch, owners), torch.cat(list(owners.values())))  # fmt: skip
        return Laid(torch.cat(list(owners.values())), rows, *self._places(batch, rows), facts)

    def _features(self, batch: Batch, owners: Mapping[Sort, Tensor]) -> dict[str, Any]:
        found: dict[str, Any] = {SORT: [called(sort) for sort, own in owners.items() for _ in range(len(own))]}
        for name, kind in self.sorts.items():
            parts = [feature_of(name, kind, batch, sort, own) for sort, own in owners.items()]
            found[name] = [word for own in parts for word in own] if kind is str else torch.cat(parts)
        for bearing in self.bearing:
            found[called(bearing)] = bears(bearing, batch, owners)
        every = torch.cat(list(owners.values()))
        for sort in owners if any(isinstance(rule.says, Exists) for rule in self.rules.rules) else ():
            none = torch.bincount(owners[sort], minlength=len(batch)) == 0
            found[lack(sort)] = none.double()[every]
        return found

    def _places(self, batch: Batch, rows: Mapping[Sort, range]) -> tuple[Tensor, Tensor]:
        labels, places, taken, begin = len(self.rules.labels), list[Tensor](), list[Tensor](), 0
        for name, part in self.head.parts.items():
            many = torch.Size(shape_of(part, batch)).numel()
            if name in self.columns:
                own = rows[sort_of(self.parts[name])]
                at = torch.arange(own.start, own.stop)[:, None] * labels
                places.append((at + torch.arange(labels)[self.columns[name]]).reshape(-1))
                taken.append(torch.arange(begin, begin + many))
            begin += many
        return torch.cat(places), torch.cat(taken)

    def over(self, values: Tensor, batch: Batch, empty: float) -> Tensor:
        """What is there for each score as a table, ``[S] -> [U, L]``; ``empty`` where a label is none of the row."""
        laid, labels = self.laid(batch), len(self.rules.labels)
        table = values.new_full((len(laid.owner) * labels,), empty)
        own = values.index_select(0, laid.taken.to(values.device))
        return table.index_copy(0, laid.places.to(values.device), own).view(-1, labels)

    def back(self, table: Tensor, values: Tensor, batch: Batch) -> Tensor:
        """The other way, ``[U, L] -> [S]``; what is no label's is as in ``values [S]``."""
        laid = self.laid(batch)
        own = table.reshape(-1).index_select(0, laid.places.to(table.device))
        return values.index_copy(0, laid.taken.to(values.device), own.to(values))

    def of_part(self, table: Tensor, name: str, batch: Batch) -> Tensor:
        """The rows and columns of a part, ``[U, L] -> [n, C]``."""
        own = self.laid(batch).rows[sort_of(self.parts[name])]
        return table[own.start : own.stop, self.columns[name]]

    def nothing(self) -> Facts:
        """What is known of no row at all."""
        none = torch.zeros(0, dtype=torch.long)
        features: dict[str, Any] = {name: [] if kind is str else none.double() for name, kind in self.sorts.items()}
        every = [sort for own in self.variables.values() for sort in own.values()]
        inner = [called(sort) if isinstance(sort, Bearing) else lack(sort) for sort in every if sort]
        own = dict.fromkeys(inner, none.double())
        return Facts({name: none.expand(2, 0) for name in self.relations}, {**features, **own, SORT: []}, none)


def _pairs(relations: Collection[tuple[Sort, str, Sort]], batch: Batch, rows: Mapping[Sort, range]) -> Tensor:
    """The rows that meet in any of some relations, ``int64 [2, E]``."""
    found = [torch.zeros(2, 0, dtype=torch.long)]
    for source, name, target in relations:
        first = torch.tensor([[rows[source].start], [rows[target].start]])
        if not isinstance(source, str) and name in (SOURCE, TARGET):
            ends = links_of(batch, source)[1][int(name == TARGET)]
            found.append(torch.stack([torch.arange(len(ends)), ends]) + first)
        elif not isinstance(source, str):
            found.append(pairs_of(name, batch, source) + first)
        elif isinstance(target, str):
            found.append(batch.links[source, name, target].cpu() + first)
    return torch.cat(found, 1)
