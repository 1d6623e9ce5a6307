"""The types of questions: which way each walks through the facts, and what may be said besides.

The answers are the entities at the end of the walk; several may be right. A two-step type goes by the neighbours of
the country, or by its currency.
"""

from dataclasses import dataclass

from graphfuse.demo.facts import Facts

POSSIBLE = 3  # a clue leaves at least so many countries possible: the picture must say the rest


@dataclass(frozen=True)
class QuestionType:
    """Walks ``path`` from the country; keeps the ends that ``picked_by`` links to the hint, an entity in the text.

    ``~`` before a relation: against its direction. ``clues``: relations by which a clue may describe the country;
    the others would tell the answer.
    """

    path: tuple[str, ...]
    clues: tuple[str, ...]
    picked_by: str | None = None

    @property
    def steps(self) -> int:
        """How many facts lie between the country and an answer, one for the hint included."""
        return len(self.path) + (self.picked_by is not None)

    def answers(self, facts: Facts, country: str, hint: str | None = None) -> tuple[str, ...]:
        """The entities that answer the question about the entity ``country``, which is none of them."""
        ends: tuple[str, ...] = (country,)
        for relation in self.path:
            ends = tuple(dict.fromkeys(tail for end in ends for tail in facts.tails(end, relation)))
        if self.picked_by and hint:
            ends = tuple(end for end in ends if hint in facts.tails(end, self.picked_by))
        return tuple(end for end in ends if end != country)

    def hints(self, facts: Facts, country: str) -> tuple[str | None, ...]:
        """The hints that pick some of the ends but not all; (None,) for a type that picks none."""
        if not self.picked_by:
            return (None,)
        ends = self.answers(facts, country)
        found = dict.fromkeys(tail for end in ends for tail in facts.tails(end, self.picked_by))
        return tuple(hint for hint in found if len(self.answers(facts, country, hint)) < len(ends))

    def clues_for(self, facts: Facts, country: str, answers: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """(relation, entity) of each clue that is neither an answer nor one step of the asked kind away from one."""
        return tuple(
            (relation, clue)
            for relation in self.clues
            for clue in facts.tails(country, relation)
            if len(facts.tails(clue, f"~{relation}")) >= POSSIBLE
            and clue not in answers
            and not set(facts.tails(clue, self.path[-1])) & set(answers)
        )


TYPES = {
    "capital": QuestionType(("capital",), ("borders", "subregion", "language", "currency")),
    "currency": QuestionType(("currency",), ("borders", "subregion", "language")),
    "language": QuestionType(("language",), ("borders", "subregion", "currency")),
    "borders": QuestionType(("borders",), ("subregion", "language", "currency")),
    "region": QuestionType(("region",), ("language", "currency")),
    "subregion": QuestionType(("subregion",), ("language", "currency")),
    "neighbour_currencies": QuestionType(("borders", "currency"), ("subregion", "language")),
    "neighbour_languages": QuestionType(("borders", "language"), ("subregion", "currency")),
    "neighbour_capitals": QuestionType(("borders", "capital"), ("subregion", "language", "currency")),
    "neighbour_subregions": QuestionType(("borders", "subregion"), ("language", "currency")),
    "neighbour_speaks": QuestionType(("borders",), ("borders", "subregion", "currency"), picked_by="language"),
    "neighbour_uses": QuestionType(("borders",), ("borders", "subregion", "language"), picked_by="currency"),
    "same_currency": QuestionType(("currency", "~currency"), ("borders", "subregion", "language")),
}
