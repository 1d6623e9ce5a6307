"""A folder with a small table, its spec, and ways to spoil both."""

import csv
from pathlib import Path

from PIL import Image

from graphfuse.tables.spec import Spec

SPEC = """
table = "table.csv"
[target]
column = "label"
[rows]
id = "id"
split = "split"
[nodes.note]
encoder = "ngrams"
column = "note"
width = 64
[nodes.picture]
encoder = "image"
column = "picture"
weights = "random"
size = 32
grid = 0
[nodes.table]
encoder = "table"
numeric = ["size"]
categorical = ["site"]
"""
HEADER = ["id", "split", "note", "picture", "size", "site", "label"]
SPLITS = ["train"] * 6 + ["valid"] * 3 + ["test"] * 3


def picture(path: Path, shade: int, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), (shade, 255 - shade, 40)).save(path)


class Folder:
    """A folder with a table of 12 rows that is right, a spec, and ways to spoil both."""

    def __init__(self, path: Path):
        self.path = path
        self.rows = [
            {
                "id": f"r{i}", "split": split, "note": f"note number {i}" if i % 4 else "",
                "picture": f"img/{i}.png" if i % 3 else "", "size": str(i / 2), "site": "ns"[i % 2],
                "label": ("cat", "dog")[i % 2],
            }
            for i, split in enumerate(SPLITS)
        ]  # fmt: skip
        self.spec = SPEC
        for i, row in enumerate(self.rows):
            if row["picture"]:
                picture(path / row["picture"], 20 * i)

    def put(self, row: int, **cells: str) -> "Folder":
        """Other cells in row ``row`` of the file, which has its header in row 1."""
        self.rows[row - 2] |= cells
        return self

    def change(self, old: str, new: str) -> "Folder":
        assert old in self.spec
        self.spec = self.spec.replace(old, new)
        return self

    def open(self, *changes: str) -> Spec:
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        with open(self.path / "table.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        (self.path / "spec.toml").write_text(self.spec, "utf-8")
        return Spec.open(self.path / "spec.toml", changes)
