"""A small rule set with a check of its own, for tests of the benchmark of rules."""

from functools import partial

import graphfuse as gf
from benchmarks import rules_sets

CLAUSES = ((-1, 2), (-2, 3), (-3, 1, 4))
"""A cycle of three labels, and a way out of it."""


def made():
    text = "hard a: l0 -> l1\nhard b: l1 -> l2\nhard c: l2 -> l0 | l3"
    return rules_sets.Subject(
        "made",
        partial(gf.RuleSet.parse, text, ["l0", "l1", "l2", "l3"]),
        partial(rules_sets.satisfied, CLAUSES),
        CLAUSES,
    )


def values(found):
    return {each["metric"]: each["mean"] for each in found}
