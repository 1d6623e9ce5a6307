"""What the atlas knows, and where it departs from its sources."""

import sys
from collections import Counter

import pytest

from graphfuse.core.errors import InputError
from graphfuse.demo.corrections import CORRECTIONS
from graphfuse.demo.facts import RELATIONS, read_facts, source_facts
from graphfuse.demo.names import plain_names
from graphfuse.demo.pictures import draw_flag

pytest.importorskip("countryinfo", reason='needs the extra: pip install "graphfuse[demo]"')


def test_the_atlas_is_as_large_as_it_says(facts):
    assert len(facts.codes) == len(facts.flags) == len(facts.names) == 243
    assert Counter(facts.types.values()) == {
        "country": 243, "language": 117, "currency": 153, "region": 5, "subregion": 22, "capital": 242
    }  # fmt: skip
    assert Counter(relation for _, relation, _ in facts.triples) == {
        "borders": 638, "language": 342, "currency": 250, "region": 243, "subregion": 243, "capital": 242
    }  # fmt: skip
    assert len(facts.triples) == len(set(facts.triples)) == 1958
    assert len(facts.outlines) == 148


def test_every_fact_joins_entities_of_the_types_of_its_relation(facts):
    for head, relation, tail in facts.triples:
        assert facts.types[head] == "country"
        assert facts.types[tail] == ("country" if relation == "borders" else relation)
        assert relation in RELATIONS


def test_borders_are_stated_from_both_sides(facts):
    borders = {(head, tail) for head, relation, tail in facts.triples if relation == "borders"}
    assert borders == {(tail, head) for head, tail in borders}


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda each: f"{each.code}-{each.relation}")
def test_each_correction_still_changes_its_source(correction):
    source = source_facts()
    assert correction.was is None or (correction.code, correction.relation, correction.was) in source
    assert correction.now is None or (correction.code, correction.relation, correction.now) not in source
    assert correction.was != correction.now


def test_a_name_or_alias_means_one_entity(facts):
    meant = Counter(facts.types.keys())
    meant.update(alias for aliases in facts.aliases.values() for alias in aliases)
    assert [name for name, times in meant.items() if times > 1] == []


def test_plain_singapore_is_the_country(english):
    assert english.types["Singapore"] == "country"
    assert english.tails("Singapore", "capital") == ("Singapore (capital)",)
    assert english.tails("Jamaica", "capital") == ("Kingston (Jamaica)",)


def test_aliases_are_what_people_type(english):
    assert {"USA", "America"} <= set(english.aliases["United States"])
    assert {"Ivory Coast", "Cote d'Ivoire"} <= set(english.aliases["Côte d’Ivoire"])
    assert "Saint Kitts and Nevis" in english.aliases["St. Kitts & Nevis"]


def test_both_languages_tell_the_same_facts(english):
    chinese = read_facts("zh")
    name = dict(zip(english.types, chinese.types, strict=True))
    assert [(name[head], relation, name[tail]) for head, relation, tail in english.triples] == list(chinese.triples)
    assert name["France"] == "法国"
    assert name["Paris"] == "巴黎"
    assert name["Southern Europe"] == "南欧"


def test_following_a_fact_backwards_undoes_it(facts):
    for head, relation, tail in facts.triples:
        assert tail in facts.tails(head, relation)
        assert head in facts.tails(tail, f"~{relation}")


def test_two_pairs_of_countries_share_a_drawing(english):
    for one, other in (("TD", "RO"), ("ID", "MC")):
        assert (draw_flag(english.flags[one]) == draw_flag(english.flags[other])).all()


def test_a_language_without_wordings_is_refused():
    with pytest.raises(InputError, match="no language of the demo called 'fr'"):
        plain_names("fr")


def test_a_lacking_package_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "countryinfo", None)
    with pytest.raises(
        InputError, match=r"'countryinfo', which is not installed: run `pip install \"graphfuse\[demo\]"
    ):
        read_facts()
