"""Facts of SLAKE's English questions and pictures that are known when one is asked, for ``specs/slake_en.rules``.

Of the question by its own words, never by the set's annotation ``content_type``, which a user would not have: ``asks``
(the kind of answer that is asked for), ``system`` (an organ system that it names) and ``shows`` (the organ, or its part
of the body, of which it asks whether the picture shows it). Of the picture ``region``, the part of the body that was
examined: the set gives it as ``location``, and in a clinic it stands in the header of the file (DICOM
``BodyPartExamined``). Some questions ask for that part, so a rule with ``region`` knows more than models that see the
picture alone; no rule names the part by it, but parts far from it are left out. No fact is made from an answer; words
were chosen on training questions alone.
"""

from __future__ import annotations

import re

FACTS = ("asks", "system", "shows", "region")
ALONE = ("is", "are", "does", "do", "can", "could", "has", "have", "was", "is/are", "are/is")
"""Words that begin a question which is answered by yes or no, unless it gives a choice: "... or ...?"."""
KINDS = (
    ("number", r"^how many\b"),
    ("colour", r"^(what|which) (is the )?colou?r\b"),
    ("plane", r"\bplane\b"),
    ("modality", r"\bmodality\b|^how was this image taken|^what type of medical image"),
    ("weighting", r"\bweighting\b|^what type of mri\b"),
    ("shape", r"\bshape\b"),
    ("part", r"^which part of the (human )?body\b|from the aspect of the whole body"),
)
SYSTEMS = r"\b(respiratory|circulatory|digestive|nervous|urinary|lymphatic) system\b"
SHOWN = {
    "heart": "heart", "lung": "lung", "larynx": "larynx", "spleen": "spleen", "mandible": "mandible",
    **dict.fromkeys(("brain stem", "temporal lobe", "eye", "parotid"), "of the head"),
    **dict.fromkeys(("liver", "kidney", "stomach", "duodenum", "small bowel", "colon"), "of the belly"),
    **dict.fromkeys(("rectum", "bladder"), "of the pelvis"),
}  # fmt: skip
"""Organ -> what rules call it; no rule tells those of one part apart."""
NAMED = rf"(?:an? |the |any )?({'|'.join(SHOWN)})s?"
SHOWS = (
    rf"^do(?:es)? the (?:picture|image) (?:contain|show|have) {NAMED} ?\?",
    rf"^(?:is|are|is/are|are/is) there {NAMED} in (?:this|the) (?:picture|image) ?\?",
    rf"^do(?:es)? {NAMED} (?:appear|exist) in (?:this|the) (?:picture|image) ?\?",
)
REGIONS = {
    "brain": "head", "brain_tissue": "head", "brain_face": "head", "neck": "neck", "lung": "chest",
    "chest_lung": "chest", "chest_heart": "chest", "chest_mediastinal": "chest", "abdomen": "abdomen",
    "pelvic cavity": "pelvis",
}  # fmt: skip


def facts(question: str, location: str) -> dict[str, str]:
    """Each of :data:`FACTS`; empty where it does not apply."""
    words = " ".join(question.lower().split())
    system = re.search(SYSTEMS, words)
    organs = (match[1] for form in SHOWS if (match := re.search(form, words)))
    return {
        "asks": _asks(words),
        "system": system[1] if system else "",
        "shows": SHOWN.get(next(organs, ""), ""),
        "region": REGIONS.get(location.lower(), ""),
    }


def _asks(words: str) -> str:
    """The kind of answer; ``choice`` where one of several is to be chosen, ``other`` where words do not tell."""
    if words.partition(" ")[0] in ALONE:
        return "choice" if " or " in words else "yes or no"
    return next((kind for kind, form in KINDS if re.search(form, words)), "other")
