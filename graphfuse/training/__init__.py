"""Training, measuring and comparing."""

from graphfuse.training.compare import called, compare, compare_missing, folder_of, run_of
from graphfuse.training.comparison import Comparison, Run
from graphfuse.training.fit import History, fit
from graphfuse.training.measure import Measured, evaluate, look, measure, scores_of
from graphfuse.training.missing import hide
from graphfuse.training.told import Told

__all__ = ["Comparison", "History", "Measured", "Run", "Told", "called", "compare", "compare_missing", "evaluate",
           "fit", "folder_of", "hide", "look", "measure", "run_of", "scores_of"]  # fmt: skip
