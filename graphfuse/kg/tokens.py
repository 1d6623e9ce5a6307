"""Text cut into the tokens by which names are compared, each with its place in the original text."""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

APOSTROPHES = "’‘ʼʹ′`´＇‛"
DASHES = "‐‑‒–—―−﹣－"
ALIKE = str.maketrans({**dict.fromkeys(APOSTROPHES, "'"), **dict.fromkeys(DASHES, "-")})
PLAIN = str.maketrans({"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"})
# Scripts that put no space between words, or, as Korean, hang particles on them.
UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1100, 0x11FF),  # Hangul letters
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x312F),  # Kana, Bopomofo
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul syllables
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x3FFFF),  # Han, extensions
)


class Token(NamedTuple):
    """A word, a character of a script without spaces, or a sign.

    ``text`` is normalised (NFKC, no case), ``plain`` has no accents either; ``glue`` is ``"-"`` where a hyphen joins
    the token to the one before; ``start`` and ``end`` are its place in the original text.
    """

    text: str
    plain: str
    glue: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of ``text`` in order. A hyphen between two words is the ``glue`` of the second, not a token."""
    runs = list(_runs(text.translate(ALIKE)))
    found: list[Token] = []
    glue = ""
    for i, (form, start, end) in enumerate(runs):
        if form == "-" and 0 < i < len(runs) - 1 and runs[i - 1][2] == start and runs[i + 1][1] == end:
            glue = "-"
            continue
        found.append(Token(form, without_accents(form), glue, start, end))
        glue = ""
    return found


def without_accents(text: str) -> str:
    """``text`` without the marks that stand over and under Latin, Greek and Cyrillic letters."""
    if text.isascii():
        return text
    letters = unicodedata.normalize("NFD", text.translate(PLAIN))
    return unicodedata.normalize("NFC", "".join(letter for letter in letters if not "\u0300" <= letter <= "\u036f"))


def _runs(text: str) -> Iterator[tuple[str, int, int]]:
    """Normalised form, start and end of each token: word characters that touch are one token, others one each."""
    word, begin, stop = "", 0, 0
    for form, start, end in _characters(text):
        if form[:1].isalnum() and not _is_unspaced(form):
            if word and stop == start:
                word, stop = word + form, end
                continue
            if word:
                yield word, begin, stop
            word, begin, stop = form, start, end
            continue
        if word:
            yield word, begin, stop
            word = ""
        if form.strip():
            yield form, start, end
    if word:
        yield word, begin, stop


def _characters(text: str) -> Iterator[tuple[str, int, int]]:
    """Normalised form, start and end of each character together with the marks that follow it."""
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or not _continues(text[end]):
            yield _normalised(text[start:end]), start, end
            start = end


def _continues(letter: str) -> bool:
    if letter.isascii():
        return False
    is_mark = unicodedata.category(letter)[0] == "M" or unicodedata.category(letter) == "Cf"
    return is_mark or letter in "\uff9e\uff9f" or "\u1160" <= letter <= "\u11ff"


def _normalised(letters: str) -> str:
    if letters.isascii():
        return letters.lower()
    kept = "".join(letter for letter in letters if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold())


def _is_unspaced(form: str) -> bool:
    return not form.isascii() and any(first <= ord(form[0]) <= last for first, last in UNSPACED)
