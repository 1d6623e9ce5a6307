import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch.testing import assert_close

from graphfuse.core.errors import InputError
from graphfuse.encoders import Image


@pytest.fixture(scope="module")
def encoder():
    return Image(weights="random", size=128, grid=4)


def picture(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (3, 128, 128), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_the_first_node_is_the_whole_and_the_others_are_regions_row_by_row(encoder, monkeypatch):
    assert encoder.encode([picture()])[0].shape == (17, 1280)
    monkeypatch.setattr(encoder, "running_network", lambda device: torch.nn.AvgPool2d(32))  # a map of mean colours
    means = (picture() / 255 - 127 / 255) / (128 / 255)  # [3, 128, 128]
    features = encoder(picture().reshape(1, -1), torch.tensor([0, 1]))[0]  # [17, 3]
    assert_close(features[0], means.mean((1, 2)), atol=1e-5, rtol=1e-5)
    assert_close(features[4], means[:, :32, 96:].mean((1, 2)), atol=1e-5, rtol=1e-5)  # above, on the right


def test_a_coarser_region_is_the_mean_of_finer_ones(encoder):
    cells = encoder.encode([picture()])[0][1:].view(4, 4, 1280)
    coarse = Image(weights="random", size=128, grid=2).encode([picture()])[0]
    assert_close(coarse[2], cells[:2, 2:].mean((0, 1)), atol=1e-5, rtol=1e-5)


def test_a_grid_of_zero_gives_the_whole_alone(encoder):
    whole = Image(weights="random", size=128, grid=0).encode([picture()])[0]
    assert_close(whole, encoder.encode([picture()])[0][:1], atol=1e-5, rtol=1e-5)


def test_raw_rows_are_pixels_in_bytes(encoder):
    rows = encoder.prepare([picture()])[0]
    assert (rows.dtype, rows.shape) == (torch.uint8, (1, 3 * 128 * 128))
    assert torch.equal(rows.view(3, 128, 128), picture())


def test_bytes_and_floats_of_the_same_pixels_give_the_same(encoder):
    rows, offsets = picture().reshape(1, -1), torch.tensor([0, 1])
    assert_close(encoder(rows, offsets)[0], encoder(rows.float(), offsets)[0])


def test_the_cache_knows_a_file_by_its_content(encoder, tmp_path, monkeypatch):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    for path, seed in ((first, 1), (second, 2)):
        Pillow.fromarray(picture(seed).permute(1, 2, 0).numpy()).save(path)
    before, other = encoder.encode([first, second])
    first.write_bytes(second.read_bytes())
    monkeypatch.setattr(encoder, "prepare", None)
    assert torch.equal(encoder.encode([first])[0], other)
    assert not torch.equal(before, other)


def test_a_path_a_pil_image_and_a_tensor_give_the_same(encoder, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Pillow.fromarray(array).save(tmp_path / "p.png")
    values = [tmp_path / "p.png", Pillow.fromarray(array), torch.from_numpy(array).permute(2, 0, 1)]
    first, *others = encoder.encode(values)
    for other in others:
        assert_close(first, other, atol=1e-5, rtol=0)


def test_a_one_pixel_picture_has_features(encoder):
    assert encoder.encode([Pillow.new("RGB", (1, 1), "red")])[0].isfinite().all()


def test_a_picture_that_does_not_open_is_named_with_its_sample(encoder, tmp_path):
    (tmp_path / "bad.png").write_text("words")
    with pytest.raises(InputError, match=r"case/7: .*bad.png: this is no picture"):
        encoder.encode([picture(), str(tmp_path / "bad.png")], ["case/6", "case/7"])
    with pytest.raises(InputError, match=r"case/7: .*none.png: there is no such file"):
        encoder.encode([picture(), "none.png"], ["case/6", "case/7"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 8}, r"grid is 8, but efficientnet_lite0 sees a picture of 224 pixels as 7 x 7 cells; .* at most 7"),
        ({"grid": -1}, r"grid is -1; it must be a whole number from 0 to 64"),
        ({"size": 4}, r"size is 4; it must be a whole number from 8 to 4096"),
        ({"seed": "0"}, r"seed is '0'"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        Image(**options)
