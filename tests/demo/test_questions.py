"""Questions: every right answer, no leak, unseen countries unseen, the same from the same seed."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from graphfuse.core.errors import InputError
from graphfuse.demo.question_types import POSSIBLE, TYPES
from graphfuse.demo.questions import SIZES, WORDINGS, make_questions, split_countries

pytest.importorskip("countryinfo", reason='needs the extra: pip install "graphfuse[demo]"')

FINGERPRINT = """
import hashlib, numpy as np
from graphfuse.demo.facts import read_facts
from graphfuse.demo.pictures import degrade, degrade_outline, draw_flag
from graphfuse.demo.questions import make_questions
facts = read_facts("{language}")
digest = hashlib.sha256(repr(make_questions(facts, 5, "quick")).encode())
digest.update(degrade(draw_flag(facts.flags["PE"]), 1.5, np.random.default_rng(5)))
digest.update(degrade_outline(facts.outlines["PE"], 1.5, np.random.default_rng(5)))
print(digest.hexdigest())
"""


@pytest.mark.parametrize(
    ("kind", "country", "hint", "answers"),
    [
        ("capital", "Kenya", None, {"Nairobi"}),
        ("capital", "Kazakhstan", None, {"Astana"}),
        ("currency", "Bulgaria", None, {"Euro"}),
        ("currency", "Panama", None, {"Panamanian Balboa", "US Dollar"}),
        ("language", "Belgium", None, {"Dutch", "French", "German"}),
        ("borders", "Portugal", None, {"Spain"}),
        ("borders", "Chad", None, {"Cameroon", "Central African Republic", "Libya", "Niger", "Nigeria", "Sudan"}),
        ("borders", "Iceland", None, set()),
        ("region", "Fiji", None, {"Oceania"}),
        ("subregion", "Ghana", None, {"Western Africa"}),
        ("neighbour_currencies", "Liechtenstein", None, {"Euro", "Swiss Franc"}),
        ("neighbour_languages", "Portugal", None, {"Spanish"}),
        ("neighbour_capitals", "Uruguay", None, {"Buenos Aires", "Brasília"}),
        ("neighbour_subregions", "Egypt", None, {"Northern Africa", "Western Asia"}),
        ("neighbour_speaks", "Peru", "Portuguese", {"Brazil"}),
        ("neighbour_speaks", "Andorra", "French", {"France"}),
        ("neighbour_uses", "Germany", "Polish Zloty", {"Poland"}),
        ("same_currency", "Liechtenstein", None, {"Switzerland"}),
    ],
)
def test_answers_are_those_of_the_real_world(english, kind, country, hint, answers):
    assert set(TYPES[kind].answers(english, country, hint)) == answers


def test_a_hint_picks_some_neighbours_but_not_all(english):
    speaks = TYPES["neighbour_speaks"]
    assert set(speaks.hints(english, "Uruguay")) == {"Spanish", "Portuguese"}
    assert speaks.hints(english, "Portugal") == ()
    assert "Spanish" not in speaks.hints(english, "Honduras")
    assert TYPES["capital"].hints(english, "Uruguay") == (None,)


@pytest.mark.parametrize("language", WORDINGS)
def test_every_type_has_nine_wordings_of_its_own(language):
    words = WORDINGS[language]
    assert words.QUESTIONS.keys() == TYPES.keys()
    assert all(len(wordings) == 9 for wordings in words.QUESTIONS.values())
    assert all(len(wordings) == 7 for wordings in words.CLUES.values())
    everything = [text for table in (words.QUESTIONS, words.CLUES) for texts in table.values() for text in texts]
    assert [text for text, times in Counter(everything).items() if times > 1] == []


@pytest.mark.parametrize("language", WORDINGS)
def test_every_wording_asks_for_what_it_is_given(language):
    words = WORDINGS[language]
    for kind, wordings in words.QUESTIONS.items():
        expected = ["hint", "x"] if TYPES[kind].picked_by else ["x"]
        assert all(sorted(re.findall(r"{(\w+)}", text)) == expected for text in wordings), kind
        assert all(text.endswith(("?", ".", "？", "。")) for text in wordings)
    assert all(re.findall(r"{(\w+)}", text) == ["clue"] for texts in words.CLUES.values() for text in texts)


def test_sizes_are_as_announced(questions):
    assert {split: len(each) for split, each in questions.items()} == {"train": 3479, "valid": 700, "test": 2138}
    assert sum(not question.seen for question in questions["test"]) == SIZES["full"]["test"][1]
    assert len({question.name for each in questions.values() for question in each}) == 3479 + 700 + 2138


def test_every_text_is_whole_and_names_what_it_mentions(facts, questions):
    known = sorted([*facts.types, *(alias for each in facts.aliases.values() for alias in each)], key=len, reverse=True)
    edge = r"(?<!\w){}(?!\w)" if facts.language == "en" else "{}"
    names = re.compile("|".join(edge.format(re.escape(name)) for name in known))
    for question in (question for each in questions.values() for question in each):
        assert not re.search(r"[{}]|  |the the |None", question.text), question.text
        assert set(names.findall(question.text)) == set(question.mentioned), question.text


def test_answers_are_never_told_by_the_text(facts, questions):
    for question in (question for each in questions.values() for question in each):
        asked, country = TYPES[question.type], facts.names[question.country]
        assert question.answers
        assert country not in question.answers
        assert not set(question.mentioned) & set(question.answers), question
        assert (country in question.mentioned) == (question.form == "named"), question
        if question.form == "clue":
            clue = question.mentioned[0]
            relation = "borders" if facts.types[clue] == "country" else facts.types[clue]
            assert relation in asked.clues
            assert not set(facts.tails(clue, asked.path[-1])) & set(question.answers), question
            assert len(facts.tails(clue, f"~{relation}")) >= POSSIBLE
            assert clue in facts.tails(country, relation)


def test_pictures_come_with_the_forms_that_need_them(facts, questions):
    for question in (question for each in questions.values() for question in each):
        pictures = {"flag": question.flag_seed is not None, "outline": question.outline_seed is not None}
        expected = {"named": [], "flag": ["flag"], "outline": ["outline"], "both": ["flag", "outline"]}
        given = [kind for kind, present in pictures.items() if present]
        assert given == expected[question.form] if question.form != "clue" else given
        assert question.outline_seed is None or question.country in facts.outlines


def test_training_neither_asks_about_nor_shows_nor_names_a_country_kept_for_later(facts, questions):
    countries = split_countries(facts, seed=0)
    assert sorted(code for codes in countries.values() for code in codes) == list(facts.codes)
    assert {question.country for question in questions["train"]} == set(countries["train"])
    assert len(countries["train"]) <= 2 / 3 * len(facts.codes)
    kept = {facts.names[code] for split in ("valid", "test") for code in countries[split]}
    assert not kept & {name for question in questions["train"] for name in question.mentioned}
    for split in ("valid", "test"):
        shown = {question.country for question in questions[split]}
        assert shown <= set(countries["train"] + countries[split])
        assert {question.country for question in questions[split] if not question.seen} == set(countries[split])
        assert {question.country for question in questions[split] if question.seen} <= set(countries["train"])


def test_no_picture_and_no_wording_occurs_in_two_splits(questions):
    for kind in ("flag_seed", "outline_seed"):
        seeds = [getattr(question, kind) for each in questions.values() for question in each]
        seeds = [seed for seed in seeds if seed is not None]
        assert len(seeds) == len(set(seeds))
    texts = [{question.text for question in each} for each in questions.values()]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]


def test_wordings_kept_for_the_test_occur_there_alone(facts, questions):
    words = WORDINGS[facts.language]
    for split, kept in (("train", slice(0, 6)), ("valid", slice(6, 7)), ("test", slice(7, 9))):
        for question in (question for question in questions[split] if question.form == "named"):
            phrase = words.say(facts.names[question.country], "country")
            hint = next((each for each in question.mentioned[1:]), None)
            told = words.say(hint, facts.types[hint]) if hint else ""
            allowed = words.QUESTIONS[question.type][kept]
            assert question.text in [words.sentence(each.format(x=phrase, hint=told)) for each in allowed]


def test_countries_with_and_without_neighbours_and_outlines_are_spread_alike(english):
    for seed in range(5):
        for codes in split_countries(english, seed).values():
            outlined = sum(code in english.outlines for code in codes) / len(codes)
            assert abs(outlined - 148 / 243) < 0.1


def test_both_languages_ask_the_same(english, facts, questions):
    for split, each in make_questions(english, seed=0).items():
        same = [(q.name, q.type, q.form, q.country, q.flag_seed) for q in each]
        assert same == [(q.name, q.type, q.form, q.country, q.flag_seed) for q in questions[split]]


@pytest.mark.parametrize("language", WORDINGS)
def test_the_same_seed_gives_the_same_in_every_process(language):
    script = FINGERPRINT.format(language=language)
    prints = [
        subprocess.run(
            [sys.executable, "-c", script], env=os.environ | {"PYTHONHASHSEED": each}, check=True, capture_output=True
        ).stdout
        for each in ("1", "2")
    ]
    assert prints[0] == prints[1]
    assert len(prints[0].strip()) == 2 * hashlib.sha256().digest_size


def test_another_seed_gives_other_questions(english):
    one, other = (make_questions(english, seed, "quick") for seed in (0, 1))
    assert {question.text for question in one["test"]} != {question.text for question in other["test"]}
    assert split_countries(english, 0) != split_countries(english, 1)


def test_an_unknown_size_is_refused(english):
    with pytest.raises(InputError, match="no size of the demo called 'huge'"):
        make_questions(english, 0, "huge")
