"""Samples of a batch do not touch each other."""

from __future__ import annotations

from dataclasses import replace

import torch

from graphfuse.testing import cases
from graphfuse.testing.subject import Fault, Subject, close, close_fused, furthest


def alone_and_in_company(subject: Subject) -> str:
    """A sample is fused alike alone and in company."""
    plan, samples = cases.schema(), cases.samples()
    module = subject.module(plan)
    together, offs = subject.usual, []
    for place, one in enumerate(samples):
        alone = subject.fused(module, [one], plan)
        own = together.graph.owners == place
        offs.append(close(f"sample {place}, vector", alone.vector[0], together.vector[place]))
        offs.append(close(f"sample {place}, node states", alone.graph.x, together.graph.x[own]))
    return furthest(offs)


def any_order(subject: Subject) -> str:
    """A sample is fused alike in any order of the batch."""
    plan, samples = cases.schema(), cases.samples()
    module = subject.module(plan)
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(4)).tolist()
    moved = subject.fused(module, [samples[place] for place in order], plan)
    return furthest([close("vector", moved.vector, subject.usual.vector[order])])


def beside_a_very_large_sample(subject: Subject) -> str:
    """A batch mate with many nodes and large values changes nothing."""
    plan, samples = cases.schema(), cases.samples()
    beside = subject.fused(subject.module(plan), [cases.large(), *samples], plan)
    return furthest([close("vector", beside.vector[1:], subject.usual.vector),
                     close("node states", beside.graph.x[beside.graph.owners > 0], subject.usual.graph.x)])  # fmt: skip


def gradients_stay_within_a_sample(subject: Subject) -> str:
    """The vector of a sample has no gradient to the nodes of another."""
    plan = cases.schema()
    graph = cases.graph_of(cases.samples(), plan, subject.dim)
    x = graph.x.clone().requires_grad_()
    vector = subject.module(plan)(graph.replace(x=x)).vector
    for place in range(len(graph)):
        (gradient,) = torch.autograd.grad(vector[place].sum(), x, retain_graph=True)
        reached = graph.owners[gradient.abs().amax(1) > 0].unique().tolist()
        if reached != [place]:
            raise Fault(f"the vector of sample {place} has gradients to nodes of samples {reached}")
    return f"each of {len(graph)} samples reaches its own nodes"


def an_earlier_batch_changes_nothing(subject: Subject) -> str:
    """A batch is fused alike again after another one."""
    plan, samples = cases.schema(), cases.samples()
    module = subject.module(plan)
    subject.fused(module, [cases.large(), *samples[::-1]], plan)
    again = subject.fused(module, samples, plan)
    return furthest([close_fused("after another batch", again, subject.usual, bound=0)])


def equal_samples_agree(subject: Subject) -> str:
    """A sample that stands in a batch twice is fused alike twice."""
    plan, samples = cases.schema(), cases.samples()
    twice = [*samples, *(replace(one, name=f"again/{one.name}") for one in samples)]
    vector = subject.fused(subject.module(plan), twice, plan).vector
    return furthest([close("vector", vector[len(samples) :], vector[: len(samples)])])


def different_samples_differ(subject: Subject) -> str:
    """Different samples get different vectors."""
    vector = subject.usual.vector
    apart = (vector[:, None] - vector).abs().amax(2).fill_diagonal_(torch.inf)
    least = float(apart.min())
    if not least > 1e-4:
        one, other = divmod(int(apart.argmin()), len(vector))
        raise Fault(f"the vectors of samples {one} and {other} are {least:.0e} apart")
    return f"at least {least:.2g} apart"
