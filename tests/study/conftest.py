"""A folder with the small table, and one with a run."""

import pytest
from cases_table import make


@pytest.fixture(autouse=True)
def alone(own_cache):
    """Every test here has a cache of its own."""


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "data")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with a run in ``run``."""
    from graphfuse.study import train
    from graphfuse.tables.spec import Spec

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = make(tmp_path_factory.mktemp("trained") / "data")
        train(Spec.open(folder / "spec.toml"), folder / "run", seed=1, command="graphfuse train spec.toml")
    return folder
