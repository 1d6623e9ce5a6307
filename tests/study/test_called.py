"""What the nodes of a card are called."""

from types import SimpleNamespace

import pytest

from graphfuse.encoders import NGrams, Text
from graphfuse.study.called import words_of


def test_each_word_node_is_called_by_its_word():
    encoder = NGrams(width=8, nodes="words")
    texts = ["Sour, round!", "你好 x"]
    assert words_of(encoder, texts) == ["sour", ",", "round", "!", "你", "好", "x"]
    assert len(words_of(encoder, texts)) == sum(map(len, encoder.encode(texts, cache=False)))
    assert words_of(NGrams(width=8), texts) == []


@pytest.mark.parametrize(("nodes", "names"), [("tokens", ["very", "sour", "plum"]), ("one", [])])
def test_each_token_node_is_called_by_its_token(nodes, names, monkeypatch):
    encoder = Text(nodes=nodes)
    vocabulary = ["[CLS]", "[SEP]", "very", "sour", "plum"]
    monkeypatch.setattr(Text, "special", frozenset({0, 1}))
    monkeypatch.setattr(
        Text, "tokenizer", SimpleNamespace(convert_ids_to_tokens=lambda ids: [vocabulary[i] for i in ids])
    )
    monkeypatch.setattr(encoder, "prepare", lambda texts: [_ids(0, 2, 3, 1), _ids(0, 4, 1)])
    assert words_of(encoder, ["very sour", "plum"]) == names


def _ids(*ids):
    import torch

    return torch.tensor(ids).unsqueeze(1)
