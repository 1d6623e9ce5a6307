"""The section of ``docs/benchmarks.md`` on rules, from the rows of ``benchmarks.rules``."""

from collections.abc import Sequence
from fnmatch import fnmatch

from benchmarks.markdown import UNKNOWN, command, table
from benchmarks.rules_rows import OURS, part_of

TEXT = """\
Rules as a guarantee and as a loss, beside peers in the same run: PiShield's layer (in four orders of the labels, for
what it leaves depends on it), OR-Tools' CP-SAT, and C-HMCNN's layer and loss, written anew. What a peer refuses is
said. `asked` is what was asked of the rules before they were written."""
PARTS = {
    "exact": """\
Answers are looked at by clauses read from the files, or by a check made together with a made rule, never by the
library. Half of the rows are float32, half float64: usual logits, huge, tiny, tied, zero ones, those that want the
contrary of an allowed answer, and infinite ones; PiShield is given the usual ones alone, and fails with an
AssertionError where its rules decide every label. CP-SAT and ours get logits that are multiples of 2**-20, so that both
sums are exact and have to be the same. Enumeration is of made rules over 3 to 14 labels, half of them clauses;
differences of log Z are beside 1 or its size.""",
    "speed": """\
Milliseconds of the processor (one thread: what passes where nothing else runs; other work shared the machine), medians
and least of runs in turn in one process, mean ± standard deviation over draws. PiShield is taken with the quickest of
four orders, rule by rule, as it goes if nothing is said, and all at once; C-HMCNN's layer was found to give the same
scores and gradients in the same run. Memory is the system's default, as a user's own script has it, and in the lines
`freed memory kept` as `graphfuse` commands set it: large tensors, of which C-HMCNN's layer makes many, then cost no
page faults.""",
    "learn": """\
The same budget and seeds: with rules a network is trained by cross entropy plus log Z and answers by MAP. Width,
dropout, rate and epochs are those that were best on validation without rules (of enron 16 of 24 settings were tried, of
the grid at most 150 epochs, where more would still have added); of yeast each network has its own best of the same four
settings near that one, and the one without rules is trained at both (`set as with them`).
**The rules of yeast and enron were mined from all
rows, those of the test too**, so a part of any gain may be what the rules know of the test. `p of the gain` is a paired
t-test over test rows, each the mean over seeds. Of the grid the rules speak of degrees alone: they do not forbid a
cycle beside the path; which edges there are and where paths end is evidence.""",
    "hierarchies": """\
Micro-averaged average precision on the test rows, trained on train and valid. The network is C-HMCNN's (two hidden
layers of 500, dropout 0.7), but batches are of 64 and not 4, at a rate of .001; epochs are each method's own best on
validation (eisen_FUN by three seeds, cellcycle_FUN by one). Of all methods alike, outputs start at the constants that
cost least, and weights are averaged over epochs. `graphfuse` is our closure, trained by C-HMCNN's loss, and `graphfuse,
exact` is trained by cross entropy plus log Z and ranks by marginals: on validation the closure was better on both sets
(.2909 against .2904, .2361 against .2333), and the network without rules, then closed, had .2888 and .2374. `of the
mean of all seeds' scores` is what all networks of a method reach together. **What is above the published figures comes
from the start and the averages, not from rules**: without rules the same network has as much within the spread, but not
one answer that agrees with the hierarchy, and exact conditioning has less. Published for C-HMCNN with its own set-up,
mean of ten seeds: eisen_FUN .306, cellcycle_FUN .255.""",
    "relations": """\
Citeseer as KENN has it, transductive: the words of a paper go through three layers of 50, and the rule that a paper has
the topic of each that it is linked with by `cites` refines the scores three times, with weights that are learned
(`gf.rules.Refine`). A seed is one of ten draws of the papers that train; training ends by validation, and the rate is
the one of .001 and .01 that was best there without rules. Published for KENN, mean of 100 runs: .653 and .743 with the
rule, .544 and .679 without. Neither network sees citations but by the rule.""",
}
ASKED = {
    ("exact: violations, *", "share of rows broken"): "0 %",
    ("exact: MAP", "rows"): "≥ 1,000", ("exact: MAP", "sets"): "≥ 6",
    ("exact: MAP", "share equal*"): "100 %",
    ("exact: enumeration", "rule sets"): "200",
    ("exact: enumeration", "*float32"): "≤ 1e-6", ("exact: enumeration", "*float64"): "≤ 1e-10",
    ("speed: roadr, compile", "milliseconds"): "≤ 1,000",
    ("speed: roadr, batch*MAP", "milliseconds"): "≤ 5", ("speed: roadr, batch*MAP", "times faster*"): "≥ 15",
    ("speed: roadr, batch*log Z*", "milliseconds"): "≤ 8",
    ("speed: *labels, batch 256, MAP", "milliseconds"): "≤ 5",
    ("speed: *closure*", "milliseconds"): "≤ 15", ("speed: *closure*", "times faster*"): "≥ 100",
    ("speed: *_GO, MAP, a row", "milliseconds"): "≤ 20",
    ("learn: yeast", "gain*right"): "≥ 1.5 %", ("learn: enron", "gain*right"): "≥ 0.5 %",
    ("learn: yeast", "p of*gain"): "< 0.05", ("learn: enron", "p of*gain"): "< 0.05",
    ("learn: yeast", "times the seconds*"): "≤ 1.6",
    ("learn: sushi", "share that satisfies*"): "100 %", ("learn: grid", "share that satisfies*"): "100 %",
    ("learn: sushi", "gain*"): "> 0 %", ("learn: grid", "gain*"): "> 0 %",
    ("relations: citeseer, 10*", "accuracy"): "≥ 0.652", ("relations: citeseer, 50*", "accuracy"): "≥ 0.744",
    ("speed: 600,000 groundings*", "milliseconds"): "≤ 40",
    ("hierarchies: eisen_FUN", "area*recall"): "≥ 0.306",
    ("hierarchies: cellcycle_FUN", "area*recall"): "≥ 0.255",
}  # fmt: skip


def rules(rows: Sequence[dict]) -> str:
    """A table a part: one line a measure, ours and what others have."""
    parts = [TEXT]
    for part, text in PARTS.items():
        if own := [row for row in rows if part_of(row) == part]:
            seeds = max(len(row["seeds"]) for row in own)
            told = f"{command(own)}; {seeds} seed{'s' if seeds > 1 else ''}"
            parts += [f"### Rules: {part}", told, text, table(["measure", "of", "asked", OURS, "others"], lines(own))]
    return "\n\n".join(parts if rows else [UNKNOWN])


def lines(own: Sequence[dict]) -> list[list[str]]:
    """One a measure; how many rows were answered stands beside what violations were looked for in."""
    told: dict[tuple[str, str], dict[str, str]] = {}
    for row in own:
        who, what = row["metric"].split(": ", 1)
        told.setdefault((row["method"], what), {})[who] = shown(row, what)
    found = []
    for (method, what), each in told.items():
        of = method.split(": ", 1)[1]
        if of.startswith("violations"):
            if what == "rows":
                continue
            of = f"{of} ({told[method, 'rows'][OURS]} rows)" if (method, "rows") in told else of
        others = "; ".join(f"{who} {value}" for who, value in each.items() if who != OURS)
        found.append([of, what, asked(method, what), each.get(OURS, ""), others])
    return found


def asked(method: str, what: str) -> str:
    """What the issue asked of a measure; nothing of most."""
    return next(
        (
            text
            for (a, b), text in ASKED.items()
            if fnmatch(method.removesuffix(", freed memory kept"), a) and fnmatch(what, b)
        ),
        "",
    )


def shown(row: dict, what: str) -> str:
    """Shares in percent, all else as it is; the spread where there is one."""
    share = what.startswith(("share", "gain in the share"))
    scale, unit = (100, " %") if share else (1, "")
    text = f"{row['mean']:,.0f}" if what in ("rows", "sets", "rule sets") else f"{scale * row['mean']:.4g}"
    return f"{text} ± {scale * row['std']:.2g}{unit}" if len(row["seeds"]) > 1 else f"{text}{unit}"
