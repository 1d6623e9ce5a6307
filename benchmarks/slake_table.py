"""The section of ``docs/benchmarks.md`` on SLAKE under rules, and its picture, from ``benchmarks.slake_en_rules``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.markdown import UNKNOWN, command, table

PICTURE = "slake_rules.png"
OF, LABELS = " of ", "% of labels"
TEXT = """\
TO BE WRITTEN"""
GAINS = """\
Gain in points over `none`, seed by seed (same draw, same initial weights), mean ± standard deviation of these
differences; `part not asked` leaves out the questions which part of the body is shown."""
CHANGES = """\
What rules do to the answers of a network that was trained without them, in percent of the test questions."""
LINES = {
    "none": ("without rules", "black", "o-"),
    "facts": ("without rules, facts as input", "#7f7f7f", "s--"),
    "none, exact at test": ("rules at test alone", "#ff7f0e", "^-"),
    "exact": ("trained with rules (exact)", "#1f77b4", "D-"),
    "loss": ("rules as a loss", "#2ca02c", "v"),
    "refine": ("rules refine", "#d62728", "x"),
}
"""Method -> how the picture calls and draws it; those that are at one share alone are marks without a line."""
SHIFT = 1.03
"""Factor between the places of neighbouring methods, so that bars of spread do not hide each other."""
Cells = dict[str, dict[str, dict[float, dict]]]


def slake_rules(rows: Sequence[dict]) -> str:
    """Accuracy, gains, and what was changed, by the share of the labels."""
    if not rows:
        return UNKNOWN
    cell, methods = cells(rows), list(dict.fromkeys(row["method"] for row in rows if LABELS in row["metric"]))
    after = [method for method in methods if method in cell["answers changed"]]
    others = [method for method in methods if method in cell["gain, accuracy"]]
    parts = [f"{command(rows)}; {seeds_of(rows)}", TEXT, lines(cell["accuracy"], methods, "accuracy"),
             f"![Accuracy by the share of the training labels, with rules and without]({PICTURE})",
             GAINS, lines(cell["gain, accuracy"], others, "gain in accuracy"),
             lines(cell["gain, part not asked"], others, "gain, part not asked"),
             lines(cell["rules_broken"], methods, "answers that break a rule"), CHANGES,
             *(lines(cell[f"answers {what}"], after, f"answers {what}") for what in ("changed", "mended", "spoiled"))
             ]  # fmt: skip
    return "\n\n".join(parts)


def cells(rows: Sequence[dict]) -> Cells:
    """metric -> method -> share of the labels -> row; a metric that there is none of has no methods."""
    found: Cells = {"gain, accuracy": {}, "answers changed": {}}
    for row in rows:
        if row["metric"].endswith(LABELS):
            metric, share = row["metric"].removesuffix(LABELS).rsplit(OF, 1)
            found.setdefault(metric, {}).setdefault(row["method"], {})[float(share) / 100] = row
    return found


def lines(own: Mapping[str, Mapping[float, dict]], methods: Sequence[str], title: str) -> str:
    """One line a method that was measured, one column a share, in percent."""
    shares = sorted({share for each in own.values() for share in each})
    shown = [[m, *(percent(own[m].get(share)) for share in shares)] for m in methods if m in own]
    return table([f"{title}, labels:", *(f"{share:.0%}" for share in shares)], shown)


def percent(row: dict | None) -> str:
    """A share in percent with its spread; empty where it was not measured."""
    return "" if row is None else f"{100 * row['mean']:.1f} ± {100 * row['std']:.1f}"


def seeds_of(rows: Sequence[dict]) -> str:
    """How many seeds there are by share, of what was measured with the most."""
    most = dict[int, list[str]]()
    for share, row in sorted(cells(rows)["accuracy"]["none"].items()):
        most.setdefault(len(row["seeds"]), []).append(f"{share:.0%}")
    return "; ".join(f"{count} seeds at {', '.join(shares)}" for count, shares in most.items())


def draw(rows: Sequence[dict], folder: Path) -> Path | None:
    """The picture, where there are rows for it."""
    if not rows:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    found, methods = cells(rows), list(LINES)
    panels = (("accuracy", "test accuracy, %"), ("gain, accuracy", "points more than without rules"))
    for axes, (metric, label) in zip(figure.subplots(1, 2), panels):
        for method, each in found[metric].items():
            if method not in LINES:
                continue
            name, colour, form = LINES[method]
            shares = sorted(each)
            places = [100 * share * SHIFT ** (methods.index(method) - len(methods) / 2) for share in shares]
            values, spreads = ([100 * each[share][key] for share in shares] for key in ("mean", "std"))
            axes.errorbar(places, values, spreads, fmt=form, color=colour, label=name, capsize=2, markersize=5,
                          linewidth=1.4)  # fmt: skip
        ticks = sorted({100 * share for each in found[metric].values() for share in each})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="training labels, % (log scale)", ylabel=label)
        axes.grid(True, alpha=0.25)
    figure.axes[1].axhline(0, color="black", linewidth=1)
    figure.axes[0].legend(fontsize=9)
    path = folder / PICTURE
    figure.savefig(path, dpi=130)
    return path
