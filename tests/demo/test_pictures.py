"""Pictures: drawn alike, degraded alike from the same seed, read from files."""

import numpy as np
import pytest
from PIL import Image

from graphfuse.core.errors import InputError
from graphfuse.demo.pictures import (
    FLAG_SIZE,
    OUTLINE_SIZE,
    degrade,
    degrade_outline,
    draw_flag,
    draw_outline,
    read_picture,
)

pytest.importorskip("countryinfo", reason='needs the extra: pip install "graphfuse[demo]"')


@pytest.fixture(scope="module")
def flags(english):
    return {code: draw_flag(english.flags[code]) for code in english.codes}


def test_every_flag_is_drawn_in_one_size_and_in_colour(flags):
    assert {flag.shape for flag in flags.values()} == {(FLAG_SIZE[1], FLAG_SIZE[0], 3)}
    assert all(flag.dtype == np.uint8 and flag.std() > 5 for flag in flags.values())


def test_the_flag_of_france_is_blue_white_and_red(flags):
    blue, white, red = (flags["FR"][39, column].astype(int) for column in (20, 64, 108))
    assert blue.argmax() == 2
    assert white.min() > 240
    assert red.argmax() == 0


def test_every_outline_fills_the_picture_and_no_more(english):
    for code, outline in english.outlines.items():
        picture = draw_outline(outline)
        assert picture.shape == (OUTLINE_SIZE, OUTLINE_SIZE, 3)
        rows, columns, _ = np.nonzero(picture < 128)
        assert 0.85 < max(np.ptp(rows), np.ptp(columns)) / OUTLINE_SIZE < 0.95, code


def test_lesotho_is_a_hole_in_south_africa(english):
    column = draw_outline(english.outlines["ZA"])[:, :, 0] < 128
    assert any((np.diff(line.astype(int)) == 1).sum() > 1 for line in column.T)


def test_a_country_across_the_180th_meridian_stays_in_one_piece(english):
    rows, columns, _ = np.nonzero(draw_outline(english.outlines["FJ"]) < 128)
    assert np.ptp(rows) > np.ptp(columns) / 2


def test_level_zero_changes_nothing(english, flags):
    rng = np.random.default_rng(0)
    assert (degrade(flags["MX"], 0, rng) == flags["MX"]).all()
    assert (degrade_outline(english.outlines["MX"], 0, rng) == draw_outline(english.outlines["MX"])).all()


@pytest.mark.parametrize("level", [1.0, 1.5])
def test_the_seed_alone_decides_what_becomes_of_a_picture(english, flags, level):
    for worsen, picture in ((degrade, flags["MX"]), (degrade_outline, english.outlines["MX"])):
        once, again, otherwise = (worsen(picture, level, np.random.default_rng(seed)) for seed in (7, 7, 8))
        assert (once == again).all()
        assert once.dtype == np.uint8
        assert (once != otherwise).mean() > 0.1


def test_a_higher_level_leaves_less_of_the_flag(flags):
    def damage(level):
        pairs = ((flags[code], degrade(flags[code], level, np.random.default_rng(3))) for code in list(flags)[::20])
        return np.mean([np.abs(clean.astype(int) - worse).mean() for clean, worse in pairs])

    assert damage(0.5) < damage(1.0) < damage(1.5)


def test_a_file_is_read_in_the_form_of_a_flag(tmp_path, flags):
    Image.fromarray(flags["FR"]).resize((640, 390)).save(tmp_path / "france.png")
    picture = read_picture(tmp_path / "france.png")
    assert picture.shape == flags["FR"].shape
    assert np.abs(picture.astype(int) - flags["FR"]).mean() < 3


def test_what_is_transparent_reads_as_white(tmp_path):
    Image.new("RGBA", (50, 100)).save(tmp_path / "nothing.png")
    picture = read_picture(tmp_path / "nothing.png")
    assert picture.shape == (128, 64, 3)
    assert (picture == 255).all()


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n cut short"])
def test_a_picture_that_does_not_open_is_named(tmp_path, content):
    path = tmp_path / "broken.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.png: not a picture that opens .* PNG or JPEG"):
        read_picture(path)
