"""Facts found wrong in the packages, put right: one short list, each with its evidence.

Borders hold for the territories of the atlas, each taken alone (French Guiana is not France), and on land. With these
corrections every border is stated from both sides. A test fails when a correction no longer changes anything.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

Fact = tuple[str, str, str]  # ISO code of the country, relation, key of what it leads to


@dataclass(frozen=True)
class Correction:
    """Of the country ``code``, ``relation`` leads to ``now`` and not to ``was`` (None: no such fact)."""

    code: str
    relation: str
    was: str | None
    now: str | None
    why: str

    def __call__(self, facts: AbstractSet[Fact]) -> frozenset[Fact]:
        """``facts`` with this one put right."""
        dropped = set() if self.was is None else {(self.code, self.relation, self.was)}
        added = set() if self.now is None else {(self.code, self.relation, self.now)}
        return frozenset((facts - dropped) | added)


CORRECTIONS = (
    # Not a land border of the two.
    Correction("CY", "borders", "GB", None, "The British base areas there are no part of the United Kingdom."),
    Correction("IN", "borders", "AF", None, "Only by a claim; Afghanistan's record and the outlines do not have it."),
    Correction("IN", "borders", "LK", None, "The Palk Strait lies between; CIA World Factbook: Sri Lanka, land 0 km."),
    Correction("LK", "borders", "IN", None, "The Palk Strait lies between; CIA World Factbook: Sri Lanka, land 0 km."),
    Correction("KW", "borders", "IR", "IQ", "A slip for Iraq, which states the border; Iran is across the Gulf."),
    Correction("MM", "borders", "BT", "IN", "A slip for India, which states the border; India lies between the two."),
    Correction("RS", "borders", "AL", None, "Not stated by Albania; the source lists Kosovo, between them, by itself."),
    Correction("SR", "borders", "FR", None, "That is French Guiana (GF), which the same record lists as well."),
    Correction("TD", "borders", "SS", "SD", "A slip for Sudan, which states it; South Sudan meets no point of Chad."),
    # Real borders that one side forgets.
    Correction("CN", "borders", None, "NP", "Nepal states it; the two have had a boundary treaty since 1961."),
    Correction("EG", "borders", None, "PS", "The record of the other side states it: the Gaza Strip."),
    Correction("IL", "borders", None, "PS", "The record of the other side states it: West Bank and Gaza."),
    Correction("JO", "borders", None, "PS", "The record of the other side states it: the West Bank."),
    # Capitals.
    Correction("BI", "capital", "Bujumbura", "Gitega", "Political capital since parliament's vote of January 2019."),
    Correction("BQ", "capital", "Kralendijk / Oranjestad / The Bottom", "Kralendijk", "Three towns in one field."),
    Correction("HK", "capital", "City of Victoria", None, "A colonial name; the city territory has no capital."),
    Correction("KZ", "capital", "Nur-Sultan", "Astana", "Renamed back in September 2022."),
    Correction("SZ", "capital", None, "Mbabane", "Seat of the government; Lobamba is that of king and parliament."),
    Correction("VA", "capital", "Vatican City State", None, "A second record of it, under the state's name."),
    Correction("PS", "capital", "Jerusalem", None, "Two records disagree; kept: the seat of government, Ramallah."),
    # Money and regions.
    Correction("BG", "currency", "BGN", "EUR", "Euro since 1 January 2026 (Council of the EU, 8 July 2025)."),
    Correction("ME", "subregion", "151", "039", "Southern Europe in the UN's M49, which the other records follow."),
    Correction("RS", "subregion", "151", "039", "Southern Europe in the UN's M49, which the other records follow."),
)


def corrected(facts: AbstractSet[Fact]) -> frozenset[Fact]:
    """``facts`` of the sources with every correction made."""
    result = frozenset(facts)
    for correction in CORRECTIONS:
        result = correction(result)
    return result
