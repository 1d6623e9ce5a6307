"""Domain knowledge over named facts: rules as text, as a loss, and as a guarantee."""

from graphfuse.rules.closure import max_constraint
from graphfuse.rules.expression import And, Count, Iff, Implies, Label, Not, Or, at_least, at_most, exactly_one
from graphfuse.rules.language import Rule
from graphfuse.rules.ruleset import RuleSet, RuleWarning

__all__ = ["And", "Count", "Iff", "Implies", "Label", "Not", "Or", "Rule", "RuleSet", "RuleWarning", "at_least",
           "at_most", "exactly_one", "max_constraint"]  # fmt: skip
