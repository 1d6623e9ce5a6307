"""What every suite may use."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Tensors are tiny here: threads that wait in a loop for the next one cost more than they bring. Before torch is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")


@pytest.fixture(scope="session")
def run_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess]:
    """Runs Python code in a fresh process of this interpreter: ``run_python(code, *arguments, **environment)``."""
    folder = tmp_path_factory.mktemp("process")

    def run(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1", **environment}
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature cache that no other test and no user has, and no network."""
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def jobs_asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of jobs that each set of runs is given to."""
    compare = importlib.import_module("graphfuse.training.compare")  # the module, not the function

    asked, real = list[int](), compare.side_by_side

    def seen(work, jobs):
        asked.append(jobs)
        return real(work, jobs)

    monkeypatch.setattr(compare, "side_by_side", seen)
    return asked
