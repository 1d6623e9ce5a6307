"""Seconds of hierarchies: closing scores against C-HMCNN's dense layer, exact answers of trees and of the GO DAG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import process_time

import torch
from torch import Tensor

import graphfuse as gf
from benchmarks.clock import in_turn
from benchmarks.rules_data import DAGS, hierarchy, hierarchy_rules, said
from benchmarks.rules_rows import OURS, Found, found
from benchmarks.rules_speed import BATCH, timed, turns
from graphfuse.core.errors import InputError

TREE, DENSE = "cellcycle_FUN", "C-HMCNN's dense layer"
ROWS = 8


def measures(seeds: Sequence[int], quick: bool) -> Iterator[Found]:
    """All measures of this module; each seed draws its own logits."""
    repeats, batch = (1, 16) if quick else (5, BATCH)
    labels, pairs = hierarchy(TREE)
    edges = torch.from_numpy(pairs.T.astype("int64"))
    above = ancestors(edges, len(labels))
    yield from turns(f"{TREE}, {len(labels)} labels, batch {batch}, closure forward + backward",
                     [closures(edges, above, batch, seed) for seed in seeds], seeds, repeats)  # fmt: skip
    yield from timed(f"{TREE}, {len(labels)} labels, batch {batch}", hierarchy_rules(TREE), seeds, repeats, batch=batch)
    for name in DAGS[: 0 if quick else None]:
        yield from answers(name, seeds)


def closures(edges: Tensor, above: Tensor, batch: int, seed: int) -> dict[str, Callable[[], object]]:
    """Both ways forward and backward from the same scores, found to give the same."""
    scores = torch.rand(batch, len(above), generator=torch.Generator().manual_seed(seed)).requires_grad_()
    weight = torch.rand(scores.shape, generator=torch.Generator().manual_seed(seed + 1))
    ways = {OURS: lambda: gf.rules.max_constraint(scores, edges), DENSE: lambda: dense(scores, above)}
    results = {}
    for who, way in ways.items():
        value = way()
        results[who] = value.detach(), torch.autograd.grad((value * weight).sum(), scores)[0]
    for ours, theirs in zip(results[OURS], results[DENSE]):
        if not torch.allclose(ours, theirs.to(ours.dtype), atol=1e-6):
            raise ValueError(f"The closure and C-HMCNN's layer differ by {float((ours - theirs).abs().max()):.3g}.")
    return {who: lambda way=way: (way() * weight).sum().backward() for who, way in ways.items()}


def dense(scores: Tensor, above: Tensor) -> Tensor:
    """The layer of C-HMCNN: every pair of labels of every row, in float64.

    Source: Giunchiglia & Lukasiewicz 2020, "Coherent hierarchical multi-label classification networks", section 3.
    """
    count = len(above)
    every = scores.double()[:, None, :].expand(len(scores), count, count)
    return (above.double()[None].expand(len(scores), count, count) * every).max(2).values


def ancestors(edges: Tensor, count: int) -> Tensor:
    """Whether the first label is the second one or above it, ``bool [L, L]``."""
    found = torch.eye(count, dtype=torch.bool)
    found[edges[1], edges[0]] = True
    while True:
        further = (found.float() @ found.float()) > 0
        if torch.equal(further, found):
            return found
        found = further


def answers(name: str, seeds: Sequence[int]) -> Iterator[Found]:
    """Milliseconds of an exact answer, a row at a time."""
    method = f"{name}, MAP, a row"
    try:
        rules = hierarchy_rules(name)
    except InputError as error:
        yield found(method, OURS, f"measures without it ({said(error)})", 1)
        return
    each = []
    for seed in seeds:
        rows = torch.randn(ROWS, 1, len(rules.labels), generator=torch.Generator().manual_seed(seed))
        each.append(
            [min(own) for own in in_turn([lambda row=row: rules.answer(row) for row in rows], 3, timer=process_time)]
        )
    yield found(method, OURS, "milliseconds", [1000 * sum(own) / len(own) for own in each], seeds)
