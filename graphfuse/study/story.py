"""What the page tells of a table: groups, slices, hidden modalities, example cards from the user's own rows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from graphfuse.core.errors import InputError
from graphfuse.core.machine import machine, peak_memory
from graphfuse.explain import looked_at
from graphfuse.model import FusionModel
from graphfuse.report import Card, Hidden, Looked, Picture, Story
from graphfuse.study.baselines import MAJORITY
from graphfuse.study.called import called
from graphfuse.study.study import Study
from graphfuse.tables.cells import values_of
from graphfuse.tables.read import Row
from graphfuse.training import Comparison, measure

CARDS, WRONG = 12, 4
SIDE = 240  # pixels of a picture on a card
HIDDEN = "Bars but the first are over rows that have the modality and another; costs are against the same rows whole."
GRAPH = ("sage", "rgcn", "hgt", "relation_gate", "pyg")


def tell(out: Path, study: Study, comparison: Comparison, models: Mapping[int, FusionModel], command: str,
         jobs: int = 1) -> None:  # fmt: skip
    """Saves ``report.json`` beside the comparison: the story of the method of ``models``, one model a seed."""
    model = next(iter(models.values()))
    known = machine(jobs)
    made = {
        "Command": command or "from Python",
        "Table": f"{study.data.path.name}: " + ", ".join(f"{len(own):,} {name}" for name, own in study.samples.items()),
        "Budget": ", ".join(
            f"{key} {value}" for key, value in study.budget.items() if value not in (None, 0.0) and key != "together"
        ),
        **_rules(study),
        "Versions": ", ".join(f"{name} {known[name]}" for name in ("graphfuse", "torch", "torch-geometric", "python")),
        "Machine": f"{known['system']}, {known['threads']}, accelerator: {known['accelerator']}",
        "Peak memory": peak_memory() + (" of the largest process" if jobs > 1 else ""),
    }
    target = study.spec.target
    Story(
        title=f"{target.column} from {study.data.path.name}",
        lead=f"Each row becomes one graph of {_listed([node.kind for node in study.spec.nodes])} nodes; the model "
             f"answers {target.column}. A cell that is empty is no node.",
        groups={run.method: _group(run.method) for run in comparison.runs},
        slices=_slices(study),
        hidden=_hidden(study, models),
        hidden_note=HIDDEN,
        cards=_cards(study, model),
        cards_note=f"Answers of {model.settings['fusion']} with seed {next(iter(models))} to test rows; a third are "
                   "picked to be wrong, where there are so many.",
        made=made,
    ).save(out)  # fmt: skip


def _rules(study: Study) -> dict[str, str]:
    """The spec's rules as the page names them, if there are any."""
    if study.spec.rules is None:
        return {}
    hard, count = int(study.head.hard.sum()), len(study.head.rules.rules)
    return {"Rules": f"{study.spec.rules.file}: {hard} hard, {count - hard} soft, mode {study.head.mode}"}


def _group(method: str) -> str:
    if method == MAJORITY:
        return "no features"
    if method.startswith("only "):
        return "one modality"
    return "graph" if method in GRAPH else "no graph"


def _slices(study: Study) -> dict[str, dict[str, tuple[str, ...]]]:
    """Test rows with all their modalities, and those that lack some."""
    parts: dict[str, list[str]] = {"all there": [], "some lacking": []}
    for sample in study.samples["test"]:
        lacking = any(not any(kind in sample.nodes for kind in kinds) for kinds in study.sources.values())
        parts["some lacking" if lacking else "all there"].append(sample.name)
    return {"modalities": {name: tuple(own) for name, own in parts.items()}} if all(parts.values()) else {}


def _hidden(study: Study, models: Mapping[int, FusionModel]) -> tuple[Hidden, ...]:
    """How much worse the test split is answered when one modality is hidden; rows with nothing else are left out."""
    test, rows = study.samples["test"], []
    metric = study.head.metric
    sign = 1 if study.head.metrics[metric] == "max" else -1
    name = next(iter(models.values())).settings["fusion"]
    for source, kinds in study.sources.items():
        left = [(whole, own) for whole in test if (own := whole.without(*kinds)).nodes and own.nodes != whole.nodes]
        if not left:
            continue
        means, drops = [], []
        for model in models.values():
            before, after = (measure(model, list(part))[metric].mean().item() for part in zip(*left))
            means.append(after)
            drops.append(sign * (before - after))
        spread = stdev(means) if len(means) > 1 else 0.0
        rows.append(Hidden(str(name), source, fmean(means), spread, fmean(drops)))
    return tuple(rows)


def _cards(study: Study, model: FusionModel) -> tuple[Card, ...]:
    """A dozen test rows, a third of them answered wrong, with what the fusion looked at."""
    test, places = study.samples["test"], study.data.splits["test"]
    right = measure(model, test)[study.head.metric]
    if study.head.metrics[study.head.metric] == "min":
        ranked = right.argsort(stable=True).tolist()  # numbers: the farthest third at most is shown as wrong
        far = min(WRONG, len(ranked) // 3)
        good, bad = ranked[: len(ranked) - far], ranked[::-1][:far]
    else:
        good, bad = ((right >= 0.5).nonzero()[:, 0].tolist(), (right < 0.5).nonzero()[:, 0].tolist())
    wrong = bad[: max(WRONG, CARDS - len(good))]
    chosen = list(dict.fromkeys([*good[: CARDS - len(wrong)], *wrong]))
    samples = [test[i] for i in chosen]
    looks = looked_at(model, samples)
    return tuple(
        Card(
            name=sample.name, text=_text(study, row), answer=_said(answer.value), truth=_truth(sample.target),
            right=i not in wrong, score=answer.score, pictures=_pictures(study, row),
            looked=tuple(Looked(k.kind, called(study, k.kind, k.row, sample, row), k.share) for k in own),
        )
        for i, sample, row, answer, own in zip(
            chosen, samples, [study.data.rows[places[i]] for i in chosen], model.predict(samples), looks
        )
    )  # fmt: skip


def _text(study: Study, row: Row) -> str:
    """The cells of a row but for pictures and features, as they stand in the table."""
    columns = dict.fromkeys(c for node in study.spec.nodes if not node.files for c in node.columns)
    parts = [f"{column}: {row[column]}" for column in columns if row[column] is not None]
    return " · ".join(parts)[:600] or "(pictures or features only)"


def _pictures(study: Study, row: Row) -> tuple[Picture, ...]:
    found = {}
    for node in study.spec.nodes:
        if node.encoder == "image":
            for value, name in values_of(node, row, study.data.folder):
                found[value] = Picture(f"{node.column} of {row.name}", _png(value, name))
    return tuple(found.values())[:4]


def _png(path: str, name: str) -> bytes:
    """A picture, small, as PNG."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {path}: the picture does not open any more ({error}).") from error
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "PNG", optimize=True)
    return out.getvalue()


def _said(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "(none)"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _truth(target: Any) -> tuple[str, ...]:
    return tuple(map(str, target)) if isinstance(target, tuple) else (_said(target),)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1]
