"""SLAKE's English questions with the rules of ``specs/slake_en.rules`` and without, also where few answers are known.

Each share of the training and validation rows is drawn once, a smaller one inside a larger; the test is whole. Rules
are used in training (``loss``, ``refine``, ``exact``), or on the answers of the model that was trained without them
(``none, exact at test``; ``.. of words ..``: only those that ask nothing of the picture). Fusion and budget are those
of the spec, with more epochs for fewer rows, which were tuned on nothing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import tables
from benchmarks.data_folder import data_folder
from benchmarks.rows import row
from benchmarks.slake_facts import FACTS
from benchmarks.table_files import write_table
from graphfuse.core.files import write_text
from graphfuse.model import FusionModel, Ruled
from graphfuse.model.observed import measured
from graphfuse.rules import Label, Measured, RuleSet
from graphfuse.study.study import Study
from graphfuse.tables.spec import Spec
from graphfuse.training import Measured as Answered
from graphfuse.training import compare, scored
from graphfuse.training.compare import folder_of
from graphfuse.training.told import METRICS

RULES = tables.SPECS / "slake_en.rules"
SHARES, EPOCHS = (1.0, 0.5, 0.25, 0.1, 0.05), 15
ALL = (1.0, 0.1)  # shares of which rules are used in each way, of others in ``exact`` alone
SECTION = f'\n[rules]\nfile = "{RULES.name}"\nfacts = {json.dumps(FACTS)}\n'
AFTER, WORDS = "none, exact at test", "none, exact of words at test"
Rows = list[dict[str, Any]]


def run(
    name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, jobs: int = 1
) -> list[dict[str, object]]:
    rows, found = tables.TASKS["slake_en"].read(data_folder()), list[dict[str, object]]()
    for share in SHARES[-1:] if quick else SHARES:
        modes = ("none", "exact", *(("loss", "refine") if share in ALL else ()))
        values, seconds, parameters = _of_share(rows, share, modes, list(seeds), out / f"share-{share:g}", quick, jobs)
        for (method, metric), each in values.items():
            found.append(row(
                task=name, method=method, metric=metric if share == 1 else f"{metric} of {share:.0%} of labels",
                mean=round(fmean(each), 4), std=round(stdev(each), 4) if len(each) > 1 else 0.0, seeds=list(seeds),
                split="test", tuned_on="validation", command=command, seconds=seconds.get(method, 0.0),
                parameters=parameters,
            ))  # fmt: skip
    return found


def drawn(rows: Sequence[Mapping[str, Any]], share: float) -> Rows:
    """A share of the training and of the validation rows, and all test rows, in their order."""
    kept = set[str]()
    for split in ("train", "valid"):
        names = [row["id"] for row in rows if row["split"] == split]
        random.Random(split).shuffle(names)
        kept.update(names[: max(1, round(share * len(names)))])
    return [dict(row) for row in rows if row["split"] == "test" or row["id"] in kept]


def over(labels: Sequence[str], rules: RuleSet, leave_out: Sequence[str] = ()) -> RuleSet:
    """Rules over the answers that training has: one that it lacks is never said, and so what says it never holds.

    A rule of which no answer is left is left out, and so is one that asks for a fact of ``leave_out``.
    """

    def known(atom: Any) -> Any:
        never = isinstance(atom, Label) and atom.name not in labels
        return Measured("asks", atom.of, "=", "what is never asked") if never else atom

    changed = [replace(rule, says=rule.says.each(known)) for rule in rules.rules
               if not any(atom.feature in leave_out for atom in measured(rule.says))]  # fmt: skip
    kept = [rule for rule in changed if any(isinstance(atom, Label) for atom in rule.says.atoms())]
    return RuleSet(tuple(labels), tuple(kept), RULES.name)


def _of_share(rows: Rows, share: float, modes: Sequence[str], seeds: Sequence[int], out: Path, quick: bool, jobs: int
              ) -> tuple[dict[tuple[str, str], list[float]], dict[str, float], int]:  # fmt: skip
    """(method, metric) -> a value a seed; method -> seconds of training; parameters."""
    some, task = drawn(rows, share), tables.TASKS["slake_en"]
    labels = sorted({row["answer"] for row in some if row["split"] == "train"})
    every = RuleSet.read(RULES)
    rules = over(labels, every)
    write_table(some, data_folder() / task.pictures, out / "data", task.picture)
    write_text(out / "data" / RULES.name, f"{rules}\n")
    write_text(out / "data" / "spec.toml", (tables.SPECS / f"{task.spec}.toml").read_text("utf-8") + SECTION)
    epochs = 1 if quick else round(EPOCHS / share**0.5)
    study = Study.open(
        Spec.open(out / "data" / "spec.toml", [f"training.epochs={epochs}", f"training.patience={epochs}"])
    )
    head = study.head.head
    heads = {"none": head, **{mode: Ruled.of(head, rules, mode) for mode in modes if mode != "none"}}
    methods = {name: replace(study, head=own).maker() for name, own in heads.items()}
    splits = [study.samples[split] for split in ("train", "valid", "test")]
    comparison = compare(methods, *splits, seeds, out / "runs", jobs, **study.budget)
    told = [json.loads(line) for line in (out / "runs" / METRICS).read_text("utf-8").splitlines()]
    values = dict[tuple[str, str], list[float]]()
    slices = {metric: {r["id"] for r in some if r[column] == value} for metric, (column, value) in task.slices.items()}
    add = partial(_add, values, slices)
    for own in comparison.runs:
        add(own.method, own.scores)
    for own in told:
        if own["metric"] in ("rules_broken", "log_loss"):
            values.setdefault((own["method"], own["metric"]), []).append(own["value"])
    after = {AFTER: rules, WORDS: over(labels, every, ["region"])}
    for seed in seeds:
        model = FusionModel.from_pretrained(folder_of(out / "runs", "none", seed))
        raw = scored(model, splits[2])
        for method, own in after.items():
            answered = Answered(Ruled.of(head, own), raw.scored)
            names = [name for _, batch in raw.scored for name in batch.names]
            add(method, dict(zip(names, answered.values["accuracy"].tolist())))
            values.setdefault((method, "rules_broken_before"), []).append(answered.metrics["rules_broken_before"])
    seconds = {m: round(fmean(r.seconds for r in comparison.runs if r.method == m), 1) for m in methods}
    return values, seconds, comparison.runs[0].parameters


def _add(values: dict[tuple[str, str], list[float]], slices: Mapping[str, set[str]], method: str,
         scores: Mapping[str, float]) -> None:  # fmt: skip
    """Adds the accuracy of one run, and that of each slice."""
    values.setdefault((method, "accuracy"), []).append(fmean(scores.values()))
    for metric, names in slices.items():
        if own := [v for name, v in scores.items() if name in names]:
            values.setdefault((method, metric), []).append(fmean(own))
