"""Hard rules of all rows at once, where they join some: best answer, totals and marginals, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.compiled import Compiled, contradiction
from graphfuse.rules.count import Counted
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import Method, impossible, odds, weights
from graphfuse.rules.facts import Facts
from graphfuse.rules.lifted import Ground, Lifted, groups_of, named_rows
from graphfuse.rules.normal import Tree, renumbered
from graphfuse.rules.normal import joined as junction

MOST = 200_000
"""As many groundings are taken together."""


@dataclass(frozen=True, eq=False)
class Together:
    """What hard rules say of some rows together: a *cell* is a label of a row, a place in the flattened logits.

    Attributes:
        rules: The hard ones.
        grounds: Their groundings.
        facts: What is observed of the rows.
        cells: What they speak of, ``int64 [V]``.
        compiled: Over these.
    """

    rules: tuple[Lifted, ...]
    grounds: tuple[tuple[Ground, ...], ...]
    facts: Facts
    cells: Tensor
    compiled: Compiled

    @classmethod
    def of(cls, rules: Sequence[Lifted], facts: Facts, like: Tensor, place: Mapping[str, int], budget: Budget,
           source: str) -> Together:  # fmt: skip
        """For logits ``[B, L]`` like these.

        Raises:
            InputError: Rules contradict each other for these facts, and which; or are beyond the budget.
        """
        found = tuple(rule.ground(len(like), facts, place, budget, like.device) for rule in rules)
        many = sum(len(ground) for grounds in found for ground in grounds)
        if many > MOST:
            raise InputError(f"{source}: hard rules that join rows have {many:,} groundings, and are answered exactly "
                             f"up to {MOST:,}; make them soft, or give fewer rows at once.")  # fmt: skip
        spoken = [_cells(ground, like.shape[1]).reshape(-1) for grounds in found for ground in grounds]
        cells = torch.cat(spoken).unique().cpu() if spoken else torch.zeros(0, dtype=torch.long)
        trees, whose = list[Tree](), list[int]()
        for number, (rule, grounds) in enumerate(zip(rules, found)):
            own = list(_trees(rule, grounds, facts, like, cells))
            trees += own
            whose += [number] * len(own)
        try:
            compiled = Compiled.of(trees, len(cells), budget, solver=True)
            if isinstance(compiled, Compiled):
                return cls(tuple(rules), found, facts, cells, compiled)
            core = [whose[at] for at in contradiction(trees, compiled, len(cells), budget)]
        except TooLargeError:
            limit = f"{budget.nodes} nodes and {budget.seconds:g} s"
            raise InputError(f"{source}: what hard rules say of rows together is beyond a budget of {limit}; give "
                             "RuleSet a larger one, install graphfuse[solver] for answers without totals, or make "
                             "rules soft.") from None  # fmt: skip
        named = ", ".join(dict.fromkeys(rules[number].name for number in core))
        raise InputError(f"{named}: cannot hold at once for these facts.")

    def answer(self, logits: Tensor) -> Tensor:
        """The most probable that satisfies all hard rules, ``[B, L] -> bool [B, L]``."""
        found = logits.detach() > 0
        flat = found.view(-1)
        with torch.no_grad():
            for method, cells, own in self._each(logits):
                best, value = method.best(*odds(own))
                self._refuse(value, cells, logits)
                flat[cells] = best[:, 0]
        for rule, grounds in zip(self.rules, self.grounds):
            if rule.broken(grounds, found, self.facts).any():
                raise AssertionError("An answer breaks a hard rule; please report the rules and the logits.")
        return found

    def log_partition(self, logits: Tensor) -> Tensor:
        """The logarithm of the probability that all hard rules hold, of the rows that they join at the first of them:
        ``[B, L] -> float64 [B]``, of which the sum is that of all."""
        total = logits[:, :0].sum(1, dtype=torch.double)  # zeros, with a gradient
        for method, cells, own in self._each(logits):
            off, on = weights(own)
            value = method.total(off, on)
            self._refuse(value, cells, logits)
            rows = cells // logits.shape[1]
            if isinstance(method, Counted) and method.low == len(
                method.labels
            ):  # those that are settled, each by itself
                wanted = torch.tensor(method.wanted, device=logits.device)
                total = total.index_add(0, rows, torch.where(wanted, on[:, 0], off[:, 0]))
            else:
                total = total.index_add(0, rows.amin()[None], value)
        return total

    def marginals(self, logits: Tensor, learns: bool) -> Tensor:
        """Of each label given that all hard rules hold, ``[B, L] -> float64 [B, L]``; with a gradient if asked."""
        with torch.inference_mode(False), torch.enable_grad():
            given = logits if learns else logits.detach().clone()
            found = given.double().sigmoid().reshape(-1)
            for method, cells, own in self._each(given):
                off, on = weights(own if learns else own.detach().requires_grad_())
                value = method.total(off, on)
                self._refuse(value, cells, logits)
                (share,) = torch.autograd.grad(value.sum(), on, create_graph=learns)
                found = found.index_copy(0, cells, share[:, 0])
        return found.view(logits.shape)

    def _each(self, logits: Tensor) -> Iterator[tuple[Method, Tensor, Tensor]]:
        """Each component, its cells and their logits ``[1, n]``."""
        flat = logits.reshape(-1)
        for method in self.compiled.methods:
            cells = self.cells[list(method.labels)].to(logits.device)
            yield method, cells, flat.index_select(0, cells)[None]

    def _refuse(self, value: Tensor, cells: Tensor, logits: Tensor) -> None:
        if impossible(value):
            known = cells[logits.reshape(-1)[cells].isinf()]
            raise InputError(f"The infinite logits of {named_rows(known // logits.shape[1])} break rules that join "
                             "rows, so no answer satisfies them.")  # fmt: skip


def _cells(ground: Ground, labels: int) -> Tensor:
    """Of each label of each grounding the cell, ``[S, G]``."""
    columns = torch.tensor(ground.columns, dtype=torch.long, device=ground.rows.device)[:, None]
    return ground.rows[list(ground.of)] * labels + columns


def _trees(rule: Lifted, grounds: Sequence[Ground], facts: Facts, like: Tensor, cells: Tensor) -> Iterator[Tree]:
    """What a rule says, over cells: of one for all things each grounding, of one that something exists all of a group.

    Raises:
        InputError: It can never hold, as nothing is there that it could be true of.
    """
    if rule.every:
        yield from (tree for ground in grounds for tree in _spelt(ground, like.shape[1], cells))
        return
    parts = rule.apart(grounds, facts, like)
    if len(parts) < len(groups_of(facts, like).unique()) or not all(parts):
        raise InputError(f"{rule.name} can never hold: nothing is there that it could be true of.")
    for own in parts:
        yield junction("or", [tree for ground in own for tree in _spelt(ground, like.shape[1], cells)])


def _spelt(ground: Ground, labels: int, cells: Tensor) -> Iterator[Tree]:
    """What each grounding says."""
    if isinstance(ground.tree, bool):
        yield ground.tree
        return
    numbers = torch.searchsorted(cells, _cells(ground, labels).cpu().contiguous()) + 1
    for own in numbers.t().tolist():
        yield renumbered(ground.tree, dict(enumerate(own, 1)))
