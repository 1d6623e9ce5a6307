"""Public sets for rules, as arrays and rule sets: ``rules`` in the folder of public data, whose page says more.

Rows are split into 0 = train, 1 = valid, 2 = test; nothing is unpickled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import graphfuse as gf
from benchmarks.data_folder import data_folder
from benchmarks.table_files import read_arrays

CCN = {"emotions": 6, "yeast": 14, "medical": 45, "genbase": 27, "enron": 53, "cal500": 174, "arts": 26}
"""Sets with mined rules, and how many labels each has."""
TREES = ("eisen_FUN", "cellcycle_FUN", "enron_corr", "imclef07a")
DAGS = ("eisen_GO", "cellcycle_GO")
ROADR = {"constraints": "heads", "requirements": "dimacs"}
Clause = tuple[int, ...]
"""Labels from 1, negative where they have to be false."""


@dataclass(frozen=True)
class Split:
    """Features ``float32 [n, d]`` and labels ``bool [n, L]``, and the part that each row belongs to ``[n]``.

    Attributes:
        valid: The rows that validate, ``bool [n]``; they may be training rows too.
        evaluated: The labels that count, ``bool [L]``.
    """

    x: np.ndarray
    y: np.ndarray
    part: np.ndarray
    valid: np.ndarray
    evaluated: np.ndarray

    def rows(self, *parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Features and labels of some parts."""
        chosen = np.isin(self.part, parts)
        return self.x[chosen], self.y[chosen]


def rule_folder() -> Path:
    """Raises: InputError: It is not there."""
    return data_folder("rules")


def said(error: Exception) -> str:
    """What an error says, without where the data lie."""
    return str(error).replace(f"{rule_folder()}/", "")


def quietly(make: Callable[..., gf.RuleSet], *given: Any, **named: Any) -> gf.RuleSet:
    """A rule set, without warnings of what its file says twice: mined rules do so often."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gf.rules.RuleWarning)
        return make(*given, **named)


def ccn(name: str) -> Split:
    """A set with mined rules; ``valid`` is the 15 % of training rows that its source takes with seed 0."""
    z = read_arrays(rule_folder() / "ccn" / f"{name}.npz")
    y, fit = z["Y"].astype(bool), z["split"] == 0
    if "X" in z:
        x = standard(z["X"].astype(np.float32), fit)
    else:
        x = rows_of(z["x_indptr"], z["x_indices"], int(z["x_shape"][1]), z.get("x_data"))
    return Split(x, y, z["split"], z["valid_seed0"].astype(bool), np.ones(y.shape[1], bool))


def hmc(name: str) -> Split:
    """A hierarchy's set; what lacks is the mean of train and valid, by which features are standardised too."""
    z = read_arrays(rule_folder() / "hmc" / f"{name}.npz")
    x, fit = z["X"].astype(np.float32), z["split"] < 2
    x = np.where(np.isnan(x), np.nanmean(x[fit], 0), x)
    y = rows_of(z["y_indptr"], z["y_indices"], len(z["label_names"])) > 0
    return Split(standard(x, fit), y, z["split"], z["split"] == 1, z["evaluated"])


def structured(name: str) -> Split:
    """``sushi`` or ``grid``."""
    z = read_arrays(rule_folder() / "structured" / f"{name}.npz", ["X", "Y", "split"])
    y = z["Y"].astype(bool)
    return Split(z["X"].astype(np.float32), y, z["split"], z["split"] == 1, np.ones(y.shape[1], bool))


def ccn_path(name: str) -> Path:
    """The file of its mined rules."""
    return rule_folder() / "ccn" / f"{name}_rules.txt"


def ccn_rules(name: str) -> gf.RuleSet:
    """Its mined rules, all hard."""
    labels = read_arrays(rule_folder() / "ccn" / f"{name}.npz", ["label_names"])["label_names"].tolist()
    return quietly(gf.RuleSet.read, ccn_path(name), labels, form="heads")


def roadr_path(name: str) -> Path:
    """The file of one of :data:`ROADR`."""
    return rule_folder() / "roadr" / ("constraints_rules.txt" if name == "constraints" else f"{name}.cnf")


def roadr_labels() -> list[str]:
    return (rule_folder() / "roadr" / "labels.txt").read_text("utf-8").split()


def roadr_rules(name: str) -> gf.RuleSet:
    """One of the two sets of requirements on road users, 243 clauses over 41 labels."""
    return quietly(gf.RuleSet.read, roadr_path(name), roadr_labels(), form=ROADR[name])


def hierarchy(name: str) -> tuple[list[str], np.ndarray]:
    """Labels, and edges from child to parent ``[E, 2]`` by their places."""
    z = read_arrays(rule_folder() / "hmc" / f"{name}.npz", ["label_names", "edges"])
    return z["label_names"].tolist(), z["edges"]


def hierarchy_rules(name: str) -> gf.RuleSet:
    """What is a child is its parent."""
    labels, _ = hierarchy(name)
    return quietly(gf.RuleSet.read, rule_folder() / "hmc" / f"{name}_hierarchy.txt", labels, form="hierarchy")


def heads_clauses(path: Path) -> list[Clause]:
    """The clauses of a file of ``weight head :- body``, read here by itself to check answers with."""

    def signed(word: str) -> int:
        return -int(word[1:]) - 1 if word[0] == "n" else int(word) + 1

    lines = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [(signed(words[1]), *(-signed(word) for word in words[3:])) for words in lines]


def dimacs_clauses(path: Path) -> list[Clause]:
    """The clauses of a DIMACS file with one a line."""
    lines = [line.split() for line in path.read_text("utf-8").splitlines()]
    return [tuple(map(int, words[:-1])) for words in lines if words and words[0] not in "pc"]


def rows_of(starts: np.ndarray, places: np.ndarray, width: int, values: np.ndarray | None = None) -> np.ndarray:
    """Rows of a compressed sparse matrix, ``float32 [n, width]``."""
    found = np.zeros((len(starts) - 1, width), np.float32)
    found[np.repeat(np.arange(len(found)), np.diff(starts)), places] = 1 if values is None else values
    return found


def standard(x: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Standardised by the rows that train."""
    std = x[fit].std(0)
    return ((x - x[fit].mean(0)) / np.where(std > 0, std, 1)).astype(np.float32)
