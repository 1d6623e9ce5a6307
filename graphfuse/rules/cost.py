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
from graphfuse.rules.fuzzy import LOGICS, truth
from graphfuse.rules.lifted import Ground, Lifted
from graphfuse.rules.normal import Tree, renumbered
from graphfuse.rules.normal import joined as junction
from graphfuse.rules.rule import PARTS

TINY = -1e-250
"""From here on the logarithm of what all parts are false is lost beside 1."""
FINITE = 1e25
"""The largest logit that is no evidence."""


def improbable(rule: Lifted, grounds: Sequence[Ground], logits: Tensor, budget: Budget) -> Tensor:
    """``-log P(rule)``, the mean over groundings; of a rule that something exists, of all at once. ``[]``, float64.

    Labels are taken as independent, each true with the probability that its logit gives: of a clause
    ``-log(1 - prod(1 - literal))``. Where two variables stand for one row, their labels are one label.

    Source: semantic loss, Xu et al. 2018, "A semantic loss function for deep learning with symbolic knowledge",
    definition 1, rule by rule.

    Raises:
        InputError: A hard rule can never hold, or infinite logits break it; of a soft one such groundings are left out.
    """
    if not rule.every:
        return -somewhere(rule, grounds, logits, budget)
    each = [_log_probability(rule, ground, logits, budget) for ground in grounds]
    logs = each[0] if len(each) == 1 else torch.cat(each)
    return -logs.mean() if len(logs) else -logs.sum()


def somewhere(rule: Lifted, grounds: Sequence[Ground], logits: Tensor, budget: Budget) -> Tensor:
    """The logarithm of the probability that one grounding or more holds, ``[]``: as if they were independent where no
    two speak of one label, else by compiling that one of them does.

    Raises:
        InputError: They speak of the same labels, and together are beyond the budget.
    """
    flat, parts = logits.reshape(-1), list[tuple[Tree, Tensor]]()
    for ground in grounds:
        columns = torch.tensor(ground.columns, device=logits.device)[:, None]
        cells = ground.rows[list(ground.of)] * logits.shape[1] + columns  # [S, G]
        parts.append((ground.tree, cells.unique(dim=1)))
    if any(tree is True for tree, _ in parts):
        return flat.new_zeros((), dtype=torch.double)
    every = torch.cat([cells.reshape(-1) for _, cells in parts])
    places, number = every.unique(return_inverse=True)
    found, values = list[Tensor](), flat.double().clamp(-FINITE, FINITE)
    if len(places) < len(every):
        if len(every) > PARTS:
            raise InputError(f"{rule.name} has groundings that share labels, {len(every):,} in all, and is exact up to "
                             f"{PARTS:,}; take a loss of a fuzzy kind.")  # fmt: skip
        trees, begin = list[Tree](), 0
        for tree, cells in parts:
            for one in number[begin : begin + cells.numel()].view(cells.shape).t().tolist():
                trees.append(renumbered(tree, {at: place + 1 for at, place in enumerate(one, 1)}))
            begin += cells.numel()
        whole = Ground(junction("or", trees), tuple(range(len(places))), (), places[None])
        parts = [(whole.tree, places[:, None])]
    for tree, cells in parts:
        compiled = rule.ready(Ground(tree, tuple(range(len(cells))), (), cells[:1]), budget)
        if compiled is not None:
            found.append(log_total(compiled, values[cells].t(), lambda rows: None))
    if not found:
        return flat.new_zeros((), dtype=torch.double)
    logs = torch.cat(found)
    return either_of((logs - torch.log(-torch.expm1(logs.clamp(max=-1e-300)))).clamp(-FINITE, FINITE)[:, None])[0]


def untrue(kind: str) -> Callable[[Lifted, Sequence[Ground], Tensor, Budget], Tensor]:
    """How false a rule is in a fuzzy logic: ``1 - truth``, the mean over groundings, or their p-mean."""

    def cost(rule: Lifted, grounds: Sequence[Ground], logits: Tensor, budget: Budget) -> Tensor:
        logic = LOGICS["product" if kind == "p_mean" else kind]
        found = []
        for ground in grounds:
            values = ground.take(logits).double().sigmoid()
            found.append(truth(ground.tree, values, logic))
        true = torch.cat(found)
        if not rule.every:
            return 1 - logic.either(true[:, None])[0]
        if kind == "p_mean":
            return torch.linalg.vector_norm(1 - true) * len(true) ** -0.5
        return (1 - true).mean()

    return cost


COSTS: dict[str, Callable[[Lifted, Sequence[Ground], Tensor, Budget], Tensor]] = {
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
