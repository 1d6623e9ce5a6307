"""Small comparisons with known numbers, and a story whose every text would break a page that does not escape."""

import io
import json
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


def answers_of(methods: dict[str, float], seeds: int, labels: list[str], samples: int = 60) -> list[dict]:
    """Answers with confidences over the whole range; in each run one sample's label never occurred in training."""
    rng, rows = random.Random(1), []
    for method, level in methods.items():
        for seed in range(seeds):
            for i in range(samples):
                truth = [labels[int(len(labels) * rng.random() ** 2)]] if i else []
                right = bool(truth) and rng.random() < level
                said = truth[0] if right else rng.choice([label for label in labels if label not in truth])
                rows.append({"method": method, "seed": seed, "name": f"test/{i}", "said": said, "truth": truth,
                             "confidence": rng.random(), "right": right})  # fmt: skip
    return rows


def missing_of(methods: dict[str, float], seeds: int, metric: str = "accuracy") -> list[dict]:
    """The less the more is hidden in test, and less so with as much hidden in training."""
    rng = random.Random(2)
    return [
        {"method": method, "seed": seed, "train": train, "test": test, "metric": metric,
         "value": level * (1 - test * (1 - train)) + 0.01 * rng.random()}
        for method, level in methods.items() for seed in range(seeds)
        for train in (0.0, 0.3) for test in (0.0, 0.25, 0.5)
    ]  # fmt: skip


def metrics_of(methods: dict[str, float], seeds: int) -> list[dict]:
    """Two that are better the higher, two the lower."""
    values = {"macro_f1": 0.9, "auc": 0.95, "calibration_error": 0.1, "log_loss": 1.5}
    return [
        {"method": method, "seed": seed, "metric": metric, "value": level * value + 0.001 * seed}
        for method, level in methods.items() for seed in range(seeds) for metric, value in values.items()
    ]  # fmt: skip


def rules_of(methods: dict[str, float], seeds: int) -> list[dict]:
    """Three rules of the last two methods: one is mended, one is broken most and stays so, one is never broken."""
    says = {"one": "exactly_one(a, b)", f"if {EVIL}": f'a -> "{EVIL}"', "never": "a | b"}
    return [
        {"method": method, "seed": seed, "rule": rule, "hard": place != 1, "says": says[rule],
         "before": before + 0.01 * seed * (before > 0), "after": before if place == 1 else 0.0}
        for method in list(methods)[-2:] for seed in range(seeds)
        for place, (rule, before) in enumerate(zip(says, (0.125, 0.5, 0.0)))
    ]  # fmt: skip


def write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def write_outcomes(folder: Path, methods: dict[str, float], seeds: int, labels: list[str]) -> None:
    """All four files."""
    write_lines(folder / "answers.jsonl", answers_of(methods, seeds, labels))
    write_lines(folder / "missing.jsonl", missing_of(methods, seeds))
    write_lines(folder / "metrics.jsonl", metrics_of(methods, seeds))
    write_lines(folder / "rules.jsonl", rules_of(methods, seeds))


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

    def cells(self) -> list[list[str]]:
        """The cells of each row, white space as one space."""
        return [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def row(self, start: str, which: int = 0) -> list[str]:
        """The cells behind the first one, of a row whose first cell starts with ``start`` (a star is ignored)."""
        rows = [row for row in self.rows if row and row[0].removeprefix("★ ").startswith(start)]
        return [" ".join(cell.split()) for cell in rows[which][1:]]
