"""One of several tasks: which heads do, what shape their scores have, and what a batch knows of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.core.message import segment
from graphfuse.core.sample import Batch
from graphfuse.heads.choose import Choose
from graphfuse.heads.classify import Classify
from graphfuse.heads.multilabel import MultiLabel
from graphfuse.heads.regress import Regress
from graphfuse.heads.tag import Tag

Labelling = Classify | MultiLabel | Choose | Tag
"""Heads that have labels."""
Task = Labelling | Regress
TASKS = {"classify": Classify, "multilabel": MultiLabel, "regress": Regress, "choose": Choose, "tag": Tag}


class Known(NamedTuple):
    """What is known of one part in a batch.

    Attributes:
        who: Which samples know it, ``bool [B]``.
        scores: Of the part; of ``Classify``, ``MultiLabel`` and ``Regress`` of those samples alone.
        batch: As the part takes it, with the part's targets; of the same samples as the scores.
    """

    who: Tensor
    scores: Tensor
    batch: Batch


def known_of(part: Task, scores: Tensor, batch: Batch, targets: list[Any]) -> Known:
    """What a batch knows of a part, whose scores these are, with a target a sample or ``None``."""
    who = who_knows(part, batch, targets).to(scores.device)
    if isinstance(part, Tag):
        return Known(who, scores, replace(batch, targets=tuple(targets)))
    if isinstance(part, Choose):
        nothing = torch.zeros(0, dtype=torch.long)
        return Known(who, scores, replace(batch, targets=tuple(nothing if x is None else x for x in targets)))
    taken = [place for place, target in enumerate(targets) if target is not None]
    names, facts = tuple(batch.names[place] for place in taken), batch.facts or ({},) * len(batch)
    return Known(who, scores[who], Batch(names, {}, {}, targets=tuple(targets[place] for place in taken),
                                         facts=tuple(facts[place] for place in taken)))  # fmt: skip


def who_knows(part: Task, batch: Batch, targets: Sequence[Any]) -> Tensor:
    """Which samples know a part, with a target each or ``None``, ``bool [B]``; of hidden rows none is known."""
    if isinstance(part, Tag):
        own = replace(batch, targets=tuple(targets))
        return segment(part.known(own).long().cpu(), part.owner(own).cpu(), len(batch)) > 0
    return torch.tensor([target is not None for target in targets], dtype=torch.bool)


def is_known(part: Task, target: Any) -> bool:
    """Whether a target tells anything; of nodes or links of which none is known, nothing."""
    if isinstance(part, Tag) and isinstance(target, Sequence) and not isinstance(target, str):
        return any(entry is not None for entry in target)
    return target is not None


def shape_of(part: Task, batch: Batch) -> tuple[int, ...]:
    """Of the scores of a head."""
    if isinstance(part, Tag):
        return len(part.owner(batch)), len(part.labels)
    if isinstance(part, Choose):
        return (len(batch.nodes[part.kind]),)
    return len(batch), 1 if isinstance(part, Regress) else len(part.labels)


def read_parts(parts: Any) -> dict[str, Task]:
    """The parts as JSON has them, or as they are."""
    if not isinstance(parts, Mapping) or not parts:
        raise InputError(f"MultiTask: parts is {parts!r:.80}; a mapping, name -> head, is needed, with one at least.")
    return {name: _part(name, part) for name, part in parts.items()}


def _part(name: Any, part: Any) -> Task:
    if not isinstance(name, str) or not name:
        raise InputError(f"MultiTask: a part is called {name!r}; a text is needed.")
    if isinstance(part, Mapping):
        options = dict(part)
        part = look_up(TASKS, options.pop("head", None), "head of a part")(**options)
    if not isinstance(part, Task):
        listed = ", ".join(kind.__name__ for kind in TASKS.values())
        raise InputError(f"MultiTask: part {name!r} is a {type(part).__name__}; a part is one of {listed}.")
    return part


def read_weights(weights: Any, parts: Mapping[str, Task]) -> dict[str, float] | None:
    """What each part's loss weighs, checked."""
    if weights is None:
        return None
    for name, weight in weights.items():
        if name not in parts:
            raise InputError(f"MultiTask: weights has {name!r}, which is no part.{did_you_mean(str(name), parts)}")
        if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 < float(weight) < math.inf:
            raise InputError(f"MultiTask: the weight of part {name!r} is {weight!r}; it must be above 0.")
    return {name: float(weight) for name, weight in weights.items()}
