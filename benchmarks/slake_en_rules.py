"""SLAKE's English questions with the rules of ``specs/slake_en.rules`` and without, also where few answers are known.

A seed draws which training and validation rows there are, a smaller share inside a larger, and the weights; the test is
whole. Rules are used in training (``exact``, and at some shares ``loss`` and ``refine``), or on the answers of a model
that was trained without them (``.. exact at test``; ``of words``: only rules that ask nothing of the picture). The
control ``facts`` is the network without rules that is given what rules ask for as nodes: what it gains is of the facts,
not of the rules. All is as in ``slake_en`` but for what takes long: fusion ``concat``, fewer nodes a picture, 10 epochs
in place of 15, no refit. Fewer labels get more epochs: on validation rows, without rules, a network with 5 % of the
labels did as well with 32 as with 45 or 67 (which is all that was tuned).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import tables
from benchmarks.data_folder import data_folder
from benchmarks.rows import row, write
from benchmarks.slake_draw import NONE, Found, Rows, drawn, kept, whole
from benchmarks.slake_facts import FACTS
from graphfuse.heads import Classify
from graphfuse.model import Ruled
from graphfuse.model.rule_labels import labelled

SHARES, EPOCHS, POWER = (0.05, 0.1, 0.25, 0.5, 1.0), 10, 0.4
"""Shares of the labels; epochs with all of them, and with what power of the share they grow: 33 with 5 %."""
FEW, LARGE = 3, 0.5  # seeds of shares that are at least so large: they take long
ALL = (0.1,)  # shares of which rules are used in each way, with the first FEW seeds
TRUTH = "the test's own answers"


def run(
    name: str, out: Path, seeds: Iterable[int], quick: bool, command: str, jobs: int = 1
) -> list[dict[str, object]]:
    """The rows of all shares. Seed by seed; what was stopped is taken up, and has whole curves of the seeds so far."""
    rows, seeds, every = tables.TASKS["slake_en"].read(data_folder()), list(seeds), list[tuple[float, int, Found]]()
    given: dict[str, Any] = {"task": name, "split": "test", "command": command}
    own = row(**given, method=TRUTH, metric="rules_broken", mean=round(broken(rows), 6), std=0.0, seeds=seeds[:1],
              tuned_on="nothing", seconds=0.0, parameters=0)  # fmt: skip
    made = list[dict[str, object]]()
    for place, seed in enumerate(seeds):
        for share in SHARES[:1] if quick else SHARES:
            if place >= FEW and share >= LARGE:
                continue
            modes = (NONE, "exact", *(("loss", "refine") if share in ALL and place < FEW else ()))
            epochs, folder = 1 if quick else round(EPOCHS / share**POWER), out / f"share-{share:g}" / f"draw-{seed}"
            every.append((share, seed, kept(drawn(rows, share, seed), modes, seed, epochs, folder, jobs)))
            made = [*rows_of(every, given), own]
            write(name, made, out)  # as it goes: the whole of it takes long
            accuracies = (f"{m} {v:.3f}" for (m, metric), v in every[-1][2][0].items() if metric == "accuracy")
            print(f"{share:.0%} of labels, seed {seed}: {', '.join(accuracies)}", file=sys.stderr, flush=True)
    return made


def rows_of(every: Sequence[tuple[float, int, Found]], given: Mapping[str, Any]) -> list[dict[str, object]]:
    """One row a share, method and metric: the mean and spread of (share, seed, what was found) over seeds."""
    told = dict[tuple[float, str, str], dict[int, float]]()
    seconds, parameters = dict[tuple[float, str], list[float]](), dict[str, int]()
    for share, seed, (values, took, sizes) in every:
        for (method, metric), value in values.items():
            told.setdefault((share, method, metric), {})[seed] = value
        for method, each in took.items():
            seconds.setdefault((share, method), []).append(each)
        parameters |= sizes
    return [row(
        **given, method=method, metric=of_share(metric, share), mean=round(fmean(each.values()), 4),
        std=round(stdev(each.values()), 4) if len(each) > 1 else 0.0, seeds=list(each), tuned_on="validation",
        seconds=round(fmean(seconds.get((share, method), [0.0])), 1), parameters=parameters[method],
    ) for (share, method, metric), each in sorted(told.items(), key=lambda own: own[0][0])]  # fmt: skip


def of_share(metric: str, share: float) -> str:
    """The metric of a row: what is measured, and after how many of the labels."""
    return f"{metric} of {share:.0%} of labels"


def broken(rows: Rows) -> float:
    """The share of test rows whose own answer breaks a hard rule."""
    rows = [row for row in rows if row["split"] == "test"]
    labels = sorted({row["answer"] for row in rows} | set(whole().labels))
    head = Ruled.of(Classify(labels), whole())
    known = ((row["id"], row["answer"], {name: row[name] for name in FACTS if row[name]}) for row in rows)
    return len({name for name, _ in labelled(head, known).broken}) / len(rows)
