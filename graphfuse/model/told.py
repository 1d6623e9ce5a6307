"""What targets tell of the labels of each sample, node or link, for a head that is part of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.message import segment
from graphfuse.core.sample import Batch
from graphfuse.heads import Choose, Classify, Tag
from graphfuse.heads.task import Labelling
from graphfuse.model.all_rows import known_labels

NOTHING = torch.zeros(0, dtype=torch.long)


def told(part: Labelling, batch: Batch, targets: Sequence[Any]) -> Tensor:
    """1 where a label is right, -1 where it is wrong, 0 where that is not known: ``int64 [n, C]``.

    Of several of which each is right, ``Classify`` and ``Choose`` answer one: these are not known, the others wrong.

    Args:
        part: Of which the rows are.
        batch: Their samples.
        targets: One a sample, ``None`` where it is not known.
    """
    known, right, one = _right(part, batch, targets)
    found = 2 * right.long() - 1
    found[right & (one > 1)] = 0
    return found * known[:, None]


def one_of(part: Labelling) -> bool:
    """Whether a head answers one label, or one node."""
    return isinstance(part.each if isinstance(part, Tag) else part, Classify | Choose)


def _right(part: Labelling, batch: Batch, targets: Sequence[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Which rows are known, ``bool [n]``, which labels are right, ``bool [n, C]``, and how many share one answer."""
    if isinstance(part, Choose):
        own = replace(batch, targets=tuple(NOTHING if target is None else target for target in targets))
        right, owner = part.right(own, torch.device("cpu")), batch.owner(part.kind).cpu()
        many = segment(right.long(), owner, len(batch))[owner]
        return many > 0, right[:, None], many[:, None]
    if isinstance(part, Tag):
        known, right = known_labels(part, replace(batch, targets=tuple(targets)))
    else:
        known = torch.tensor([target is not None for target in targets], dtype=torch.bool)
        right = torch.zeros(len(batch), len(part.labels), dtype=torch.bool)
        there = tuple(target for target in targets if target is not None)
        right[known] = part.right(Batch(("",) * len(there), {}, {}, targets=there), torch.device("cpu"))
        known = known & right.any(1) if isinstance(part, Classify) else known
    many = right.sum(1, keepdim=True) if one_of(part) else torch.zeros(len(right), 1, dtype=torch.long)
    return known, right, many
