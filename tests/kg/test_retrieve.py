import pytest

from graphfuse.core.errors import InputError
from graphfuse.kg import KnowledgeGraph


def search(triples, seeds, hops, max_degree=None):
    """The documented order and caps as plain loops, and whether a cap kept back a step that no other step replaced."""
    rows = list(dict.fromkeys(triples))
    found, ring, cut = list(seeds), list(seeds), False
    for hop in range(hops):
        fresh, kept_back = [], []
        for name in ring:
            steps = [(tail, None, []) for head, _, tail in rows if head == name]
            for head, relation, tail in rows:
                if tail == name and head != name:
                    steps.append((head, relation, [h for h, r, t in rows if (r, t) == (relation, name)]))
            for rank, (other, relation, arriving) in enumerate(steps):
                if isinstance(max_degree, dict):
                    cap = max_degree.get(relation, len(rows))
                    number, place = len(arriving), arriving.index(other) if arriving else -1
                else:
                    cap = len(rows) if max_degree is None else max_degree
                    number, place = len(steps), rank
                allowed = place < cap if hop == 0 else number <= cap
                if other not in found and other not in fresh:
                    (fresh if allowed else kept_back).append(other)
        cut = cut or any(other not in fresh for other in kept_back)
        found += fresh
        ring = fresh
    return found, cut


def some_seeds(kg, rng):
    return rng.sample(kg.entities, rng.randint(1, 3))


def test_entities_and_their_order_equal_a_plain_search(triples, kg, rng):
    for hops in range(4):
        seeds = some_seeds(kg, rng)
        sub = kg.retrieve(seeds, hops, max_nodes=1000)
        assert sub.entities == search(triples, seeds, hops)[0]
        assert not sub.truncated


def test_triples_are_all_among_the_entities_in_order_of_edge_id(kg, rng):
    sub = kg.retrieve(some_seeds(kg, rng), hops=2, max_nodes=rng.randint(3, 30))
    inside = [(i, t) for i, t in enumerate(kg.triples) if t[0] in sub.entities and t[2] in sub.entities]
    assert list(zip(sub.edge_ids.tolist(), sub.triples)) == inside


def test_a_budget_cuts_the_end_of_the_order_and_truncation_says_so_exactly(kg, rng):
    for hops in (1, 2, 3):
        seeds = some_seeds(kg, rng)
        whole = kg.retrieve(seeds, hops, max_nodes=1000).entities
        for budget in range(len(seeds), len(whole) + 2):
            sub = kg.retrieve(seeds, hops, budget)
            assert sub.entities == whole[:budget]
            assert sub.truncated == (len(whole) > budget)


@pytest.mark.parametrize("cap", [0, 1, 3, 8, {"likes": 0}, {"knows": 1, "part of": 3}, {"part of": 0, "likes": 2}])
def test_caps_on_hubs_equal_a_plain_search(triples, kg, rng, cap):
    for hops in (1, 2, 3):
        seeds = some_seeds(kg, rng)
        sub = kg.retrieve(seeds, hops, 1000, max_degree=cap)
        assert (sub.entities, sub.truncated) == search(triples, seeds, hops, cap)


def test_not_truncated_means_complete_even_with_caps(kg, rng):
    complete = 0
    for cap in (3, 6, 12, 50, {"part of": 2}, {"part of": 30}):
        seeds = some_seeds(kg, rng)
        sub, whole = kg.retrieve(seeds, 2, 1000, max_degree=cap), kg.retrieve(seeds, 2, 1000)
        assert sub.truncated or set(sub.entities) == set(whole.entities)
        complete += not sub.truncated
    assert complete


def test_a_hub_is_arrived_at_but_not_gone_on_from_unless_it_is_a_seed():
    speakers = [f"country {i}" for i in range(50)]
    kg = KnowledgeGraph.from_triples(
        [(name, "language", "English") for name in speakers]
        + [(name, "currency", f"money {i // 5}") for i, name in enumerate(speakers)]
    )
    caps = {"language": 0, "currency": 5}
    sub = kg.retrieve("country 7", hops=2, max_degree=caps)
    assert sub.entities == ["country 7", "English", "money 1", "country 5", "country 6", "country 8", "country 9"]
    assert sub.truncated
    assert kg.retrieve("country 7", max_degree={"language": 0, "currency": 4}).entities == sub.entities[:3]
    assert kg.retrieve("English", hops=1, max_degree={"language": 3}).entities == ["English", *speakers[:3]]
    assert kg.retrieve("English", hops=1, max_degree=3).entities == ["English", *speakers[:3]]
    assert len(kg.retrieve("country 7", max_degree=49)) == 7
    assert len(kg.retrieve("country 7", max_degree=50)) == 3 + 49


def test_seeds_may_be_one_name_or_repeated(world):
    assert world.retrieve("Niger").seeds == ("Niger",)
    assert world.retrieve(["Niger", "Spain", "Niger"], hops=0).entities == ["Niger", "Spain"]


@pytest.mark.parametrize(
    ("seeds", "options", "message"),
    [
        (["Frnace"], {}, "'Frnace'.*'France'"),
        ([], {}, "no seeds"),
        (["France", "Niger"], {"max_nodes": 1}, "max_nodes is 1 with 2 seeds"),
        (["France"], {"hops": -1}, "hops is -1"),
        (["France"], {"max_degree": -2}, "max_degree is -2"),
        (["France"], {"max_degree": {"borders": -2}}, "max_degree is {'borders': -2}"),
        (["France"], {"max_degree": {"border": 0}}, "'border'.*'borders'"),
    ],
)
def test_what_cannot_be_retrieved_is_explained(world, seeds, options, message):
    with pytest.raises(InputError, match=message):
        world.retrieve(seeds, **options)
