"""Facts and questions of the demo in both languages, read once."""

import pytest

from graphfuse.demo.facts import Facts, read_facts
from graphfuse.demo.questions import Question, make_questions


@pytest.fixture(scope="session", params=["en", "zh"])
def facts(request: pytest.FixtureRequest) -> Facts:
    return read_facts(request.param)


@pytest.fixture(scope="session")
def english() -> Facts:
    return read_facts("en")


@pytest.fixture(scope="session")
def questions(facts: Facts) -> dict[str, tuple[Question, ...]]:
    return make_questions(facts, seed=0)
