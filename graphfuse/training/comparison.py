"""What a comparison found: a table, paired tests, and files from which pages and pictures are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.files import read_json, write_json
from graphfuse.core.sample import Sample

if TYPE_CHECKING:
    import pandas as pd

    from graphfuse.model import FusionModel
    from graphfuse.training.fit import History
    from graphfuse.training.measure import Measured

FILE = "comparison.json"


@dataclass(frozen=True)
class Run:
    """One method with one seed.

    Attributes:
        method: Its name in the comparison.
        seed: Of initial weights, order and dropout.
        metric: The one that samples are compared by.
        best: Whether its ``max`` or ``min`` is best.
        valid: Validation metrics of the chosen epoch.
        scores: Test sample -> value of the metric, of those that have one.
        parameters: Numbers trained.
        seconds: Of training.
        history: Rows of training.
        decides: The validation metric that chose the epoch and chooses the method, and whether its ``max`` or ``min``
            is best; that of ``metric`` if left out.
    """

    method: str
    seed: int
    metric: str
    best: str
    valid: dict[str, float]
    scores: dict[str, float]
    parameters: int = 0
    seconds: float = 0.0
    history: tuple[dict[str, Any], ...] = ()
    decides: tuple[str, str] | None = None

    @classmethod
    def of(cls, method: str, seed: int, model: FusionModel, history: History, measured: Measured,
           test: Sequence[Sample], decides: str | None = None) -> Run:  # fmt: skip
        """From a trained model and what it made of the test split."""
        metric = model.head.metric
        values = zip((sample.name for sample in test), measured.values[metric].tolist())
        lacking = measured.lacking[metric].tolist() if metric in measured.lacking else [False] * len(test)
        scores = {name: value for (name, value), lacks in zip(values, lacking) if not lacks}
        if not scores:
            raise InputError(f"No test sample knows what {metric!r} is of, by which methods are compared; choose "
                             "another metric of the head, or give test samples that do.")  # fmt: skip
        parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
        known, decides = model.head.metrics, decides or metric
        return cls(method, seed, metric, known[metric], history.metrics, scores, parameters, history.seconds,
                   history.rows, (decides, known[decides]))  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """All runs of a comparison."""

    runs: tuple[Run, ...]

    @property
    def methods(self) -> list[str]:
        """Their names, in the order they were compared."""
        return list(dict.fromkeys(run.method for run in self.runs))

    def scores(self) -> pd.DataFrame:
        """One row a run and test sample: ``method, seed, name, value``."""
        import pandas as pd

        rows = [(run.method, run.seed, name, value) for run in self.runs for name, value in run.scores.items()]
        return pd.DataFrame(rows, columns=["method", "seed", "name", "value"])

    @property
    def decides(self) -> tuple[str, str]:
        """The validation metric that chooses the method, and whether its ``max`` or ``min`` is best."""
        return self.runs[0].decides or (self.runs[0].metric, self.runs[0].best)

    def chosen(self) -> str:
        """The method that is best on validation, averaged over seeds; the test split has no say."""
        metric, best = self.decides
        runs = {name: [run.valid[metric] for run in self.runs if run.method == name] for name in self.methods}
        return max(runs, key=lambda name: (1 if best == "max" else -1) * sum(runs[name]) / len(runs[name]))

    def table(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """One row a method: mean and standard deviation over seeds, cost, and the paired test against the chosen one.

        Args:
            names: Test samples that count; all if left out.
        """
        import pandas as pd

        scores = self._of(names)
        means = scores.groupby(["method", "seed"], sort=False)["value"].mean().unstack()
        chosen, rows = self.chosen(), []
        for method in self.methods:
            own = [run for run in self.runs if run.method == method]
            seeds = means.loc[method].dropna()
            rows.append({
                "method": method, "mean": seeds.mean(), "std": seeds.std(ddof=1) if len(seeds) > 1 else 0.0,
                "seeds": len(seeds), "valid": sum(r.valid[r.metric] for r in own) / len(own),
                "difference": self.paired(method, chosen, names)[0], "p": self.paired(method, chosen, names)[1],
                "seconds": sum(r.seconds for r in own) / len(own), "parameters": own[0].parameters,
            })  # fmt: skip
        return pd.DataFrame(rows).set_index("method")

    def paired(self, method: str, other: str, names: Sequence[str] | None = None) -> tuple[float, float]:
        """Mean difference ``method - other`` over test samples, each averaged over seeds, and its p-value.

        The p-value is that of a two-sided paired t-test over samples; 1 where the two never differ, 0 where they always
        differ by the same. It speaks of these models on further samples like these; it does not cover how results vary
        with the seed, nor samples that hang together.
        """
        from scipy.stats import ttest_rel

        scores = self._of(names)
        wide = scores.groupby(["name", "method"])["value"].mean().unstack()
        for name in (method, other):
            look_up({m: m for m in wide.columns}, name, "method in this comparison")
        both = wide[[method, other]].dropna() if method != other else wide[[method]].dropna()
        gap = both[method] - both[other]
        if len(gap) < 2 or not gap.any():
            return float(gap.mean()), 1.0
        if not gap.std():
            return float(gap.mean()), 0.0
        return float(gap.mean()), float(ttest_rel(both[method], both[other]).pvalue)

    def _of(self, names: Sequence[str] | None) -> pd.DataFrame:
        scores = self.scores()
        if names is None:
            return scores
        for name in set(names) - set(scores["name"]):
            raise InputError(f"No test sample of this comparison is called {name!r}.")
        return scores[scores["name"].isin(set(names))]

    def __add__(self, more: Comparison) -> Comparison:
        """Both sets of runs, such as those of several draws of the data."""
        return Comparison(self.runs + more.runs)

    def save(self, folder: str | Path) -> None:
        """Writes ``comparison.json``; :meth:`open` reads it."""
        write_json(Path(folder) / FILE, {"runs": [asdict(run) for run in self.runs]})

    @classmethod
    def open(cls, folder: str | Path) -> Comparison:
        """From the folder that :meth:`save` wrote.

        Raises:
            InputError: The file is missing or is none of a comparison.
        """
        path = Path(folder) / FILE
        try:
            return cls(tuple(_run(told) for told in read_json(path)["runs"]))
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: is not a comparison ({error}).") from error


def _run(told: dict[str, Any]) -> Run:
    decides = told.get("decides")
    return Run(**{**told, "history": tuple(told["history"]), "decides": decides and tuple(decides)})
