"""The card of a model: the README.md of its folder, which a model hub shows."""

import math
from typing import Any

from graphfuse.report.front_matter import Values, front_matter, kinds_of, labels_of, name_of, part_of, task_of
from graphfuse.report.markdown import code, number, table, text, yaml

SHOWN = 30  # labels that are named
SHELL = """graphfuse info
graphfuse predict RUN new.csv --out answers.csv
head answers.csv"""
PYTHON = """import graphfuse as gf

model = gf.FusionModel.from_pretrained("RUN")
for answer in model.predict(samples):
    print(answer.name, answer.value, answer.score)"""


def model_card(config: Values, facts: Values) -> str:
    """Markdown with YAML in front, after the conventions of the Hugging Face Hub.

    Args:
        config: Of the saved model, as in its ``config.json``.
        facts: What the run knows beside it; the section of a part that is not there is left out. ``name``, ``command``,
            ``seed``, ``hardware``, ``temperature``; ``versions`` and ``sha256``, name -> text; ``splits``, split ->
            samples; ``cells``, column -> ``{"filled", "rows"}`` of training; ``labels``; ``rules``, their text;
            ``metrics``, ``valid`` and ``test`` -> metric -> value; ``columns``, kind -> ``{"encoder", "column"}``, or
            ``numeric`` and ``categorical`` for a kind of many columns; ``target``, ``{"column", "task"}``.
    """
    parts = [
        f"# {text(name_of(facts))}",
        _answers(config, facts),
        _section("What it reads", _reads(config, facts)),
        _section("Fusion", _fusion(config)),
        _section("Rules", _rules(config, facts)),
        _section("Training data", _data(facts)),
        _section("Metrics", _metrics(config, facts)),
        _section("Intended use and limits", _limits(config, facts)),
        _section("How to use it", _use()),
        _section("How it was made", _made(config, facts)),
    ]
    return f"---\n{yaml(front_matter(config, facts))}---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _answers(config: Values, facts: Values) -> str:
    target, task = part_of(facts, "target"), task_of(config, facts)
    column = f"the column **{text(target['column'])}**" if "column" in target else "its target"
    said = f"A graphfuse model that answers {column}" + (f" (task: {text(task)})." if task else ".")
    labels = labels_of(config, facts)
    if not labels:
        return said
    more = f" and {len(labels) - SHOWN:,} more" if len(labels) > SHOWN else ""
    return f"{said}\n\n{len(labels):,} labels: {', '.join(map(text, labels[:SHOWN]))}{more}."


def _reads(config: Values, facts: Values) -> str:
    columns, encoders = part_of(facts, "columns"), part_of(config, "encoders")
    rows = []
    for kind in kinds_of(config, facts):
        own = {**part_of(encoders, kind), **part_of(columns, kind)}
        read = "; ".join(_columns(key, own[key]) for key in ("column", "numeric", "categorical") if own.get(key))
        rows.append([text(kind), text(own.get("encoder", "given as features")), read or text("")])
    return table(["kind", "encoder", "columns"], rows) if rows else ""


def _columns(key: str, value: Any) -> str:
    names = [value] if isinstance(value, str) else list(value)
    return ("" if key == "column" else f"{key}: ") + ", ".join(map(text, names))


def _fusion(config: Values) -> str:
    rows = [[text(name), number(value)] for name, value in part_of(config, "model").items()]
    return table(["option", "value"], rows) if rows else ""


def _rules(config: Values, facts: Values) -> str:
    mode, rules = part_of(config, "rules").get("mode"), str(facts.get("rules", ""))
    if not mode:
        return ""
    said = {"exact": "No answer breaks a hard rule over its labels",
            "loss": "It was trained with rules over its labels, which answers may still break",
            "refine": "Its scores are pushed towards rules over its labels, which answers may still break"}  # fmt: skip
    lines = rules.splitlines()
    more = f"\n\n{len(lines) - SHOWN:,} more are in that file." if len(lines) > SHOWN else ""
    shown = "\n".join(lines[:SHOWN])
    return f"{said.get(mode, text(mode))} (`rules.txt`)." + (f"\n\n{code(shown, '')}{more}" if rules else "")


def _data(facts: Values) -> str:
    splits, cells = part_of(facts, "splits"), part_of(facts, "cells")
    parts = []
    if splits:
        parts.append(table(["split", "samples"], [[text(name), number(count)] for name, count in splits.items()]))
    if cells:
        rows = [[text(name), number(each["rows"]), number(each["rows"] - each["filled"]), _share(each)]
                for name, each in cells.items()]  # fmt: skip
        parts.append("Lacking cells of the training split:\n\n" + table(["column", "rows", "lacking", "share"], rows))
    return "\n\n".join(parts)


def _share(cells: Values) -> str:
    return f"{100 * (cells['rows'] - cells['filled']) / cells['rows']:.1f} %" if cells["rows"] else text("")


def _metrics(config: Values, facts: Values) -> str:
    metrics = part_of(facts, "metrics")
    valid, test = part_of(metrics, "valid"), part_of(metrics, "test")
    rows = [[text(name), number(valid.get(name, math.nan)), number(test.get(name, math.nan))]
            for name in dict.fromkeys([*valid, *test])]  # fmt: skip
    parts = [table(["metric", "validation", "test"], rows)] if rows else []
    if rows:
        parts.append("The validation split chose the epoch; the test split had no say.")
    if rows and part_of(config, "training").get("refit"):
        parts.append("The weights are of a training anew up to that epoch, on training and validation samples together."
                     " The validation column is of the model before, which had not seen that split.")  # fmt: skip
    if facts.get("temperature", 1) != 1:
        by = " with the model before" if part_of(config, "training").get("refit") else ""
        parts.append(f"Confidence is calibrated on validation{by}: scores are divided by "
                     f"{number(facts['temperature'])}.")  # fmt: skip
    return "\n\n".join(parts)


def _limits(config: Values, facts: Values) -> str:
    lacking = [name for name, each in part_of(facts, "cells").items() if each["filled"] < each["rows"]]
    full = [name for name in part_of(facts, "cells") if name not in lacking]
    lines = [
        "For samples like those of its table: the same columns, the same source, the same target.",
        "Trained on this table only. For data from another place, time or device, measure it again.",
        "Not for clinical use, nor for other decisions about people, without validation on data of that use.",
    ]
    if labels_of(config, facts):
        lines.append("It answers with its labels only, also where none of them is right; confidence is no guarantee.")
    if lacking:
        lines.append(f"A sample may lack any of these, as in training: {', '.join(map(text, lacking))}.")
    if full and not part_of(config, "training").get("modality_dropout"):
        lines.append(f"Never lacking in training, so untested without: {', '.join(map(text, full))}.")
    return "\n".join(f"- {line}" for line in lines)


def _use() -> str:
    return (f"`RUN` is this folder.\n\n{code(SHELL, 'shell')}\n\nIn Python, with samples that have the kinds above:\n\n"
            f"{code(PYTHON, 'python')}")  # fmt: skip


def _made(config: Values, facts: Values) -> str:
    versions = part_of(facts, "versions") or part_of(config, "versions")
    sums = part_of(facts, "sha256") or part_of(config, "sha256")
    lines = [f"- {name}: {text(facts[name])}" for name in ("seed", "hardware") if name in facts]
    if versions:
        lines.append("- versions: " + ", ".join(f"{text(name)} {text(value)}" for name, value in versions.items()))
    parts = ["\n".join(lines)] if lines else []
    if "command" in facts:
        parts.append(code(str(facts["command"]), "shell"))
    if sums:
        rows = [[text(name), text(value)] for name, value in sums.items()]
        parts.append(table(["file", "SHA-256"], rows))
    return "\n\n".join(parts)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""
