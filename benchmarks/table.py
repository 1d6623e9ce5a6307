"""Renders ``docs/benchmarks.md`` from the rows: ``python -m benchmarks.table``. A test compares the two."""

from pathlib import Path

from benchmarks.rows import read

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
SLICES = ("accuracy", "accuracy: name", "accuracy: flag", "accuracy: outline", "accuracy: both", "accuracy: clue",
          "accuracy: 1 step", "accuracy: 2 steps", "accuracy: seen")  # fmt: skip


def render() -> str:
    """The page as Markdown."""
    return "\n".join([
        "# Benchmarks", "",
        "Every number is from a row in `benchmarks/rows`, written by the command that stands above its table; "
        "`python -m benchmarks.table` renders this page from them.", "",
        *atlas(), *batching(),
    ])  # fmt: skip


def atlas() -> list[str]:
    """Accuracy in percent, mean ± standard deviation over seeds."""
    found = read("atlas")
    if not found:
        return ["## Atlas", "", "Not measured yet.", ""]
    cell = {(r["method"], r["metric"]): f"{100 * r['mean']:.1f} ± {100 * r['std']:.1f}" for r in found}
    first = {r["method"]: r for r in found if r["metric"] == "accuracy"}
    head = ["method", "all", "name", "flag", "outline", "both", "clue", "1 step", "2 steps", "seen", "seconds", "parameters"]
    lines = ["## Atlas", "", f"`{found[0]['command']}`, {versions(found[0])}", "",
             f"Test accuracy (Hits@1) in percent, mean ± standard deviation over {len(found[0]['seeds'])} seeds; each seed "
             "draws its own countries, questions, pictures and weights. All columns but `seen` are questions about "
             "countries that training never asked about. Pictures are of level 1.5. `seconds` of training.", "",
             "| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]  # fmt: skip
    for method, own in first.items():
        cells = [method, *(cell[method, metric] for metric in SLICES), f"{own['seconds']:.0f}", f"{own['parameters']:,}"]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def batching() -> list[str]:
    """Construction: milliseconds and ratios."""
    found = read("batching")
    if not found:
        return ["## Batching", "", "Not measured yet.", ""]
    cell = {(r["method"], r["metric"]): f"{r['mean']:.4g} ± {r['std']:.2g}" for r in found}
    metrics = list(dict.fromkeys(r["metric"] for r in found))
    lines = ["## Batching", "", f"`{found[0]['command']}`, {versions(found[0])}", "",
             "Building one batch of 32 samples (kinds of about 20, 49, 30 and 10 nodes, all 16 ordered pairs of kinds) from "
             "features, against one `HeteroData` a sample and PyG's `Batch`; medians in turn in one process, edges compared "
             "one by one in the same run, mean ± standard deviation over draws. `complete` lists no edges, `listed` does, "
             "`nearest` are the 8 most like by cosine.", "",
             "| edges | " + " | ".join(metrics) + " |", "| --- |" + " ---: |" * len(metrics)]  # fmt: skip
    for method in dict.fromkeys(r["method"] for r in found):
        lines.append("| " + " | ".join([method, *(cell[method, metric] for metric in metrics)]) + " |")
    return [*lines, ""]


def versions(row: dict) -> str:
    """The versions of a row in words."""
    return ", ".join(f"{name} {version}" for name, version in row["versions"].items())


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
    print(PAGE)
