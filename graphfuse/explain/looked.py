"""Which nodes an answer rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from graphfuse.core.message import segment
from graphfuse.core.sample import Sample
from graphfuse.model import FusionModel


@dataclass(frozen=True)
class Look:
    """One node of a sample: its kind, its row among the sample's nodes of that kind, and its share of the answer."""

    kind: str
    row: int
    share: float


def looked_at(model: FusionModel, samples: Sequence[Sample], most: int = 5) -> list[list[Look]]:
    """For each sample the nodes that its answer rests on most, by any fusion and head.

    A node's share is the size of (gradient of the answer's score) x (the node's state before fusion), summed over its
    width, as a part of the sample's total.

    Source: gradient x input, Shrikumar et al. 2017, "Learning important features through propagating activation
    differences", section 2.
    """
    batch = model.collate(samples)
    with model.answering(), torch.enable_grad():
        output, graph = model.traced(batch.to(model.device))
        (slope,) = torch.autograd.grad(model.head.said(output.scores, batch).sum(), graph.x)
    size = (slope * graph.x).sum(1).abs().detach()  # [N]
    share = size / segment(size, graph.owners, len(graph)).clamp(min=torch.finfo(size.dtype).tiny)[graph.owners]
    looks: list[list[Look]] = [[] for _ in samples]
    for kind in graph.schema.all_kinds:
        for own, part in zip(looks, share[graph.rows(kind)].split(graph.sizes(kind).tolist())):
            own += [Look(kind, row, value) for row, value in enumerate(part.tolist())]
    return [sorted(each, key=lambda look: -look.share)[:most] for each in looks]
