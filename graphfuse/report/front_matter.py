"""What a card says in front, to a hub: library, tags, pipeline, metrics and results."""

import math
from collections.abc import Mapping
from typing import Any

Values = Mapping[str, Any]
KINDS = {"text": "text", "ngrams": "text", "image": "image", "pixels": "image", "audio": "audio", "video": "video",
         "table": "tabular"}  # fmt: skip
CLASSIFY, REGRESS = "classify", "regress"


def front_matter(config: Values, facts: Values) -> dict[str, Any]:
    """What the hub reads: library, tags, pipeline, metrics, and the results on the test split."""
    pipeline, fusion = _pipeline(config, facts), part_of(config, "model").get("fusion")
    kinds = kinds_of(config, facts)
    tags = ["graphfuse", "multimodal", *([str(fusion)] if fusion else []), *kinds]
    found: dict[str, Any] = {"library_name": "graphfuse", "tags": list(dict.fromkeys(tags))}
    if pipeline:
        found["pipeline_tag"] = pipeline
    tested = {name: value for name, value in part_of(part_of(facts, "metrics"), "test").items() if _finite(value)}
    if tested:
        found["metrics"] = [str(name) for name in tested]
        task = {"type": pipeline or "other", "name": str(task_of(config, facts) or "answers")}
        dataset = {"type": "table", "name": "the table of this run", "split": "test"}
        results = [{"type": str(name), "value": value, "name": f"test {name}"} for name, value in tested.items()]
        entry = {"name": name_of(facts), "results": [{"task": task, "dataset": dataset, "metrics": results}]}
        found["model-index"] = [entry]
    return found


def _pipeline(config: Values, facts: Values) -> str:
    """The hub's name of the task where a model reads a single kind; those of several kinds fit none."""
    task, columns, kinds = task_of(config, facts), part_of(facts, "columns"), kinds_of(config, facts)
    if len(kinds) != 1 or task not in (CLASSIFY, REGRESS):
        return ""
    own = {**part_of(part_of(config, "encoders"), kinds[0]), **part_of(columns, kinds[0])}
    tabular = any(own.get(key) for key in ("numeric", "categorical")) or own.get("column") in ("numeric", "categorical")
    kind = "tabular" if tabular else KINDS.get(str(own.get("encoder")), "")
    if task == REGRESS:
        return "tabular-regression" if kind == "tabular" else ""
    return f"{kind}-classification" if kind else ""


def kinds_of(config: Values, facts: Values) -> list[str]:
    """The kinds that a model reads, in order."""
    named = part_of(facts, "columns") or part_of(part_of(config, "schema"), "kinds") or part_of(config, "encoders")
    return [str(kind) for kind in named]


def task_of(config: Values, facts: Values) -> Any:
    """Its task, a name of the heads' catalog."""
    return part_of(facts, "target").get("task") or part_of(config, "head").get("head")


def labels_of(config: Values, facts: Values) -> list[Any]:
    """Its labels; none where it answers with others."""
    return list(facts.get("labels") or part_of(config, "head").get("labels") or ())


def name_of(facts: Values) -> str:
    """What it is called."""
    return str(facts.get("name") or "graphfuse model")


def part_of(values: Values, key: str) -> dict[str, Any]:
    """The values below a key; none where it is not there."""
    return dict(values.get(key) or {})


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
