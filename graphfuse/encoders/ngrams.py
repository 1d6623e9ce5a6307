"""``ngrams``: words as hashed character n-grams; any language, nothing to download."""

import hashlib
import itertools
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.encoders.base import Encoder, is_lacking, place
from graphfuse.encoders.options import check_one_of, check_whole

MEMORY = 1 << 18  # words and n-grams whose hashes are remembered
TOGETHER = 2048  # nodes computed at a time
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO")  # how the Unicode names of such characters begin


class NGrams(Encoder):
    """Text nodes from the characters alone: one for the whole text, or one for each word.

    Text is normalised (NFKC, no case) and cut into words; a punctuation mark is a word of its own. The n-grams
    (``shortest`` to ``longest`` characters) of each word, its borders marked, are counted, dampened to
    ``1 + log(count)``, hashed to one of ``width`` places with a sign, and scaled to length 1. In Chinese and Japanese,
    which have no spaces, ``one`` takes n-grams across characters, and ``words`` makes each character a node.

    Shape: raw rows are the features, float32 ``[n, width]``.
    Source: feature hashing with signs (Weinberger et al. 2009, eq. 2); the hash is BLAKE2b, the same on every machine.

    Raises:
        InputError: An option is wrong.
    """

    name = "ngrams"

    def __init__(self, width: int = 1024, shortest: int = 1, longest: int = 4, nodes: str = "one"):
        super().__init__()
        self.width = self.raw_width = check_whole("width", width, 2)
        self.shortest = check_whole("shortest", shortest, 1)
        self.longest = check_whole("longest", longest, self.shortest, 16)
        self.nodes = check_one_of("form of text nodes", nodes, ("one", "words"))

    def config(self) -> dict[str, Any]:
        """The options."""
        return {"width": self.width, "shortest": self.shortest, "longest": self.longest, "nodes": self.nodes}

    def prepare(self, values: Sequence[str | None], names: Sequence[str] | None = None) -> list[Tensor]:
        """Features of each text, float32 ``[n, width]``."""
        parts: list[list[str]] = []  # the pieces of each node of each text, one after another
        counts = []
        for i, value in enumerate(values):
            if not is_lacking(value) and not isinstance(value, str):
                raise InputError(f"{place(names, i)}: {value!r} is not a text; a str is needed.")
            nodes = [] if is_lacking(value) else self._nodes(value or "")
            parts += nodes
            counts.append(len(nodes))
        vectors = [self._vectors(parts[i : i + TOGETHER]) for i in range(0, len(parts), TOGETHER)]
        return list(torch.cat([torch.empty(0, self.width), *vectors]).split(counts))

    def forward(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """The rows as they are."""
        return rows, offsets

    def words(self, text: str) -> list[str]:
        """What the nodes of a text are called where each word is one."""
        return [word for (word,) in self._nodes(text)] if self.nodes == "words" else []

    def _nodes(self, text: str) -> list[list[str]]:
        pieces = itertools.chain.from_iterable(map(pieces_of, fold(text).split()))
        if self.nodes == "one":
            whole = list(pieces)
            return [whole] if whole else []
        return [[word] for piece in pieces for word in (piece if kind_of(piece[0]) == "unspaced" else [piece])]

    def _vectors(self, nodes: Sequence[Sequence[str]]) -> Tensor:
        """One vector for each list of pieces, ``[n, width]``."""
        grams = [[hashes(piece, self.shortest, self.longest) for piece in pieces] for pieces in nodes]
        sizes = [sum(map(len, each)) for each in grams]
        flat = np.concatenate([np.empty(0, np.int64), *itertools.chain.from_iterable(grams)])  # [G]
        owner = np.repeat(np.arange(len(nodes)), sizes)  # [G]
        pairs, count = np.unique(owner << 32 | flat, return_counts=True)  # each n-gram of each node once
        owner, gram = pairs >> 32, pairs & 0xFFFFFFFF
        value = np.where(gram >> 31, 1.0, -1.0) * (1 + np.log(count))  # the topmost bit is the sign
        cell = owner * self.width + (gram & 0x7FFFFFFF) % self.width
        sums = np.bincount(cell, value, minlength=len(nodes) * self.width).reshape(len(nodes), self.width)
        return torch.nn.functional.normalize(torch.from_numpy(sums).float(), dim=-1)


def fold(text: str) -> str:
    """Text without differences of case, width or composition."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@lru_cache(MEMORY)
def pieces_of(run: str) -> tuple[str, ...]:
    """What a run of characters between spaces is made of: words, unspaced runs (Chinese, Japanese), single marks."""
    pieces: list[str] = []
    before = "gap"
    for character in run:
        kind = kind_of(character) or before
        if kind == before and kind in ("word", "unspaced"):
            pieces[-1] += character
        elif kind != "gap":
            pieces.append(character)
        before = kind
    return tuple(pieces)


@lru_cache(MEMORY)
def kind_of(character: str) -> str:
    """``word``, ``unspaced``, ``mark`` or ``gap``; empty for a combining sign, which goes with what it follows."""
    group = unicodedata.category(character)[0]
    if group in "LN":
        label = unicodedata.name(character, "")
        return "unspaced" if label.startswith(UNSPACED) else "word"
    return {"M": "", "P": "mark", "S": "mark"}.get(group, "gap")


@lru_cache(MEMORY)
def hashes(piece: str, shortest: int, longest: int) -> np.ndarray:
    """The hash of each n-gram of a piece with its borders, ``int64 [g]``, each in 32 bits."""
    marked = f" {piece} "
    grams = (marked[i : i + n] for n in range(shortest, longest + 1) for i in range(len(marked) - n + 1))
    return np.array([hash_of(gram) for gram in grams if gram != " "], np.int64)


@lru_cache(MEMORY)
def hash_of(gram: str) -> int:
    """32 bits of BLAKE2b."""
    return int.from_bytes(hashlib.blake2b(gram.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")
