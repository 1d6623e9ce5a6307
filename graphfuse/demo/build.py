"""Everything the demo asks and answers with, made once from the packages: seconds, then from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from graphfuse.core.sample import Sample
from graphfuse.core.schema import Schema
from graphfuse.demo import asks
from graphfuse.demo.atlas import (
    PICTURES,
    Case,
    Readers,
    Reading,
    as_tensor,
    cases_of,
    knowledge,
    picture_of,
    read,
    schema_of,
)
from graphfuse.demo.facts import Facts, read_facts
from graphfuse.demo.gallery import Gallery, reference_copies
from graphfuse.demo.pictures import Picture, draw_flag
from graphfuse.demo.questions import make_questions, split_countries
from graphfuse.encoders.image import Image
from graphfuse.encoders.ngrams import NGrams
from graphfuse.encoders.text import Text
from graphfuse.kg import KnowledgeGraph

SPLITS = ("train", "valid", "test")
PIXELS, GRID = 96, 2
NAME_WIDTH = 48
"""Principal components of the names' features: enough to tell them apart, small enough for many copies in samples."""
COPIES = {"full": 12, "quick": 5, "tiny": 3}


@dataclass(frozen=True)
class Atlas:
    """Facts, knowledge graph, readers, and the questions of each split as cases."""

    facts: Facts
    kg: KnowledgeGraph
    readers: Readers
    schema: Schema
    readings: dict[str, list[Reading]]
    cases: dict[str, list[Case]]
    pictures: dict[str, dict[str, list[Picture | None]]]

    def samples(self, split: str) -> list[Sample]:
        """The samples of a split."""
        return [case.sample for case in self.cases[split]]

    def hard(self, split: str) -> list[Case]:
        """The questions of a split with the one country that the pictures resemble most, as a pipeline would link."""
        return cases_of(self.readings[split], self.facts, self.kg, self.readers, candidates=1)


def build(
    seed: int = 0, size: str = "full", language: str = "en", level: float = 1.5, folder: Path | None = None
) -> Atlas:
    """The atlas of one seed: which countries are held back, all questions, all pictures, all samples.

    ``folder`` keeps the model that tells what a question asks, or has it.
    """
    facts = read_facts(language)
    kg = knowledge(facts)
    questions = make_questions(facts, seed, size)
    readers = read_with(facts, kg, split_countries(facts, seed)["train"], level, COPIES[size])
    flags = {code: draw_flag(facts.flags[code]) for code in facts.codes}
    pictures = {s: {k: [picture_of(q, facts, flags, k, level) for q in questions[s]] for k in PICTURES} for s in SPLITS}
    readings = {s: read(questions[s], pictures[s], readers) for s in SPLITS}
    teller = asks.learned(readings, seed, folder)
    readings = {s: asks.told(teller, readings[s]) for s in SPLITS}
    cases = {s: cases_of(readings[s], facts, kg, readers) for s in SPLITS}
    return Atlas(facts, kg, readers, schema_of(readers), readings, cases, pictures)


def read_with(facts: Facts, kg: KnowledgeGraph, training: Sequence[str], level: float, copies: int) -> Readers:
    """The encoders, and the galleries with the metric that ``training`` countries teach."""
    pictures = Image(grid=GRID, size=PIXELS)
    galleries = {}
    for kind, (codes, drawn) in reference_copies(facts, level, copies).items():
        features = torch.stack(pictures.encode([as_tensor(picture) for picture in drawn]))  # [C * R, 1 + g * g, w]
        galleries[kind] = Gallery.of(codes, features[:, 1:].unflatten(0, (len(codes), copies)), training)
    words, titles = (Text(), Text(nodes="one")) if facts.language == "en" else (NGrams(nodes="words"), NGrams())
    names = torch.cat(titles.encode(kg.entities))  # [len(kg), w]
    left, size, _ = torch.linalg.svd(names - names.mean(0), full_matrices=False)
    left = left * left.gather(0, left.abs().argmax(0, keepdim=True)).sign()  # a direction's sign is the solver's whim
    names = (left * size)[:, :NAME_WIDTH]
    country = torch.tensor([facts.types[name] == "country" for name in kg.entities])
    return Readers(facts.codes, words, pictures, galleries, names.masked_fill(country[:, None], 0.0))
