"""Training, measuring and comparing."""

from graphfuse.training.compare import compare, compare_missing
from graphfuse.training.comparison import Comparison
from graphfuse.training.fit import History, fit
from graphfuse.training.measure import evaluate, look, measure
from graphfuse.training.missing import hide

__all__ = ["Comparison", "History", "compare", "compare_missing", "evaluate", "fit", "hide", "look", "measure"]
