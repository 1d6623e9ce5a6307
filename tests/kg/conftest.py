import random

import pytest

from graphfuse.kg import KnowledgeGraph


def random_triples(seed):
    """A multigraph with a hub, parallel relations, both directions, loops and a part that nothing leads to."""
    rng = random.Random(seed)
    names, relations = [f"n{i}" for i in range(rng.randint(5, 40))], ["likes", "knows", "part of"]
    triples = [(rng.choice(names), rng.choice(relations), rng.choice(names)) for _ in range(rng.randint(5, 80))]
    triples += [(names[0], "knows", name) for name in rng.sample(names, len(names) // 2)]
    triples += [(name, "part of", names[1]) for name in rng.sample(names, len(names) // 2)]
    triples += [("n2", "likes", "n3"), ("n2", "knows", "n3"), ("n3", "likes", "n2"), ("n4", "likes", "n4")]
    triples += [("island", "likes", "islet"), ("n2", "likes", "n3")]
    rng.shuffle(triples)
    return triples


@pytest.fixture(params=range(25))
def triples(request):
    return random_triples(request.param)


@pytest.fixture
def kg(triples):
    return KnowledgeGraph.from_triples(triples)


@pytest.fixture
def rng(kg):
    return random.Random(len(kg) * 1000 + len(kg.triples))


@pytest.fixture
def world():
    return KnowledgeGraph.from_triples(
        [
            ("France", "borders", "Spain"),
            ("Spain", "borders", "France"),
            ("France", "language", "French"),
            ("France", "exports to", "Spain"),
            ("Niger", "language", "French"),
            ("Niger", "borders", "Nigeria"),
        ],
        aliases={"France": ["French Republic", "la France"]},
        pictures={"France": "flags/fr.png", "Nigeria": "flags/ng.png"},
    )
