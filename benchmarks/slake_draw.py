"""One draw of SLAKE's English labels: the same network without rules, told what rules ask for, and with rules."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import tables
from benchmarks.data_folder import data_folder
from benchmarks.slake_facts import FACTS
from benchmarks.table_files import write_table
from graphfuse.core.files import read_json, write_json, write_text
from graphfuse.model import FusionModel, Ruled
from graphfuse.model.observed import measured
from graphfuse.rules import Label, Measured, RuleSet
from graphfuse.study.study import SPLITS, Study
from graphfuse.tables.spec import Spec
from graphfuse.training import Measured as Answered
from graphfuse.training import scored
from graphfuse.training.compare import folder_of, run_all, runs_of

RULES = tables.SPECS / "slake_en.rules"
NONE, TOLD = "none", "facts"
AFTER, WORDS, BOTH = "none, exact at test", "none, exact of words at test", "facts, exact at test"
PART = {"part asked": True, "part not asked": False}
"""Metric -> whether of the questions that ask for the part of the body, which the fact ``region`` nearly answers."""
GRID = 2
"""Of a picture, in place of the spec's 5: ``concat`` averages the nodes of a kind, and most of the time goes there."""
Rows = list[dict[str, Any]]
Values = dict[tuple[str, str], float]
Found = tuple[Values, dict[str, float], dict[str, int]]


def drawn(rows: Sequence[Mapping[str, Any]], share: float, seed: int) -> Rows:
    """A share of the training and of the validation rows, and all test rows, in their order.

    Each seed draws anew; its smaller shares are inside its larger ones.
    """
    kept = set[str]()
    for split in ("train", "valid"):
        names = [row["id"] for row in rows if row["split"] == split]
        random.Random(f"{split} {seed}").shuffle(names)
        kept.update(names[: max(1, round(share * len(names)))])
    return [dict(row) for row in rows if row["split"] == "test" or row["id"] in kept]


@cache
def whole() -> RuleSet:
    """The rules over all answers that they speak of."""
    return RuleSet.read(RULES, features=FACTS)


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


def kept(rows: Rows, modes: Sequence[str], seed: int, epochs: int, out: Path, jobs: int) -> Found:
    """:func:`found`, as it lies in the folder ``out`` where the same was asked there before."""
    told = repr((rows, list(modes), seed, epochs, RULES.read_text("utf-8"))).encode()
    asked, file = blake2b(told, digest_size=16).hexdigest(), out / "found.json"
    if file.exists() and (saved := read_json(file))["asked"] == asked:
        values = {(method, metric): value for method, metric, value in saved["values"]}
        return values, saved["seconds"], saved["parameters"]
    values, seconds, parameters = found(rows, modes, seed, epochs, out, jobs)
    pairs = [[*key, value] for key, value in values.items()]
    write_json(file, {"asked": asked, "values": pairs, "seconds": seconds, "parameters": parameters})
    return values, seconds, parameters


def found(rows: Rows, modes: Sequence[str], seed: int, epochs: int, out: Path, jobs: int) -> Found:
    """What each method has of the test when it is trained on these rows with this seed.

    ``TOLD`` is ``NONE`` with one node more for each fact of a sample that rules ask for.

    Returns:
        (method, metric) -> value; method -> seconds of training; method -> parameters.
    """
    task, labels = tables.TASKS["slake_en"], sorted({row["answer"] for row in rows if row["split"] == "train"})
    every = whole()
    rules = over(labels, every)
    study = _opened(rows, rules, epochs, out / "data")
    told, head = study.samples, study.head.head
    plain = {split: [sample.without(TOLD) for sample in told[split]] for split in SPLITS}
    kinds = [kind for kind in study.encoders if kind != TOLD]
    methods = {mode: replace(study, head=head if mode == NONE else Ruled.of(head, rules, mode)).maker(kinds=kinds)
               for mode in modes}  # fmt: skip
    runs = partial(runs_of, seeds=[seed], out=out / "runs", budget=study.budget)
    work = [*runs(methods, [plain[split] for split in SPLITS]),
            *runs({TOLD: replace(study, head=head).maker()}, [told[split] for split in SPLITS])]  # fmt: skip
    asks = {row["id"]: row["asks"] == "part" for row in rows}
    slices = {metric: {r["id"] for r in rows if r[column] == value} for metric, (column, value) in task.slices.items()}
    slices |= {metric: {name for name, part in asks.items() if part == own} for metric, own in PART.items()}
    values, seconds, parameters = Values(), dict[str, float](), dict[str, int]()
    for run, said in run_all(work, jobs):
        values.update(_accuracies(run.method, run.scores, slices))
        values |= {(run.method, r["metric"]): r["value"] for r in said.metrics if r["metric"] == "rules_broken"}
        seconds[run.method], parameters[run.method] = run.seconds, run.parameters
    words = over(labels, every, ["region"])
    for method, samples, own in ((NONE, plain, {AFTER: rules, WORDS: words}), (TOLD, told, {BOTH: rules})):
        raw = scored(FusionModel.from_pretrained(folder_of(out / "runs", method, seed)), samples["test"])
        for name, each in own.items():
            answered = Answered(Ruled.of(head, each), raw.scored)
            scores = dict(zip([s.name for s in samples["test"]], answered.values["accuracy"].tolist()))
            values.update(_accuracies(name, scores, slices))
            values.update(_changed(name, raw, answered))
            if each is rules:
                values[method, "rules_broken"] = answered.metrics["rules_broken_before"]
                values[name, "rules_broken"] = answered.metrics["rules_broken"]
            parameters[name] = parameters[method]
    for (method, metric), value in list(values.items()):
        if metric in ("accuracy", "part not asked") and method != NONE:
            values[method, f"gain, {metric}"] = value - values[NONE, metric]
    return values, seconds, parameters


def _opened(rows: Rows, rules: RuleSet, epochs: int, folder: Path) -> Study:
    """The table of these rows, with the facts both as what rules ask for and as the nodes of a kind of its own."""
    task = tables.TASKS["slake_en"]
    write_table(rows, data_folder() / task.pictures, folder, task.picture)
    write_text(folder / RULES.name, f"{rules}\n")
    present = [fact for fact in FACTS if any(row[fact] for row in rows if row["split"] == "train")]
    sections = (f'\n[rules]\nfile = "{RULES.name}"\nfacts = {json.dumps(FACTS)}\n'
                f'\n[nodes.{TOLD}]\nencoder = "table"\ncategorical = {json.dumps(present)}\n')  # fmt: skip
    write_text(folder / "spec.toml", (tables.SPECS / f"{task.spec}.toml").read_text("utf-8") + sections)
    changes = [f"training.epochs={epochs}", f"training.patience={epochs}", "training.refit=false",
               f"nodes.picture.grid={GRID}"]  # fmt: skip
    return Study.open(Spec.open(folder / "spec.toml", changes, fusion="concat"))


def _accuracies(method: str, scores: Mapping[str, float], slices: Mapping[str, set[str]]
                ) -> Iterator[tuple[tuple[str, str], float]]:  # fmt: skip
    """The accuracy of one run, and that of each slice that has samples."""
    yield (method, "accuracy"), fmean(scores.values())
    for metric, names in slices.items():
        if own := [value for name, value in scores.items() if name in names]:
            yield (method, metric), fmean(own)


def _changed(method: str, raw: Answered, ruled: Answered) -> Iterator[tuple[tuple[str, str], float]]:
    """The shares of answers that rules change, that they mend, and that they spoil."""
    was, now = raw.values["accuracy"], ruled.values["accuracy"]
    pairs = list(zip(raw.answers, ruled.answers))
    yield (method, "answers changed"), sum(a.value != b.value for a, b in pairs) / len(pairs)
    yield (method, "answers mended"), float((now > was).double().mean())
    yield (method, "answers spoiled"), float((was > now).double().mean())
