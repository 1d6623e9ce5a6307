"""``graphfuse train``, ``evaluate``, ``predict`` and ``compare``: models for a user's own table."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphfuse.cli.tables import SPEC, TABLE, Set

if TYPE_CHECKING:
    from graphfuse.tables.spec import Spec

RUN = "The folder of a run, as `graphfuse train` writes it."
FUSION = "The fusion, in place of the spec's; `graphfuse train --help` lists them."
RESUME = "Take up or complete the run that is in the folder."
MISSING = "Shares with which modalities are hidden at random, such as 0,0.3,0.6,0.9: every pair of training and test."
JOBS = "Runs at a time, each in a process of one thread; on Linux without accelerator, elsewhere one after another."
NAMES = "Fusions, with commas between."
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
Resume = Annotated[bool, typer.Option("--resume", help=RESUME)]


def train(
    spec: Annotated[Path, typer.Argument(help=SPEC)],
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/SPEC-FUSION-SEED if left out.")] = None,
    fusion: Annotated[str | None, typer.Option(help="Fusion, in place of the spec's.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of initial weights, order and dropout.")] = 0,
    set: Set = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Train a model on a table; the epoch is chosen on validation, and the test split is looked at once.

    The run folder has the model with all that is needed to read another table, history, metrics, answers to the test
    split, a model card (README.md), run.json and report.html. A run that was killed goes on with --resume and ends with
    the same weights.

    Fusions: concat, weighted, attention, cross_transformer, gated, film_fusion, tensor, low_rank, bottleneck,
    perceiver, mixture, late, stacking, evidential (no graph); gcn, gin, sage, rgcn, gat, gatv2, graph_transformer,
    han, film, hgt, relation_gate, pyg (graph).
    """
    from graphfuse import study
    from graphfuse.core.machine import peak_memory

    opened = _open(spec, set, fusion)
    folder = out if out is not None else Path("runs") / f"{spec.stem}-{opened.fusion.name}-{seed}"
    metrics = study.train(opened, folder, seed, resume, _command())
    if json:
        _print_json(metrics)
        return
    print(_table({"metric": list(metrics["valid"]), "validation": list(metrics["valid"].values()),
                  "test": [metrics["test"].get(name) for name in metrics["valid"]]}))  # fmt: skip
    print(f"\nrun: {folder}   page: {folder / 'report.html'}   peak memory: {peak_memory()}")


def evaluate(
    run: Annotated[Path, typer.Argument(help=RUN)],
    table: Annotated[Path, typer.Argument(help=TABLE)],
    split: Annotated[str | None, typer.Option(help="train, valid, test or all; test where the table has it.")] = None,
    json: Json = False,
) -> None:
    """Measure a run on a table that has the target column."""
    from graphfuse import study

    metrics, rows, which = study.evaluate(run, table, split)
    if json:
        _print_json({**metrics, "rows": rows, "split": which})
        return
    print(_table({"metric": list(metrics), f"{which}, {rows:,} rows": list(metrics.values())}))


def predict(
    run: Annotated[Path, typer.Argument(help=RUN)],
    table: Annotated[Path, typer.Argument(help=TABLE + " It needs no target column.")],
    out: Annotated[Path, typer.Option(help="Where answers go: .csv, .tsv, .jsonl or .parquet.")] = Path("answers.csv"),
) -> None:
    """Answer each row of a table, with a confidence that was calibrated on validation."""
    from graphfuse import study

    answers = study.predict(run, table, out)
    print(f"{len(answers):,} answers: {out}")


def compare(
    spec: Annotated[Path, typer.Argument(help=SPEC)],
    fusions: Annotated[str, typer.Option(help=NAMES)] = "concat,attention,cross_transformer,hgt,relation_gate",
    seeds: Annotated[int, typer.Option(min=1, help="How many, from 0.")] = 3,
    missing: Annotated[str, typer.Option(help=MISSING)] = "",
    out: Annotated[Path | None, typer.Option(help="Folder; runs/SPEC-compare if left out.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help=JOBS)] = 1,
    set: Set = None,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Compare fusions on a table under one budget, beside each modality alone and the most common answer.

    Ends with a table of means and standard deviations over seeds, paired tests against the method that validation
    chose, and report.html. `graphfuse report DIR` draws the page again from the saved rows.
    """
    from graphfuse import study
    from graphfuse.core.machine import peak_memory

    opened = _open(spec, set, None)
    folder = out if out is not None else Path("runs") / f"{spec.stem}-compare"
    names, shares = [name.strip() for name in fusions.split(",") if name.strip()], _shares(missing)
    found = study.compare(opened, names, range(seeds), folder, shares, resume, _command(), jobs)
    table = found.table()
    if json:
        print(table.reset_index().to_json(orient="records"))
        return
    print(table.to_string(float_format=lambda x: f"{x:.4g}"))
    print(f"\nchosen on validation: {found.chosen()}; mean and std are of the test split's {found.runs[0].metric}")
    print(f"folder: {folder}   page: {folder / 'report.html'}   peak memory: {peak_memory()}"
          + (" (largest process)" if jobs > 1 else ""))  # fmt: skip


def _open(spec: Path, changes: list[str] | None, fusion: str | None) -> Spec:
    from graphfuse.tables.spec import Spec

    return Spec.open(spec, changes or [], fusion or None)


def _shares(text: str) -> list[float]:
    from graphfuse.core.errors import InputError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(
            f"--missing {text}: numbers from 0 to 1 with commas between are needed, such as 0,0.3."
        ) from None


def _command() -> str:
    return shlex.join(["graphfuse", *sys.argv[1:]])


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))


def _table(columns: dict[str, list]) -> str:
    import pandas as pd

    return pd.DataFrame(columns).to_string(index=False, float_format=lambda x: f"{x:.4f}")
