"""Training, measuring and comparing."""

from graphfuse.training.compare import answer_rows, compare, compare_missing, runs_of, save
from graphfuse.training.comparison import Comparison, Run
from graphfuse.training.fit import History, fit
from graphfuse.training.measure import Measured, evaluate, look, measure, measured, scores_of
from graphfuse.training.missing import hide

__all__ = [
    "Comparison",
    "History",
    "Measured",
    "Run",
    "answer_rows",
    "compare",
    "compare_missing",
    "evaluate",
    "fit",
    "hide",
    "look",
    "measure",
    "measured",
    "runs_of",
    "save",
    "scores_of",
]
