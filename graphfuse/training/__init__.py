"""Training, measuring and comparing."""

from graphfuse.training.compare import compare
from graphfuse.training.comparison import Comparison
from graphfuse.training.fit import History, fit
from graphfuse.training.measure import evaluate, measure

__all__ = ["Comparison", "History", "compare", "evaluate", "fit", "measure"]
