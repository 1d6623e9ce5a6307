import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from graphfuse.core.errors import InputError
from graphfuse.encoders.pixels import read_pixels

RED = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 4)
WHITE = torch.full((3, 4, 4), 255, dtype=torch.uint8)
GREY = torch.full((3, 4, 4), 128, dtype=torch.uint8)


def clear_palette() -> Image.Image:
    picture = Image.new("P", (6, 5), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.info["transparency"] = 1
    return picture


def in_mode(mode: str) -> Image.Image:
    return Image.new("RGB", (6, 5), "red").convert(mode)


PICTURES = {
    "RGB": (in_mode("RGB"), RED),
    "P": (in_mode("P"), RED),
    "P with a transparent colour": (clear_palette(), WHITE),
    "RGBA, clear": (Image.new("RGBA", (6, 5), (255, 0, 0, 0)), WHITE),
    "RGBA, opaque": (Image.new("RGBA", (6, 5), (255, 0, 0, 255)), RED),
    "LA, clear": (Image.new("LA", (6, 5), (0, 0)), WHITE),
    "CMYK": (Image.new("CMYK", (6, 5), (0, 255, 255, 0)), RED),
    "L": (Image.new("L", (6, 5), 128), GREY),
    "1": (Image.new("1", (6, 5), 1), WHITE),
    "16 bit": (Image.fromarray(np.full((5, 6), 128 * 257, np.uint16)), GREY),
    "32 bit": (Image.fromarray(np.full((5, 6), 128 * 257, np.int32)), GREY),
    "one pixel": (Image.new("RGB", (1, 1), "red"), RED),
    "a line": (Image.new("RGB", (1, 900), "red"), RED),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_mode_becomes_rgb_on_white(name):
    picture, expected = PICTURES[name]
    assert torch.equal(read_pixels(picture, 4, "p"), expected)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tiff", "webp", "jpg"])
def test_every_common_format_is_read(suffix, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / f"picture.{suffix}")
    pixels = read_pixels(str(tmp_path / f"picture.{suffix}"), 4, "p")
    assert (pixels.int() - RED.int()).abs().max() <= 3


def test_a_file_its_bytes_an_image_and_a_tensor_give_the_same(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(array).save(path)
    values = [path, str(path), path.read_bytes(), Image.fromarray(array), torch.from_numpy(array).permute(2, 0, 1)]
    first, *others = (read_pixels(value, 16, "p") for value in values)
    assert all(torch.equal(first, other) for other in others)


def test_a_picture_is_stretched_whole_and_stands_upright(tmp_path):
    picture = Image.new("RGB", (40, 10), "white")
    picture.paste((255, 0, 0), (0, 0, 20, 10))  # left half red
    assert torch.equal(read_pixels(picture, 4, "p")[1, :, [0, 3]], torch.tensor([[0, 255]] * 4, dtype=torch.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter: red is on top
    picture.save(tmp_path / "turned.png", exif=exif)
    assert read_pixels(tmp_path / "turned.png", 4, "p")[1, :, 0].tolist() == pytest.approx([0, 0, 255, 255], abs=30)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds hardly a row of it."""

    def part(content: bytes) -> bytes:
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(header) + part(b"IDAT" + zlib.compress(bytes(99))) + part(b"IEND")


def broken_files() -> dict[str, tuple[bytes, str]]:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    files = {}
    for suffix in ("png", "jpeg", "gif", "webp", "tiff"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, suffix)
        whole = buffer.getvalue()
        files[f"half.{suffix}"] = (whole[: len(whole) // 2], "is broken or cut short|is no picture")
    return files | {
        "empty.png": (b"", "is no picture in a format"),
        "words.png": (b"not a picture", "is no picture in a format"),
        "bomb.png": (png_of_size(10_000, 10_000), "more than 89,478,485 pixels, which may be an attack"),
        "huge.png": (png_of_size(60_000, 60_000), "more than 89,478,485 pixels, which may be an attack"),
        "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "EPS is a drawing"),
    }


@pytest.mark.parametrize(("name", "case"), broken_files().items())
def test_a_broken_or_dangerous_file_is_named_with_its_sample(name, case, tmp_path):
    content, message = case
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"case/7: .*{name}: .*({message})"):
        read_pixels(tmp_path / name, 8, "case/7")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"case/7: .*none.png: there is no such file"):
        read_pixels(tmp_path / "none.png", 8, "case/7")
    with pytest.raises(InputError, match=r"case/7: "):
        read_pixels(tmp_path, 8, "case/7")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3, 4, 4), r"case/7: a tensor torch.float32 \[3, 4, 4\] is not a picture"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), r"case/7: a tensor torch.uint8 \[4, 4, 3\]"),
        (torch.zeros(3, 0, 4, dtype=torch.uint8), r"case/7: a tensor"),
        (7, r"case/7: a int is not a picture; a path, a PIL image or a uint8 tensor is needed"),
    ],
)
def test_a_value_that_is_no_picture_is_named(value, message):
    with pytest.raises(InputError, match=message):
        read_pixels(value, 8, "case/7")
