"""The section of ``docs/benchmarks.md`` on SLAKE under rules, and its picture, from ``benchmarks.slake_en_rules``."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.markdown import UNKNOWN, command, table

PICTURE = "slake_rules.png"
OF, LABELS = " of ", "% of labels"
TEXT = """\
SLAKE's English questions under [a file of rules](../benchmarks/specs/slake_en.rules): what kind of answer a question
asks for, which organs a system has, and what a picture of a part of the body cannot show; organ against modality is
soft. Facts that rules ask for are read from the words of the question and from what was examined, which the header of a
picture says. A seed draws which training and validation labels there are, and the weights; test accuracy in percent,
mean ± standard deviation over seeds, all on the whole test.

- `none` is the network without rules, `facts` the same with one node more for each fact: what it gains is of the facts.
- `exact`, `loss` and `refine` train with rules. `exact at test` puts them on the answers of a network that was trained
  without them, `of words` only those that do not ask what was examined.
- No training or validation answer breaks a hard rule; {broken} of the test answers do. **The rules were written with
  all training questions and answers in view**, so with few labels they know of more answers than the network was shown;
  the test was not looked at while they were written.
- As in `slake_en`, but fusion `concat`, fewer nodes a picture, 10 epochs (33 with 5 % of the labels) and no refit, to
  take less time; epochs were tuned without rules."""
FINDINGS = """\
What rules change is little. Put on at test alone they only change answers that break one: with 5 and 10 % of the labels
they mended a third of these, and they spoiled none. In each draw that is a gain, of 2.4 and 1.1 points, and of 0.3 at
most from 50 % on, where the network has learned nearly all of it. With 5 % it is what a fifth more labels would give:
twice the labels give 8 points. Trained with rules the network gained 3.3 points with 5 % of the labels and 1.8 with
25 %, in each draw, but nothing beyond the spread with 10 %, 50 % and 100 %; of three draws that is no trend. `loss` and
`refine` were tried with 10 % alone and gained nothing. It is not the facts: given as input they gained nothing beyond
the spread, and rules mend the answers of that network too (`facts, exact at test` against `facts`). Less than half of
the gain at test comes from rules that ask what was examined where labels are few, most of it where they are many."""
GAINS = """\
Gain in points over `none`, seed by seed (same draw of labels), mean ± standard deviation of these differences;
`part not asked` leaves out the questions which part of the body is shown, which what was examined nearly answers. Rules
put on at test alone can change no answers but those that break a rule."""
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
TABLES = {"accuracy": "accuracy", "gain, accuracy": "gain in accuracy", "gain, part not asked": "gain, part not asked",
          "rules_broken": "answers that break a rule"}  # fmt: skip
Cells = dict[str, dict[str, dict[float, dict]]]


def slake_rules(rows: Sequence[dict]) -> str:
    """Accuracy, gains, and how many answers break a rule, by the share of the labels."""
    if not rows:
        return UNKNOWN
    cell, methods = cells(rows), list(dict.fromkeys(row["method"] for row in rows if LABELS in row["metric"]))
    own = next(row["mean"] for row in rows if row["metric"] == "rules_broken")
    text = TEXT.format(broken=f"{100 * own:.2g} %")
    tables = [lines(cell[metric], methods, title) for metric, title in TABLES.items()]
    picture = f"![Accuracy by the share of the training labels, with rules and without]({PICTURE})"
    parts = [f"{command(rows)}; {seeds_of(rows)}", text, FINDINGS, tables[0], picture, GAINS, *tables[1:]]
    return "\n\n".join(parts)


def cells(rows: Sequence[dict]) -> Cells:
    """metric -> method -> share of the labels -> row; a metric that there is none of has no methods."""
    found: Cells = {metric: {} for metric in TABLES}
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
            places = [100 * share * SHIFT ** (methods.index(method) - (len(methods) - 1) / 2) for share in shares]
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
