"""Renders ``docs/benchmarks.md``, its pictures and the tables of ``README.md`` from the rows.

``python -m benchmarks.table`` does; a test compares the texts with what the rows render.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import atlas_table as of_rules
from benchmarks.markdown import UNKNOWN, command, percent, table
from benchmarks.rows import read
from benchmarks.rules_table import rules
from benchmarks.slake_table import draw as draw_slake
from benchmarks.slake_table import slake_rules
from benchmarks.speed_table import draw, speed

ROOT = Path(__file__).parent.parent
PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
MEDICAL = {"slake_en": "SLAKE, English", "slake_zh": "SLAKE, Chinese", "vqa_rad": "VQA-RAD, published",
           "vqa_rad_strict": "VQA-RAD, strict", "vqa_rad_unseen": "VQA-RAD, unseen pictures"}  # fmt: skip
TABLES = {"rosmap": "ROSMAP, official split", "rosmap_cv": "ROSMAP, cross-validation", "recipes_en": "Recipes, English",
          "recipes_zh": "Recipes, Chinese", "cremad_votes": "CREMA-D votes"}  # fmt: skip
COLUMNS = ("unseen", "name", "flag", "outline", "both", "clue", "1 step", "2 steps", "seen")
SHORT = ("unseen", "flag", "both", "clue")

ATLAS = """\
Test accuracy (Hits@1) in percent, mean ± standard deviation over {seeds} seeds; each seed draws its own countries and
territories, questions, pictures and weights. All columns but `seen` are questions about countries and territories that
training never asked about or showed. Pictures are of level 1.5. The test figures of seed 0 were seen while the demo was
designed, those of the other seeds were not, see [demo.md](demo.md). `seconds` are of training on a machine that other
work shared; alone it takes about half. Lines with rules are of the command of the next section."""
BATCHING = """\
Building one batch of 32 samples (kinds of about 20, 49, 30 and 10 nodes, all 16 ordered pairs of kinds) from features,
against one `HeteroData` a sample and PyG's `Batch`; medians of runs in turn in one process, edges compared one
by one in the same run, mean ± standard deviation over draws. `complete` lists no edges, `listed` does, `nearest` are
the 8 most like by cosine, `overlap` those whose spans overlap."""
QUESTIONS = """\
Test accuracy in percent (exact match of the answer), mean ± standard deviation over seeds. `text` and `image` are each
modality alone, `majority` the most common answer; all are trained under one budget, with frozen general encoders (no
medical pretraining). The epoch is chosen on validation (of VQA-RAD 15 % of the training rows); then every method is
trained anew up to it, on training and validation rows (not for SLAKE, Chinese). The 15 epochs of SLAKE, English, were
chosen on validation when the test figure with 10 was known (relation_gate 80.4). A test answer that training never has
counts as wrong. The published VQA-RAD split leaks: 297 of its 451 test questions have a rewording in training, so that
copying the answer of the nearest training question about the picture gives 62.5; `strict` leaves these rewordings out,
`unseen pictures` everything about a test picture; there no fusion is better than another, or than the words alone, by
more than the spread (the first five of its ten seeds had concat 34.5, the best graph fusion 34.2). Published
results with the same splits (SLAKE English, VQA-RAD
published): MEVF 78.6 and 62.6, PubMedCLIP 80.1 and 72.1, MUMC, pretrained on medical pictures, 84.9 and 79.2. `seconds`
are of training."""
OTHERS = """\
Sets of other kinds, by their own specs, to see that nothing is tuned to one: the task's metric, mean ± standard
deviation over seeds (for cross-validation over ten repeats of five folds). As above, every method is trained anew on
training and validation rows once validation has chosen the epoch. The spec of ROSMAP was chosen by cross-validation
within the official training rows, which are test rows of its own cross-validation too. English recipes gain nothing by
fusion: two of three dishes lack a picture, and pictures alone answer worse than the most common tags."""
KILLED = """\
Share of runs that were killed with SIGKILL at a random moment, taken up again, and ended with weights equal bit for bit
to those of a run that was not killed: 50 moments a seed."""
CACHED = """\
Frozen features of 10,000 short texts (MiniLM, a node a token) and 1,000 pictures (EfficientNet-Lite0, 17 nodes),
computed, and read again from the cache in a fresh encoder; equal bit for bit in the same run."""
TOP = """\
# Benchmarks

Every number is from a row in `benchmarks/rows`, written by the command that stands above its table;
`python -m benchmarks.table` renders this page from them."""


def render() -> str:
    """The page ``docs/benchmarks.md``."""
    parts = {"Atlas": atlas(), "Medical questions": tasks(MEDICAL, QUESTIONS), "Other tables": tasks(TABLES, OTHERS),
             "Speed": speed(read("speed"), read("speed_cuda")), "Rules": rules(read("rules")),
             "Rules of medical questions": slake_rules(read("slake_en_rules")), "Batching": batching(),
             "Killed and taken up": measured("survival", KILLED),
             "The feature cache": measured("features", CACHED)}  # fmt: skip
    return "\n\n".join([TOP, *(part for title, text in parts.items() for part in (f"## {title}", text))]) + "\n"


def atlas() -> str:
    """Accuracy in percent, mean ± standard deviation over seeds, with cost."""
    found = read("atlas")
    if not found:
        return UNKNOWN
    text = ATLAS.format(seeds=len(found[0]["seeds"]))
    return "\n\n".join([command(found), text, atlas_table(found, COLUMNS, parameters=True), *of_rules.rules(found)])


def short() -> str:
    """The compact table of ``README.md``."""
    found = read("atlas")
    return atlas_table(found, SHORT) if found else UNKNOWN


def atlas_table(found: Sequence[dict], columns: Sequence[str], parameters: bool = False) -> str:
    """One line a method: its accuracy by column, then its cost."""
    cell = {(r["method"], r["metric"]): percent(r) for r in found}
    lines = []
    for row in found:
        if row["metric"] == "accuracy":
            cost = [f"{row['seconds']:.0f}", *([f"{row['parameters']:,}"] if parameters else [])]
            fewer = len(row["seeds"]) < len(found[0]["seeds"])
            name = f"{row['method']} ({len(row['seeds'])} of the seeds)" if fewer else row["method"]
            lines.append([name, *(cell[row["method"], metric_of(column)] for column in columns), *cost])
    return table(["method", *columns, "seconds", *(["parameters"] if parameters else [])], lines)


def metric_of(column: str) -> str:
    """The metric in the rows that a column shows."""
    return "accuracy" if column == "unseen" else f"accuracy: {column}"


def tasks(named: Mapping[str, str], text: str) -> str:
    """A table a task: methods and their metrics."""
    parts = [text]
    for task, title in named.items():
        if found := read(task):
            metrics = list(dict.fromkeys(r["metric"] for r in found))
            cell = {(r["method"], r["metric"]): shown(r) for r in found}
            lines = [
                [r["method"], *(cell.get((r["method"], metric), "") for metric in metrics), f"{r['seconds']:.0f}",
                 f"{r['parameters']:,}"]
                for r in found if r["metric"] == metrics[0]
            ]  # fmt: skip
            seeds = len(found[0]["seeds"])
            head = ["method", *(metric.replace("_", " ") for metric in metrics), "seconds", "parameters"]
            parts += [f"### {title}", f"{command(found)}; {seeds} {'repeats' if task.endswith('_cv') else 'seeds'}",
                      table(head, lines)]  # fmt: skip
    return "\n\n".join(parts if len(parts) > 1 else [UNKNOWN])


def shown(row: dict) -> str:
    """Shares in percent, errors as they are."""
    scale, digits = (1, 3) if "error" in row["metric"] else (100, 1)
    return f"{scale * row['mean']:.{digits}f} ± {scale * row['std']:.{digits}f}"


def medical() -> str:
    """The compact table of ``README.md``: one line a method, one column a task."""
    found = {task: read(task) for task in MEDICAL}
    cell = {(r["method"], task): shown(r) for task, rows in found.items() for r in rows if r["metric"] == "accuracy"}
    known = [task for task in MEDICAL if found[task]]
    methods = dict.fromkeys(method for method, _ in cell)
    lines = [[method, *(cell.get((method, task), "") for task in known)] for method in methods]
    return table(["method", *(MEDICAL[task] for task in known)], lines) if known else UNKNOWN


def measured(name: str, text: str) -> str:
    """One line a method, one column a metric."""
    found = read(name)
    if not found:
        return UNKNOWN
    metrics = list(dict.fromkeys(r["metric"] for r in found))
    cell = {(r["method"], r["metric"]): f"{r['mean']:.4g} ± {r['std']:.2g}" for r in found}
    lines = [
        [method, *(cell[method, metric] for metric in metrics)] for method in dict.fromkeys(r["method"] for r in found)
    ]
    return "\n\n".join([command(found), text, table(["of", *metrics], lines)])


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


def filled(readme: str) -> str:
    """The text of ``README.md`` with the compact tables between their marks."""
    for name, text in (("atlas", short()), ("medical", medical())):
        before, rest = readme.split(f"<!-- {name} table -->")
        _, after = rest.split(f"<!-- /{name} table -->")
        readme = f"{before}<!-- {name} table -->\n\n{text}\n\n<!-- /{name} table -->{after}"
    return readme


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
    README.write_text(filled(README.read_text("utf-8")), "utf-8")
    pictures = draw(read("speed"), PAGE.parent), draw_slake(read("slake_en_rules"), PAGE.parent)
    print(*filter(None, (PAGE, README, *pictures)), sep="\n")
