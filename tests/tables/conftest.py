"""A small table as files, and a cache of its own."""

import pytest
from small_table import Folder


@pytest.fixture(autouse=True)
def alone(own_cache):
    """Every test here has a cache of its own."""


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
