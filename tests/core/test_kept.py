"""What is made of a batch once, and sequences of which an entry is made where it is looked at."""

import copy
import gc
import weakref
from dataclasses import replace

import pytest

import graphfuse as gf
from graphfuse.core.kept import MOST, Kept
from graphfuse.core.lazy import Lazy


def batch(name: str = "x") -> gf.Batch:
    return gf.Batch((name,), {}, {})


def test_it_is_made_once_of_each_batch_and_anew_of_one_that_is_like_it():
    kept, made = Kept(), []
    own = batch()
    found = [kept.of(own, lambda own: made.append(own.names) or len(made)) for _ in range(3)]
    assert found == [1, 1, 1]
    assert kept.of(replace(own), lambda own: 7) == 7
    assert kept.of(own, lambda own: 9) == 1
    for at in range(100):  # each where one before was, that is gone
        assert kept.of(batch(str(at)), lambda own: own.names) == (str(at),)


def test_a_batch_is_not_held_and_only_the_last_are_remembered():
    kept = Kept()
    gone = weakref.ref(own := batch())
    kept.of(own, lambda own: list(own.names))
    del own
    gc.collect()
    assert gone() is None
    every = [batch(str(at)) for at in range(2 * MOST)]
    for own in every:
        kept.of(own, lambda own: own.names)
        assert kept.of(every[0], lambda own: pytest.fail("the one that is asked for again is kept")) == ("0",)
    assert kept.of(every[1], lambda own: "anew") == "anew"
    assert len(kept._made) <= MOST


def test_copies_begin_empty():
    kept, own = Kept(), batch()
    kept.of(own, lambda own: 1)
    for other in (copy.copy(kept), copy.deepcopy(kept)):  # as for another process, by __reduce__
        assert other.of(own, lambda own: 2) == 2


def test_entries_are_made_where_they_are_looked_at():
    seen = []
    lazy = Lazy(4, lambda at: seen.append(at) or 10 * at)
    assert len(lazy) == 4
    assert (lazy[-1], lazy[1:3]) == (30, (10, 20))
    assert seen == [3, 1, 2]
    assert list(lazy.taken([2, 0])) == [20, 0]
    assert list(lazy) == [0, 10, 20, 30]
    with pytest.raises(IndexError):
        lazy[4]
