"""Finding the entities that a text names."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from graphfuse.core.errors import InputError
from graphfuse.kg.tokens import Token, tokens

if TYPE_CHECKING:
    from graphfuse.kg.graph import KnowledgeGraph

NAME, ALIAS = 1.0, 0.95
ACCENTS, SLIP = 0.9, 0.7  # factors: accents or hyphens differ; one slip of spelling
SHORTEST_SLIP = 5  # letters; "Chad" is too near to "chat"


Key = tuple[str, ...]
Span = tuple[int, int]
Match = tuple[Span, dict[int, float]]  # a place in the text, the entities it may name and their scores


@dataclass(frozen=True)
class Link:
    """An entity that a text names: its name in the graph, a score up to 1, and ``text[span[0]:span[1]]``."""

    entity: str
    score: float
    span: Span


@dataclass(frozen=True)
class Spelling:
    """One name of an entity: its tokens as they are written, and how much the name is worth."""

    entity: int
    text: Key
    worth: float


@dataclass(frozen=True, eq=False)
class NameIndex:
    """The names of a graph by their tokens without accents, and how many tokens names have by their first."""

    spellings: dict[Key, list[Spelling]]
    lengths: dict[str, set[int]]

    @classmethod
    def of(cls, kg: "KnowledgeGraph") -> "NameIndex":
        """The index of all names and aliases of ``kg``."""
        spellings: dict[Key, list[Spelling]] = defaultdict(list)
        lengths: dict[str, set[int]] = defaultdict(set)
        for entity, name in enumerate(kg.entities):
            for written, worth in [(name, NAME), *((alias, ALIAS) for alias in kg.aliases.get(name, ()))]:
                parts = tokens(written)
                if parts:
                    spellings[_key(parts)].append(Spelling(entity, _written(parts), worth))
                    lengths[parts[0].plain].add(len(parts))
        return cls(dict(spellings), dict(lengths))

    @cached_property
    def slips(self) -> dict[str, set[Key]]:
        """The names by every text that one slip can make of them or of which one slip makes them."""
        slips: dict[str, set[Key]] = defaultdict(set)
        for key in self.spellings:
            for variant in _variants(key):
                slips[variant].add(key)
        return dict(slips)

    @cached_property
    def longest(self) -> int:
        """The most tokens of a name."""
        return max(map(len, self.spellings), default=0)

    def exact(self, parts: list[Token]) -> list[Match]:
        """Every run of tokens that is a name, accents aside."""
        found = []
        for i, part in enumerate(parts):
            for length in self.lengths.get(part.plain, ()):
                run = parts[i : i + length]
                if _key(run) in self.spellings:
                    found.append((_span(run), self._scores(run, _key(run), 1.0)))
        return found

    def near(self, parts: list[Token]) -> list[Match]:
        """Every run of tokens that is one slip away from a name."""
        found = []
        for i in range(len(parts)):
            for length in range(1, min(self.longest, len(parts) - i) + 1):
                run, scores = parts[i : i + length], dict[int, float]()
                keys = {key for variant in _variants(_key(run)) for key in self.slips.get(variant, ())}
                for key in keys:
                    for entity, score in self._scores(run, key, SLIP).items():
                        scores[entity] = max(score, scores.get(entity, 0.0))
                if scores:
                    found.append((_span(run), scores))
        return found

    def _scores(self, run: list[Token], key: Key, factor: float) -> dict[int, float]:
        """The entities of that name, and how well the best of their spellings fits the run."""
        scores: dict[int, float] = {}
        for spelling in self.spellings[key]:
            fit = spelling.worth * factor
            if factor == 1 and spelling.text != _written(run):
                fit *= ACCENTS
            scores[spelling.entity] = max(fit, scores.get(spelling.entity, 0.0))
        return scores


def link(kg: "KnowledgeGraph", text: str, k: int, fuzzy: bool, required: bool) -> list[Link]:
    """See ``KnowledgeGraph.link``. Cost: a few look-ups for each token of the text, whatever the size of the graph."""
    parts = tokens(text)
    matches = _longest_first(kg.names.exact(parts))
    if fuzzy:
        matches += _longest_first(kg.names.near(parts))
    links = [
        Link(kg.entities[entity], score, span)
        for span, scores in _apart(matches)
        for entity, score in _shared(scores).items()
    ]
    if required and not links:
        raise InputError(_nothing_named(kg, text, parts))
    return sorted(links, key=lambda link: (-link.score, link.span, kg.index(link.entity)))[:k]


def _longest_first(matches: list[Match]) -> list[Match]:
    return sorted(matches, key=lambda match: (match[0][0] - match[0][1], match[0]))


def _apart(matches: list[Match]) -> Iterator[Match]:
    """The matches that overlap none before them."""
    taken: list[Span] = []
    for span, scores in matches:
        if all(span[1] <= begin or end <= span[0] for begin, end in taken):
            taken.append(span)
            yield span, scores


def _shared(scores: dict[int, float]) -> dict[int, float]:
    """The scores, those that are equal divided by how many they are."""
    alike = Counter(scores.values())
    return {entity: score / alike[score] for entity, score in scores.items()}


def _nothing_named(kg: "KnowledgeGraph", text: str, parts: list[Token]) -> str:
    near = [kg.entities[entity] for _, scores in _longest_first(kg.names.near(parts)) for entity in sorted(scores)]
    known = " or ".join(map(repr, dict.fromkeys(near[:3])))
    examples = ", ".join(map(repr, kg.entities[:3]))
    hint = f"did you mean {known}?" if near else f"name one of its {len(kg)}, such as {examples}."
    return f"{text!r} names no known entity of the knowledge graph; {hint}"


def _key(run: list[Token]) -> Key:
    return tuple(token.plain for token in run)


def _written(run: list[Token]) -> Key:
    return run[0].text, *(token.glue + token.text for token in run[1:])


def _span(run: list[Token]) -> Span:
    return run[0].start, run[-1].end


def _variants(key: Key) -> set[str]:
    """The name itself and the name less any one letter; two names that share one of these are a slip apart."""
    name = " ".join(key)
    if sum(map(len, key)) < SHORTEST_SLIP:
        return set()
    return {name, *(name[:i] + name[i + 1 :] for i in range(len(name)))}
