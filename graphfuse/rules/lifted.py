"""What a rule says before it is known of which rows, and its groundings: of which rows it says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.graph import Ints
from graphfuse.rules.atoms import Atom, Exists, ExistsOne, ForAll, Label, Measured
from graphfuse.rules.compiled import Compiled, never
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import NEVER, impossible
from graphfuse.rules.expression import Expression
from graphfuse.rules.facts import Facts, given_facts, needed
from graphfuse.rules.join import Guard, holds, joined
from graphfuse.rules.normal import Tree, denied, labels_in, renumbered, tree_of
from graphfuse.rules.normal import joined as junction
from graphfuse.rules.truth import truth

Part = tuple[Ints, tuple[int, ...], dict[Atom, bool]]
"""Rows of the variables ``[V, G]``, the first variable that stands for the row of each, and what is observed."""
SIZES = 4
"""Of so many batch sizes groundings are kept."""


@dataclass(frozen=True, eq=False)
class Ground:
    """Groundings of a rule that say the same of their labels: what is observed of them is put in.

    Attributes:
        tree: What they say: literals ``1`` to ``S`` are labels.
        columns: Of each of these the column of the logits, ``S`` of them.
        of: And the place in ``rows`` of the variable it is said of.
        rows: What the variables stand for, ``int64 [V, G]``.
    """

    tree: Tree
    columns: tuple[int, ...]
    of: tuple[int, ...]
    rows: Tensor

    def __len__(self) -> int:
        return self.rows.shape[1]

    def take(self, values: Tensor) -> Tensor:
        """The value of each label of each grounding, ``[B, L] -> [S, G]``."""
        taken = [values[:, column].index_select(0, self.rows[of]) for column, of in zip(self.columns, self.of)]
        return torch.stack(taken) if taken else values.new_zeros(0, len(self))


@dataclass(frozen=True, eq=False)
class Lifted:
    """A rule as it is used: what guards it, which is looked up, and what it then says of labels.

    Attributes:
        name: With its place, for errors.
        variables: ``V`` of them; the empty one alone is the row itself.
        every: Whether it is said of all groundings, or that there is one.
        once: Whether there is no other.
        guard: Observed atoms that have to hold for the rule to say anything.
        body: What it says then, a tree over ``atoms``.
        atoms: The ``i``-th is literal ``i + 1``.
        whole: The rule as a tree over them, what guards it and all.
        hard: Whether it must hold: then what cannot is an error, and else left out.
        compiled: Trees that it came to say, made ready.
        idle: Whether trees that it came to say are true whatever the labels are, or false where one thing is sought.
        alone: Its groundings of some numbers of rows, where nothing is observed; else the facts keep them.
    """

    name: str
    variables: tuple[str, ...]
    every: bool
    once: bool
    guard: Guard
    body: Tree
    atoms: tuple[Atom, ...]
    whole: Tree
    hard: bool
    compiled: dict[Tree, Compiled | None] = field(default_factory=dict, repr=False)
    idle: dict[Tree, bool] = field(default_factory=dict, repr=False)
    alone: dict[Any, tuple[Ground, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str, says: Expression, hard: bool) -> Lifted:
        """What an expression says; a guard is what is observed left of ``->``, or beside ``&`` after ``exists``."""
        every, once, variables = not isinstance(says, Exists), isinstance(says, ExistsOne), tuple[str, ...]([""])
        if isinstance(says, ForAll | Exists):
            variables, says = says.variables, says.of
        atoms = tuple(dict.fromkeys(says.atoms()))
        tree = tree_of(says, {atom: place for place, atom in enumerate(atoms)})
        kind = "or" if every else "and"
        parts = tree[1] if isinstance(tree, tuple) and tree[0] == kind else (tree,)
        observed = {part: (atoms[abs(part) - 1], (part < 0) == every) for part in parts
                    if type(part) is int and not isinstance(atoms[abs(part) - 1], Label)}  # fmt: skip
        body = junction(kind, (part for part in parts if part not in observed)) if observed else tree
        return cls(name, variables, every, once, tuple(observed.values()), body, atoms, tree, hard)

    @cached_property
    def of_rows(self) -> bool:
        """Whether it says something of each row by itself."""
        alone = all(isinstance(atom, Label | Measured) for atom in self.atoms)
        return self.every and alone and len(self.variables) == 1

    @cached_property
    def observed(self) -> tuple[Atom, ...]:
        """What it speaks of that is looked up."""
        return tuple(atom for atom in self.atoms if not isinstance(atom, Label))

    def ground(
        self, rows: int, facts: Facts | None, place: Mapping[str, int], budget: Budget, device: torch.device
    ) -> tuple[Ground, ...]:
        """Where it says something.

        Args:
            rows: Of the logits, ``B``.
            facts: What is observed of them.
            place: The column of each label.
            budget: What it may take.
            device: Of the logits.

        Raises:
            InputError: Facts are needed and not given, or there are more groundings.
        """
        facts = given_facts(facts)
        grouped = facts is not None and facts.groups is not None and len(self.variables) > 1
        known = needed(facts, self.name, self.observed).kept(rows) if self.observed or grouped else self.alone
        key = self, rows, device
        if key not in known:
            if known is self.alone and len(known) >= SIZES:
                known.clear()
            parts = self._parted(facts or Facts(), rows, budget)
            with torch.inference_mode(False):  # what is made under it could not be used in training
                found = [self._alike(*part, place, device) for part in parts]
            known[key] = tuple(each for each in found if not self._is_idle(each.tree, len(each.columns), budget))
        return tuple(known[key])

    def _parted(self, facts: Facts, rows: int, budget: Budget) -> list[Part]:
        """All groundings, by what is observed and, where that makes two labels one, by which variables are one row.

        Rules that differ in labels alone share them.
        """
        used = {self.atoms[at] for at in labels_in(self.body)}
        seen = tuple(atom for atom in self.observed if atom in used)
        key, known = (self.variables, self.guard, seen, bool(self._meeting)), facts.kept(rows)
        if key not in known:
            try:
                found = joined(self.variables, self.guard, facts, rows, budget.groundings)
            except InputError as error:
                raise InputError(f"{self.name}: {error}") from None
            first = np.arange(len(found))[:, None].repeat(found.shape[1], 1)  # the first variable that is this row
            for one, other in self._meeting:
                alike = (found[one] == found[other]) & (first[other] == other)
                first[other, alike] = first[one, alike]
            table = dict(zip(self.variables, found))
            truths = [holds(atom, table, facts, rows) for atom in seen]
            number = np.zeros(found.shape[1], dtype=np.int64)  # one a kind of grounding
            for kind, base in [*((each, len(found)) for each in first), *((each, 2) for each in truths)]:
                number = np.unique(number * base + kind, return_inverse=True)[1].reshape(-1)
            parts = list[Part]()
            for kind in range(int(number.max(initial=-1)) + 1):
                at = int((number == kind).argmax())
                own = found[:, number == kind] if number.any() else found
                same = tuple(int(each[at]) for each in first)
                parts.append((own, same, {atom: bool(truth[at]) for atom, truth in zip(seen, truths)}))
            known[key] = parts
        return list(known[key])

    def broken(self, grounds: Sequence[Ground], answers: Tensor, facts: Facts | None) -> Tensor:
        """Which rows answers break it in: each that is part of a grounding that is false, or all of a group in which
        none is true, or not one alone.

        Shape: ``answers bool [B, L] -> bool [B]``.
        """
        found, group = answers.new_zeros(len(answers)), groups_of(facts, answers)
        many = torch.zeros_like(group)  # of each group that are true
        for ground in grounds:
            true = truth(ground.tree, ground.take(answers).t())
            if self.every:
                found[ground.rows[:, ~true].reshape(-1)] = True
            else:
                found[group[ground.rows[0]]] = True  # the groups where it is said
                many += torch.bincount(group[ground.rows[0, true]], minlength=len(group))
        wrong = found & (many != 1) if self.once else many == 0
        return found if self.every else wrong[group]

    def apart(self, grounds: Sequence[Ground], facts: Facts | None, logits: Tensor) -> list[tuple[Ground, ...]]:
        """Groundings of which a rule says something together: all, or of a rule that something exists group by group,
        those that have any."""
        if self.every or facts is None or facts.groups is None:
            return [tuple(grounds)]
        group, found = groups_of(facts, logits), dict[int, list[Ground]]()
        for ground in grounds:
            own, order = group[ground.rows[0]].sort(stable=True)
            each, many = own.unique_consecutive(return_counts=True)
            for at, rows in zip(each.tolist(), ground.rows[:, order].split(many.tolist(), dim=1)):
                found.setdefault(at, []).append(replace(ground, rows=rows))
        return [tuple(found[each]) for each in sorted(found)]

    @cached_property
    def _meeting(self) -> list[tuple[int, int]]:
        """Places of variables in pairs, where a label is said of two of them."""
        said = {(atom.name, atom.of) for atom in self.atoms if isinstance(atom, Label)}
        apart = len({name for name, _ in said}) == len(said)
        return [] if apart else list(combinations(range(len(self.variables)), 2))

    def _alike(self, own: Ints, same: Sequence[int], known: Mapping[Atom, bool], place: Mapping[str, int],
               device: torch.device) -> Ground:  # fmt: skip
        """Some groundings, of which it is known what is observed and which variables stand for the rows of others."""
        at = dict(zip(self.variables, same))
        labels, to = dict[tuple[int, int], int](), dict[int, int | bool]()
        for number, atom in enumerate(self.atoms, 1):
            if isinstance(atom, Label):
                to[number] = labels.setdefault((place[atom.name], at[atom.of]), len(labels)) + 1
            elif atom in known:
                to[number] = known[atom]
        columns, of = zip(*labels) if labels else ((), ())
        return Ground(renumbered(self.body, to), columns, of, torch.from_numpy(own).to(device))

    def _is_idle(self, tree: Tree, count: int, budget: Budget) -> bool:
        if tree not in self.idle:
            self.idle[tree] = never(denied(tree) if self.every else tree, count, budget)
        return self.idle[tree]

    def ready(self, ground: Ground, budget: Budget) -> Compiled | None:
        """What some groundings say, compiled; ``None`` where that can never hold and need not.

        Raises:
            InputError: It can never hold and has to, or is beyond the budget.
        """
        if ground.tree not in self.compiled:
            try:
                made = Compiled.of([ground.tree], len(ground.columns), budget)
            except TooLargeError:
                limit = f"{budget.nodes} nodes and {budget.seconds:g} s"
                raise InputError(f"{self.name} is beyond a budget of {limit}.") from None
            self.compiled[ground.tree] = made if isinstance(made, Compiled) else None
        if self.compiled[ground.tree] is None and self.hard and self.every:
            raise InputError(f"{self.name} can never hold{self._where(ground)}.")
        return self.compiled[ground.tree]

    def possible(self, ground: Ground, found: Tensor) -> Tensor:
        """The logarithms of the probabilities of groundings ``[G]``, without those that are 0 and need not be more.

        Raises:
            InputError: It has to hold, and infinite logits break it.
        """
        broken = impossible(found)
        if broken and self.hard:
            raise InputError(f"The infinite logits of {named_rows(ground.rows[:, broken])} break {self.name}.")
        return found[found >= NEVER / 2] if broken else found

    def _where(self, ground: Ground) -> str:
        if self.variables == ("",):
            return ""
        rows = zip(self.variables, ground.rows[:, 0].tolist())
        return f" where {', '.join(f'{variable} is row {row}' for variable, row in rows)}"


def groups_of(facts: Facts | None, values: Tensor) -> Tensor:
    """The group of each row of logits or answers ``[B, L]``, numbered below ``B``: ``int64 [B]``."""
    group = None if facts is None else facts.group(len(values))
    if group is None:
        return torch.zeros(len(values), dtype=torch.long, device=values.device)
    return torch.from_numpy(group).to(values.device)


def named_rows(rows: Tensor) -> str:
    """Rows in words, the first five of them."""
    listed = sorted(set(rows.flatten().tolist()))
    first, more = ", ".join(map(str, listed[:5])), f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return f"row{'s' if len(listed) > 1 else ''} {first}{more}"


def check_logits(logits: Tensor, labels: int) -> None:
    """Raises ``InputError`` where logits are not floating point numbers ``[B, L]``, or rows of them are NaN."""
    if logits.ndim != 2 or logits.shape[1] != labels:
        raise InputError(f"Logits are {list(logits.shape)}; expected [B, {labels}], a column a label.")
    if not logits.is_floating_point():
        raise InputError(f"Logits are {logits.dtype}; expected floating point numbers.")
    if not logits.detach().sum().isnan():  # quicker than a look at each
        return
    rows = logits.isnan().any(1).nonzero()[:, 0]
    if len(rows):
        raise InputError(f"Logits are NaN in {named_rows(rows)}.")


def check_answers(answers: Tensor, labels: int) -> None:
    """Raises ``InputError`` where answers are not booleans ``[B, L]``."""
    if answers.ndim != 2 or answers.shape[1] != labels:
        raise InputError(f"Answers are {list(answers.shape)}; expected [B, {labels}], one column a label.")
    if answers.dtype != torch.bool:
        raise InputError(f"Answers are {answers.dtype}; expected torch.bool, as scores > 0 gives.")
