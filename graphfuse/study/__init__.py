"""A user's own table trained, compared, applied and told: what the commands do, as functions.

``Study.open(spec)`` reads and encodes a table; ``train`` and ``compare`` fit models to it; ``evaluate`` and ``predict``
apply a run folder to another table, ``explain`` says what its rules make of one row.
"""

from graphfuse.study.apply import evaluate, explain, predict
from graphfuse.study.compare import compare
from graphfuse.study.study import Study
from graphfuse.study.train import train

__all__ = ["Study", "compare", "evaluate", "explain", "predict", "train"]
