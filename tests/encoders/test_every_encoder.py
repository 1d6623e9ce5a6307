"""What holds for every encoder of the catalog."""

import json

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from graphfuse.encoders import ENCODERS, Encoder
from graphfuse.encoders.base import lay_rows
from graphfuse.encoders.cache import Cache

TEXTS = [
    "Which country borders Chad?",
    "flag",
    "",
    "name the capital of a b c d e f g h",
    None,
    "borders borders",
    "flag",
]
UNCACHED = ("vector", "table")  # they compute nothing


def pictures(count: int = 5) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.randint(0, 256, (3, 20 + 9 * i, 31), generator=rng, dtype=torch.uint8) for i in range(count)]


@pytest.fixture
def cases(tiny_bert):
    """Name -> encoders, each with options and values: add a line for a new encoder."""
    small = {"weights": "random", "size": 64, "grid": 2}
    vectors = [np.arange(3.0), np.ones((2, 3)), None, [4, 5, 6]]
    cells = [{"size": 1.5, "site": "north"}, {"size": "3", "site": None}, {"site": "west"}, None, {"age": ""}, {}]
    return {
        "vector": [({"width": 3}, vectors)],
        "text": [({"model": str(tiny_bert), "nodes": nodes}, TEXTS) for nodes in ("tokens", "one")],
        "ngrams": [({"width": 64, "nodes": nodes}, TEXTS) for nodes in ("one", "words")],
        "image": [
            (small, [*pictures(), None]),
            ({**small, "model": "shufflenet_v2_x0_5", "grid": 0}, [None, *pictures(2)]),
        ],
        "table": [
            ({"numeric": {"size": (2.0, 0.5), "age": (40, 0)}, "categorical": {"site": ("north", "south")}}, cells)
        ],
    }


@pytest.fixture(params=ENCODERS)
def each(request, cases):
    return [(ENCODERS[request.param](**options), values) for options, values in cases[request.param]]


@pytest.fixture(params=["text", "image"])
def trained(request, cases):
    return [(ENCODERS[request.param](**options, trainable=True), values) for options, values in cases[request.param]]


def test_features_have_the_stated_width_and_need_no_gradient(each):
    for encoder, values in each:
        for features in encoder.encode(values):
            assert features.shape == (len(features), encoder.width)
            assert (features.dtype, features.device.type) == (torch.float32, "cpu")
            assert not features.requires_grad
            assert features.isfinite().all()


def test_a_lacking_value_has_no_nodes(each):
    for encoder, _ in each:
        for lacking in (None, "", "  \n", float("nan")):
            assert encoder.encode([lacking])[0].shape == (0, encoder.width)
            assert encoder.prepare([lacking])[0].shape == (0, encoder.raw_width)
        assert encoder.encode([]) == []


def test_features_are_the_same_alone_and_in_company(each):
    for encoder, values in each:
        together = encoder.encode(values, cache=False)
        backwards = encoder.encode(values[::-1], cache=False)[::-1]
        for value, features, again in zip(values, together, backwards):
            close = 1e-5 * max(1.0, features.abs().max().item() if len(features) else 0.0)
            assert_close(features, encoder.encode([value], cache=False)[0], atol=close, rtol=0)
            assert_close(features, again, atol=close, rtol=0)


def test_different_values_have_different_features(each):
    for encoder, values in each:
        first, second = (f for f in encoder.encode(values)[:2])
        assert first.shape != second.shape or not torch.allclose(first, second, atol=1e-3)


def test_encode_is_prepare_then_forward(each):
    for encoder, values in each:
        features, offsets = encoder(*lay_rows(encoder.prepare(values)))
        parts = features.split(offsets.diff().tolist())
        for one, other in zip(encoder.encode(values), parts, strict=True):
            assert_close(one, other, atol=1e-5, rtol=0)


def test_training_mode_changes_nothing(each):
    for encoder, values in each:
        before = encoder.encode(values, cache=False)
        encoder.train()
        assert not any(module.training for module in encoder.modules())
        for one, other in zip(before, encoder.encode(values, cache=False)):
            assert torch.equal(one, other)


def test_the_second_run_reads_the_cache(each, monkeypatch):
    for encoder, values in each:
        if encoder.name in UNCACHED:
            continue
        before = encoder.encode(values)
        again = ENCODERS[encoder.name](**encoder.config())
        monkeypatch.setattr(again, "prepare", None)
        monkeypatch.setattr(again, "forward", None)
        assert all(torch.equal(one, other) for one, other in zip(before, again.encode(values), strict=True))


def test_equal_values_are_encoded_once(each, monkeypatch):
    for encoder, values in each:
        seen = []
        prepare = encoder.prepare
        monkeypatch.setattr(encoder, "prepare", lambda v, n=None, p=prepare, s=seen: s.extend(v) or p(v, n))
        encoder.encode([values[0] if values[0] is not None else values[1]] * 5, cache=False)
        assert len(seen) == (5 if encoder.name in UNCACHED else 1)


def test_config_is_json_that_builds_the_same_encoder(each):
    for encoder, values in each:
        config = json.loads(json.dumps(encoder.config()))
        again = ENCODERS[encoder.name](**config)
        assert again.config() == config
        assert (again.id, again.width, again.raw_width) == (encoder.id, encoder.width, encoder.raw_width)
        for one, other in zip(encoder.encode(values, cache=False), again.encode(values, cache=False)):
            assert_close(one, other, atol=1e-6, rtol=0)


def test_every_setting_that_changes_features_changes_the_id(tiny_bert):
    picture = {"weights": "random", "size": 64, "grid": 2}
    encoders = [
        ENCODERS["vector"](3), ENCODERS["vector"](4),
        ENCODERS["ngrams"](), ENCODERS["ngrams"](width=64), ENCODERS["ngrams"](longest=3),
        ENCODERS["ngrams"](nodes="words"),
        ENCODERS["text"](str(tiny_bert)), ENCODERS["text"](str(tiny_bert), nodes="one"),
        ENCODERS["text"](str(tiny_bert), max_tokens=8),
        ENCODERS["image"](**picture), ENCODERS["image"](**{**picture, "grid": 1}), ENCODERS["image"](**picture, seed=1),
        ENCODERS["image"](**{**picture, "size": 96}), ENCODERS["image"](**picture, model="shufflenet_v2_x0_5"),
        ENCODERS["table"]({"a": (0, 1), "b": (0, 1)}, {}), ENCODERS["table"]({"b": (0, 1), "a": (0, 1)}, {}),
        ENCODERS["table"]({"a": (0, 2), "b": (0, 1)}, {}), ENCODERS["table"]({}, {"a": "xy"}),
    ]  # fmt: skip
    assert len({encoder.id for encoder in encoders}) == len(encoders)


def test_a_frozen_encoder_owns_no_parameters(each):
    for encoder, values in each:
        encoder.encode(values)
        assert not list(encoder.parameters())
        assert not encoder.state_dict()


def test_a_trainable_encoder_learns_where_a_frozen_one_starts(trained):
    for encoder, values in trained:
        frozen = ENCODERS[encoder.name](**{**encoder.config(), "trainable": False})
        rows, offsets = lay_rows(encoder.prepare(values))
        features, _ = encoder(rows, offsets)
        close = 3e-5 * max(1.0, float(features.detach().abs().max()))  # a frozen network has its batch norms folded in
        assert_close(features, frozen(rows, offsets)[0], atol=close, rtol=0)
        features.square().sum().backward()
        gradients = {name: p.grad for name, p in encoder.named_parameters() if "pooler" not in name}
        assert gradients
        assert all(grad is not None and grad.isfinite().all() for grad in gradients.values())


def test_training_never_moves_the_statistics_of_batch_normalisation(trained):
    for encoder, values in trained:
        encoder.train()
        before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
        encoder(*lay_rows(encoder.prepare(values)))[0].sum().backward()
        assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())


def test_a_trained_encoder_is_never_read_from_the_cache(trained, cache_folder):
    for encoder, values in trained:
        before = encoder.encode(values)
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.mul_(1.5)
        assert any(not torch.allclose(one, other) for one, other in zip(before, encoder.encode(values)))
    assert not Cache().stats()["entries"]


def test_a_batch_in_which_all_lack_the_kind_passes(each):
    for encoder, _ in each:
        features, offsets = encoder(*lay_rows(encoder.prepare([None, None])))
        assert features.shape == (0, encoder.width)
        assert offsets.tolist() == [0, 0, 0]


def test_a_new_encoder_needs_five_members(cache_folder):
    class Length(Encoder):
        name, width, raw_width = "length", 1, 1

        def config(self):
            return {}

        def prepare(self, values, names=None):
            return [torch.full((1, 1), float(len(v))) if v else torch.empty(0, 1) for v in values]

        def forward(self, rows, offsets):
            return rows, offsets

    assert [f.tolist() for f in Length().encode(["ab", None, "abc"])] == [[[2.0]], [], [[3.0]]]
    assert Cache().stats()["entries"] == 2


def test_one_encoder_does_not_load_what_another_needs(run_python):
    done = run_python(
        "import sys; from graphfuse.encoders import ENCODERS\n"
        "ENCODERS['ngrams']().encode(['words'], cache=False); ENCODERS['image'](weights='random', size=64, grid=1)\n"
        "print([m for m in ('transformers', 'torchvision', 'huggingface_hub') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr
