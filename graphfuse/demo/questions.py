"""Questions about countries that are named, pictured, or hinted at, with every right answer.

Source: generated here from ``Facts`` and the wordings; ``seed`` fixes every question, on every machine, in either
language. Four countries in ten are asked about in the test alone (three) or in validation alone (one): the training
neither asks about them nor shows or names them. They do occur there as neighbours and answers, for the facts are the
graph's. Validation and test also ask about countries of the training, in new pictures and new wordings.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from types import ModuleType

from graphfuse.core.catalog import look_up
from graphfuse.demo import wordings_en, wordings_zh
from graphfuse.demo.facts import Facts
from graphfuse.demo.question_types import TYPES

WORDINGS: dict[str, ModuleType] = {"en": wordings_en, "zh": wordings_zh}

# How the country is given, with the share of such questions; without an outline the others keep their proportion.
FORMS = {"named": 0.28, "flag": 0.22, "outline": 0.08, "both": 0.15, "clue": 0.27}
CLUE_PICTURES = {"flag": 0.7, "outline": 0.15, "both": 0.15}  # beside a clue

# Of twenty countries in a row (of one kind) so many are for: training and all else, validation alone, test alone.
COUNTRY_SPLIT = ("train",) * 12 + ("valid",) * 2 + ("test",) * 6

# Questions about (countries of the training, other countries) in each split.
SIZES = {
    "full": {"train": (3479, 0), "valid": (250, 450), "test": (600, 1538)},
    "quick": {"train": (1287, 0), "valid": (70, 130), "test": (120, 400)},
    "tiny": {"train": (96, 0), "valid": (16, 16), "test": (20, 40)},
}


@dataclass(frozen=True)
class Question:
    """One question. ``country`` (its code) is what the pictures show: for scoring and slices, not for a model.

    ``answers``: every right entity. ``mentioned``: the entities named in the text. ``flag_seed`` and ``outline_seed``
    seed the generators that degrade the pictures; None where the question comes without. ``seen``: training asks about
    the country.
    """

    name: str
    text: str
    type: str
    steps: int
    form: str
    country: str
    answers: tuple[str, ...]
    mentioned: tuple[str, ...]
    flag_seed: int | None
    outline_seed: int | None
    language: str
    split: str
    seen: bool


def make_questions(facts: Facts, seed: int, size: str = "full") -> dict[str, tuple[Question, ...]]:
    """Questions in the language of ``facts`` for each of train, valid and test; ``size`` is one of ``SIZES``.

    No two questions without pictures in one split have the same words.
    """
    countries = split_countries(facts, seed)
    questions = {}
    for split, (of_training, others) in look_up(SIZES, size, "size of the demo").items():
        rng = random.Random(f"{seed} {split}")
        held_back = countries["valid"] + countries["test"] if split == "train" else ()
        unnamed = frozenset(facts.names[code] for code in held_back)
        asked = [*_in_turn(countries["train"], of_training, rng), *_in_turn(countries[split], others, rng)]
        made: dict[tuple[str, int | None, int | None], Question] = {}
        for code in asked:
            before = len(made)
            while len(made) == before:
                question = _question(facts, code, f"{split}/{before:05}", code in countries["train"], unnamed, rng)
                made.setdefault((question.text, question.flag_seed, question.outline_seed), question)
        questions[split] = tuple(made.values())
    return questions


def split_countries(facts: Facts, seed: int) -> dict[str, tuple[str, ...]]:
    """Codes of the countries for training (and all else), for validation alone, for the test alone.

    Countries with and without neighbours, with and without an outline, are spread alike.
    """
    rng = random.Random(f"{seed} countries")
    codes = rng.sample(facts.codes, len(facts.codes))
    codes.sort(key=lambda code: (code in facts.outlines, bool(facts.tails(facts.names[code], "borders"))))
    split_of: dict[str, str] = {}
    for start in range(0, len(codes), len(COUNTRY_SPLIT)):
        split_of |= dict(zip(codes[start:], rng.sample(COUNTRY_SPLIT, len(COUNTRY_SPLIT))))
    return {split: tuple(code for code in codes if split_of[code] == split) for split in SIZES["full"]}


def _question(
    facts: Facts, code: str, name: str, seen: bool, unnamed: AbstractSet[str], rng: random.Random
) -> Question:
    """A question about a country; no clue names an entity of ``unnamed``."""
    words, country, split = WORDINGS[facts.language], facts.names[code], name.partition("/")[0]
    kind, hint = _type_and_hint(facts, country, rng)
    asked = TYPES[kind]
    answers = asked.answers(facts, country, hint)
    clues = tuple(clue for clue in asked.clues_for(facts, country, answers) if clue[1] not in unnamed)
    form, pictures = _form_and_pictures(code in facts.outlines, bool(clues), rng)
    phrase, given = _phrase(facts, country, form, clues, split, rng)
    wording = rng.choice(_kept_for(split, words.QUESTIONS[kind]))
    text = wording.format(x=phrase, hint=words.say(hint, facts.types[hint]) if hint else "")
    flag_seed, outline_seed = rng.getrandbits(48), rng.getrandbits(48)
    return Question(
        name=name,
        text=words.sentence(text),
        type=kind,
        steps=asked.steps,
        form=form,
        country=code,
        answers=answers,
        mentioned=tuple(each for each in (given, hint) if each),
        flag_seed=flag_seed if pictures in ("flag", "both") else None,
        outline_seed=outline_seed if pictures in ("outline", "both") else None,
        language=facts.language,
        split=split,
        seen=seen,
    )


def _type_and_hint(facts: Facts, country: str, rng: random.Random) -> tuple[str, str | None]:
    """A type that has an answer for ``country``, each as likely as the next, and the hint it needs."""
    hints = {kind: asked.hints(facts, country) for kind, asked in TYPES.items() if asked.answers(facts, country)}
    kind = rng.choice([kind for kind, possible in hints.items() if possible])
    return kind, rng.choice(hints[kind])


def _form_and_pictures(outlined: bool, clued: bool, rng: random.Random) -> tuple[str, str]:
    """How the country is given, and which pictures come with it: flag, outline, both or (named) none."""
    lacking = set() if outlined else {"outline", "both"}
    form = _drawn(FORMS, lacking if clued else lacking | {"clue"}, rng)
    return form, _drawn(CLUE_PICTURES, lacking, rng) if form == "clue" else form


def _phrase(
    facts: Facts, country: str, form: str, clues: Sequence[tuple[str, str]], split: str, rng: random.Random
) -> tuple[str, str | None]:
    """The words that stand for the country, and the entity that they name, if any."""
    words = WORDINGS[facts.language]
    if form == "named":
        return words.say(country, "country"), country
    if form != "clue":
        return rng.choice(words.PICTURED[form]), None
    relation = rng.choice(list(dict.fromkeys(relation for relation, _ in clues)))
    clue = rng.choice([clue for each, clue in clues if each == relation])
    wording = rng.choice(_kept_for(split, words.CLUES[relation]))
    return wording.format(clue=words.say(clue, facts.types[clue])), clue


def _kept_for(split: str, wordings: Sequence[str]) -> Sequence[str]:
    """The last two wordings are for the test, the one before them for validation."""
    return {"train": wordings[:-3], "valid": wordings[-3:-2], "test": wordings[-2:]}[split]


def _drawn(shares: Mapping[str, float], without: AbstractSet[str], rng: random.Random) -> str:
    left = {each: share for each, share in shares.items() if each not in without}
    return rng.choices(list(left), list(left.values()))[0]


def _in_turn(codes: Sequence[str], count: int, rng: random.Random) -> Iterator[str]:
    """``count`` of ``codes``, each as often as any other up to one, in random order."""
    rounds = -(-count // len(codes))
    return islice((code for _ in range(rounds) for code in rng.sample(codes, len(codes))), count)
