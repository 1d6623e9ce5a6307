"""What answers are compared with: PiShield's layer and OR-Tools' CP-SAT, from the extra ``peers``."""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.rules_data import Clause

MANY = 600
"""Labels beyond which PiShield is not tried: making its layer takes the square of their number, and more."""
ORDERS = ("labels in order", "labels reversed", "katz", "degree")
"""The orders that PiShield is tried with: its own ``given`` is unknown to the layer of version 1.0.0."""
PACKAGES = ("pishield", "ortools")
Layer = Callable[[Tensor], Tensor]


class AbsentError(Exception):
    """A peer gives nothing; says why."""


def known() -> dict[str, str]:
    """Versions of the peers that are installed."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def shield(clauses: Sequence[Clause], count: int, order: str, at_once: bool = False) -> Layer:
    """PiShield's propositional layer, from probabilities ``[B, L]`` to such as satisfy the clauses above 0.5.

    ``at_once`` takes its way over all rules of a stratum as one tensor, and not rule by rule, which is its default.

    Raises:
        AbsentError: It is not installed, or refuses the clauses.
    """
    if count > MANY:
        raise AbsentError(f"not tried on more than {MANY} labels")
    build = _part("pishield.shield_layer", "pishield").build_shield_layer
    places = range(count) if order != "labels reversed" else reversed(range(count))
    named = {"labels in order": "custom", "labels reversed": "custom"}.get(order, order)
    custom = ",".join(map(str, places)) if named == "custom" else None
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "rules.txt"
        path.write_text("\n".join(map(_line, clauses)), "utf-8")
        try:
            layer = build(count, str(path), named, custom_ordering=custom, requirements_type="propositional")
        except Exception as error:  # of a peer any may come
            raise AbsentError(f"{type(error).__name__} {error}".strip()) from error
    return partial(layer, iterative=not at_once)


def _line(clause: Clause) -> str:
    """``weight head :- body``, numbers from 0. After the last literal nothing may follow, for it would be read as one;
    without a weight a rule needs a body."""

    def signed(literal: int) -> str:
        return f"{'' if literal > 0 else 'n'}{abs(literal) - 1}"

    return " ".join(["1.0", signed(clause[0]), ":-", *(signed(-literal) for literal in clause[1:])])


class CpSat:
    """The best assignment that satisfies clauses, by whole numbers.

    Raises:
        AbsentError: It is not installed.
    """

    def __init__(self, clauses: Sequence[Clause], count: int):
        self._cp: Any = _part("ortools.sat.python.cp_model", "ortools")
        self._model = self._cp.CpModel()
        self._labels = [self._model.new_bool_var(f"l{k}") for k in range(count)]
        for clause in clauses:
            self._model.add_bool_or([self._labels[k - 1] if k > 0 else self._labels[-k - 1].negated() for k in clause])

    def best(self, weights: np.ndarray) -> np.ndarray:
        """The labels ``bool [L]`` whose weights, ``int [L]``, are the largest sum; proved so."""
        self._model.clear_objective()
        self._model.maximize(sum(int(w) * label for w, label in zip(weights, self._labels)))
        solver = self._cp.CpSolver()
        solver.parameters.num_workers = 1
        status = solver.solve(self._model)
        if status != self._cp.OPTIMAL:
            raise RuntimeError(f"CP-SAT ended with {solver.status_name(status)}, and not with a proved optimum.")
        return np.array([solver.boolean_value(label) for label in self._labels])


def _part(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AbsentError(f"{package} is not installed ({error}); pip install .[peers]") from error
