"""From questions to samples: words, pictures, and the part of the knowledge graph that they point at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.relations import AllPairs, Linked
from graphfuse.core.sample import NodeFacts, Relation, Sample
from graphfuse.core.schema import Schema
from graphfuse.demo.facts import RELATIONS, Facts
from graphfuse.demo.gallery import Gallery
from graphfuse.demo.pictures import Picture, degrade, degrade_outline
from graphfuse.demo.questions import Question
from graphfuse.kg import KnowledgeGraph, Subgraph

PICTURES = ("flag", "outline")
HIDEABLE = ("text", *PICTURES)
TYPES = ("country", "language", "currency", "region", "subregion", "capital")
CANDIDATES, BESIDE = 5, 3
"""Countries that a picture may show, and how many more beside each named entity; the GNN decides among them."""
HUBS = {"language": 0, "region": 0, "subregion": 0, "capital": 0, "currency": 40}
"""Retrieval arrives at a language or region but does not go on to all its countries; from a currency of at most 40 it
does."""
MAX_NODES = 300
FAINT = -8.0
"""The lowest log-probability that is told apart."""


@dataclass(frozen=True)
class Case:
    """A question as the model gets it.

    Attributes:
        question: What was asked, and the truth.
        sample: Its graph; the target are the rows of the right entities that were retrieved.
        sub: The part of the knowledge graph; the rows of ``sample.nodes["entity"]``.
        candidates: Country entities with the sum of their log-probabilities by the pictures: the best matches, best
            first, then those beside a named entity.
    """

    question: Question
    sample: Sample
    sub: Subgraph
    candidates: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Readers:
    """What turns words and pictures into features: a words encoder, a picture encoder, and the two galleries.

    ``codes``: the countries in the order of every ``log_p [C]``. ``names [len(kg), w]``: the features of the entities'
    names, zeros for countries, whose names must not answer.
    """

    codes: tuple[str, ...]
    words: Any
    pictures: Any
    galleries: Mapping[str, Gallery]
    names: Tensor


def knowledge(facts: Facts) -> KnowledgeGraph:
    """The facts as a knowledge graph with the countries' other names."""
    return KnowledgeGraph.from_triples(facts.triples, aliases=facts.aliases, entities=facts.types)


def schema_of(readers: Readers) -> Schema:
    """Kinds and relations of the atlas."""
    width = {"text": readers.words.width, "flag": readers.pictures.width, "outline": readers.pictures.width}
    edges = [Linked("entity", relation, "entity", "both") for relation in RELATIONS]
    edges += [Linked("text", "mentions", "entity", "both")]
    edges += [Linked(kind, "resembles", "entity", "both", weighted=True) for kind in PICTURES]
    pairs = [AllPairs("text", "text"), AllPairs("text", "entity")]
    pairs += [AllPairs(kind, "text", "both") for kind in PICTURES]
    return Schema({**width, "entity": entity_width(readers)}, [*pairs, *edges])


def entity_width(readers: Readers) -> int:
    """Type, name, and three numbers: whether the words name it, and its log-probability by flag and by outline."""
    return len(TYPES) + readers.names.shape[1] + 1 + len(PICTURES)


def picture_of(
    question: Question, facts: Facts, flags: Mapping[str, Picture], kind: str, level: float
) -> Picture | None:
    """The degraded picture that comes with a question, or ``None``; ``flags``: code -> the flag as drawn."""
    if kind == "flag" and question.flag_seed is not None:
        return degrade(flags[question.country], level, np.random.default_rng(question.flag_seed))
    if kind == "outline" and question.outline_seed is not None:
        return degrade_outline(facts.outlines[question.country], level, np.random.default_rng(question.outline_seed))
    return None


@dataclass(frozen=True)
class Reading:
    """A question as read: features of its words ``[n, w]``, and for each picture that came its features and scores.

    ``seen``: kind -> ``[1 + regions, w]``. ``log_p``: kind -> log-probability of each country ``[C]``. ``asks``: what
    the words ask for, as far as that was told from them; see :mod:`graphfuse.demo.asks`.
    """

    question: Question
    words: Tensor
    seen: dict[str, Tensor]
    log_p: dict[str, Tensor]
    asks: str | None = None

    def without(self, hidden: str) -> Reading:
        """The same question with its words or one kind of picture hidden."""
        words = self.words[:0] if hidden == "text" else self.words
        asks = None if hidden == "text" else self.asks
        kept = [kind for kind in self.seen if kind != hidden]
        seen, log_p = ({kind: given[kind] for kind in kept} for given in (self.seen, self.log_p))
        return replace(self, words=words, seen=seen, log_p=log_p, asks=asks)


def read(
    questions: Sequence[Question], pictures: Mapping[str, Sequence[Picture | None]], readers: Readers
) -> list[Reading]:
    """Words and pictures as features; ``pictures`` has a list beside the questions for each kind of picture."""
    words = readers.words.encode([q.text for q in questions], [q.name for q in questions])
    features = {kind: readers.pictures.encode([as_tensor(p) for p in pictures[kind]]) for kind in PICTURES}
    shown = [q.country for q in questions]
    log_p = {kind: _log_p(readers.galleries[kind], readers.codes, features[kind], shown) for kind in PICTURES}
    readings = []
    for place, question in enumerate(questions):
        seen = {kind: features[kind][place] for kind in PICTURES if len(features[kind][place])}
        readings.append(Reading(question, words[place], seen, {kind: log_p[kind][place] for kind in seen}))
    return readings


def cases_of(readings: Sequence[Reading], facts: Facts, kg: KnowledgeGraph, readers: Readers,
             candidates: int = CANDIDATES) -> list[Case]:  # fmt: skip
    """One case a question; ``candidates`` is how many countries a picture may show.

    A question of which nothing is left (words hidden, no picture) has no case.

    Raises:
        InputError: A question has no picture and its words name no known entity.
    """
    table = _entity_table(facts, kg, readers.names)
    readable = [reading for reading in readings if len(reading.words) or reading.seen]
    return [_case(reading, table, facts, kg, readers, candidates) for reading in readable]


def as_tensor(picture: Picture | None) -> Tensor | None:
    """A picture ``[h, w, 3]`` as the picture encoder takes it, ``uint8 [3, h, w]``."""
    return None if picture is None else torch.from_numpy(picture).permute(2, 0, 1).contiguous()


def _log_p(gallery: Gallery, codes: Sequence[str], features: Sequence[Tensor], shown: Sequence[str]) -> list[Tensor]:
    """Log-probability of each country ``[C]`` a question, at least ``FAINT``; ``[0]`` where there is no picture."""
    there = [place for place, x in enumerate(features) if len(x)]
    out = [torch.zeros(0)] * len(features)
    if there:
        known = gallery.log_p(torch.stack([features[p][1:] for p in there]), [shown[p] for p in there])
        every = torch.full((len(there), len(codes)), FAINT)
        every[:, [codes.index(code) for code in gallery.codes]] = known.clamp(min=FAINT)
        for place, row in zip(there, every):
            out[place] = row
    return out


def _case(reading: Reading, table: Tensor, facts: Facts, kg: KnowledgeGraph, readers: Readers, candidates: int) -> Case:
    question, words, seen, log_p = reading.question, reading.words, reading.seen, reading.log_p
    links_of_words = kg.link(question.text, required=not seen) if len(words) else []
    named = list(dict.fromkeys(link.entity for link in links_of_words))
    joint = torch.stack([*log_p.values()]).sum(0) if log_p else torch.zeros(0)
    best = joint.sort(descending=True, stable=True).indices[:candidates]
    if log_p and candidates > 1:
        best = torch.tensor(list(dict.fromkeys([*best.tolist(), *_beside(named, joint, facts, kg, readers)])))
    countries = [facts.names[readers.codes[place]] for place in best.tolist()]
    seeds = list(dict.fromkeys([*named, *countries]))
    sub = kg.retrieve(seeds, hops=2, max_nodes=MAX_NODES, max_degree=HUBS)
    rows = {name: row for row, name in enumerate(sub.entities)}
    nodes, links = sub.sample_nodes(table)
    entity = nodes["entity"].clone()
    entity[[rows[name] for name in named], -1 - len(PICTURES)] = 1.0
    weights: dict[Relation, Tensor] = {}
    if named:
        links["text", "mentions", "entity"] = _all_to([rows[name] for name in named], len(words))
    to = torch.tensor([rows[name] for name in countries], dtype=torch.long)
    for kind, own in log_p.items():
        links[kind, "resembles", "entity"] = torch.stack([torch.zeros_like(to), to])
        weights[kind, "resembles", "entity"] = own[best]
        entity[to, PICTURES.index(kind) - len(PICTURES)] = 1 - own[best] / FAINT
    target = torch.tensor([rows[name] for name in question.answers if name in rows], dtype=torch.long)
    said = {"text": words} if len(words) else {}
    known: NodeFacts = {"entity": {
        "is": [facts.types[name] for name in sub.entities],
        "named": ["yes" if name in named else None for name in sub.entities],
        "name": list(sub.entities),
    }}  # fmt: skip
    sample = Sample(question.name, {**said, **seen, "entity": entity}, links, {}, weights, target, facts_of(reading),
                    known)  # fmt: skip
    return Case(question, sample, sub, tuple(zip(countries, joint[best].tolist())))


def facts_of(reading: Reading) -> dict[str, float | str]:
    """What rules may ask of a question: what it ``asks``, where that is known, and how many ``pictures`` came."""
    asked: dict[str, float | str] = {"asks": reading.asks} if reading.asks else {}
    return {"pictures": float(len(reading.seen)), **asked}


def _beside(named: Sequence[str], joint: Tensor, facts: Facts, kg: KnowledgeGraph, readers: Readers) -> list[int]:
    """Of the countries one step from each named entity those that the pictures speak for, as places in ``joint``."""
    code = {name: place for place, name in enumerate(facts.names[code] for code in readers.codes)}
    out = []
    for name in named:
        near = torch.tensor([code[other] for other in kg.neighbours(name) if other in code], dtype=torch.long)
        out += near[joint[near].sort(descending=True, stable=True).indices[:BESIDE]].tolist()
    return out


def _all_to(rows: Sequence[int], words: int) -> Tensor:
    """Links from every word to each of the rows, ``[2, words * rows]``."""
    return torch.stack([torch.arange(words).repeat(len(rows)), torch.tensor(rows).repeat_interleave(words)])


def _entity_table(facts: Facts, kg: KnowledgeGraph, names: Tensor) -> Tensor:
    """Features of every entity before anything is asked, ``[len(kg), entity_width]``."""
    kinds = torch.tensor([TYPES.index(facts.types[name]) for name in kg.entities])
    told = torch.nn.functional.one_hot(kinds, len(TYPES)).float()
    return torch.cat([told, names, torch.zeros(len(kg), 1 + len(PICTURES))], 1)
