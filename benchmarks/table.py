"""Renders ``docs/benchmarks.md`` and the table of ``README.md`` from the rows: ``python -m benchmarks.table``.

A test compares both with what the rows render.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import read

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
MARKS = "<!-- atlas table -->", "<!-- /atlas table -->"
COLUMNS = ("unseen", "name", "flag", "outline", "both", "clue", "1 step", "2 steps", "seen")
SHORT = ("unseen", "flag", "both", "clue")

ATLAS = """\
Test accuracy (Hits@1) in percent, mean ± standard deviation over {seeds} seeds; each seed draws its own countries and
territories, questions, pictures and weights. All columns but `seen` are questions about countries and territories that
training never asked about or showed. Pictures are of level 1.5. The test
figures of seed 0 were seen while the demo was designed, see [demo.md](demo.md). `seconds` are of training."""
BATCHING = """\
Building one batch of 32 samples (kinds of about 20, 49, 30 and 10 nodes, all 16 ordered pairs of kinds) from features,
against one `HeteroData` a sample and PyG's `Batch`; medians in turn in one process, edges compared one by one in the
same run, mean ± standard deviation over draws. `complete` lists no edges, `listed` does, `nearest` are the 8 most like
by cosine."""
TOP = """\
# Benchmarks

Every number is from a row in `benchmarks/rows`, written by the command that stands above its table;
`python -m benchmarks.table` renders this page from them."""
UNKNOWN = "Not measured yet."


def render() -> str:
    """The page ``docs/benchmarks.md``."""
    return "\n\n".join([TOP, "## Atlas", atlas(), "## Batching", batching()]) + "\n"


def atlas() -> str:
    """Accuracy in percent, mean ± standard deviation over seeds, with cost."""
    found = read("atlas")
    if not found:
        return UNKNOWN
    text = ATLAS.format(seeds=len(found[0]["seeds"]))
    return "\n\n".join([command(found), text, atlas_table(found, COLUMNS, parameters=True)])


def short() -> str:
    """The compact table of ``README.md``."""
    found = read("atlas")
    return atlas_table(found, SHORT) if found else UNKNOWN


def atlas_table(found: Sequence[dict], columns: Sequence[str], parameters: bool = False) -> str:
    """One line a method: its accuracy by column, then its cost."""
    cell = {(r["method"], r["metric"]): f"{100 * r['mean']:.1f} ± {100 * r['std']:.1f}" for r in found}
    lines = []
    for row in found:
        if row["metric"] == "accuracy":
            cost = [f"{row['seconds']:.0f}", *([f"{row['parameters']:,}"] if parameters else [])]
            lines.append([row["method"], *(cell[row["method"], metric_of(column)] for column in columns), *cost])
    return table(["method", *columns, "seconds", *(["parameters"] if parameters else [])], lines)


def metric_of(column: str) -> str:
    """The metric in the rows that a column shows."""
    return "accuracy" if column == "unseen" else f"accuracy: {column}"


def batching() -> str:
    """Milliseconds and ratios."""
    found = read("batching")
    if not found:
        return UNKNOWN
    cell = {(r["method"], r["metric"]): f"{r['mean']:.4g} ± {r['std']:.2g}" for r in found}
    metrics = list(dict.fromkeys(r["metric"] for r in found))
    methods = dict.fromkeys(r["method"] for r in found)
    lines = [[method, *(cell[method, metric] for metric in metrics)] for method in methods]
    return "\n\n".join([command(found), BATCHING, table(["edges", *metrics], lines)])


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    rule = "| --- |" + " ---: |" * (len(head) - 1)
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])


def command(found: Sequence[dict]) -> str:
    """The command of the rows, and the versions that it ran with."""
    versions = ", ".join(f"{name} {version}" for name, version in found[0]["versions"].items())
    return f"`{found[0]['command']}`, {versions}"


def filled(readme: str) -> str:
    """The text of ``README.md`` with the compact table between its marks."""
    before, rest = readme.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return f"{before}{MARKS[0]}\n\n{short()}\n\n{MARKS[1]}{after}"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
    README.write_text(filled(README.read_text("utf-8")), "utf-8")
    print(f"{PAGE}\n{README}")
