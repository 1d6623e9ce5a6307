"""One model trained on a table: a run folder that says all about itself, and a page."""

from __future__ import annotations

from pathlib import Path

from graphfuse.core.errors import InputError
from graphfuse.core.seed import seeded
from graphfuse.report import write_report
from graphfuse.study.baselines import majority
from graphfuse.study.facts import finish
from graphfuse.study.story import tell
from graphfuse.study.study import Study
from graphfuse.tables.spec import Spec
from graphfuse.training import Comparison, Run, Told, fit, look
from graphfuse.training.comparison import FILE as COMPARISON
from graphfuse.training.fit import check_splits

MADE = ("config.json", "checkpoint.safetensors", COMPARISON)


def train(spec: Spec, out: Path, seed: int = 0, resume: bool = False, command: str = "") -> dict[str, dict[str, float]]:
    """Trains the spec's fusion on its table and measures the test split once, with the chosen weights.

    The folder gets model, history, metrics, answers to the test split, ``run.json``, a model card and ``report.html``.

    Args:
        spec: Table, kinds, fusion and budget.
        out: Run folder; one that was stopped is taken up with ``resume``.
        seed: Of the initial weights, the order of samples and dropout.
        resume: Take up or complete what is in the folder.
        command: Recorded.

    Returns:
        split -> metric -> value.

    Raises:
        InputError: The spec or the table is wrong (before anything is written), or the folder holds a run.
    """
    fresh(out, resume)
    if (out / COMPARISON).exists() and not (out / "config.json").exists():
        raise InputError(f"{out}: holds a comparison, not a run of `graphfuse train`; choose another folder.")
    study = Study.open(spec)
    with seeded(seed):
        model = study.maker()()
    check_splits(model, dict(zip(("training", "validation", "test"), study.samples.values())))
    history = fit(model, study.samples["train"], study.samples["valid"], out, seed=seed, **study.budget)
    measured = look(model, study.samples["test"])
    run = Run.of(spec.fusion.name, seed, model, history, measured, study.samples["test"], spec.target.metric)
    metrics = {"valid": history.metrics, "test": measured.metrics}
    finish(out, model, study, metrics, seed, command)
    floor, told = majority(study, seed)
    comparison = Comparison((floor, run))
    comparison.save(out)
    (told + Told.of(run, measured, study.samples["test"])).save(out)
    tell(out, study, comparison, {seed: model}, command)
    write_report(out)
    return metrics


def fresh(out: Path, resume: bool) -> None:
    """Raises ``InputError`` where a folder holds a run already and is not to be taken up."""
    if out.is_file():
        raise InputError(f"{out}: is a file; a folder is needed.")
    parts = out.glob("*/seed-*/checkpoint.safetensors")  # of a comparison that was stopped
    if not resume and (any((out / name).exists() for name in MADE) or any(parts)):
        raise InputError(f"{out}: holds a run already; add --resume to take it up, or choose another folder.")
