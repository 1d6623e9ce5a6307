"""Why the answers of several rows are what they are: what rules, that may join rows, changed in their raw scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.alone import each_alone
from graphfuse.rules.facts import Facts
from graphfuse.rules.joint_margin import JointMargins
from graphfuse.rules.joint_told import FEW, Groundings, JointExplanation, JointFlip, JointRule, Row
from graphfuse.rules.lifted import Ground, Lifted, check_logits, groups_of
from graphfuse.rules.truth import truth

if TYPE_CHECKING:
    from graphfuse.rules.ruleset import RuleSet

LABEL, ROW = "label", "row"
"""Of what exactly one is true in an answer: of the labels of each row, or of the rows, which have one label."""


def explain_rows(
    rules: RuleSet,
    logits: Tensor,
    graph: Facts | None = None,
    names: Sequence[str] | None = None,
    raw: Tensor | None = None,
    answer: Tensor | None = None,
    one: str | None = None,
) -> JointExplanation:
    """As :meth:`graphfuse.rules.RuleSet.explain` of several rows.

    Args:
        rules: The set.
        logits: ``[N, L]``; where exactly one of some is true, half of the way between the two highest of these is 0.
        graph: What is observed of the rows.
        names: Of the rows, each once; ``row 0``, .. if left out.
        raw: What the scores say by themselves, ``bool [N, L]``; what is above 0 if left out.
        answer: What is answered, ``bool [N, L]``; ``rules.answer`` if left out.
        one: Of what exactly one is true, if so, :data:`LABEL` or :data:`ROW`: then a row with all its labels, or all
            rows, go back to the raw scores in ``because``, and margins are about such answers.
    """
    logits = logits.detach().cpu()
    check_logits(logits, len(rules.labels))
    called = _called(names, len(logits))
    answer = (rules.answer(logits, graph) if answer is None else answer).cpu()
    raw = logits > 0 if raw is None else raw.cpu()
    logits, changed = logits.double(), answer != raw
    margins = JointMargins(logits, raw, one == LABEL, rules._margins, monotonic() + rules.budget.seconds)
    alone = each_alone(rules, graph or Facts(), len(logits)) if one == ROW else None
    back, results = _back(logits, one), list[JointRule]()
    because, touched = dict[int, dict[str, Groundings]](), changed.any(1)
    for place, (rule, lifted) in enumerate(zip(rules.rules, rules._lifted)):
        grounds = rules._ground(lifted, logits, graph)
        before, after = (_broken(lifted, grounds, said, graph) for said in (raw, answer))
        touched[torch.cat([before, after], 1).flatten()] = True
        margin = margins.of(lifted, grounds, graph) if alone is None else _of_one(logits, raw, alone[:, place])
        results.append(JointRule(
            rule.name, rule.hard, lifted.variables, sum(map(len, grounds)), _told(before, called, lifted.every),
            _told(after, called, lifted.every), margin,
        ))  # fmt: skip
        if rule.hard and changed.any():
            for flip, rows in _undone(lifted, grounds, raw, answer, back, graph):
                because.setdefault(flip, {})[rule.name] = _told(rows, called, lifted.every)
    flipped = [
        JointFlip(called[row], rules.labels[label], float(logits[row, label]), bool(raw[row, label]),
                  bool(answer[row, label]), because.get(int(back[row, label]), {}))
        for row, label in changed.nonzero().tolist()
    ]  # fmt: skip
    nothing = one == ROW and len(logits) > 0 and not answer.any()
    return JointExplanation(
        tuple(Row(called[row], *(tuple(label for label, true in zip(rules.labels, said[row].tolist()) if true)
                                 for said in (raw, answer))) for row in touched.nonzero()[:, 0].tolist()),
        int((~touched).sum()),
        tuple(sorted(flipped, key=lambda each: -abs(each.logit))),
        math.inf if nothing else math.fsum(abs(each.logit) for each in flipped),
        tuple(results),
    )  # fmt: skip


def _called(names: Sequence[str] | None, rows: int) -> Sequence[str]:
    if names is None:
        return [f"row {row}" for row in range(rows)]
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise InputError(f"names is {names!r:.80}; expected a sequence with a text for each row.")
    if len(names) != rows:
        raise InputError(f"There are {len(names)} names; the logits have {rows} rows.")
    if len(set(names)) < rows:
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise InputError(f"Two rows are called {twice!r}; names are unique.")
    return names


def _back(logits: Tensor, one: str | None) -> Tensor:
    """Cells of the same number go back to the raw scores together, ``int64 [N, L]``."""
    if one is None:
        return torch.arange(logits.numel()).view(logits.shape)
    return torch.arange(len(logits))[:, None].expand(logits.shape) * (one == LABEL)


def _broken(rule: Lifted, grounds: Sequence[Ground], said: Tensor, facts: Facts | None) -> Tensor:
    """The rows of each grounding that is false, ``int64 [V, K]``; of a rule that something exists of no row, for each
    group where nothing does."""
    trues = [truth(ground.tree, ground.take(said).t()) for ground in grounds]
    if rule.every:
        found = [ground.rows[:, ~true] for ground, true in zip(grounds, trues)]
        return torch.cat([torch.zeros(len(rule.variables), 0, dtype=torch.long), *found], 1)
    group = groups_of(facts, said)
    good = torch.cat([group[:0], *(group[ground.rows[0, true]] for ground, true in zip(grounds, trues))])
    return torch.zeros(0, len(group.unique()) - len(good.unique()), dtype=torch.long)


def _undone(
    rule: Lifted, grounds: Sequence[Ground], raw: Tensor, answer: Tensor, back: Tensor, facts: Facts | None
) -> Iterator[tuple[int, Tensor]]:
    """Of all that goes back to the raw scores together, and would break a rule, the rows of what it breaks, as
    :func:`_broken`."""
    differs = torch.zeros(int(back.max()) + 1, dtype=torch.bool)
    differs[back[answer != raw]] = True
    which, where, before, after = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
    group = groups_of(facts, answer)
    total = torch.zeros(len(group), dtype=torch.long)  # true groundings of each group
    for ground in grounds:
        own, old, new = ground.take(back), ground.take(raw), ground.take(answer)  # [S, G]
        true = truth(ground.tree, new.t())
        total += torch.bincount(group[ground.rows[0, true]], minlength=len(group))
        for place in range(len(own)):
            first = ~(own[:place] == own[place]).any(0)
            at = (differs[own[place]] & first).nonzero()[:, 0]
            undone = torch.where(own[:, at] == own[place, at], old[:, at], new[:, at])
            which.append(own[place, at])
            where.append(ground.rows[:, at])
            before.append(true[at])
            after.append(truth(ground.tree, undone.t()))
    if rule.every:
        if which:
            flips, rows, false = torch.cat(which), torch.cat(where, 1), ~torch.cat(after)
            for flip in flips[false].unique().tolist():
                yield flip, rows[:, false & (flips == flip)]
        return
    change, of = (torch.zeros(len(differs), dtype=torch.long) for _ in range(2))
    for flips, rows, was, holds in zip(which, where, before, after):
        change.index_add_(0, flips, holds.long() - was.long())
        of[flips] = group[rows[0]]
    for flip in differs.nonzero()[:, 0].tolist():  # one that meets no grounding leaves it as it is, which is true
        if total[of[flip]] + change[flip] == 0:
            yield flip, torch.zeros(0, 1, dtype=torch.long)


def _told(rows: Tensor, called: Sequence[str], every: bool) -> Groundings:
    """How many there are, and the names of the first."""
    if not every:
        return Groundings(rows.shape[1], ())
    place = np.lexsort(rows.numpy()[::-1])[:FEW]
    first = rows[:, torch.from_numpy(place)].t().tolist()
    return Groundings(rows.shape[1], tuple(tuple(called[row] for row in own) for own in first))


def _of_one(logits: Tensor, raw: Tensor, broken: Tensor) -> float:
    """The margin of a rule where one row is the answer, by which rows would break it: what another, of which it is the
    other way, lies below the highest."""
    if not raw.any():
        return math.inf
    said = int(raw[:, 0].int().argmax())
    other = logits[broken != broken[said], 0]
    margin = float(logits[said, 0] - other.max()) if len(other) else math.inf
    return -margin if broken[said] else margin
