"""Rules of the demo: true of every question as it is made, in both languages, and what is asked, told from words."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

pytest.importorskip("countryinfo", reason="needs the extra demo")

from graphfuse.core.collate import collate
from graphfuse.core.relations import Linked
from graphfuse.core.sample import Sample
from graphfuse.core.schema import Schema
from graphfuse.demo import asks
from graphfuse.demo.atlas import Reading, facts_of, knowledge
from graphfuse.demo.facts import RELATIONS
from graphfuse.demo.methods import RULES
from graphfuse.demo.question_types import TYPES
from graphfuse.demo.questions import make_questions
from graphfuse.encoders.ngrams import NGrams
from graphfuse.heads import Choose
from graphfuse.model import Ruled
from graphfuse.model.one_node import alone
from graphfuse.rules import Measured

EACH, AT_ONCE = 20, 16
"""One question of so many is looked at, and how many at once."""
SCHEMA = Schema({"entity": 1}, [Linked("entity", relation, "entity") for relation in RELATIONS])


@pytest.fixture(scope="module")
def head():
    return Ruled.of(Choose("entity"), RULES)


@pytest.fixture(scope="module")
def looked(facts, questions, head):
    """Question -> which rules each entity of the whole knowledge graph breaks as its answer, ``bool [N, R]``."""
    kg, found = knowledge(facts), []
    rows = {name: row for row, name in enumerate(kg.entities)}
    links = {}
    for relation in RELATIONS:
        pairs = [(rows[head], rows[tail]) for head, own, tail in facts.triples if own == relation]
        links["entity", relation, "entity"] = torch.tensor(pairs).t()
    kinds = [facts.types[name] for name in kg.entities]
    asked = [question for split in questions.values() for question in split[::EACH]]
    for start in range(0, len(asked), AT_ONCE):
        part = asked[start : start + AT_ONCE]
        samples = [
            Sample(
                question.name,
                {"entity": torch.zeros(len(kg), 1)},
                links,
                target=torch.tensor([rows[name] for name in question.answers]),
                facts={
                    "asks": question.type,
                    "pictures": float((question.flag_seed is not None) + (question.outline_seed is not None)),
                },
                node_facts={
                    "entity": {
                        "is": kinds,
                        "named": ["yes" if name in question.mentioned else None for name in kg.entities],
                    }
                },
            )
            for question in part
        ]
        broken = alone(head.over.among, collate(samples, SCHEMA)).split(len(kg))
        found += zip(part, (sample.target for sample in samples), broken)
    return found


def test_no_right_answer_breaks_a_rule(looked, head):
    names = [rule.name for rule in head.rules.rules]
    wrong = [
        (question.text, [name for name, each in zip(names, broken[target].any(0).tolist()) if each])
        for question, target, broken in looked
        if broken[target].any()
    ]
    assert len(looked) > 300
    assert wrong == []


def test_each_rule_forbids_something_and_no_question_loses_all(looked, head):
    forbids = torch.stack([broken.any(0) for *_, broken in looked]).sum(0)
    assert (forbids > 0).all(), [rule.name for rule, many in zip(head.rules.rules, forbids.tolist()) if not many]
    assert all((~broken.any(1)).any() for *_, broken in looked)


def test_rules_ask_for_types_of_questions_that_there_are(head):
    words = {atom.value for rule in head.rules.rules for atom in rule.says.atoms()
             if isinstance(atom, Measured) and atom.feature == "asks"}  # fmt: skip
    assert words <= set(TYPES)
    assert all(rule.hard for rule in head.rules.rules)


@pytest.fixture(scope="module")
def readings(facts):
    if facts.language != "zh":
        pytest.skip("words are encoded quickly in Chinese")
    made = make_questions(facts, 0, "quick")
    return {
        split: [
            Reading(question, words, {}, {})
            for question, words in zip(own, NGrams(nodes="words").encode([q.text for q in own], [q.name for q in own]))
        ]
        for split, own in made.items()
    }


@pytest.fixture(scope="module")
def teller(readings):
    return asks.learned(readings, 0)


def test_what_is_asked_is_told_from_the_words_and_mostly_right(readings, teller):
    known, right = asks.right(asks.told(teller, readings["test"]))
    assert known > 0.6
    assert right > 0.95


def test_the_truth_of_the_test_is_not_looked_at(readings, teller):
    blind = [replace(each, question=replace(each.question, type="hidden", answers=())) for each in readings["test"]]
    seen, unseen = (asks.told(teller, own) for own in (readings["test"], blind))
    assert [each.asks for each in seen] == [each.asks for each in unseen]
    assert len(Counter(each.asks for each in unseen)) > len(TYPES) / 2


def test_what_is_not_sure_or_hidden_is_no_fact(readings, teller, monkeypatch):
    some = asks.told(teller, readings["test"])
    one = next(each for each in some if each.asks)
    assert facts_of(one) == {"asks": one.asks, "pictures": 0.0}
    assert facts_of(one.without("text")) == {"pictures": 0.0}
    assert asks.told(teller, [one.without("text")])[0].asks is None
    monkeypatch.setattr(asks, "SURE", 1.1)
    assert {each.asks for each in asks.told(teller, readings["test"])} == {None}
