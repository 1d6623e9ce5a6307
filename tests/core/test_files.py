"""Files are written whole or not at all."""

import pytest

import graphfuse as gf
from graphfuse.core.files import read_json, sha256, write_all, write_bytes, write_json, write_text

FULL_DISK = """
import resource, sys
from pathlib import Path
import graphfuse as gf
from graphfuse.core.files import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(Path(sys.argv[1]), "new" * 1000)
except gf.InputError as error:
    print(error)
"""


def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path, run_python):
    path = tmp_path / "folder" / "note.txt"
    write_text(path, "old")
    done = run_python(FULL_DISK, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: cannot be written (File too large); what was there is kept.")
    assert path.read_text() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["note.txt"]


def test_several_files_are_written_all_or_none(tmp_path):
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    write_all({first: b"old", second: b"old"})
    (tmp_path / "file").write_text("")
    blocked = tmp_path / "file" / "third.txt"
    with pytest.raises(gf.InputError, match=r"file/third\.txt: cannot be written \(.*\); what was there is kept\."):
        write_all({first: b"new", second: b"new", blocked: b"new"})
    assert first.read_text() == second.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "first.txt", "second.txt"]
    write_all({first: b"new", second: b"newer"})
    assert (first.read_text(), second.read_text()) == ("new", "newer")


def test_a_file_is_replaced_and_never_written_over(tmp_path):
    """Who has the old file open reads the old one to its end."""
    write_text(tmp_path / "note.txt", "old")
    with (tmp_path / "note.txt").open() as reader:
        write_text(tmp_path / "note.txt", "new")
        assert reader.read() == "old"
    assert (tmp_path / "note.txt").read_text() == "new"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(gf.InputError, match=r"file/note\.txt: cannot be written"):
        write_text(tmp_path / "file" / "note.txt", "x")


def test_what_is_written_is_read_again_and_others_may_read_it(tmp_path):
    value = {"b": [1, 2.5, None], "a": "Ürümqi 乌鲁木齐"}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value
    assert list(read_json(tmp_path / "value.json")) == ["b", "a"]
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "value.json").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_that_is_missing_or_broken_names_file_and_line(tmp_path):
    with pytest.raises(gf.InputError, match=r"gone\.json: there is no such file\."):
        read_json(tmp_path / "gone.json")
    (tmp_path / "bad.json").write_text('{"a": 1,\n "b": }')
    with pytest.raises(gf.InputError, match=r"bad\.json:2: not valid JSON \(Expecting value\)\."):
        read_json(tmp_path / "bad.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    with pytest.raises(gf.InputError, match=r"bytes\.json: cannot be read"):
        read_json(tmp_path / "bytes.json")


def test_the_checksum_is_sha256(tmp_path):
    write_bytes(tmp_path / "abc", b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_checksum_of_what_cannot_be_read_says_so(tmp_path):
    with pytest.raises(gf.InputError, match=r"cannot be read \(Is a directory\)"):
        sha256(tmp_path)
