"""``graphfuse init`` and ``check``: a user's own table described and looked over."""

import sys
from pathlib import Path
from typing import Annotated

import typer

TABLE = "A .csv, .tsv, .jsonl or .parquet file."
TARGET = "The column to be answered; guessed from its name if left out."
SPEC = "A spec, as `graphfuse init` writes it."
SET = "Set a value of the spec, such as --set training.epochs=5; may be given more than once."
Set = Annotated[list[str] | None, typer.Option("--set", help=SET)]


def init(
    table: Annotated[Path, typer.Argument(help=TABLE)],
    target: Annotated[str | None, typer.Option(help=TARGET)] = None,
    out: Annotated[Path, typer.Option(help="The spec to write.")] = Path("spec.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a spec that is there.")] = False,
) -> None:
    """Read a table and write a spec of it: what each column is, and why it was taken for that.

    The spec is a short TOML file with comments; correct what was guessed wrong, then go on with `graphfuse check`.
    """
    from graphfuse.core.errors import InputError
    from graphfuse.core.files import write_text
    from graphfuse.tables.infer import infer
    from graphfuse.tables.read import read_table

    frame = read_table(table)
    for note in frame.notes:
        print(note, file=sys.stderr)
    text, reasons = infer(frame, target, out.parent)
    if out.exists() and out.samefile(table):
        raise InputError(f"--out {out}: is the table itself; choose another name for the spec.")
    if out.exists() and not force:
        raise InputError(f"{out}: is there already; add --force to write over it, or choose another with --out.")
    write_text(out, text)
    for reason in reasons:
        print(reason)
    print(f"\nwrote {out}; look it over, then: graphfuse check {out}")


def check(
    spec: Annotated[Path, typer.Argument(help=SPEC)],
    set: Set = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Look a table over before training: rows, lacking cells, broken files, overlaps of splits.

    Ends with exit code 2 where something would stop training; warnings do not.
    """
    from graphfuse.tables.check import check as look_over
    from graphfuse.tables.spec import Spec

    found = look_over(Spec.open(spec, set or []))
    if json:
        import json as writer

        print(writer.dumps(found.to_dict(), ensure_ascii=False, indent=2))
    else:
        print("\n".join(found.lines()))
    if found.problems:
        raise typer.Exit(2)
