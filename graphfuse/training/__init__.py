"""Training, measuring and comparing."""

from graphfuse.training.compare import compare, compare_missing
from graphfuse.training.comparison import Comparison, Run
from graphfuse.training.fit import History, fit
from graphfuse.training.measure import Measured, evaluate, look, measure, scored
from graphfuse.training.missing import hide
from graphfuse.training.told import Told

__all__ = ["Comparison", "History", "Measured", "Run", "Told", "compare", "compare_missing", "evaluate", "fit", "hide",
           "look", "measure", "scored"]  # fmt: skip
