"""Makes ``tasks`` known to the tests of this folder and to the processes that they start."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def run_task(run_python):
    """As ``run_python``, with ``tasks`` importable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        yield run_python
