"""Rows at their places, and their gradient read back from there."""

import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core.table import Move, moved

NOWHERE = 99
ROWS = torch.tensor([3, 0, NOWHERE, 1])  # of four places the third is empty
BACK = torch.tensor([1, 3, NOWHERE, 0])  # of four rows the third stands nowhere


def test_rows_stand_where_they_are_told_and_zeros_where_none_does():
    x = torch.arange(8.0).view(4, 2)
    assert moved(x, Move.between(ROWS, BACK)).tolist() == [[6.0, 7.0], [0.0, 1.0], [0.0, 0.0], [2.0, 3.0]]


def test_a_row_that_stands_nowhere_has_no_gradient_and_the_others_that_of_their_place():
    x = torch.randn(4, 2, dtype=torch.double, requires_grad=True)
    move = Move.between(ROWS, BACK)
    assert torch.autograd.gradcheck(lambda each: moved(each, move), x)
    (grad,) = torch.autograd.grad(moved(x, move).sum(), x)
    assert grad[:, 0].tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("empty", [None, torch.tensor([2])])
def test_a_row_at_several_places_adds_their_gradients(empty):
    x = torch.randn(3, 2, dtype=torch.double, requires_grad=True)
    move = Move(torch.tensor([1, 1, 0]), empty)
    assert torch.autograd.gradcheck(lambda each: moved(each, move), x)


def test_a_move_without_lacking_ends_fills_nothing():
    move = Move.between(torch.tensor([1, 0]), torch.tensor([1, 0]))
    assert move.empty is None
    assert move.unused is None
    assert_close(moved(torch.eye(2), move), torch.eye(2).flip(0))


def test_what_was_laid_out_without_gradient_learns_afterwards():
    plan = gf.Schema({"a": 1, "b": 1}, [gf.AllPairs("a", "b"), gf.AllPairs("b", "b"), gf.AllPairs("b", "a")])
    samples = [gf.Sample(f"{n}", {"a": torch.ones(n, 1), "b": torch.ones(m, 1)}) for n, m in ((3, 2), (4, 1), (1, 0))]
    states = {"a": torch.randn(8, 4, dtype=torch.double), "b": torch.randn(3, 4, dtype=torch.double)}
    found = []
    for before in (True, False):
        graph = gf.lay(gf.collate(samples, plan), plan, states)
        layer = gf.FUSIONS["hgt"](4, plan, layers=1, heads=2).double()
        layer.load_state_dict(found[0][2]) if found else None
        if before:
            with torch.no_grad():
                layer(graph)
        out, weights = layer(graph).vector, list(layer.parameters())
        grads = torch.autograd.grad(out.square().sum(), weights, allow_unused=True)
        found.append((out.detach(), [grad for grad in grads if grad is not None], layer.state_dict()))
    assert found[0][1]
    assert_close(found[0][:2], found[1][:2])
