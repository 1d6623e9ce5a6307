"""What rules ask of the facts of a sample, and what they make of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, pairwise, product
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.lazy import Lazy
from graphfuse.core.sample import Batch
from graphfuse.rules import Facts, Measured, Related, RuleSet
from graphfuse.rules.atoms import of_row
from graphfuse.rules.expression import Expression

CASES = 1_024
"""Of one rule that are rehearsed."""
SORTS: Mapping[type, tuple[str, str]] = {str: ("a word", "words"), float: ("a number", "numbers")}


class Observed(Lazy[Mapping[str, float | str]]):
    """Facts of samples that are columns already; looked at, those of one are what is known of it."""

    def __init__(self, columns: Facts, size: int):
        def known(row: int) -> dict[str, float | str]:
            own = {name: float(x[row]) if isinstance(x, Tensor) else x[row] for name, x in columns.features.items()}
            return {name: value for name, value in own.items() if value is not None and value == value}

        super().__init__(size, known)
        self.columns = columns

    def taken(self, places: Sequence[int]) -> Observed:
        """The facts of some samples."""
        return Observed(Facts(features={
            name: x[torch.tensor(places, dtype=torch.long)] if isinstance(x, Tensor) else [x[at] for at in places]
            for name, x in self.columns.features.items()
        }), len(places))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Asked:
    """What rules over one sample ask of its facts, ``A`` comparisons; a *case* is which of them are true.

    Attributes:
        rules: Of labels and features of one variable, ``R`` of them over ``C`` labels.
        alone: Case -> which rules each label breaks where it alone is true, ``bool [C, R]``, as found so far.
        possible: Cases in which something satisfies every hard rule, as found so far.

    Raises:
        InputError: Rules compare one fact with numbers and with words.
    """

    rules: RuleSet
    alone: dict[tuple[bool, ...], Tensor] = field(default_factory=dict, repr=False)
    possible: set[tuple[bool, ...]] = field(default_factory=set, repr=False)

    def __post_init__(self) -> None:
        _ = self.sorts

    @cached_property
    def atoms(self) -> tuple[Measured, ...]:
        """The comparisons, each once."""
        return tuple(dict.fromkeys(atom for rule in self.rules.rules for atom in measured(rule.says)))

    @cached_property
    def sorts(self) -> dict[str, type]:
        """Fact -> ``str`` or ``float``."""
        return sorts_of(self.rules)

    def facts(self, batch: Batch) -> Facts | None:
        """What is known of the samples of a batch, as rules take it; ``None`` where they ask nothing.

        Raises:
            InputError: A fact is a word and is compared with numbers, or the other way; names the sample.
        """
        if not self.sorts:
            return None
        if isinstance(batch.facts, Observed):
            return batch.facts.columns
        every = batch.facts or ({},) * len(batch)
        features = dict[str, Tensor | list[str | None]]()
        for name, sort in self.sorts.items():
            values: list[Any] = [known.get(name) for known in every]
            for sample, value in zip(batch.names, values):
                if value is not None and isinstance(value, str) != (sort is str):
                    raise InputError(f"Sample {sample!r}: fact {name!r} is {value!r}, and rules compare it with "
                                     f"{SORTS[sort][1]}.")  # fmt: skip
            if sort is str:
                features[name] = values
            else:
                features[name] = torch.tensor([math.nan if x is None else x for x in values], dtype=torch.double)
        return Facts(features=features)

    def each_alone(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """Which rules a label breaks that alone is true, case by case: rows of the batch, and ``bool [C, R]``."""
        count, facts = len(self.rules.labels), self.facts(batch)
        for case, rows in self._cases(batch, facts):
            if case not in self.alone:
                once = None if facts is None else _repeated(facts, int(rows[0]), count)
                self.alone[case] = self.rules.violations(torch.eye(count, dtype=torch.bool), once)
            yield rows, self.alone[case]

    def check_possible(self, batch: Batch) -> Facts | None:
        """The facts of a batch of which each sample has some answer that satisfies every hard rule.

        Raises:
            InputError: One has none; names it.
        """
        found = self.facts(batch)
        if found is None:
            return None
        for case, rows in self._cases(batch, found):
            if case in self.possible:
                continue
            try:
                self.rules.answer(torch.zeros(1, len(self.rules.labels)), _repeated(found, int(rows[0]), 1))
            except InputError:
                raise self.impossible(batch, int(rows[0]), "no set of labels satisfies every hard rule") from None
            self.possible.add(case)
        return found

    def impossible(self, batch: Batch, row: int, what: str) -> InputError:
        """The error that nothing satisfies every hard rule, for the facts of a sample if rules ask for any."""
        source = self.rules.source or "Rules"
        if not self.sorts:
            return InputError(f"{source}: {what}.")
        known = batch.facts[row] if batch.facts else {}
        told = ", ".join(f"{name} = {known[name]!r}" for name in self.sorts if name in known) or "none is known"
        return InputError(f"{source}: sample {batch.names[row]!r}: {what}, given the facts that they ask for ({told}).")

    def rehearsed(self) -> tuple[int, Facts]:
        """Made-up rows, and how many, in which each rule meets each of its cases, of one with many the first."""
        rows = list[dict[str, Any]]([{}])
        for rule in self.rules.rules:
            values = dict[str, set[Any]]()
            for atom in measured(rule.says):
                values.setdefault(atom.feature, set()).add(atom.value)
            for own in islice(product(*(_around(sorted(each)) for each in values.values())), CASES):
                rows.append(dict(zip(values, own)))
        batch = Batch(tuple(map(str, range(len(rows)))), {}, {}, facts=tuple(
            {name: value for name, value in row.items() if value is not None} for row in rows))  # fmt: skip
        return len(rows), self.facts(batch) or Facts()

    def _cases(self, batch: Batch, facts: Facts | None) -> Iterator[tuple[tuple[bool, ...], Tensor]]:
        """Each case that is there, by its first sample, and its rows."""
        if facts is None or not len(batch):
            yield from [((), torch.arange(len(batch)))] if len(batch) else []
            return
        known = facts.kept(len(batch))
        if ("cases", self) not in known:
            number = torch.zeros(len(batch), dtype=torch.long)
            seen = [facts.measured(atom, len(batch)) for atom in self.atoms]
            for truth in seen:  # a number a case, however many comparisons there are
                number = (2 * number + truth).unique(return_inverse=True)[1]
            own = [(number == case).nonzero()[:, 0] for case in dict.fromkeys(number.tolist())]
            known["cases", self] = [(tuple(bool(truth[rows[0]]) for truth in seen), rows) for rows in own]
        yield from known["cases", self]


def relations_in(rules: RuleSet) -> tuple[str, ...]:
    """Those that rules speak of."""
    atoms = (atom for rule in rules.rules for atom in rule.says.atoms())
    return tuple(dict.fromkeys(atom.name for atom in atoms if isinstance(atom, Related)))


def sorts_of(rules: RuleSet) -> dict[str, type]:
    """Fact that rules ask for -> ``str`` or ``float``.

    Raises:
        InputError: Rules compare one fact with numbers and with words.
    """
    sorts = dict[str, type]()
    for rule in rules.rules:
        for atom in measured(rule.says):
            sort = type(atom.value) if isinstance(atom.value, str) else float
            if sorts.setdefault(atom.feature, sort) is not sort:
                raise InputError(f"{rules.source or 'Rules'}: rule {rule.name!r} compares {atom.feature!r} with "
                                 f"{SORTS[sort][0]}, and a rule before it with "
                                 f"{SORTS[sorts[atom.feature]][0]}.")  # fmt: skip
    return sorts


def measured(says: Expression) -> Iterator[Measured]:
    """What an expression compares, as of the row itself."""
    return (atom for atom in map(of_row, says.atoms()) if isinstance(atom, Measured))


def _repeated(facts: Facts, row: int, times: int) -> Facts:
    """One row of facts, some times."""
    return Facts(features={name: values[row].expand(times) if isinstance(values, Tensor) else [values[row]] * times
                           for name, values in facts.features.items()})  # fmt: skip


def _around(values: Sequence[Any]) -> list[Any]:
    """Values that satisfy each comparison with some words or numbers, and that satisfy none; ``None`` is not known."""
    if isinstance(values[0], str):
        return [*values, None]
    between = [(low + high) / 2 for low, high in pairwise(values)]
    return [*values, values[0] - 1, *between, values[-1] + 1, None]
