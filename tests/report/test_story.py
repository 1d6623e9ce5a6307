"""A story is read back as it was saved, or says where it does not fit."""

import numpy as np
import pytest
from report_data import story_of

from graphfuse.core.errors import InputError
from graphfuse.report import Card, EvidencePath, Hidden, Picture, Story


def test_a_story_comes_back_as_it_was(tmp_path):
    story_of().save(tmp_path)
    assert Story.open(tmp_path) == story_of()


def test_an_empty_story_comes_back(tmp_path):
    Story().save(tmp_path)
    assert Story.open(tmp_path) == Story()


def test_numbers_of_numpy_are_saved_as_numbers(tmp_path):
    story = Story(hidden=(Hidden("a", "b", np.float32(0.5), np.float64(0.25), 0),),
                  cards=(Card("a", "b", "c", ("c",), np.bool_(True), np.float32(0.5)),))  # fmt: skip
    story.save(tmp_path)
    assert Story.open(tmp_path) == story


def test_a_path_goes_with_and_against_its_edges():
    path = EvidencePath("Chad", (("Sudan", "borders", "Chad"), ("Sudan", "currency", "Pound")))
    assert list(path.hops()) == [("borders", True, "Sudan"), ("currency", False, "Pound")]


def test_a_path_that_breaks_off_is_refused():
    with pytest.raises(InputError, match=r"\('Peru', 'borders', 'Chile'\) neither starts nor ends at 'Chad'"):
        EvidencePath("Chad", (("Peru", "borders", "Chile"),))


def test_only_png_and_jpeg_are_pictures():
    with pytest.raises(InputError, match=r"'a flag' starts with b'<svg'; expected a PNG or a JPEG"):
        Picture("a flag", b"<svg onload='x'/>")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"right": false', '"right": "no"', r"cards\[0\]\.right: expected true or false, got 'no'"),
        ('"score": 0.25', '"score": "high"', r"cards\[0\]\.score: expected a number, got 'high'"),
        ('"start": "Chad"', '"start": "Peru"', r"cards\[0\]\.paths\[0\]: Evidence path: step .* at 'Peru'"),
        ('"data": "', '"data": "!', r"cards\[0\]\.pictures\[0\]\.data: is not base64 text"),
        ('"data": "', '"data": "AAAA', r"cards\[0\]\.pictures\[0\]: Picture .* expected a PNG or a JPEG"),
        ('"borders",', "", r"cards\[0\]\.paths\[0\]\.steps\[0\]: has 2 parts; expected 3"),
        ('"language": "zh"', '"language": 3', r"language: expected text, got 3"),
    ],
)
def test_a_damaged_story_names_the_file_and_the_place(tmp_path, old, new, message):
    story_of().save(tmp_path)
    path = tmp_path / "report.json"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(InputError, match=rf"report\.json\.{message}"):
        Story.open(tmp_path)
