"""Makes ``tasks`` known to the tests of this folder and to the processes that they start."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def run_task(run_python, monkeypatch):
    """As ``run_python``, with ``tasks`` importable."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    return run_python
