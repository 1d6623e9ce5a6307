"""A cache of its own for every test, and a tiny transformers model that needs no download."""

import json
from pathlib import Path

import pytest
import torch

from graphfuse.encoders.cache import Cache

WORDS = [
    "which",
    "country",
    "borders",
    "chad",
    "?",
    "name",
    "the",
    "capital",
    "of",
    *"abcdefghij",
    "##s",
    "##ing",
    "flag",
]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """No test sees the user's cache, nor the network."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(Cache, "_warned", False)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    """A BERT of two layers, width 16, with random weights and a vocabulary of a few words."""
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny_bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                            intermediate_size=32, max_position_embeddings=32)  # fmt: skip
        BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return folder
