"""``graphfuse rules``: a file of rules looked over, and what the rules of a run make of a row."""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphfuse.cli.study import RUN, Json
from graphfuse.cli.tables import TABLE

if TYPE_CHECKING:
    from graphfuse.rules import RuleSet

FILE = "A file of rules."
LABELS = TABLE + " Its rows say which labels are true, by a column of 0 and 1 for each label or by --column."
FORM = "text (the language), dimacs (clauses), heads (weight head :- body) or hierarchy (child,parent)."
NAMES = "The labels in their order: a file with one a line, or a list with commas between."
COLUMN = "The one column of --labels that has the names of labels."
SAMPLE = "The row's id, or 'row 8' by its line where the table has no ids; of the demo, the name of a question."
MODES = {
    "loss": "rules were a loss in training (rule_mode loss): the model itself answers as the raw scores say",
    "refine": "raw are scores that rules have pushed (rule_mode refine): the model itself answers as they say",
}
"""How far the answer under the rules is not the model's own."""
SEPARATOR = "What stands between names in --column."
DIGITS = 4000
"""Of the largest whole number in JSON; Python writes none with many more."""
WIDTH = 100
"""Characters of a line, beyond which what it lists is cut short."""
rules = typer.Typer(rich_markup_mode="markdown")


@rules.callback(invoke_without_command=True)
def about(context: typer.Context) -> None:
    """Look rules over: what a file of domain knowledge says, and whether the labels of a table agree with it."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@rules.command("check")
def check(
    file: Annotated[Path, typer.Argument(help=FILE)],
    labels: Annotated[Path | None, typer.Option(help=LABELS)] = None,
    form: Annotated[str, typer.Option(help=FORM)] = "text",
    names: Annotated[str | None, typer.Option(help=NAMES)] = None,
    column: Annotated[str | None, typer.Option(help=COLUMN)] = None,
    separator: Annotated[str, typer.Option(help=SEPARATOR)] = ";",
    json: Json = False,
) -> None:
    """Read rules and say what they come to, and count on a table of known labels how often they hold.

    Says how many rules there are and which of them add nothing, the groups of labels that hard rules join with the
    method that answers each exactly, and how many label sets are allowed. Rules that contradict each other are named,
    and it is noted if all hold where no label is true, or where all are.

    Of a table: support, the rows in which the left side of an implication is true, and the rows that break the rule.
    Ends with exit code 2 where a row breaks a hard rule, since that would stop training; a warning does not.
    """
    from graphfuse.core.errors import InputError
    from graphfuse.rules import RuleSet, RuleWarning

    if (column or separator != ";") and labels is None:
        raise InputError("--column and --separator are about a table of known labels; give it with --labels.")
    if not separator.strip():
        raise InputError(f"--separator {separator!r}: a mark such as ';' is needed.")
    if names is None and form in ("dimacs", "heads"):
        raise InputError(f"{file}: {form} numbers its labels; name them in their order with --names.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuleWarning)
        read = RuleSet.read(file, _names(names), form)
    found = _overview(read, file, [str(each.message) for each in caught if issubclass(each.category, RuleWarning)])
    if labels is not None:
        found["table"] = _counted(read, labels, column, separator)
    if json:
        import json as writer

        for each in (found, *found["components"]):
            each["allowed"] = each["allowed"] if (each["allowed"] or 0) < 10**DIGITS else None
        print(writer.dumps(found, ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(found)))
    if labels is not None and found["table"]["breaking"]:
        raise typer.Exit(2)


@rules.command("explain")
def explain(
    run: Annotated[Path, typer.Argument(help=RUN)],
    sample: Annotated[str, typer.Option(help=SAMPLE)],
    table: Annotated[Path | None, typer.Argument(help=TABLE + " It needs no target column. None for the demo.")] = None,
    json: Json = False,
) -> None:
    """Say what the rules of a run change in its raw scores for one row of a table, or one question of the demo.

    Names the labels that are changed with their raw logits and the rules that ask for it, what that costs, and each
    rule's margin: the least sum of logits to flip until the raw scores break it, negative where they do.
    """
    from graphfuse.core.errors import InputError

    question = ""
    if table is not None:
        from graphfuse import study

        found, mode = study.explain(run, table, sample)
    else:
        from graphfuse.demo import explained

        if not explained.is_of_demo(run):
            raise InputError(f"{run}: say of which table the row is, RUN TABLE --sample NAME; only of a model of the "
                             "demo, as OUT/atlas-0/METHOD/seed-0, the samples are known.")  # fmt: skip
        found, mode, question = explained.explain(run, sample)
    if json:
        import json as writer

        asked = {"question": question} if question else {}
        told = {"sample": sample, **asked, "mode": mode, **found.to_dict()}
        print(writer.dumps(told, ensure_ascii=False, indent=2))
        return
    print(*filter(None, [question]), found, sep="\n")
    if mode in MODES:
        print(f"note: {MODES[mode]}")


def _names(said: str | None) -> list[str] | None:
    """The labels that ``--names`` says."""
    from graphfuse.core.errors import InputError
    from graphfuse.tables.decode import decode

    if said is None:
        return None
    path = Path(said)
    if "," not in said or path.is_file():
        try:
            parts = decode(path.read_bytes(), path)[0].split("\n")
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"--names {said}: a list with commas or a file is needed, and this is no file that can "
                             f"be read ({reason}).") from error  # fmt: skip
    else:
        parts = said.split(",")
    return [part.strip() for part in parts if part.strip()]


def _overview(read: RuleSet, file: Path, said: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    from graphfuse.core.errors import InputError
    from graphfuse.rules import trivial
    from graphfuse.rules.overview import components

    joined = components(read)
    allowed, unknown = None, "is beyond the budget"
    if all(each.allowed is not None for each in joined):
        try:
            allowed = read.allowed()
        except InputError:
            unknown = "depends on what is observed"
    inside = {label for each in joined for label in each.labels}
    return {
        "file": str(file), "rules": len(read.rules), "hard": sum(rule.hard for rule in read.rules),
        "labels": list(read.labels), "warnings": said, "components": [asdict(each) for each in joined],
        "free": [label for label in read.labels if label not in inside], "satisfiable": True,
        "trivial": [what for what, fine in zip(("none", "all"), trivial(read).tolist()) if fine and read.rules],
        "allowed": allowed, **({"unknown": f"how many label sets are allowed {unknown}"} if allowed is None else {}),
    }  # fmt: skip


def _counted(read: RuleSet, table: Path, column: str | None, separator: str) -> dict[str, Any]:
    """How often rules speak in the rows of a table, and which rows break them; of labels, not of what is observed."""
    import torch

    from graphfuse.rules.overview import counts
    from graphfuse.tables.labels import marked, named
    from graphfuse.tables.read import read_table

    frame = read_table(table)
    for note in frame.notes:
        print(note, file=sys.stderr)
    rows, unknown = (
        (marked(frame, read.labels), None) if column is None else named(frame, read.labels, column, separator)
    )
    answers = torch.tensor(rows, dtype=torch.bool).view(len(rows), len(read.labels))
    breaking, told = torch.zeros(len(rows), dtype=torch.bool), []
    for rule, count in zip(read.rules, counts(read, answers)):
        row: dict[str, Any] = {"name": rule.name, "hard": rule.hard, "support": None, "broken": None, "first": None}
        if count is not None:
            breaking |= count.broken & rule.hard
            first = frame.rows[int(count.broken.int().argmax())].name if count.broken.any() else None
            row |= {"support": count.support, "broken": int(count.broken.sum()), "first": first}
        told.append(row)
    never = [label for label, own in zip(read.labels, answers.unbind(1)) if not own.any()]
    return {"file": str(table), "rows": len(rows), "breaking": int(breaking.sum()), "never": never,
            "other": dict(unknown.most_common()) if unknown else {}, "rules": told}  # fmt: skip


def _lines(found: dict[str, Any]) -> list[str]:
    soft, many = found["rules"] - found["hard"], len(found["labels"])
    lines = [f"{found['file']}: {_some(found['rules'], 'rule')} ({found['hard']:,} hard, {soft:,} soft) over "
             f"{_some(many, 'label')}", *(f"warning: {each}" for each in found["warnings"])]  # fmt: skip
    if found["components"]:
        nodes = ["-" if each["nodes"] is None else f"{each['nodes']:,}" for each in found["components"]]
        lines += ["", *_table({
            "labels": [len(each["labels"]) for each in found["components"]],
            "answered by": [each["method"] for each in found["components"]], "nodes": nodes,
            "allowed": ["-" if each["allowed"] is None else _number(each["allowed"]) for each in found["components"]],
            "": [_cut(each["labels"]) for each in found["components"]],
        })]  # fmt: skip
    if found["free"]:
        lines.append(f"in no hard rule: {_cut(found['free'])}")
    if found["trivial"]:
        lines.append(f"note: every rule holds where {' or '.join(found['trivial'])} of the labels are true of all "
                     "rows; trained by rules alone, without labels, a model may say that")  # fmt: skip
    if found["allowed"] is None:
        lines.append(f"satisfiable; {found['unknown']}")
    else:
        lines.append(f"satisfiable: {_number(found['allowed'])} of {_number(2**many)} label sets are allowed")
    return [*lines, *(_told(found["table"]) if "table" in found else [])]


def _told(table: dict[str, Any]) -> list[str]:
    from graphfuse.rules.expression import quoted

    rules = table["rules"]
    lines = ["", f"{table['file']}: {_some(table['rows'], 'row')}, of which {table['breaking']:,} break a hard rule"]
    if rules:
        lines += _table({
            "rule": [quoted(each["name"]) for each in rules],
            "kind": ["hard" if each["hard"] else "soft" for each in rules],
            **{name: ["-" if each[name] is None else f"{each[name]:,}" for each in rules]
               for name in ("support", "broken")}, "first in": [each["first"] or "" for each in rules],
        })  # fmt: skip
    if idle := [each["name"] for each in rules if each["support"] == 0]:
        lines.append(f"warning: in no row is the left side true of: {_cut(idle)}")
    if table["never"]:
        lines.append(f"warning: no row has the label: {_cut(table['never'])}")
    if table["other"]:
        lines.append(f"of names in the table no rule speaks: {_cut(list(table['other']))}")
    return lines


def _table(columns: dict[str, list]) -> list[str]:
    cells = {name: [str(each) for each in column] for name, column in columns.items()}
    numbers = ("labels", "nodes", "allowed", "support", "broken")
    widths = {name: max(map(len, [name, *column])) for name, column in cells.items()}
    rows = [dict(zip(cells, row)) for row in zip(*cells.values())]
    return ["  " + "  ".join(each[name].rjust(width) if name in numbers else each[name].ljust(width)
                             for name, width in widths.items()).rstrip()
            for each in ({name: name for name in cells}, *rows)]  # fmt: skip


def _some(many: int, what: str) -> str:
    return f"{many:,} {what}" + "s" * (many != 1)


def _number(value: int) -> str:
    """A whole number, by its size where it is very large: Python writes none of thousands of digits."""
    return f"{value:,}" if value < 10**12 else f"about 10^{round(math.log10(value))}"


def _cut(names: list[str]) -> str:
    from graphfuse.rules.expression import quoted

    shown, room = list[str](), WIDTH
    for name in map(quoted, names):
        room -= len(name) + 2
        if room < 0 and shown:
            return f"{', '.join(shown)} and {len(names) - len(shown):,} more"
        shown.append(name)
    return ", ".join(shown)
