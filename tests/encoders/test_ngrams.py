import math
import time

import pytest
import torch
from torch.testing import assert_close

from graphfuse.core.errors import InputError
from graphfuse.encoders import NGrams
from graphfuse.encoders.ngrams import hash_of, pieces_of


def plain(words: list[str], width: int, shortest: int, longest: int) -> torch.Tensor:
    """The rule, step by step."""
    counts: dict[str, int] = {}
    for word in words:
        marked = f" {word} "
        for n in range(shortest, longest + 1):
            for i in range(len(marked) - n + 1):
                if (gram := marked[i : i + n]) != " ":
                    counts[gram] = counts.get(gram, 0) + 1
    vector = torch.zeros(width)
    for gram, count in counts.items():
        code = hash_of(gram)
        vector[code % 2**31 % width] += (1 if code >= 2**31 else -1) * (1 + math.log(count))
    return vector / vector.norm()


def cosine(encoder: NGrams, one: str, other: str) -> float:
    a, b = encoder.encode([one, other], cache=False)
    return (a[0] @ b[0]).item()


def test_a_vector_equals_the_plain_rule():
    text = "Cats, cats and a CAT: 3 cats!"
    expected = plain(["cats", ",", "cats", "and", "a", "cat", ":", "3", "cats", "!"], 64, 1, 3)
    assert_close(NGrams(width=64, longest=3).encode([text])[0][0], expected)


def test_hashes_are_the_same_in_every_process_and_release(run_python):
    code = "from graphfuse.encoders import NGrams; print(NGrams(width=8).encode(['Chad'], cache=False)[0].tolist())"
    done = run_python(code, PYTHONHASHSEED="7")
    assert done.stdout == f"{NGrams(width=8).encode(['Chad'])[0].tolist()}\n"
    assert (hash_of("a"), hash_of("乍得")) == (0x554C23CA, 1193804899)


def test_case_width_and_composition_do_not_matter():
    encoder = NGrams()
    for one, other in [("CHAD", "chad"), ("Ｃｈａｄ", "Chad"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "straße")]:
        assert cosine(encoder, one, other) == pytest.approx(1)


def test_words_of_one_stem_are_closer_than_others():
    encoder = NGrams()
    assert cosine(encoder, "borders", "bordering") > 0.4 > 0.2 > cosine(encoder, "borders", "language")
    assert cosine(encoder, "与乍得接壤的国家", "乍得的邻国") > 0.15 > cosine(encoder, "与乍得接壤的国家", "使用货币")


def test_vectors_have_length_one():
    for features in NGrams(width=32, nodes="words").encode(["a word here", "数据 ok", "..."]):
        assert_close(features.norm(dim=1), torch.ones(len(features)))


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("hello,world!", ("hello", ",", "world", "!")),
        ("数据科学ab12", ("数据科学", "ab12")),
        ("カタカナひらがな", ("カタカナひらがな",)),
        ("नमस्ते", ("नमस्ते",)),
        ("한국어", ("한국어",)),
        ("สวัสดี", ("สวัสดี",)),
        ("a\u200bb", ("a", "b")),
        ("🙂🙂", ("🙂", "🙂")),
    ],
)
def test_text_is_cut_into_words_in_every_script(text, pieces):
    assert pieces_of(text) == pieces


def test_words_are_nodes_and_so_is_each_chinese_character():
    counts = [len(f) for f in NGrams(nodes="words").encode(["which flag?", "数据ok", "\u200b", "a b a"])]
    assert counts == [3, 3, 0, 3]


def test_a_value_that_is_no_text_is_named():
    with pytest.raises(InputError, match=r"row3: 7 is not a text"):
        NGrams().encode([7], ["row3"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": "word"}, r"form of text nodes called 'word'\. Did you mean 'words'"),
        ({"shortest": 3, "longest": 2}, r"longest is 2; it must be a whole number from 3 to 16"),
        ({"width": 1.5}, r"width is 1.5"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        NGrams(**options)


def test_ten_thousand_short_texts_take_seconds():
    texts = [f"Which currency is used by the neighbours of place{i % 977} number {i}?" for i in range(10_000)]
    start = time.process_time()
    NGrams().prepare(texts)
    assert time.process_time() - start < 15
