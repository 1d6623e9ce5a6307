"""A table as a file becomes a spec, the spec a comparison: what ``graphfuse init`` and ``compare`` do, from Python.

The label follows from the note where there is one, else from the dose; a third of the cells are empty.
"""

import csv
import random
import tempfile
from pathlib import Path

from graphfuse.study import compare
from graphfuse.tables.infer import infer
from graphfuse.tables.spec import Spec

SAID = {"ill": ["fever and cough", "short of breath"], "well": ["feels well", "no complaint", "back at work"]}


def write_cases(path: Path) -> None:
    rng, rows = random.Random(0), []
    for number in range(240):
        label = rng.choice(list(SAID))
        note, dose = f"{rng.choice(SAID[label])} on day {number}", f"{rng.gauss(8 if label == 'ill' else 4, 1.5):.1f}"
        row = {"id": f"case {number}", "note": note, "dose": dose, "site": rng.choice("ns"), "label": label}
        rows.append(row | {column: "" for column in ("note", "dose") if rng.random() < 0.33})
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    write_cases(folder / "cases.csv")
    text, reasons = infer(folder / "cases.csv")  # a spec in TOML, and why each column was taken for what
    print("\n".join(reasons))
    (folder / "spec.toml").write_text(text.replace('encoder = "text"', 'encoder = "ngrams"'), "utf-8")

    spec = Spec.open(folder / "spec.toml", ["training.epochs=10", "training.learning_rate=0.01", "fusion.dim=32"])
    found = compare(spec, ["concat", "sage"], seeds=range(1), out=folder / "compared", missing=(0.0, 0.5))
    print(found.table()[["mean", "seconds"]])  # beside the most common answer and each modality alone
    print("the folder has", ", ".join(sorted(path.name for path in (folder / "compared").iterdir() if path.is_file())))
