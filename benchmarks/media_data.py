"""Public sets of other kinds as plain tables: three omics, recipes with pictures, judgements of voice and of face.

ROSMAP (``rosmap/rosmap.npz``): expression, methylation and micro-RNA of 351 people, 200 features each, as published
with MOGONET. Recipes (``recipes/recipes_en|zh.jsonl``, ``img/``): 410 English and 368 Chinese dishes, public domain.
CREMA-D (``cremad_votes/cremad_votes.npz``, Open Database License): what people heard and saw in 7,442 clips.
Features are inline lists of numbers, and an empty cell is a modality that lacks.
"""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table_files import read_arrays, read_lines
from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError

Row = dict[str, Any]

LANGUAGES = {"en": "; ", "zh": "；"}  # and what stands between ingredients
PARTS = ("train", "test")  # of the published split
OMICS = ("mrna", "meth", "mirna")
LABELS = ("control", "alzheimer")
SHARE, SEED = 0.15, 0  # of training rows that validate where no split says which, and of the draw
FOLDS = ("test", "valid", "train", "train", "train")  # what fold 0, 1, ... of recipes and clips is
LEAST = 20  # dishes that a tag needs
VOTED = ("votes", "mean_level", "sentence", "age", "female", "fold", "sentence_text", "emotion_name", "view_name")


def rosmap(folder: str | Path) -> list[Row]:
    """ROSMAP, with the official test split; a stratified ``SHARE`` of the official training rows validates.

    Columns: ``id, mrna, meth, mirna, label, split``; each feature is standardised by what it is in training rows.

    Raises:
        InputError: The file is missing or broken.
    """
    found = read_arrays(Path(folder) / "rosmap.npz", [f"{name}_{p}" for name in (*OMICS, "y") for p in PARTS])
    rows = []
    for part in PARTS:
        views = [found[f"{name}_{part}"] for name in OMICS]
        for number, (label, *features) in enumerate(zip(found[f"y_{part}"].tolist(), *views, strict=True)):
            row = {"id": f"rosmap-{part}-{number}", **dict(zip(OMICS, features))}
            rows.append({**row, "label": LABELS[label], "split": part})
    return _scaled(_validated(rows, random.Random(SEED)))


def folds(rows: Sequence[Row], repeats: int = 10, folds: int = 5, seed: int = 0) -> list[list[Row]]:
    """Repeated stratified cross-validation over all rows of ``rosmap``: ``repeats * folds`` tables of other splits.

    Those of one repeat follow each other, and each row is in the test of one of them. Of the training folds a
    stratified ``SHARE`` validates. Features are standardised anew by the training rows of each table.

    Raises:
        InputError: There are fewer than 2 folds, or not enough rows.
    """
    if not 2 <= folds <= len(rows):
        raise InputError(f"folds is {folds}; 2 to {len(rows)}, the number of rows, are possible.")
    tables = []
    for repeat in range(repeats):
        rng = random.Random(f"{seed}-{repeat}")
        dealt = {i: place % folds for place, i in enumerate(i for own in _strata(rows, rng) for i in own)}
        for fold in range(folds):
            split = [{**row, "split": "test" if dealt[i] == fold else "train"} for i, row in enumerate(rows)]
            tables.append(_scaled(_validated(split, rng)))
    return tables


def recipes(folder: str | Path, language: str) -> list[Row]:
    """Dishes of one language; fold 0 is the test, fold 1 validates.

    Columns: ``id, text, ingredients, picture, target, split``. The Chinese target is the dish's category, the English
    one the list of its tags that ``LEAST`` dishes have, empty for some. ``text`` is title, introduction and steps: the
    title stays, though it often names the category, since the published floors read all text. Ingredients are a column
    of their own and not repeated in ``text``, so that a column alone, or hidden, is what it says. The picture is the
    last by name, the likeliest to show the finished dish; more than half of the dishes have none.

    Raises:
        InputError: The language is unknown, or the file is missing or broken.
    """
    between = look_up(LANGUAGES, language, "language")
    records = read_lines(Path(folder) / f"recipes_{language}.jsonl")
    counts = Counter(tag for record in records for tag in record.get("tags", ()))
    kept = {tag for tag, count in counts.items() if count >= LEAST}
    rows = []
    for record in records:
        pictures = sorted(record.get("images", ()))
        rows.append({
            "id": record["id"],
            "text": "\n".join(record[key] for key in ("title", "intro", "steps") if record.get(key)),
            "ingredients": between.join(record.get("ingredients", ())),
            "picture": f"img/{pictures[-1]}" if pictures else "",
            "target": record["category"] if language == "zh" else [tag for tag in record["tags"] if tag in kept],
            "split": FOLDS[record["fold"]],
        })  # fmt: skip
    return rows


def cremad(folder: str | Path) -> list[Row]:
    """CREMA-D: what most people say who both hear and see a clip, from what others say who do only one of the two.

    Columns: ``id, voice, face, age, sex, sentence, label, split``. ``voice`` and ``face`` are the shares of six
    emotions in the votes of that view, and the mean level of the emotion from 0 to 1; empty where nobody voted. No vote
    or level of those who hear and see goes in. Clips whose majority ties are dropped. Splits keep an actor whole: fold
    0 is the test, fold 1 validates.

    Raises:
        InputError: The file is missing or broken.
    """
    found = read_arrays(Path(folder) / "cremad_votes.npz", VOTED)
    voice, face, both = (found["view_name"].tolist().index(name) for name in ("voice", "face", "both"))
    votes, emotions, sentences = found["votes"], found["emotion_name"].tolist(), found["sentence_text"].tolist()
    judged = votes[:, both]
    tied = (judged == judged.max(1, keepdims=True)).sum(1) > 1
    shares = votes / np.maximum(votes.sum(2, keepdims=True), 1)  # [clips, views, emotions]
    features = np.concatenate([shares, found["mean_level"][..., None] / 100], 2).round(4)
    rows = []
    for i in np.flatnonzero(~tied).tolist():
        view = {n: features[i, k].tolist() if votes[i, k].any() else "" for n, k in (("voice", voice), ("face", face))}
        rows.append({
            "id": f"cremad-{i}",
            **view,
            "age": int(found["age"][i]),
            "sex": "female" if found["female"][i] else "male",
            "sentence": sentences[found["sentence"][i]],
            "label": emotions[judged[i].argmax()],
            "split": FOLDS[found["fold"][i]],
        })  # fmt: skip
    return rows


def _strata(rows: Sequence[Row], rng: random.Random) -> list[list[int]]:
    """The numbers of the rows of each label, in a random order."""
    strata: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        strata.setdefault(row["label"], []).append(i)
    return [rng.sample(strata[label], len(strata[label])) for label in sorted(strata)]


def _validated(rows: list[Row], rng: random.Random) -> list[Row]:
    """Rows of which a stratified share of those that train validates."""
    train = [i for i, row in enumerate(rows) if row["split"] == "train"]
    strata = _strata([rows[i] for i in train], rng)
    held = {train[k] for own in strata for k in own[: round(SHARE * len(own))]}
    return [{**row, "split": "valid"} if i in held else row for i, row in enumerate(rows)]


def _scaled(rows: list[Row]) -> list[Row]:
    """Rows with each feature standardised by its mean and deviation in those that train."""
    train, views = np.array([row["split"] == "train" for row in rows]), {}
    for name in OMICS:
        values = np.array([row[name] for row in rows], np.float64)
        mean, std = values[train].mean(0), values[train].std(0)
        views[name] = ((values - mean) / np.where(std > 0, std, 1)).round(4).tolist()
    return [{**row, **{name: views[name][i] for name in OMICS}} for i, row in enumerate(rows)]
