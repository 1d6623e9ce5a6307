"""A small table that a fusion can learn, in a folder of its own: words, pictures and numbers, a third of them empty."""

import csv
import random
from pathlib import Path

from PIL import Image

SPEC = """
table = "cases.csv"
[target]
column = "label"
[rows]
id = "id"
split = "split"
[nodes.note]
encoder = "ngrams"
column = "note"
width = 64
nodes = "words"
[nodes.whole]
encoder = "ngrams"
column = "note"
width = 64
[nodes.picture]
encoder = "image"
column = "picture"
weights = "random"
size = 32
grid = 1
[nodes.table]
encoder = "table"
numeric = ["size"]
categorical = ["site"]
[fusion]
name = "sage"
dim = 16
layers = 1
[training]
epochs = 12
batch_size = 16
learning_rate = 0.02
"""
WORDS = {"round": ["round and calm", "a circle"], "square": ["corners here", "a box"]}


def make(folder: Path, count: int = 90, target: str = "class") -> Path:
    """Label: the shape that the note says (lacking in a third of the rows: then the site says it)."""
    rng = random.Random(0)
    (folder / "pictures").mkdir(parents=True)
    rows = []
    for i in range(count):
        shape = rng.choice(list(WORDS))
        Image.new("RGB", (8, 8), (40, 80, 200) if shape == "round" else (200, 60, 40)).save(
            folder / f"pictures/{i}.png"
        )
        row = {"id": f"r{i}", "note": rng.choice(WORDS[shape]), "picture": f"pictures/{i}.png",
               "size": f"{rng.gauss(3, 1):.2f}", "site": "north" if shape == "round" else "south"}  # fmt: skip
        for column in ("note", "picture", "size"):
            if rng.random() < 0.33:
                row[column] = ""
        number = f"{(shape == 'round') + 0.1 * i / count:.3f}"
        row |= {"label": number if target == "number" else shape, "split": ("train", "train", "valid", "test")[i % 4]}
        rows.append(row)
    with open(folder / "cases.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "spec.toml").write_text(SPEC, "utf-8")
    return folder
