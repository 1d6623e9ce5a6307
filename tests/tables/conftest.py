"""A small table as files, and a cache of its own."""

import pytest
from small_table import Folder


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    """No test sees the user's cache, nor the network."""
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
