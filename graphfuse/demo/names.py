"""What countries, languages, currencies, regions and capitals are called, in the language of the demo.

Source: CLDR through babel (BSD, Unicode licence). Ours: the few names below that babel leaves out, and the aliases.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from graphfuse.core.catalog import look_up
from graphfuse.demo.corrections import Fact
from graphfuse.demo.extra import require

LANGUAGES = {"en": "English", "zh": "Chinese"}

# Where CLDR's first form reads badly in a sentence: its own short form, which babel drops, or the form of daily use.
SHORT_NAMES: dict[str, dict[str, str]] = {
    "en": {"CD": "DR Congo", "CG": "Republic of the Congo", "HK": "Hong Kong", "MM": "Myanmar", "MO": "Macao"},
    "zh": {"CD": "刚果民主共和国", "CG": "刚果共和国", "HK": "香港", "MO": "澳门"},
}

# Names that babel lacks.
LACKING: dict[str, dict[str, str]] = {
    "en": {},
    "zh": {"hif": "斐济印地语", "XCG": "加勒比盾", "ZWG": "津巴布韦金币"},
}

# Other names that people type. Regular variants (and for &, Saint for St., no accents) are added by rule.
ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "AE": ("UAE",),
        "BA": ("Bosnia",),
        "CD": ("Democratic Republic of the Congo", "Congo - Kinshasa", "Congo-Kinshasa"),
        "CG": ("Congo - Brazzaville", "Congo-Brazzaville"),
        "CI": ("Ivory Coast",),
        "CV": ("Cabo Verde",),
        "CZ": ("Czech Republic",),
        "GB": ("UK", "Great Britain", "Britain"),
        "KR": ("Republic of Korea",),
        "MM": ("Burma",),
        "MO": ("Macau",),
        "NL": ("Holland",),
        "PS": ("Palestine",),
        "RU": ("Russian Federation",),
        "SZ": ("Swaziland",),
        "TL": ("East Timor",),
        "TR": ("Turkey",),
        "US": ("USA", "United States of America", "America"),
        "VA": ("Holy See",),
    },
    "zh": {
        "AE": ("阿联酋",),
        "BA": ("波黑",),
        "CD": ("刚果（金）",),
        "CG": ("刚果（布）",),
        "CZ": ("捷克共和国",),
        "GB": ("联合王国",),
        "ID": ("印尼",),
        "NZ": ("纽西兰",),
        "PS": ("巴勒斯坦",),
        "SA": ("沙特",),
        "US": ("美利坚合众国",),
        "UZ": ("乌兹别克",),
    },
}

BRACKETS = {"en": "{} ({})", "zh": "{}（{}）"}
TYPE_WORDS = {"en": {"capital": "capital", "language": "language"}, "zh": {"capital": "首都", "language": "语言"}}


def plain_names(language: str) -> dict[str, dict[str, str]]:
    """For countries, languages, currencies, regions, subregions and capitals: key of the sources -> name.

    Keys are ISO and M49 codes; a capital's key is its English name. CLDR names the cities that a time zone is called
    after, half of all capitals; the others keep their English name in every language.
    """
    look_up(LANGUAGES, language, "language of the demo")
    locale = require("babel").Locale(language)
    territories = dict(locale.territories)
    return {
        "country": territories | SHORT_NAMES[language],
        "language": dict(locale.languages) | LACKING[language],
        "currency": dict(locale.currencies) | LACKING[language],
        "region": territories,
        "subregion": territories,
        "capital": _city_names(locale),
    }


def entity_names(codes: Iterable[str], facts: AbstractSet[Fact], language: str) -> dict[tuple[str, str], str]:
    """(type, key) -> name, unique over all types; the key of a capital is "code/city".

    A capital or language named like a country says so, "Singapore (capital)", so that plain "Singapore" is the
    country; two capitals of one name say whose they are, "Kingston (Jamaica)".
    """
    plain, bracketed, word = plain_names(language), BRACKETS[language].format, TYPE_WORDS[language]
    names = {("country", code): plain["country"][code] for code in codes}
    countries = set(names.values())
    for relation, key in sorted({fact[1:] for fact in facts if fact[1] not in ("borders", "capital")}):
        name = plain[relation][key]
        names[relation, key] = bracketed(name, word[relation]) if name in countries else name
    cities = {(code, key): plain["capital"].get(key, key) for code, what, key in sorted(facts) if what == "capital"}
    times = Counter(cities.values())
    for (code, key), city in cities.items():
        if city in countries:
            city = bracketed(city, word["capital"])
        elif times[city] > 1:
            city = bracketed(city, names["country", code])
        names["capital", f"{code}/{key}"] = city
    return names


def aliases_of(name: str, code: str, language: str) -> tuple[str, ...]:
    """Other names of the country ``code`` than ``name``: CLDR's first form, ours, and variants by rule."""
    given = (name, require("babel").Locale(language).territories[code], *ALIASES[language].get(code, ()))
    spelled = [each.replace("’", "'") for each in given]
    longer = [each.replace(" & ", " and ").replace("St. ", "Saint ") for each in spelled]
    bare = [_without_accents(each) for each in (*spelled, *longer)]
    return tuple(each for each in dict.fromkeys((*given, *spelled, *longer, *bare)) if each != name)


def _city_names(locale: Any) -> dict[str, str]:
    english = require("babel").Locale("en").time_zones
    cities = {}
    for zone, forms in locale.time_zones.items():
        if "city" in forms:
            cities[english.get(zone, {}).get("city", zone.rpartition("/")[2].replace("_", " "))] = forms["city"]
    return {} if locale.language == "en" else cities


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(each for each in parts if not unicodedata.combining(each)))
