import random
import string

import pytest

from graphfuse.core.errors import InputError
from graphfuse.kg import KnowledgeGraph, Link

NAMES = ["Niger", "Nigeria", "Chad", "York", "New York", "Guinea", "Guinea-Bissau", "Côte d’Ivoire", "中国", "几内亚"]
NAMES += ["几内亚比绍", "France", "Isle of Man", "Spain"]
ALIASES = {"France": ["French Republic"], "中国": ["China", "PRC"], "Chad": ["Tchad"], "Guinea": ["G"], "Niger": ["G"]}


@pytest.fixture(scope="module")
def atlas():
    return KnowledgeGraph.from_triples([], aliases=ALIASES, entities=NAMES)


def found(kg, text, **options):
    return [(link.entity, link.score, text[slice(*link.span)]) for link in kg.link(text, **options)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Which language do people in Niger speak?", [("Niger", 1, "Niger")]),
        ("is NIGERIA large?", [("Nigeria", 1, "NIGERIA")]),
        ("France's kings", [("France", 1, "France")]),
        ("the isle of\nman", [("Isle of Man", 1, "isle of\nman")]),
        ("ＦＲＡＮＣＥ", [("France", 1, "ＦＲＡＮＣＥ")]),
        ("CÔTE D'IVOIRE", [("Côte d’Ivoire", 1, "CÔTE D'IVOIRE")]),
        ("co\u0302te d`ivoire", [("Côte d’Ivoire", 1, "co\u0302te d`ivoire")]),
        ("Cote d’Ivoire", [("Côte d’Ivoire", 0.9, "Cote d’Ivoire")]),
        ("Guinea–Bissau", [("Guinea-Bissau", 1, "Guinea–Bissau")]),
        ("Guinea Bissau", [("Guinea-Bissau", 0.9, "Guinea Bissau")]),
        ("Chad-Niger", [("Chad", 1, "Chad"), ("Niger", 1, "Niger")]),
        ("几内亚比绍和中国在哪里", [("几内亚比绍", 1, "几内亚比绍"), ("中国", 1, "中国")]),
        ("几内亚在中国", [("几内亚", 1, "几内亚"), ("中国", 1, "中国")]),
        ("the french republic", [("France", 0.95, "french republic")]),
    ],
)
def test_names_and_aliases_are_found_with_their_places(atlas, text, want):
    assert found(atlas, text) == want


@pytest.mark.parametrize(
    "text",
    ["", "nothing is named here", "we chadded along", "nigerien", "Fran ce", "Isle. of Man", "中 x 国", "Frnace"],
)
def test_what_is_not_a_whole_name_is_not_linked(atlas, text):
    assert atlas.link(text) == []


def test_the_longest_name_wins_and_links_do_not_overlap(atlas):
    assert found(atlas, "New York or York") == [("New York", 1, "New York"), ("York", 1, "York")]
    kg = KnowledgeGraph.from_triples([], entities=["a b", "b c d", "d"])
    assert found(kg, "a b c d") == [("b c d", 1, "b c d")]


def test_best_scores_come_first_then_the_earlier_place_and_k_bounds_them(atlas):
    text = "China, Cote d'Ivoire, Spain, Chad"
    assert [link.entity for link in atlas.link(text)] == ["Spain", "Chad", "中国", "Côte d’Ivoire"]
    assert atlas.link(text, k=3) == atlas.link(text)[:3]


def test_entities_that_fit_equally_well_share_the_score(atlas):
    assert atlas.link("G?") == [Link("Niger", 0.475, (0, 1)), Link("Guinea", 0.475, (0, 1))]
    names = ["Georgia (state)", "Georgia"]
    kg = KnowledgeGraph.from_triples([], aliases={names[0]: ["Georgia"]}, entities=names)
    assert found(kg, "in Georgia") == [("Georgia", 1, "Georgia"), ("Georgia (state)", 0.95, "Georgia")]


def test_a_slip_of_spelling_is_forgiven_only_if_asked_and_never_at_the_cost_of_a_name(atlas):
    for slip in ("Frnace", "Franc", "Frannce", "Frence", "NewYork"):
        assert [score for _, score, _ in found(atlas, f"in {slip} now", fuzzy=True)] == [0.7]
        assert atlas.link(f"in {slip} now") == []
    assert found(atlas, "Niger a Spian", fuzzy=True) == [("Niger", 1, "Niger"), ("Spain", 0.7, "Spian")]
    assert atlas.link("a chat in Yorck with frnca", fuzzy=True) == []


def test_the_best_of_several_near_names_gives_the_score():
    for near in (["Frances"], ["Francex", "Francey", "Francez"]):
        kg = KnowledgeGraph.from_triples([], aliases={"France": near}, entities=["France"])
        assert found(kg, "Franceb", fuzzy=True) == [("France", 0.7, "Franceb")]


def test_a_required_name_that_lacks_is_an_error_with_near_names(atlas):
    with pytest.raises(InputError, match=r"'Where is Frnace\?' names no known entity .*did you mean 'France'\?"):
        atlas.link("Where is Frnace?", required=True)
    with pytest.raises(InputError, match=r"'Where\?' names no known entity .*one of its 14, such as 'Niger'"):
        atlas.link("Where?", required=True)
    assert atlas.link("Chad", required=True) == atlas.link("Chad")


def test_links_in_random_texts_equal_a_scan_of_all_names():
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_lowercase, k=2)) for _ in range(12)]
    linked = 0
    for _ in range(60):
        names = list({" ".join(rng.choices(words, k=rng.randint(1, 3))) for _ in range(15)})
        text = rng.choices(words, k=15)
        places = [(i, j) for i in range(15) for j in range(i + 1, 16) if " ".join(text[i:j]) in names]
        taken = []
        for i, j in sorted(places, key=lambda place: (place[0] - place[1], place)):
            if all(j <= a or b <= i for a, b in taken):
                taken.append((i, j))
        kg = KnowledgeGraph.from_triples([], entities=names)
        want = [(" ".join(text[i:j]), (3 * i, 3 * j - 1)) for i, j in sorted(taken)]
        assert [(link.entity, link.span) for link in kg.link(" ".join(text), k=100)] == want
        linked += len(want)
    assert linked > 100
