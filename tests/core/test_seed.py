"""Randomness comes from the seed that the caller gave."""

import random

import numpy as np
import pytest
import torch

import graphfuse as gf


def draw() -> tuple:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def states() -> tuple:
    return (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        np.random.get_state()[2],
        torch.get_rng_state().tolist(),
    )


def test_generators_are_afterwards_as_they_were():
    before = states()
    with gf.seeded(5):
        draw()
    assert states() == before


def test_generators_are_as_they_were_after_an_error_too():
    before = states()

    def fail() -> None:
        with gf.seeded(5):
            draw()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert states() == before


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    drawn = []
    for seed in (5, 5, 6):
        with gf.seeded(seed):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(a != b for a, b in zip(drawn[0], drawn[2]))


@pytest.mark.parametrize("seed", [-1, 2**40])
def test_any_whole_number_is_a_seed(seed):
    with gf.seeded(seed):
        assert draw()
