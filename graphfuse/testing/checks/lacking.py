"""Kinds that samples lack."""

from __future__ import annotations

from dataclasses import replace

import torch

from graphfuse.core.sample import Sample
from graphfuse.testing import cases
from graphfuse.testing.subject import Fault, Subject, close, close_fused, finite, furthest, learns


def values_of_a_lacking_kind_never_matter(subject: Subject) -> str:
    """Values of a kind change nothing for the samples that lack it."""
    offs = []
    for kind, vector in subject.changed.items():
        lacks = torch.tensor([kind not in one.nodes for one in cases.samples()])
        offs.append(close(f"samples without {kind}", vector[lacks], subject.usual.vector[lacks]))
    return furthest(offs)


def every_kind_matters(subject: Subject) -> str:
    """Values of a kind change the vector of the samples that have it."""
    least = {}
    for kind, vector in subject.changed.items():
        has = torch.tensor([kind in one.nodes for one in cases.samples()])
        least[kind] = float((vector - subject.usual.vector)[has].abs().amax(1).min())
    if blind := [kind for kind, by in least.items() if not by > 1e-6]:
        raise Fault(f"the vector does not depend on the values of {', '.join(blind)}")
    return f"changes a vector by at least {min(least.values()):.2g}"


def zero_rows_are_as_absent(subject: Subject) -> str:
    """A kind with zero rows is as one that is absent."""
    plan = cases.schema()
    module, offs = subject.module(plan), []
    for kind, width in cases.KINDS.items():
        absent = cases.sample(1, (kind,))
        empty = replace(absent, nodes={**absent.nodes, kind: torch.zeros(0, width)})
        left, right = (subject.fused(module, [one], plan) for one in (empty, absent))
        offs.append(close_fused(f"without {kind}", left, right, bound=0))
    return furthest(offs)


def lacking_kinds_stay_finite(subject: Subject) -> str:
    """Every subset of lacking kinds gives finite results and gradients in training."""
    plan = cases.schema()
    module = subject.module(plan).train()
    for gone in cases.SUBSETS:
        for company in ([cases.sample(1, gone)], [cases.sample(1)]):
            what = f"without {' and '.join(gone) or 'nothing'}"
            learns(what, module, [cases.sample(0, gone), *company], plan, subject.dim)
    return f"{len(cases.SUBSETS)} subsets, by all samples and by some"


def training_and_prediction_agree(subject: Subject) -> str:
    """Training and prediction treat a sample alike, dropout aside."""
    plan, samples = cases.schema(), cases.samples()
    module = subject.module(plan)
    for part in module.modules():
        if isinstance(part, torch.nn.modules.dropout._DropoutNd):
            part.p = 0.0
    return furthest([close_fused("in train mode", subject.fused(module.train(), samples, plan), subject.usual)])


def a_single_node(subject: Subject) -> str:
    """A sample with a single node is fused, alike alone and in company."""
    plan = cases.schema()
    spans = {kind: torch.tensor([[0.0, 1.0]]) for kind in cases.KINDS}
    samples = [Sample(kind, {kind: torch.ones(1, width)}, spans={kind: spans[kind]})
               for kind, width in cases.KINDS.items()]  # fmt: skip
    module = subject.module(plan)
    together, offs = subject.fused(module, samples, plan), []
    finite("one node each", together)
    for place, one in enumerate(samples):
        alone = subject.fused(module, [one], plan)
        offs.append(close(f"one {one.name} node", alone.vector[0], together.vector[place]))
    return furthest(offs)
