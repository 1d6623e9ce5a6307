"""Rules that are beyond the budget of a diagram: the best answer by a solver, for rows that break them only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import NEVER
from graphfuse.rules.normal import Clause, Tree, labels_in
from graphfuse.rules.truth import truth

BITS = 50
"""Weights of a row are rounded to whole multiples of the sum of their sizes over two to the power of this."""


@dataclass(frozen=True, eq=False)
class Solved:
    """By CP-SAT, which proves that nothing is better, or that it has not done so in time.

    Attributes:
        labels: Which.
        trees: What has to hold, of places in ``labels``.
        budget: What one row may take: of it, the seconds.
    """

    labels: tuple[int, ...]
    trees: tuple[Tree, ...]
    budget: Budget
    name: str = "solver"

    @classmethod
    def of(cls, clauses: Sequence[Clause], trees: Sequence[Tree], budget: Budget) -> Solved | None:
        """Of some constraints; ``None`` where nothing satisfies them.

        Raises:
            TooLargeError: There is no solver, or it finds nothing in time.
        """
        if find_spec("ortools") is None:
            raise TooLargeError
        every = [("or", tuple(sorted(clause, key=abs))) for clause in clauses] + list(trees)
        labels = sorted({label for tree in every for label in labels_in(tree)})
        place = {label: at for at, label in enumerate(labels)}
        found = cls(tuple(labels), tuple(_moved(tree, place) for tree in every), budget)
        free = np.zeros(len(labels))
        status, _ = found._solve(free, np.zeros(len(labels), np.bool_), free > 0)
        if status == "UNKNOWN":
            raise TooLargeError
        return None if status == "INFEASIBLE" else found

    def best(self, off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """What each label says by itself where that is allowed, else what the solver proves to be the best.

        Raises:
            InputError: It proves nothing in time; names the row.
        """
        chosen = on > off
        broken = ~torch.stack([truth(tree, chosen.t()) for tree in self.trees]).all(0)
        gain = (on - off).t().cpu().numpy()
        never = (torch.minimum(off, on) <= NEVER).t().cpu().numpy()
        value = torch.where(chosen, on, off).sum(0)
        for row in broken.nonzero()[:, 0].tolist():
            status, found = self._solve(gain[row], never[row], gain[row] > 0)
            if status == "INFEASIBLE":
                value[row] = NEVER
            elif status == "OPTIMAL":
                chosen[:, row] = torch.from_numpy(found).to(chosen.device)
                value[row] = torch.where(chosen[:, row], on[:, row], off[:, row]).sum()
            else:
                raise InputError(f"No answer to row {row} was proved to be the best within {self.budget.seconds:g} s; "
                                 "give RuleSet a larger budget, or make rules soft.")  # fmt: skip
        return chosen, value

    def total(self, off: Tensor, on: Tensor) -> Tensor:
        """A solver knows none.

        Raises:
            InputError: Always.
        """
        raise self._unknown()

    def models(self) -> int:
        """A solver does not count.

        Raises:
            InputError: Always.
        """
        raise self._unknown()

    def _unknown(self) -> InputError:
        budget = f"{self.budget.nodes} nodes and {self.budget.seconds:g} s"
        return InputError(
            f"Totals, marginals and counts of {len(self.labels)} labels that hard rules join are beyond a "
            f"budget of {budget}; give RuleSet a larger one, or use answer and loss, which work without."
        )

    def _solve(self, gain: np.ndarray, known: np.ndarray, true: np.ndarray) -> tuple[str, np.ndarray]:
        """The state of the solver and its assignment; those that are ``known`` have to be as ``true`` says."""
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        labels = [model.new_bool_var(f"x{at}") for at in range(len(self.labels))]
        for tree in self.trees:
            _require(model, tree, labels)
        for at in np.flatnonzero(known):
            model.add(labels[at] == int(true[at]))
        free = np.where(known, 0, gain)
        whole = np.rint(np.ldexp(free, BITS - np.frexp(np.abs(free).sum())[1])).astype(np.int64)
        model.maximize(sum(int(weight) * label for weight, label in zip(whole, labels)))
        solver = cp_model.CpSolver()
        solver.parameters.max_time_in_seconds = self.budget.seconds
        solver.parameters.num_workers = 1  # several give now one, now another of equally good answers
        status = solver.status_name(solver.solve(model))
        values = [solver.value(label) for label in labels] if status in ("OPTIMAL", "FEASIBLE") else []
        return status, np.array(values, dtype=np.bool_)


def _moved(tree: Tree, place: dict[int, int]) -> Tree:
    """A tree of other places."""
    if isinstance(tree, int):
        at = place[abs(tree) - 1] + 1
        return at if tree > 0 else -at
    return (tree[0], tuple(_moved(part, place) for part in tree[1]), *tree[2:])


def _require(model: Any, tree: Tree, labels: Sequence[Any]) -> None:
    """That a tree is true."""
    if isinstance(tree, tuple) and tree[0] == "or":
        model.add_bool_or([_literal(model, part, labels) for part in tree[1]])
    elif isinstance(tree, tuple) and tree[0] == "count":
        model.add_linear_constraint(sum(_literal(model, part, labels) for part in tree[1]), *tree[2:])
    else:
        model.add_bool_and(_literal(model, tree, labels))


def _literal(model: Any, tree: Tree, labels: Sequence[Any]) -> Any:
    """A variable of the solver that is true where the tree is, and nowhere else."""
    from ortools.sat.python import cp_model

    if isinstance(tree, int):
        return labels[tree - 1] if tree > 0 else ~labels[-tree - 1]
    parts = [_literal(model, part, labels) for part in tree[1]]
    if tree[0] == "not":
        return ~parts[0]
    own = model.new_bool_var("")
    if tree[0] == "iff":
        model.add(parts[0] == parts[1]).only_enforce_if(own)
        model.add(parts[0] != parts[1]).only_enforce_if(~own)
        return own
    low, high = {"and": (len(parts), len(parts)), "or": (1, len(parts))}.get(tree[0], tree[2:])
    inside, outside = [[low, high]], [pair for pair in ([0, low - 1], [high + 1, len(parts)]) if pair[0] <= pair[1]]
    model.add_linear_expression_in_domain(sum(parts), cp_model.Domain.from_intervals(inside)).only_enforce_if(own)
    model.add_linear_expression_in_domain(sum(parts), cp_model.Domain.from_intervals(outside)).only_enforce_if(~own)
    return own
