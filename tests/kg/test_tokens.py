import unicodedata
from itertools import pairwise

import pytest

from graphfuse.kg.tokens import tokens


def texts(text):
    return [token.text for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Côte d’Ivoire's", ["côte", "d", "'", "ivoire", "'", "s"]),
        ("ＦＲＡＮＣＥ straße ﬁn", ["france", "strasse", "fin"]),
        ("中国和Niger2", ["中", "国", "和", "niger2"]),
        ("भारत", ["भारत"]),
        ("프랑스의", ["프", "랑", "스", "의"]),
        ("a - b, c-", ["a", "-", "b", ",", "c", "-"]),
        ("Fra\u00adnce\u00a0x", ["france", "x"]),
        (" \t\u3000", []),
    ],
)
def test_words_signs_and_unspaced_characters_are_tokens(text, want):
    assert texts(text) == want


def test_a_hyphen_between_words_is_the_glue_of_the_second():
    for dash in "-‐‑–—":
        assert [(token.text, token.glue) for token in tokens(f"Guinea{dash}Bissau x")] == [
            ("guinea", ""),
            ("bissau", "-"),
            ("x", ""),
        ]


def test_places_are_those_of_the_original_text_in_every_unicode_form():
    text = "In Köln, ①カﾞ ﬁn & São-Tomé: 프랑스 ½x"
    for form in ("NFC", "NFD"):
        written = unicodedata.normalize(form, text)
        found = tokens(written)
        assert [token[:3] for token in found] == [token[:3] for token in tokens(text)]
        assert unicodedata.normalize("NFC", written[found[1].start : found[1].end]) == "Köln"
        assert all(one.end <= two.start for one, two in pairwise(found))
        assert all(written[token.start : token.end].strip() for token in found)


def test_plain_text_has_no_accents_and_other_scripts_keep_their_marks():
    plain = [token.plain for token in tokens("Åland Łódź Œuvre Ελλάς ガーナ हिन्दी")]
    assert plain == ["aland", "lodz", "oeuvre", "ελλασ", *"ガーナ", "हिन्दी"]
