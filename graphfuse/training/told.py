"""What runs say beside the scores of a comparison: answers to the test split, further metrics, and rules broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphfuse.core.files import write_lines
from graphfuse.core.sample import Sample
from graphfuse.training.comparison import Run
from graphfuse.training.measure import Measured

ANSWERS, METRICS, RULES = "answers.jsonl", "metrics.jsonl", "rules.jsonl"


@dataclass(frozen=True)
class Told:
    """Rows of runs, as they are saved.

    Attributes:
        answers: ``method, seed, name, said, confidence, right, truth``, one row a run and sample.
        metrics: ``method, seed, metric, value``, one row a run and metric.
        rules: ``method, seed, rule, hard, says, before, after``, one row a run with rules and rule: the shares of test
            samples whose answer breaks it, before the rules and after.
    """

    answers: tuple[dict[str, Any], ...] = ()
    metrics: tuple[dict[str, Any], ...] = ()
    rules: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, run: Run, measured: Measured, samples: Sequence[Sample]) -> Told:
        """From what a run made of samples."""
        own, answers = {"method": run.method, "seed": run.seed}, []
        for sample, answer, right in zip(samples, measured.answers, measured.values[run.metric].tolist()):
            truth = sample.target if isinstance(sample.target, tuple) else (sample.target,)
            said = {"name": sample.name, "said": answer.value, "confidence": answer.score, "right": bool(right)}
            answers.append({**own, **said, "truth": [str(each) for each in truth]})
        metrics = [{**own, "metric": name, "value": value} for name, value in measured.metrics.items()
                   if name not in ("loss", run.metric)]  # fmt: skip
        rules = [{**own, "rule": rule.name, "hard": rule.hard, "says": str(rule.says), **measured.rules[rule.name]}
                 for rule in (measured.head.rules.rules if measured.rules else ())]  # fmt: skip
        return cls(tuple(answers), tuple(metrics), tuple(rules))

    def __add__(self, more: Told) -> Told:
        """Both."""
        return Told(self.answers + more.answers, self.metrics + more.metrics, self.rules + more.rules)

    def save(self, folder: str | Path) -> None:
        """Writes ``metrics.jsonl``, any ``rules.jsonl``, and ``answers.jsonl`` if they are labels with confidences."""
        write_lines(Path(folder) / METRICS, self.metrics)
        if self.rules:
            write_lines(Path(folder) / RULES, self.rules)
        if self.answers and all(isinstance(r["said"], str) and r["confidence"] is not None for r in self.answers):
            write_lines(Path(folder) / ANSWERS, self.answers)
