"""What rows of rules over several tasks are: samples, nodes of a kind, links of a relation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.sample import Batch, Relation
from graphfuse.heads import Choose, Tag
from graphfuse.heads.task import Labelling
from graphfuse.rules import Measured

Sort = str | Relation
"""What a row is: a sample, a node of a kind, or a link of a relation."""


@dataclass(frozen=True)
class Bearing:
    """What a variable that is only compared stands for: the nodes that have one of these facts, and the sample, where
    it has one or none of its nodes does."""

    facts: tuple[str, ...]


SAMPLE = ""
SORT = "(sort)"
"""The fact of a row that tells its sort."""


def sort_of(part: Labelling) -> Sort:
    """What the labels of a head are of."""
    if isinstance(part, Tag):
        return part.of
    return part.kind if isinstance(part, Choose) else SAMPLE


def is_a(variable: str, sort: Sort | Bearing) -> Measured:
    """That a variable stands for a row of a sort."""
    if isinstance(sort, Bearing):
        return Measured(called(sort), variable, "=", 1.0)
    return Measured(SORT, variable, "=", called(sort))


def called(sort: Sort | Bearing | None, any_: str = "") -> str:
    """As errors and facts call it."""
    if sort is None:
        return any_
    if isinstance(sort, Bearing):
        return f"what has {' or '.join(map(repr, sort.facts))}"
    if isinstance(sort, str):
        return f"a node of kind {sort!r}" if sort else "a sample"
    return f"a link {sort}"


def bears(bearing: Bearing, batch: Batch, owners: Mapping[Sort, Tensor]) -> Tensor:
    """Of each row whether it is such a one, 1 or 0, ``float64 [U]``."""
    nothing: tuple[dict[str, Any], ...] = ({},) * len(batch)
    facts, of_nodes = batch.facts or nothing, batch.node_facts or nothing
    parts, some = dict[Sort, Tensor](), torch.zeros(len(batch), dtype=torch.bool)  # samples of which a node is one
    for sort, owner in owners.items():
        own = parts[sort] = torch.zeros(len(owner), dtype=torch.bool)
        for place, known in enumerate(of_nodes if sort and isinstance(sort, str) else ()):
            rows, columns = owner == place, known.get(str(sort), {})
            for values in (columns[name] for name in bearing.facts if name in columns):
                told = ~values.isnan() if isinstance(values, Tensor) else torch.tensor([x is not None for x in values])
                own[rows] |= told.cpu()
        some.index_fill_(0, owner[own], True)
    itself = torch.tensor([any(name in known for name in bearing.facts) for known in facts])
    parts[SAMPLE] = itself | ~some
    return torch.cat([parts[sort] for sort in owners]).double()


def lack(sort: Sort) -> str:
    """The fact of a row whose sample has none of a sort."""
    return f"(without {called(sort)})"
