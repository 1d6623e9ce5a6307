import errno
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import torch

from graphfuse.encoders import NGrams
from graphfuse.encoders.cache import MANY, SMALL, Cache, default_folder
from graphfuse.encoders.content import digest


def entries(*names: str) -> dict[bytes, torch.Tensor]:
    return {digest(n.encode()): torch.full((len(n), 3), float(sum(n.encode()))) for n in names}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def packs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def test_what_was_put_comes_back_and_nothing_else(tmp_path):
    cache = Cache(tmp_path)
    cache.put("e", entries("a", "bcd", ""))
    cache.put("e", entries("later"))
    assert same(cache.get("e", entries("bcd", "", "later", "unknown")), entries("bcd", "", "later"))
    assert cache.get("other", entries("a")) == {}


def test_what_comes_back_is_a_copy(tmp_path):
    cache = Cache(tmp_path)
    cache.put("e", entries("a"))
    cache.get("e", entries("a"))[digest(b"a")].zero_()
    assert same(cache.get("e", entries("a")), entries("a"))


@pytest.mark.parametrize("place", [0, 4, 40, -1, "a", "bcd", "efgh"])
def test_an_altered_pack_never_gives_a_wrong_entry(place, tmp_path):
    cache = Cache(tmp_path)
    cache.put("e", entries("a", "bcd", "efgh"))
    (pack,) = packs(tmp_path)
    content = bytearray(pack.read_bytes())
    if isinstance(place, str):  # among the numbers of this entry
        place = content.index(entries(place)[digest(place.encode())].numpy().tobytes()) + 5
    content[place] ^= 0x41
    pack.write_bytes(content)
    found = cache.get("e", entries("a", "bcd", "efgh"))
    assert len(found) < 3
    assert same(found, {key: value for key, value in entries("a", "bcd", "efgh").items() if key in found})


@pytest.mark.parametrize("length", [0, 5, 100, 300])
def test_a_torn_pack_is_as_if_absent(length, tmp_path):
    cache = Cache(tmp_path)
    cache.put("e", entries("a", "bcd"))
    (pack,) = packs(tmp_path)
    pack.write_bytes(pack.read_bytes()[:length])
    assert cache.get("e", entries("a")) == {}
    cache.put("e", entries("a"))
    assert same(cache.get("e", entries("a")), entries("a"))


def test_an_encoder_computes_again_what_was_altered(cache_folder):
    encoder = NGrams(width=16)
    before = encoder.encode(["one", "two"])
    (pack,) = packs(cache_folder)
    content = bytearray(pack.read_bytes())
    content[content.index(before[1].numpy().tobytes()) + 1] ^= 1
    pack.write_bytes(content)
    for _ in range(2):
        assert all(torch.equal(one, other) for one, other in zip(before, encoder.encode(["one", "two"])))


def test_many_small_packs_are_folded_and_lose_nothing(tmp_path):
    cache = Cache(tmp_path)
    names = [f"name{i}" for i in range(3 * MANY)]
    for name in names:
        cache.put("e", entries(name))
    assert len(packs(tmp_path)) <= MANY
    assert same(cache.get("e", entries(*names)), entries(*names))


def test_a_large_pack_is_not_written_again(tmp_path):
    cache = Cache(tmp_path)
    cache.put("e", {digest(b"large"): torch.zeros(SMALL // 4, 2)})
    (large,) = packs(tmp_path)
    for i in range(MANY + 1):
        cache.put("e", entries(f"name{i}"))
    assert large.exists()


def test_a_writer_that_dies_leaves_nothing_that_is_read(tmp_path, monkeypatch):
    cache = Cache(tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.put("e", entries("a"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


WRITER = """
import sys, torch
from graphfuse.encoders.cache import Cache
from graphfuse.encoders.content import digest
cache = Cache(sys.argv[1])
keys = [digest(str(i).encode()) for i in range(80)]
for i, key in enumerate(keys):
    cache.put("e", {key: torch.full((2, 3), float(i))})
    for k, found in cache.get("e", keys).items():
        assert (found == keys.index(k)).all()
assert len(cache.get("e", keys[-1:])) == 1
"""


def test_two_processes_share_a_folder(tmp_path):
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors.decode()
    keys = [digest(str(i).encode()) for i in range(80)]
    assert len(Cache(tmp_path).get("e", keys)) == 80


@pytest.mark.filterwarnings("ignore:.*features are not cached")
def test_clearing_while_another_reads_does_no_harm(tmp_path):
    cache, stop = Cache(tmp_path), threading.Event()

    def clear() -> None:
        while not stop.is_set():
            cache.clear()

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        for i in range(100):
            cache.put("e", entries(f"name{i}"))
            cache.get("e", entries(*(f"name{j}" for j in range(i + 1))))
    finally:
        stop.set()
        thread.join()


def test_a_full_disk_warns_once_and_the_work_goes_on(cache_folder, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    encoder = NGrams(width=16)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for text in ("one", "two"):
            assert len(encoder.encode([text])[0]) == 1
    (warning,) = caught
    assert "features are not cached (No space left on device); free some space there" in str(warning.message)


def test_a_cache_folder_that_is_a_file_warns_and_the_work_goes_on(cache_folder):
    cache_folder.write_text("in the way")
    with pytest.warns(UserWarning, match="features are not cached"):
        assert len(NGrams(width=16).encode(["one"])[0]) == 1
    assert Cache().stats()["entries"] == 0
    assert Cache().clear() == 0


def test_stats_count_and_clear_deletes_only_features(cache_folder):
    assert Cache().stats() == {"folder": str(cache_folder), "bytes": 0, "entries": 0, "encoders": {}}
    encoder = NGrams(width=16)
    encoder.encode(["one", "two", "one"])
    (cache_folder / "mine.txt").write_text("kept")
    stats = Cache().stats()
    assert stats["entries"] == stats["encoders"][encoder.id]["entries"] == 2
    assert stats["bytes"] == sum(path.stat().st_size for path in packs(cache_folder))
    assert Cache().clear() == stats["bytes"]
    assert Cache().stats()["entries"] == 0
    assert (cache_folder / "mine.txt").exists()


def test_no_cache_writes_nothing_and_a_given_one_is_used(cache_folder, tmp_path):
    NGrams(width=16).encode(["one"], cache=False)
    NGrams(width=16).encode(["one"], cache=Cache(tmp_path / "own"))
    assert not cache_folder.exists()
    assert Cache(tmp_path / "own").stats()["entries"] == 1


def test_the_folder_follows_the_environment_and_the_platform(monkeypatch):
    monkeypatch.setenv("GRAPHFUSE_CACHE", "/somewhere")
    assert default_folder() == Path("/somewhere")
    monkeypatch.delenv("GRAPHFUSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == Path("/xdg/graphfuse")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "graphfuse"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == Path.home() / "Library" / "Caches" / "graphfuse"


def test_reading_ten_thousand_entries_is_fast(tmp_path):
    import time

    cache = Cache(tmp_path)
    keys = [digest(str(i).encode()) for i in range(10_000)]
    features = torch.randn(12, 64)
    for start in range(0, len(keys), 512):
        cache.put("e", dict.fromkeys(keys[start : start + 512], features))
    start_time = time.process_time()
    assert len(cache.get("e", keys)) == 10_000
    assert time.process_time() - start_time < 3
