"""How the questions are put in English. Written for this demo.

``{x}`` is the country asked about, ``{hint}`` the language or currency that a neighbour is picked by, ``{clue}`` the
entity that a clue names. Of each tuple the last two wordings are kept for the test and the one before for validation.
"""

import re

QUESTIONS = {
    "capital": (
        "What is the capital of {x}?",
        "Which city is the capital of {x}?",
        "Name the capital of {x}.",
        "What is the capital city of {x} called?",
        "Which city serves as the capital of {x}?",
        "Do you know the capital of {x}?",
        "Tell me the capital of {x}.",
        "What's the capital city of {x}?",
        "Can you name the capital of {x}?",
    ),
    "currency": (
        "What is the currency of {x}?",
        "Which currency is used in {x}?",
        "What money do people use in {x}?",
        "Which currency do you pay with in {x}?",
        "Name the currency of {x}.",
        "What is legal tender in {x}?",
        "Which currency does {x} use?",
        "What currency do people pay with in {x}?",
        "Can you name the currency of {x}?",
    ),
    "language": (
        "Which language is spoken in {x}?",
        "What languages do people speak in {x}?",
        "What is the official language of {x}?",
        "Which languages are official in {x}?",
        "Name a language spoken in {x}.",
        "What do people speak in {x}?",
        "Which language do people use in {x}?",
        "What language do they speak in {x}?",
        "Which official language does {x} have?",
    ),
    "borders": (
        "Which countries border {x}?",
        "What are the neighbours of {x}?",
        "Which country shares a border with {x}?",
        "Name a neighbour of {x}.",
        "Which countries lie next to {x}?",
        "What countries does {x} border?",
        "Which countries are neighbours of {x}?",
        "Which countries share a border with {x}?",
        "Can you name a country that borders {x}?",
    ),
    "region": (
        "On which continent is {x}?",
        "Which continent does {x} belong to?",
        "What continent is {x} on?",
        "Which continent is {x} part of?",
        "Name the continent of {x}.",
        "On what continent would you find {x}?",
        "On which continent does {x} lie?",
        "What continent does {x} lie on?",
        "What is the continent of {x}?",
    ),
    "subregion": (
        "In which subregion is {x}?",
        "Which subregion does {x} belong to?",
        "Which part of its continent is {x} in?",
        "What subregion is {x} part of?",
        "Name the subregion of {x}.",
        "In which part of its continent does {x} lie?",
        "In which subregion does {x} lie?",
        "What subregion does {x} belong to?",
        "What is the subregion of {x}?",
    ),
    "neighbour_currencies": (
        "Which currencies are used by the neighbours of {x}?",
        "What currencies do the neighbours of {x} use?",
        "Which currency is used in a country bordering {x}?",
        "What money do people use in the countries next to {x}?",
        "Name a currency used by a neighbour of {x}.",
        "Which currencies are legal tender in the countries that border {x}?",
        "Which currency do people pay with in the countries around {x}?",
        "What are the currencies of the neighbours of {x}?",
        "Which currencies are used in the countries bordering {x}?",
    ),
    "neighbour_languages": (
        "Which languages are spoken by the neighbours of {x}?",
        "What languages do the neighbours of {x} speak?",
        "Which language is spoken in a country bordering {x}?",
        "What do people speak in the countries next to {x}?",
        "Name a language spoken in a neighbour of {x}.",
        "Which languages are official in the countries that border {x}?",
        "Which language do people use in the countries around {x}?",
        "What are the languages of the neighbours of {x}?",
        "Which languages are spoken in the countries bordering {x}?",
    ),
    "neighbour_capitals": (
        "What are the capitals of the neighbours of {x}?",
        "Which cities are the capitals of the neighbours of {x}?",
        "Name the capital of a country bordering {x}.",
        "What is the capital of a neighbour of {x}?",
        "Which capitals do the countries next to {x} have?",
        "Which city is the capital of a country that borders {x}?",
        "Tell me the capital of a neighbour of {x}.",
        "What are the capitals of the countries bordering {x}?",
        "Can you name the capital of a neighbour of {x}?",
    ),
    "neighbour_subregions": (
        "In which subregions are the neighbours of {x}?",
        "Which subregions do the neighbours of {x} belong to?",
        "Which subregion is a country bordering {x} in?",
        "In which subregion are the countries next to {x}?",
        "Name the subregion of a neighbour of {x}.",
        "Which subregions do the countries that border {x} lie in?",
        "In which subregion are the countries around {x}?",
        "In which subregions do the neighbours of {x} lie?",
        "What are the subregions of the countries bordering {x}?",
    ),
    "neighbour_speaks": (
        "Which neighbour of {x} speaks {hint}?",
        "Which country bordering {x} speaks {hint}?",
        "In which neighbour of {x} is {hint} spoken?",
        "Name a neighbour of {x} where people speak {hint}.",
        "Which country next to {x} has {hint} as an official language?",
        "In which countries around {x} is {hint} spoken?",
        "Which of the neighbours of {x} speaks {hint}?",
        "In which country bordering {x} do people speak {hint}?",
        "Which neighbour of {x} has {hint} as an official language?",
    ),
    "neighbour_uses": (
        "Which neighbour of {x} uses {hint}?",
        "Which country bordering {x} uses {hint}?",
        "In which neighbour of {x} do people pay with {hint}?",
        "Name a neighbour of {x} whose currency is {hint}.",
        "Which country next to {x} has {hint} as its currency?",
        "In which countries around {x} is {hint} legal tender?",
        "Which of the neighbours of {x} uses {hint}?",
        "In which country bordering {x} do people pay with {hint}?",
        "Which neighbour of {x} has {hint} as its currency?",
    ),
    "same_currency": (
        "Which other countries use the currency of {x}?",
        "Which other country has the same currency as {x}?",
        "Where else is the currency of {x} used?",
        "Name another country that uses the currency of {x}.",
        "Which countries share their currency with {x}?",
        "In which other countries can you pay with the currency of {x}?",
        "Which countries have the same currency as {x}?",
        "Which other country uses the currency of {x}?",
        "Which countries use the same money as {x}?",
    ),
}

CLUES = {
    "borders": (
        "this country bordering {clue}",
        "this neighbour of {clue}",
        "this country next to {clue}",
        "this country that borders {clue}",
        "this country that shares a border with {clue}",
        "this country which borders {clue}",
        "this country neighbouring {clue}",
    ),
    "subregion": (
        "this country in {clue}",
        "this country located in {clue}",
        "this country that lies in {clue}",
        "this country that belongs to {clue}",
        "this country that is in {clue}",
        "this country lying in {clue}",
        "this country which is part of {clue}",
    ),
    "language": (
        "this country where {clue} is spoken",
        "this {clue}-speaking country",
        "this country that speaks {clue}",
        "this country where people speak {clue}",
        "this country with {clue} as an official language",
        "this country whose people speak {clue}",
        "this country where they speak {clue}",
    ),
    "currency": (
        "this country that uses {clue}",
        "this country where {clue} is used",
        "this country whose currency is {clue}",
        "this country where people pay with {clue}",
        "this country using {clue}",
        "this country which uses {clue}",
        "this country with {clue} as its currency",
    ),
}

# The country when only pictures say which: in every split alike.
PICTURED = {
    "flag": ("this country", "the country with this flag"),
    "outline": ("this country", "the country with this outline"),
    "both": ("this country", "the country with this flag and outline"),
}

WITH_ARTICLE = re.compile(
    r"^(?!South Georgia).*(Islands|Territor(y|ies)|Republic|of the Congo)$"
    r"|^(United|DR Congo|Bahamas|Caribbean|Comoros|Gambia|Isle of|Maldives|Netherlands|Philippines|Seychelles)"
    r"|^(Americas|Micronesian Region)$"
)


def say(name: str, kind: str) -> str:
    """``name`` of an entity of type ``kind`` as it stands inside a sentence."""
    return f"the {name}" if kind == "currency" or WITH_ARTICLE.search(name) else name


def sentence(text: str) -> str:
    """``text`` as a whole sentence."""
    return text[0].upper() + text[1:]
