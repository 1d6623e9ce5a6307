"""The largest score below each label, against the dense formula."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.rules import max_constraint

DATA = Path(__file__).parents[3] / "shared" / "data" / "rules" / "hmc"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the rule data folder is not beside this checkout")


def reach(edges: torch.Tensor, count: int) -> torch.Tensor:
    """Whether each label is another one or above it, ``bool [above, below]``, by ever longer paths."""
    step = torch.eye(count, dtype=torch.double)
    step[edges[1], edges[0]] = 1
    found = step
    while not (longer := (found @ step > 0).double()).equal(found):
        found = longer
    return found > 0


def dense(scores: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Equation 2 of Giunchiglia & Lukasiewicz 2020, a pair of labels at a time."""
    below = reach(edges, scores.shape[1])
    return scores[:, None].expand(-1, len(below), -1).masked_fill(~below, -torch.inf).max(2)[0]


def graph(seed: int, parents: int) -> tuple[torch.Tensor, int]:
    """Random edges without a cycle, in any order of the labels."""
    rng = random.Random(seed)
    count = rng.randint(1, 40)
    name = rng.sample(range(count), count)
    pairs = [(name[i], name[j]) for i in range(1, count) for j in rng.sample(range(i), min(i, rng.randint(0, parents)))]
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t(), count


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_dense_formula_and_so_is_its_gradient(seed):
    edges, count = graph(seed, parents=1 if seed < 10 else 4)
    scores = torch.randn(5, count, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    one, other = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    found, expected = max_constraint(one, edges), dense(other, edges)
    assert found.equal(expected)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    assert_close(one.grad, other.grad)
    assert (found[:, edges[0]] <= found[:, edges[1]]).all()


def test_of_equals_the_gradient_goes_to_the_label_itself_then_to_its_first_child():
    edges = torch.tensor([[2, 1], [0, 0]])
    scores = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 2.0, 1.0]], requires_grad=True)
    max_constraint(scores, edges)[:, 0].sum().backward()
    assert scores.grad.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_types_shapes_inference_and_second_derivatives():
    edges, count = graph(3, 3)
    for dtype in (torch.float32, torch.bfloat16):
        assert max_constraint(torch.randn(2, count).to(dtype), edges).dtype == dtype
    assert max_constraint(torch.zeros(0, count), edges).shape == (0, count)
    assert max_constraint(torch.ones(2, 3), torch.zeros(2, 0, dtype=torch.long)).equal(torch.ones(2, 3))
    with torch.inference_mode():
        max_constraint(torch.randn(2, 7), torch.tensor([[6, 5], [5, 4]]))
    scores = torch.randn(2, 7, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: max_constraint(x.exp(), torch.tensor([[6, 5], [5, 4]])), scores)
    assert torch.autograd.gradgradcheck(lambda x: max_constraint(x.exp(), torch.tensor([[6, 5], [5, 4]])), scores)


@pytest.mark.parametrize(("scores", "edges", "said"), [
    (torch.zeros(3), torch.zeros(2, 0, dtype=torch.long), r"Scores are torch.float32 \[3\]; expected .* \[B, L\]"),
    (torch.zeros(1, 3, dtype=torch.long), torch.zeros(2, 0, dtype=torch.long), r"Scores are torch.int64"),
    (torch.zeros(1, 3), torch.zeros(3, 2, dtype=torch.long), r"Edges are torch.int64 \[3, 2\]; expected .* \[2, E\]"),
    (torch.zeros(1, 3), torch.zeros(2, 2), "Edges are torch.float32"),
    (torch.zeros(1, 3), torch.tensor([[0], [3]]), "Edges speak of label 3; expected 0 to 2"),
    (torch.zeros(1, 3), torch.tensor([[-1], [0]]), "Edges speak of label -1"),
    (torch.zeros(1, 4), torch.tensor([[0, 1, 2, 2], [1, 2, 1, 3]]), "Edges form a cycle through label [12];"),
])  # fmt: skip
def test_what_is_wrong_is_named(scores, edges, said):
    with pytest.raises(gf.InputError, match=said):
        max_constraint(scores, edges)


@needs_data
@pytest.mark.parametrize("name", ["eisen_FUN", "enron_corr", "imclef07a", "cellcycle_GO"])
def test_of_real_hierarchies_too(name):
    table = np.load(DATA / f"{name}.npz", allow_pickle=False)
    edges, count = torch.from_numpy(table["edges"].T.astype(np.int64)), len(table["label_names"])
    scores = torch.rand(2, count, generator=torch.Generator().manual_seed(0))
    expected, before = scores, None
    while before is None or not expected.equal(before):  # what is below says it again and again
        before, below = expected, expected[:, edges[0]]
        expected = expected.scatter_reduce(1, edges[1].expand_as(below), below, "amax")
    assert max_constraint(scores, edges).equal(expected)
