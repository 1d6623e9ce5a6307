"""What rules cost as a loss: how improbable it is that groundings hold, or how false they are in fuzzy logic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphfuse.core.errors import InputError
from graphfuse.rules.compiled import Compiled
from graphfuse.rules.count import Counted
from graphfuse.rules.diagram import Budget
from graphfuse.rules.exact import NEVER, impossible, weights, within
from graphfuse.rules.facts import Facts
from graphfuse.rules.fuzzy import LOGICS, truth
from graphfuse.rules.lifted import Ground, Lifted, groups_of
from graphfuse.rules.normal import Tree, renumbered
from graphfuse.rules.normal import joined as junction
from graphfuse.rules.rule import PARTS

Cost = Callable[[Lifted, Sequence[Ground], Facts | None, Tensor, Budget], Tensor]
TINY = -1e-250
"""From here on the logarithm of what all parts are false is lost beside 1."""
FINITE = 1e25
"""The largest logit that is no evidence."""


def improbable(rule: Lifted, grounds: Sequence[Ground], facts: Facts | None, logits: Tensor, budget: Budget) -> Tensor:
    """``-log P(rule)``, the mean over groundings; of a rule that something exists, over groups. ``[]``, float64.

    Labels are taken as independent, each true with the probability that its logit gives: of a clause
    ``-log(1 - prod(1 - literal))``. Where two variables stand for one row, their labels are one label.

    Source: semantic loss, Xu et al. 2018, "A semantic loss function for deep learning with symbolic knowledge",
    definition 1, rule by rule.

    Raises:
        InputError: A hard rule can never hold, or infinite logits break it; of a soft one such groundings are left out.
    """
    if not rule.every:
        return -somewhere(rule, grounds, groups_of(facts, logits), logits, budget).mean()
    each = [_log_probability(rule, ground, logits, budget) for ground in grounds]
    logs = each[0] if len(each) == 1 else torch.cat(each)
    return -logs.mean() if len(logs) else -logs.sum()


def somewhere(rule: Lifted, grounds: Sequence[Ground], group: Tensor, logits: Tensor, budget: Budget) -> Tensor:
    """The logarithm of the probability that one grounding or more holds, of each group that has any, ``[n]``: as if
    they were independent where no two speak of one label, else by compiling that one of them does.

    Args:
        rule: That something exists.
        grounds: Its groundings.
        group: Of each row, ``int64 [B]``.
        logits: Of the rows, ``[B, L]``.
        budget: What one group may take that is compiled.

    Raises:
        InputError: They speak of the same labels, and together are beyond the budget.
    """
    values, labels = logits.reshape(-1).double().clamp(-FINITE, FINITE), logits.shape[1]
    parts, whose = list[tuple[Tree, Tensor]](), list[Tensor]()  # cells [S, G], and the group of each grounding
    for ground in grounds:
        columns = torch.tensor(ground.columns, dtype=torch.long, device=logits.device)[:, None]
        found = torch.cat([group[ground.rows[:1]], ground.rows[list(ground.of)] * labels + columns]).unique(dim=1)
        parts.append((ground.tree, found[1:]))
        whose.append(found[0])
    there, number = torch.cat(whose).unique(return_inverse=True)
    owners = number.split([len(own) for own in whose])
    sure, shared = (torch.zeros(len(there), dtype=torch.bool, device=logits.device) for _ in range(2))
    every = torch.cat([cells.reshape(-1) for _, cells in parts])
    again = every.unique(return_inverse=True, return_counts=True)
    shared[torch.cat([own.repeat(len(cells)) for own, (_, cells) in zip(owners, parts)])[again[2][again[1]] > 1]] = True
    for own, (tree, _) in zip(owners, parts):
        sure[own] |= tree is True
    logs, owner = [values.new_zeros(0)], [number[:0]]
    for own, (tree, cells) in zip(owners, parts):
        apart = ~(shared | sure)[own]
        compiled = rule.ready(Ground(tree, tuple(range(len(cells))), (), cells[:1]), budget) if apart.any() else None
        if compiled is not None:
            logs.append(log_total(compiled, values[cells[:, apart]].t(), lambda rows: None))
            owner.append(own[apart])
    for at in (shared & ~sure).nonzero()[:, 0].tolist():
        together = [(tree, cells[:, own == at]) for own, (tree, cells) in zip(owners, parts)]
        logs.append(_sharing(rule, together, values, budget))
        owner.append(there.new_full((len(logs[-1]),), at))
    said, of = torch.cat(logs), torch.cat(owner)
    odds = (said - torch.log(-torch.expm1(said.clamp(max=-1e-300)))).clamp(-FINITE, FINITE)
    return either_within(odds, of, len(there))


def _sharing(rule: Lifted, parts: Sequence[tuple[Tree, Tensor]], values: Tensor, budget: Budget) -> Tensor:
    """The logarithm of the probability that one of some groundings holds that speak of the same labels, ``[1]``;
    nothing where none can."""
    every = torch.cat([cells.reshape(-1) for _, cells in parts])
    if len(every) > PARTS:
        raise InputError(f"{rule.name} has groundings that share labels, {len(every):,} in all, and is exact up to "
                         f"{PARTS:,}; take a loss of a fuzzy kind.")  # fmt: skip
    places, number = every.unique(return_inverse=True)
    trees, begin = list[Tree](), 0
    for tree, cells in parts:
        for one in number[begin : begin + cells.numel()].view(cells.shape).t().tolist():
            trees.append(renumbered(tree, {at: place + 1 for at, place in enumerate(one, 1)}))
        begin += cells.numel()
    compiled = rule.ready(Ground(junction("or", trees), tuple(range(len(places))), (), places[None, :1]), budget)
    return values[:0] if compiled is None else log_total(compiled, values[places][None], lambda rows: None)


def untrue(kind: str) -> Cost:
    """How false a rule is in a fuzzy logic: ``1 - truth``, the mean over groundings or groups, or their p-mean."""
    logic = LOGICS["product" if kind == "p_mean" else kind]

    def cost(rule: Lifted, grounds: Sequence[Ground], facts: Facts | None, logits: Tensor, budget: Budget) -> Tensor:
        def truths(some: Sequence[Ground]) -> Tensor:
            return torch.cat([truth(ground.tree, ground.take(logits).double().sigmoid(), logic) for ground in some])

        if not rule.every:
            each = [1 - logic.either(truths(own)[:, None])[0] for own in rule.apart(grounds, facts, logits)]
            return torch.stack(each).mean()
        true = truths(grounds)
        if kind == "p_mean":
            return torch.linalg.vector_norm(1 - true) * len(true) ** -0.5
        return (1 - true).mean()

    return cost


COSTS: dict[str, Cost] = {
    "probability": improbable, "exact": improbable,
    **{kind: untrue(kind) for kind in ("goedel", "lukasiewicz", "product", "p_mean")},
}  # fmt: skip
"""By name; with ``"exact"`` what hard rules say of rows is taken together, and these are the others."""


def log_total(compiled: Compiled, logits: Tensor, refuse: Callable[[Sequence[int]], None]) -> Tensor:
    """The logarithm of the probability that independent outputs satisfy what is compiled: ``[B, L] -> float64 [B]``.

    ``refuse`` is told rows whose infinite logits break it.
    """
    total = logits[:, :0].sum(1, dtype=torch.double)  # zeros, with a gradient
    for method, own in zip(compiled.methods, compiled.taken(logits)):
        value = method.of_logits(own) if isinstance(method, Counted) else None
        value = method.total(*weights(own.t())) if value is None else value
        refuse(impossible(value))
        total = total + value
    return total


def either_of(logits: Tensor) -> Tensor:
    """The logarithm of the probability that one or more of independent outputs are true: ``[m, G] -> [G]``."""
    false = logsigmoid(-logits)
    none = false.sum(0)
    if not bool((none > TINY).any()):
        return (-none.expm1()).log()
    tiny = (none > TINY).detach()
    usual = (-none.masked_fill(tiny, -1.0).expm1()).log()
    return torch.where(tiny, (logits + false).logsumexp(0), usual)


def either_within(logits: Tensor, group: Tensor, count: int) -> Tensor:
    """As :func:`either_of` of each group's, ``[n] -> [count]``; 0 of one that has none."""
    false, nothing = logsigmoid(-logits), logits.new_zeros(count)
    none = nothing.index_add(0, group, false)
    tiny, there = (none > TINY).detach(), torch.bincount(group, minlength=count) > 0
    found = (-none.masked_fill(tiny, -1.0).expm1()).log()
    if bool(tiny[there].any()):
        true = logits + false
        most = nothing.scatter_reduce(0, group, true.detach(), "amax", include_self=False)
        few = most + nothing.index_add(0, group, (true - most[group]).exp()).masked_fill(~there, 1.0).log()
        found = torch.where(tiny, few, found)
    return torch.where(there, found, 0.0)


class _AnyLiteral(torch.autograd.Function):
    """:func:`either_of` the literals of a clause ``[m, B]``, over all its groundings; each literal has rows ``[G]``.

    ``d log P / d logit`` is ``p * (1 - P) / P``, of which ``p`` is of the row alone: what groundings give is summed
    before it is multiplied, so that nothing is kept or taken for each literal of each grounding.
    """

    @staticmethod
    def forward(ctx: Any, literals: Tensor, *rows: Tensor) -> Tensor:
        false = literals.abs().neg_().exp_().log1p_().add_(literals.clamp(min=0)).neg_()
        none = false[0].index_select(0, rows[0])
        for own, at in zip(false[1:], rows[1:]):
            none += own.index_select(0, at)
        ctx.tiny = none.numel() > 0 and bool(none.amax() > TINY)
        ctx.save_for_backward(literals, *rows)
        if ctx.tiny:
            return either_of(_taken(literals, rows))
        ctx.true = none.expm1_().neg_()
        return ctx.true.log()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        literals, *rows = ctx.saved_tensors
        nothing = (None,) * len(rows)
        if ctx.tiny or torch.is_grad_enabled():  # of which a gradient may be wanted too
            with torch.enable_grad():
                own = literals if literals.requires_grad else literals.detach().requires_grad_()
                found = torch.autograd.grad(
                    either_of(_taken(own, rows)), own, grad, create_graph=torch.is_grad_enabled()
                )
            return found[0], *nothing
        share = ctx.true.reciprocal().sub_(1).mul_(grad)  # [G]
        summed = [torch.zeros_like(own).scatter_add_(0, at, share) for own, at in zip(literals, rows)]
        return torch.stack(summed).mul_(literals.sigmoid()), *nothing


def _taken(literals: Tensor, rows: Sequence[Tensor]) -> Tensor:
    return torch.stack([own.index_select(0, at) for own, at in zip(literals, rows)])


def _log_probability(rule: Lifted, ground: Ground, logits: Tensor, budget: Budget) -> Tensor:
    """Of each grounding that can hold, ``[G]``."""
    parts = ground.tree[1] if isinstance(ground.tree, tuple) and ground.tree[0] == "or" else (ground.tree,)
    if not all(type(part) is int for part in parts):
        compiled = rule.ready(ground, budget)
        if compiled is None:
            return logits.new_zeros(0, dtype=torch.double)
        return rule.possible(ground, log_total(compiled, ground.take(logits).t(), lambda rows: None))
    signed = [logits[:, ground.columns[abs(part) - 1]] * (1 if part > 0 else -1) for part in parts]
    given = torch.stack(signed).double()
    if not within(given, FINITE):
        given = torch.where(given.isinf(), given.sign() * -NEVER, given.clamp(-FINITE, FINITE))
    found: Tensor = _AnyLiteral.apply(given, *(ground.rows[ground.of[abs(part) - 1]] for part in parts))
    return rule.possible(ground, found)
