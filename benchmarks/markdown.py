"""What every section of ``docs/benchmarks.md`` is written with."""

from collections.abc import Sequence

UNKNOWN = "Not measured yet."


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])


def percent(row: dict, sign: str = "") -> str:
    """Mean ± standard deviation over seeds, or what one seed had."""
    spread = f" ± {100 * row['std']:.1f}" if len(row["seeds"]) > 1 else ""
    return f"{100 * row['mean']:{sign}.1f}{spread}"


def command(found: Sequence[dict]) -> str:
    """The command of the rows, and the versions that it ran with."""
    versions = ", ".join(f"{name} {version}" for name, version in found[0]["versions"].items())
    return f"`{found[0]['command']}`, {versions}"
