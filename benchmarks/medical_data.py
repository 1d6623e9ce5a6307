"""The public formats of SLAKE and VQA-RAD as plain tables, one question a row.

SLAKE (Liu et al. 2021, CC BY 4.0): ``train|validate|test.jsonl.gz`` and ``images/``; English and Chinese questions
about 642 pictures, each language with picture splits of its own. VQA-RAD (Lau et al. 2018, CC0 1.0):
``train|test.jsonl`` and ``images/``; 3,064 and 451 questions about 315 pictures, without a validation split.

Columns: ``id, question, image, answer, split`` and, to slice results only, ``closed`` and for SLAKE ``base``; for rules
alone, the facts of SLAKE's English questions. Answers are in lower case and trimmed; nothing else is changed, and test
answers that training never sees stay.
"""

import gzip
import json
import random
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from benchmarks import slake_facts
from graphfuse.core.errors import InputError

Row = dict[str, str]
Protocol = Literal["published", "strict", "unseen"]

LANGUAGES = ("en", "zh")
PROTOCOLS = ("published", "strict", "unseen")
SPLITS = {"train": "train", "validate": "valid", "test": "test"}  # SLAKE's files and our names
SHARE, SEED = 0.15, 0  # of VQA-RAD's training rows that validate, and of the draw


def slake(folder: str | Path, language: str = "en") -> list[Row]:
    """SLAKE in one language, splits as published; ``base`` is ``kvqa`` where the knowledge graph is asked.

    In English with the facts that rules ask for, of :mod:`benchmarks.slake_facts`, empty where they do not apply.
    One English training row without an answer is left out.

    Raises:
        InputError: The language is unknown, or a file is missing or broken.
    """
    _known("language", language, LANGUAGES)
    return [
        _row(record, f"slake-{record['qid']}", split)
        | {"base": record["base_type"]}
        | (slake_facts.facts(record["question"], record["location"]) if language == "en" else {})
        for name, split in SPLITS.items()
        for record in _read(Path(folder) / f"{name}.jsonl.gz")
        if record["lang"] == language and record["answer"].strip()
    ]


def vqa_rad(folder: str | Path, protocol: Protocol = "published") -> list[Row]:
    """VQA-RAD with a validation split carved out of training; the test split is the published one in each protocol.

    ``published``: all training rows, 292 of which reword a test question on its picture. ``strict``: without these.
    ``unseen``: without all rows whose picture is in the test. Validation is as far from training as the test is: whole
    groups (all wordings of a question) for ``strict``, whole pictures for ``unseen``; for ``published`` whole groups
    but for their framed wordings, which stay in training as those of most test questions do.

    Raises:
        InputError: The protocol is unknown, or a file is missing or broken.
    """
    _known("protocol", protocol, PROTOCOLS)
    train, test = (_read(Path(folder) / f"{name}.jsonl") for name in ("train", "test"))
    seen = {record["image"] for record in test}
    if protocol == "strict":
        train = [record for record in train if not record["test_reword"]]
    if protocol == "unseen":
        train = [record for record in train if record["image"] not in seen]
    stays = [protocol == "published" and record["phrase_type"] == "frame" for record in train]
    held = _held_back([record["image" if protocol == "unseen" else "group"] for record in train], stays)
    rows = [_row(r, f"rad-train-{r['qid']}", "valid" if h else "train") for r, h in zip(train, held)]
    return rows + [_row(record, f"rad-test-{record['qid']}", "test") for record in test]


def _row(record: dict[str, Any], name: str, split: str) -> Row:
    return {
        "id": name,
        "question": record["question"].strip(),
        "image": f"images/{record['image']}",
        "answer": record["answer"].strip().lower(),
        "split": split,
        "closed": record["answer_type"],
    }


def _held_back(groups: Sequence[object], stays: Sequence[bool]) -> list[bool]:
    """Which rows validate: groups in an order drawn from ``SEED`` but for what stays, until they are ``SHARE``."""
    order = list(dict.fromkeys(groups))
    random.Random(SEED).shuffle(order)
    counts = Counter(group for group, stay in zip(groups, stays) if not stay)
    held, count = set(), 0
    for group in order:
        if count >= SHARE * len(groups):
            break
        held.add(group)
        count += counts[group]
    return [group in held and not stay for group, stay in zip(groups, stays)]


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return [json.loads(line) for line in data.decode("utf-8").split("\n") if line.strip()]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON lines ({error}).") from error


def _known(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"{what} is {value!r}; there are {', '.join(known)}.")
