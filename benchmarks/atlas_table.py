"""What the page of benchmarks says of rules in the atlas, from the rows of ``benchmarks.atlas``."""

from collections.abc import Sequence

from benchmarks.atlas_rules import ASKED, SAME, SHARES
from benchmarks.markdown import command, percent, table
from graphfuse.demo.methods import AFTER, EXACT, LOSS, PLAIN, REFINE

RULES = """\
`relation_gate` with the 21 hard rules of [atlas.rules](../graphfuse/demo/atlas.rules) and without, in the same runs,
on unseen countries and territories. `answers only` is the model trained without rules, which answers under them. `gain`
is of accuracy in points over the same seed without rules, and `p` a paired t-test over test questions. What a question
asks is told from its words by a small model, never looked up: it says so of {told} of the test questions, and right of
{right} of these; elsewhere rules that ask for it say nothing. A wrong word forbids the right answer, which is part of
what is measured. Rules leave no answer to {none} of the questions; that counts as wrong."""
EACH = """\
Test answers that break a rule, in percent, and what it adds to accuracy, in points, when the model trained without
rules answers under that rule alone. Of `exact` the scores of its network are meant; as it answers it breaks none. Rules
that no answer breaks are left out: {never}."""
FEW = """\
Training and validation with a share of their questions (a smaller one inside a larger), accuracy on unseen countries
and territories in percent, mean ± standard deviation over {seeds}. Epochs are those of the whole divided by the root of
the share, tuned on nothing; what is asked is told by a model that learned from the same few."""


def rules(found: Sequence[dict]) -> list[str]:
    """Sections on rules, rule by rule, and on few labels; those that were measured."""
    cell = {(row["method"], row["metric"]): row for row in found}
    parts = []
    if (EXACT, "gain") in cell:
        told = {name: f"{100 * cell[ASKED, metric]['mean']:.1f} %" for name, metric in
                (("told", "told"), ("right", "right where told"))}  # fmt: skip
        none = f"{100 * cell[AFTER, 'questions without an answer']['mean']:.2f} %"
        own = [row for row in found if row["method"] == EXACT]
        parts += ["### Atlas: rules", f"{command(own)}; {_seeds(own[0])}", RULES.format(**told, none=none)]
        parts += [table(["method", "seeds", "unseen", "gain", "p"], _gains(cell)), *_each(cell)]
    if (EXACT, _few(SHARES[0])) in cell:
        own = [row for row in found if row["metric"] == _few(SHARES[0])]
        parts += ["### Atlas: few labels", f"{command(own)}; {_seeds(own[0])}", FEW.format(seeds=_seeds(own[0]))]
        heads = ["labels", PLAIN, "answers only", "exact", "asked: told", "right where told"]
        parts.append(table(heads, _shares(cell)))
    return parts


def _gains(cell: dict[tuple[str, str], dict]) -> list[list[str]]:
    lines = [[PLAIN, str(len(cell[PLAIN, SAME]["seeds"])), _percent(cell[PLAIN, SAME]), "", ""]]
    for method in (AFTER, EXACT, LOSS, REFINE):
        if (method, "gain") in cell:
            p = cell.get((method, "p of the gain"))
            lines.append([method, str(len(cell[method, "gain"]["seeds"])), _percent(cell[method, "accuracy"]),
                          _percent(cell[method, "gain"], "+"), _p(p["mean"]) if p else ""])  # fmt: skip
    return lines


def _p(value: float) -> str:
    """Rows have four digits of it."""
    return f"{value:.2g}" if value else "< 0.0001"


def _each(cell: dict[tuple[str, str], dict]) -> list[str]:
    names = [metric.removeprefix("broken: ") for method, metric in cell if method == PLAIN and metric[:8] == "broken: "]
    methods = [method for method in (PLAIN, EXACT, LOSS, REFINE) if (method, f"broken: {names[0]}") in cell]
    broken = {name: [cell[method, f"broken: {name}"] for method in methods] for name in names}
    never = [name for name, rows in broken.items() if not any(row["mean"] for row in rows)]
    lines = [
        [name, *map(_percent, rows), _percent(cell[AFTER, f"gain of one: {name}"], "+")]
        for name, rows in sorted(broken.items(), key=lambda each: -each[1][0]["mean"]) if name not in never
    ]  # fmt: skip
    heads = ["rule", *(method.removeprefix(f"{PLAIN} + rules, ") for method in methods), "gain of it alone"]
    return [EACH.format(never=", ".join(never) or "none"), table(heads, lines)]


def _shares(cell: dict[tuple[str, str], dict]) -> list[list[str]]:
    whole = [cell.get(key) for key in ((PLAIN, SAME), (AFTER, "accuracy"), (EXACT, "accuracy"))]
    asked = [cell.get((ASKED, metric)) for metric in ("told", "right where told")]
    lines = [["100 %", *map(_percent, (*whole, *asked))]]
    for share in SHARES:
        own = [cell.get((method, _few(share))) for method in (PLAIN, AFTER, EXACT)]
        asked = [cell.get((ASKED, f"{metric} with {share:.0%} of labels")) for metric in ("told", "right where told")]
        lines.append([f"{100 * share:.0f} %", *map(_percent, (*own, *asked))])
    return lines


def _few(share: float) -> str:
    return f"accuracy with {share:.0%} of labels"


def _percent(row: dict | None, sign: str = "") -> str:
    return percent(row, sign) if row else ""


def _seeds(row: dict) -> str:
    return f"{len(row['seeds'])} seed{'s' if len(row['seeds']) > 1 else ''}"
