"""All rows that variables may stand for where some observed atoms hold: joins over index tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphfuse.core.errors import InputError
from graphfuse.core.graph import Ints, runs
from graphfuse.rules.atoms import Atom, Differ, Measured, Related
from graphfuse.rules.facts import Facts

Guard = Sequence[tuple[Atom, bool]]
"""Observed atoms and whether each has to be true or false."""
Table = dict[str, Ints]
"""The row of each variable, a column each."""


def joined(variables: Sequence[str], guard: Guard, facts: Facts, rows: int, most: int) -> Ints:
    """What variables may stand for, ``int64 [V, G]``.

    What one variable must be comes first. Then relations are joined: the smallest, next those between variables that
    are there, next those that share one. Variables that no relation holds meet all rows of their group. What must not
    be is taken out as soon as its variables are there.

    Args:
        variables: ``V`` of them.
        guard: What has to hold.
        facts: Where it does.
        rows: How many things there are.
        most: How many rows a table may have on the way; counted before it is made.

    Raises:
        InputError: There are more.
    """
    fits = {variable: np.ones(rows, dtype=bool) for variable in variables}
    edges, rest = list[tuple[str, str, Ints]](), list[tuple[Atom, bool]]()
    for atom, wanted in guard:
        if isinstance(atom, Measured):
            fits[atom.of] &= facts.measured(atom, rows).cpu().numpy() == wanted
        elif isinstance(atom, Related) and atom.source == atom.target:
            own = facts.pairs(atom.name, rows)
            at_itself = np.zeros(rows, dtype=bool)
            at_itself[own[0, own[0] == own[1]]] = True
            fits[atom.source] &= at_itself == wanted
        elif isinstance(atom, Related) and wanted:
            edges.append((atom.source, atom.target, facts.pairs(atom.name, rows)))
        else:
            rest.append((atom, wanted))
    edges = [(source, target, pairs[:, fits[source][pairs[0]] & fits[target][pairs[1]]])
             for source, target, pairs in edges]  # fmt: skip
    table, group = Table(), facts.group(rows)
    while edges:
        edges.sort(key=lambda edge: (-len({edge[0], edge[1]} & table.keys()), edge[2].shape[1]))
        table, rest = _sifted(_met(table, *edges.pop(0), rows, most, group), rest, facts, rows)
    for variable in variables:
        if variable not in table:
            crossed = _crossed(table, {variable: fits[variable].nonzero()[0]}, most, group)
            table, rest = _sifted(crossed, rest, facts, rows)
    return np.stack([table[variable] for variable in variables])


def holds(atom: Atom, table: Table, facts: Facts, rows: int) -> np.ndarray:
    """Of which groundings an observed atom is true, ``bool [G]``."""
    match atom:
        case Differ(left, right):
            return table[left] != table[right]
        case Related(_, source, target):
            found: np.ndarray = facts.related(atom, table[source], table[target], rows)
            return found
        case Measured(_, of):
            found = facts.measured(atom, rows).cpu().numpy()[table[of]]
            return found
    raise TypeError(f"{type(atom).__name__} is not observed.")


def _sifted(table: Table, rest: Guard, facts: Facts, rows: int) -> tuple[Table, list[tuple[Atom, bool]]]:
    """A table without what must not be, as far as its variables tell; and what is left to be looked at."""
    keep, left = np.ones(len(next(iter(table.values()))), dtype=bool), list[tuple[Atom, bool]]()
    for atom, wanted in rest:
        if table.keys() >= set(atom.variables):
            keep &= holds(atom, table, facts, rows) == wanted
        else:
            left.append((atom, wanted))
    return table if keep.all() else {variable: column[keep] for variable, column in table.items()}, left


def _met(table: Table, source: str, target: str, pairs: Ints, rows: int, most: int, group: Ints | None) -> Table:
    """A table joined with the pairs of a relation."""
    if source in table and target in table:
        keep = np.isin(table[source] * rows + table[target], pairs[0] * rows + pairs[1])
        return {variable: column[keep] for variable, column in table.items()}
    if source not in table and target not in table:
        return _crossed(table, {source: pairs[0], target: pairs[1]}, most, group)
    shared, new, ends = (source, target, pairs) if source in table else (target, source, pairs[::-1])
    return _matched(table, table[shared], {new: ends[1]}, ends[0], rows, most)


def _matched(table: Table, key: Ints, more: Table, other: Ints, keys: int, most: int) -> Table:
    """Each row of a table with each of another that has the same key, of numbers below ``keys``."""
    order, many = other.argsort(kind="stable"), np.bincount(other, minlength=keys)
    first = many.cumsum() - many
    _within(int(many[key].sum()), most)
    place, of = runs(first[key], many[key])
    taken = {variable: column[order[place]] for variable, column in more.items()}
    return {variable: column[of] for variable, column in table.items()} | taken


def _crossed(table: Table, more: Table, most: int, group: Ints | None) -> Table:
    """Each row of a table with each of another, of the same group."""
    if not table:
        _within(len(next(iter(more.values()))), most)
        return dict(more)
    one, other = next(iter(table.values())), next(iter(more.values()))
    if group is not None:
        return _matched(table, group[one], more, group[other], len(group), most)
    left, right = len(one), len(other)
    _within(left * right, most)
    repeated = {variable: column.repeat(right) for variable, column in table.items()}
    return repeated | {variable: np.tile(column, left) for variable, column in more.items()}


def _within(many: int, most: int) -> None:
    if many > most:
        raise InputError(f"its groundings take {many:,} rows to find, and {most:,} are allowed (Budget(groundings=..))"
                         "; narrow what is left of '->' by a relation or a comparison, joined by '&'")  # fmt: skip
