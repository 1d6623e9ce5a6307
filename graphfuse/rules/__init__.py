"""Domain knowledge over named facts: rules as text, as a loss, as refinement, and as a guarantee."""

from graphfuse.rules.atoms import Differ, Exists, ForAll, Label, Measured, Related
from graphfuse.rules.closure import max_constraint
from graphfuse.rules.diagram import Budget
from graphfuse.rules.explain import Explanation
from graphfuse.rules.expression import And, Count, Iff, Implies, Not, Or, at_least, at_most, exactly_one
from graphfuse.rules.facts import Facts
from graphfuse.rules.joint_told import JointExplanation
from graphfuse.rules.rule import Rule, RuleWarning
from graphfuse.rules.ruleset import RuleSet
from graphfuse.rules.trivial import trivial
from graphfuse.rules.weights import Refine, RuleWeights

__all__ = ["And", "Budget", "Count", "Differ", "Exists", "Explanation", "Facts", "ForAll", "Iff", "Implies",
           "JointExplanation", "Label", "Measured", "Not", "Or", "Refine", "Related", "Rule", "RuleSet", "RuleWarning",
           "RuleWeights", "at_least", "at_most", "exactly_one", "max_constraint", "trivial"]  # fmt: skip
