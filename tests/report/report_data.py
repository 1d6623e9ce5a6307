"""Small comparisons with known numbers, and a story whose every text would break a page that does not escape."""

import io
import random
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from graphfuse.report import Card, EvidencePath, Hidden, Looked, Picture, Story
from graphfuse.training.comparison import Run

EVIL = '<script>alert(\'1\')</script>" onload="x" & 邻国'
METHODS = {"text": 0.3, "concat": 0.4, "gate": 0.8, f"gat {EVIL}": 0.7}


def runs_of(methods: dict[str, float], seeds: int, metric: str = "accuracy", best: str = "max") -> tuple[Run, ...]:
    """Every seed has 40 test samples of its own; accuracies are 0 or 1, other metrics any number."""
    rng, runs = random.Random(0), []
    for method, level in methods.items():
        for seed in range(seeds):
            names = [f"seed-{seed}/test/{i}" for i in range(40)]
            drawn = {name: rng.random() for name in names}
            scores = {name: float(x < level) if metric == "accuracy" else 50 * level + x for name, x in drawn.items()}
            epochs = range(1, 4 + seed)
            history = tuple({"epoch": e, f"valid_{metric}": level * (1 - 0.5**e) + 0.01 * seed} for e in epochs)
            runs.append(Run(method, seed, metric, best, {metric: level}, scores, 1234, 5.5, history))
    return tuple(runs)


def picture(mode: str = "PNG") -> Picture:
    data = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(data, mode)
    return Picture(EVIL, data.getvalue())


def story_of(seeds: int = 3) -> Story:
    names = [f"seed-{seed}/test/{i}" for seed in range(seeds) for i in range(40)]
    path = EvidencePath("Chad", (("Sudan", "borders", "Chad"), ("Sudan", f"currency {EVIL}", "Pound")))
    card = Card(f"card {EVIL}", f"ask {EVIL}", f"answer {EVIL}", (f"truth {EVIL}", "Niger"), False, 0.25,
                (picture(), picture("JPEG")), (path,), (Looked(f"kind {EVIL}", f"node {EVIL}", 0.5),))  # fmt: skip
    return Story(
        title=f"title {EVIL}",
        lead=f"lead {EVIL}",
        groups={"text": f"one modality {EVIL}", "concat": "no graph", "gate": "graph"},
        against=("concat", f"one modality {EVIL}"),
        slices={
            f"form {EVIL}": {"flag": tuple(names[::2]), f"slice {EVIL}": tuple(names[1::2])},
            "type": {f"type {i}": tuple(names[i::8]) for i in range(8)},
        },
        hidden=(Hidden("gate", f"hidden {EVIL}", 0.5, 0.02, 0.3), Hidden("gate", "nothing much", 0.85, 0.01, -0.05)),
        cards=(card, Card("case/2", "这面旗帜属于哪个国家？", "乍得", ("乍得",), True)),
        made={"Command": f"graphfuse {EVIL}", f"key {EVIL}": "value"},
        credits=(f"credit {EVIL} https://openmoji.org",),
        language="zh",
    )


class Page(HTMLParser):
    """What a browser would make of a page: tags with their attributes, texts, and the rows of tables."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "table":
            self.rows.append([])

    def handle_data(self, data):
        self.texts.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data

    def row(self, start: str, which: int = 0) -> list[str]:
        """The cells behind the first one, of a row whose first cell starts with ``start`` (a star is ignored)."""
        rows = [row for row in self.rows if row and row[0].removeprefix("★ ").startswith(start)]
        return [" ".join(cell.split()) for cell in rows[which][1:]]
