"""What a node is called on a card: the cell of a table, a region of a picture, a word of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphfuse.core.sample import Sample
from graphfuse.encoders import NGrams, Text
from graphfuse.study.study import Study
from graphfuse.tables.cells import values_of
from graphfuse.tables.read import Row


def called(study: Study, kind: str, number: int, sample: Sample, cells: Row) -> str:
    """The name of one node of a sample, ``number`` among those of its kind."""
    node = next(node for node in study.spec.nodes if node.kind == kind)
    encoder: Any = study.encoders[kind]
    if node.encoder == "table":
        named = [column for column in node.columns if cells[column] is not None]
        return f"{named[number]} = {cells[named[number]]}" if number < len(named) else str(number)
    if node.encoder == "image":
        grid = int(encoder.config()["grid"])
        place = number % (1 + grid**2)
        return "whole picture" if place == 0 else f"region {1 + (place - 1) // grid}/{1 + (place - 1) % grid}"
    words = words_of(encoder, [each.value for each in values_of(node, cells, study.data.folder)])
    if number < len(words):
        return f"{node.column}: {words[number]}"
    return f"{node.column}, node {number + 1}" if len(sample.nodes[kind]) > 1 else str(node.column)


def words_of(encoder: Any, texts: Sequence[str]) -> list[str]:
    """The word, or piece of one, that each node of a text stands for; none where a node is a whole text."""
    if isinstance(encoder, NGrams) and encoder.nodes == "words":
        return [word for text in texts for word in encoder.words(text)]
    if isinstance(encoder, Text) and encoder.nodes == "tokens":
        ids = [token for rows in encoder.prepare(texts) for token in rows.flatten().tolist()]
        return encoder.tokenizer.convert_ids_to_tokens([token for token in ids if token not in encoder.special])
    return []
