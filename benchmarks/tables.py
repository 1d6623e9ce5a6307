"""Public sets as a user's own tables: fusions beside each modality alone, in the same way as ``graphfuse compare``.

The data are not part of the repository: ``GRAPHFUSE_DATA`` names their folder (``../shared/data`` if left out). A set
is turned into a table with its pictures under the benchmark's own folder, and the spec of ``benchmarks/specs`` does
the rest. Epochs and options were chosen on validation; slices and cross-validation are computed from saved scores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import media_data, medical_data
from benchmarks.data_folder import data_folder
from benchmarks.rows import row
from benchmarks.table_files import write_table
from graphfuse.core.files import write_text
from graphfuse.study import compare
from graphfuse.study.baselines import MAJORITY
from graphfuse.tables.spec import Spec
from graphfuse.training import Run
from graphfuse.training.told import METRICS

SPECS = Path(__file__).parent / "specs"
CLOSED = {"closed": ("closed", "closed"), "open": ("closed", "open")}
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """A set as a table.

    Attributes:
        spec: Its file in ``benchmarks/specs``.
        read: From the data folder to rows.
        pictures: Folder of pictures below the data folder; none if empty.
        picture: The column that names them.
        slices: metric -> (column, value) of the test rows that it is the accuracy of.
        named: How a modality alone is called in the rows, by its column.
        folds: From rows to the same rows split anew for cross-validation, ``FOLDS`` of each of ``REPEATS`` repeats; a
            repeat counts as a seed.
    """

    spec: str
    read: Callable[[Path], Rows]
    pictures: str = ""
    picture: str = "image"
    slices: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    folds: Callable[[Rows], list[Rows]] | None = None


ASKED = {"question": "text", "image": "image"}
DISHES = {"text": "text", "ingredients": "ingredients", "picture": "image"}
TASKS = {
    "slake_en": Task("slake_en", lambda data: medical_data.slake(data / "slake", "en"), "slake/images",
                     slices={**CLOSED, "kvqa": ("base", "kvqa")}, named=ASKED),
    "slake_zh": Task("slake_zh", lambda data: medical_data.slake(data / "slake", "zh"), "slake/images",
                     slices={**CLOSED, "kvqa": ("base", "kvqa")}, named=ASKED),
    "vqa_rad": Task("vqa_rad", lambda data: medical_data.vqa_rad(data / "vqa_rad", "published"), "vqa_rad/images",
                    slices=CLOSED, named=ASKED),
    "vqa_rad_strict": Task("vqa_rad", lambda data: medical_data.vqa_rad(data / "vqa_rad", "strict"), "vqa_rad/images",
                           slices=CLOSED, named=ASKED),
    "vqa_rad_unseen": Task("vqa_rad", lambda data: medical_data.vqa_rad(data / "vqa_rad", "unseen"), "vqa_rad/images",
                           slices=CLOSED, named=ASKED),
    "rosmap": Task("rosmap", lambda data: media_data.rosmap(data / "media" / "rosmap")),
    "rosmap_cv": Task("rosmap", lambda data: media_data.rosmap(data / "media" / "rosmap"), folds=media_data.folds),
    "recipes_en": Task("recipes_en", lambda data: media_data.recipes(data / "media" / "recipes", "en"),
                       "media/recipes/img", "picture", named=DISHES),
    "recipes_zh": Task("recipes_zh", lambda data: media_data.recipes(data / "media" / "recipes", "zh"),
                       "media/recipes/img", "picture", named=DISHES),
    "cremad_votes": Task("cremad_votes", lambda data: media_data.cremad(data / "media" / "cremad_votes")),
}  # fmt: skip
FUSIONS = ("concat", "attention", "relation_gate")
FOLDS, REPEATS = 5, 10
FURTHER = ("macro_f1", "auc", "calibration_error")


def run(
    name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, jobs: int = 1
) -> list[dict[str, object]]:
    task, data = TASKS[name], data_folder()
    rows = task.read(data)
    if task.folds is None:
        groups = [[seed] for seed in seeds]  # the runs that are averaged before the spread is taken
        runs, further = _compared(task, rows, data, out, [seed for own in groups for seed in own], quick, command, jobs)
    else:
        runs, further = [], []
        groups = [list(range(i, i + FOLDS)) for i in range(0, FOLDS * (1 if quick else REPEATS), FOLDS)]
        for fold, split in enumerate(task.folds(rows)[: groups[-1][-1] + 1]):
            found, more = _compared(task, split, data, out / f"fold-{fold}", [0], quick, command, jobs)
            runs += [replace(each, seed=fold) for each in found]
            further += [{**each, "seed": fold} for each in more]
    return _rows(name, task, rows, runs, further, groups, command)


def _compared(task: Task, rows: Rows, data: Path, out: Path, seeds: Sequence[int], quick: bool, command: str,
              jobs: int) -> tuple[list[Run], list[dict[str, Any]]]:  # fmt: skip
    """The runs of ``graphfuse compare`` on a table made of rows, and their further metrics."""
    write_table(rows, data / task.pictures if task.pictures else None, out / "data", task.picture)
    write_text(out / "data" / "spec.toml", (SPECS / f"{task.spec}.toml").read_text("utf-8"))
    spec = Spec.open(out / "data" / "spec.toml", ["training.epochs=1"] if quick else [])
    found = compare(spec, [*FUSIONS, spec.fusion.name], seeds, out / "runs", resume=True, command=command, jobs=jobs)
    lines = (out / "runs" / METRICS).read_text("utf-8").splitlines()
    return list(found.runs), [json.loads(line) for line in lines]


def _rows(name: str, task: Task, rows: Rows, runs: Sequence[Run], further: Rows, groups: Sequence[Sequence[int]],
          command: str) -> list[dict[str, object]]:  # fmt: skip
    """The mean and spread over groups of runs (a seed, or a repeat of cross-validation) of each method and metric."""
    main = runs[0].metric
    asked = {name for run in runs for name in run.scores}
    names = {m: {r["id"] for r in rows if r[column] == value} & asked for m, (column, value) in task.slices.items()}
    found = []
    for method in dict.fromkeys(run.method for run in runs):
        own = {run.seed: run for run in runs if run.method == method}
        values = {main: [fmean(v for s in group for v in own[s].scores.values()) for group in groups]}
        for metric, chosen in ((m, ids) for m, ids in names.items() if ids):
            values[metric] = [fmean(v for s in g for n, v in own[s].scores.items() if n in chosen) for g in groups]
        for metric in FURTHER:
            said = {r["seed"]: r["value"] for r in further if (r["method"], r["metric"]) == (method, metric)}
            if len(said) == len(own):
                values[metric] = [fmean(said[s] for s in group) for group in groups]
        first = next(iter(own.values()))
        found += [row(
            task=name, method=_named(task, method), metric=metric, mean=round(fmean(each), 4),
            std=round(stdev(each), 4) if len(each) > 1 else 0.0, seeds=list(range(len(groups))), split="test",
            tuned_on="nothing" if method == MAJORITY else "validation", command=command,
            seconds=round(fmean(r.seconds for r in own.values()), 1), parameters=first.parameters,
        ) for metric, each in values.items()]  # fmt: skip
    return found


def _named(task: Task, method: str) -> str:
    return task.named.get(method.removeprefix("only "), method) if method.startswith("only ") else method
