"""A folder with a finished comparison and its story."""

from pathlib import Path

import pytest
from report_data import METHODS, runs_of, story_of

from graphfuse.training.comparison import Comparison


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four methods, three seeds, a story."""
    Comparison(runs_of(METHODS, 3)).save(tmp_path)
    story_of().save(tmp_path)
    return tmp_path
