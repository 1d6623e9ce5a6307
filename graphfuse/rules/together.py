"""Hard rules of all rows at once, where they join some: best answer, totals and marginals, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphfuse.core.errors import InputError
from graphfuse.core.graph import Ints
from graphfuse.rules.alike import ImpossibleError, Said, Shapes, alike
from graphfuse.rules.compiled import Compiled
from graphfuse.rules.cost import log_total
from graphfuse.rules.exact import NEVER, impossible, odds, weights
from graphfuse.rules.facts import Facts
from graphfuse.rules.lifted import Ground, Lifted, groups_of, named_rows
from graphfuse.rules.normal import Tree, counted, labels_in, renumbered
from graphfuse.rules.normal import joined as junction

MOST = 200_000
"""As many groundings are taken together."""


@dataclass(frozen=True, eq=False)
class Together:
    """What hard rules say of some rows together: a *cell* is a label of a row, a place in the flattened logits.

    Cells that rules join are a component; components of which rules say the same are answered as one batch.

    Attributes:
        rules: The hard ones.
        grounds: Their groundings.
        facts: What is observed of the rows.
        parts: What is said of components that are alike, and their cells, ``int64 [M, n]``; no cell is there twice.
    """

    rules: tuple[Lifted, ...]
    grounds: tuple[tuple[Ground, ...], ...]
    facts: Facts
    parts: tuple[tuple[Compiled, Tensor], ...]

    @classmethod
    def of(cls, rules: Sequence[Lifted], facts: Facts, like: Tensor, place: Mapping[str, int],
           shapes: Shapes) -> Together:  # fmt: skip
        """For logits ``[B, L]`` like these; ``shapes`` are what was made ready of components before.

        Raises:
            InputError: Rules contradict each other for these facts, and which; or are beyond the budget.
        """
        found = tuple(rule.ground(len(like), facts, place, shapes.budget, like.device) for rule in rules)
        many = sum(len(ground) for grounds in found for ground in grounds)
        if many > MOST:
            raise InputError(f"{shapes.source}: hard rules that join rows have {many:,} groundings, and are answered "
                             f"exactly up to {MOST:,}; make them soft, or give fewer rows at once.")  # fmt: skip
        shapes.begin()
        said = [own for rule, grounds in zip(rules, found) for own in _said(rule, grounds, facts, like, shapes)]
        parts = [(shapes.compiled(shape, cells, like.shape[1]), cells) for shape, cells in alike(said, like.numel())]
        with torch.inference_mode(False):
            return cls(tuple(rules), found, facts, tuple((own, torch.tensor(cells, device=like.device))
                                                         for own, cells in parts))  # fmt: skip

    def answer(self, logits: Tensor) -> Tensor:
        """The most probable that satisfies all hard rules, ``[B, L] -> bool [B, L]``."""
        found, flat = (logits.detach() > 0).reshape(-1), logits.detach().reshape(-1)
        with torch.no_grad():
            for compiled, cells in self.parts:
                for method, own in zip(compiled.methods, compiled.taken(flat[cells])):
                    best, value = method.best(*odds(own.t()))
                    self._refuse(cells, logits, impossible(value))
                    found[cells[:, list(method.labels)]] = best.t()
        found = found.view(logits.shape)
        for rule, grounds in zip(self.rules, self.grounds):
            if rule.broken(grounds, found, self.facts).any():
                raise AssertionError("An answer breaks a hard rule; please report the rules and the logits.")
        return found

    def log_partition(self, logits: Tensor) -> Tensor:
        """The logarithm of the probability that all hard rules hold, of each component at its first row:
        ``[B, L] -> float64 [B]``, of which the sum is that of all."""
        total, flat = logits[:, :0].sum(1, dtype=torch.double), logits.reshape(-1)  # zeros, with a gradient
        for compiled, cells in self.parts:
            value = log_total(compiled, _at(flat, cells), partial(self._refuse, cells, logits))
            total = total.index_add(0, cells.amin(1) // logits.shape[1], value)
        return total

    def marginals(self, logits: Tensor, learns: bool) -> Tensor:
        """Of each label given that all hard rules hold, ``[B, L] -> float64 [B, L]``; with a gradient if asked."""
        with torch.inference_mode(False), torch.enable_grad():
            flat = (logits if learns else logits.detach().clone()).reshape(-1)
            found = flat.double().sigmoid()
            for compiled, cells in self.parts:
                for method, own in zip(compiled.methods, compiled.taken(flat[cells])):
                    off, on = weights(own.t() if learns else own.t().detach().requires_grad_())
                    value = method.total(off, on)
                    self._refuse(cells, logits, impossible(value))
                    (share,) = torch.autograd.grad(value.sum(), on, create_graph=learns)
                    found = found.index_copy(0, cells[:, list(method.labels)].reshape(-1), share.t().reshape(-1))
        return found.view(logits.shape)

    def lost(self, logits: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the log probability of what is known given the rules, of each component at its first row, and of what
        no rule speaks of where it is: ``float64 [B]``; and which rows have what breaks a rule and so teaches nothing
        there, ``bool [B]``. Of several things known, each by itself, ``[K, B]``.

        Args:
            logits: Of the rows, ``[B, L]``.
            known: 1 where a label is true, -1 where it is false, and 0 where that is not known, ``[B, L]``; or
                ``[K, B, L]``.
        """
        rows, labels, flat, each = len(logits), logits.shape[1], logits.reshape(-1), known.shape[:-2]
        sign = known.reshape(each.numel(), flat.numel()).double()  # [K, B * L]
        own = -logsigmoid(torch.where(sign == 0, torch.inf, sign * torch.where(sign == 0, 0.0, flat.double())))
        free, total = torch.ones_like(flat, dtype=torch.bool), own.new_zeros(len(sign), rows)
        bad = torch.zeros_like(total, dtype=torch.bool)
        for compiled, cells in self.parts:
            free[cells.reshape(-1)] = False
            seen = sign[:, cells] != 0  # [K, M, n]
            if not (some := seen.any(2).any(0)).all():  # of what nothing is known nothing is learned
                cells, seen = cells[some], seen[:, some]
            if not len(cells):
                continue
            which, at = seen.any(2).nonzero(as_tuple=True)  # [P]: what is known, and of which component
            here, x = cells[at], _at(flat, cells)
            right, whole = sign[which[:, None], here], seen[which, at].all(1)
            fine, told = compiled.holds(right > 0) | ~whole, own.new_zeros(len(at))
            if not whole.all():
                part = (~whole).nonzero()[:, 0]
                given = torch.where(right[part] == 0, x[at[part]].double(), right[part] * torch.inf)
                value = log_total(compiled, given, lambda rows: None)
                fine[part] = value > NEVER / 2
                told = told.index_copy(0, part, value.masked_fill(~fine[part], 0.0))
            bad[which[~fine][:, None], here[~fine] // labels] = True
            every = log_total(compiled, x, partial(self._refuse, cells, logits)).index_select(0, at)
            lone = _at(own.reshape(-1), which[:, None] * flat.numel() + here).sum(1)
            value = torch.where(fine, lone + every - told, 0.0)
            total = total.index_put((which, here.amin(1) // labels), value, accumulate=True)
        total = total + own.masked_fill(~free, 0.0).view(len(sign), rows, labels).sum(2)
        return total.view(*each, rows), bad.view(*each, rows)

    @staticmethod
    def _refuse(cells: Tensor, logits: Tensor, rows: Sequence[int]) -> None:
        if rows:
            wrong = cells[torch.as_tensor(rows, device=cells.device)].reshape(-1)
            known = wrong[logits.reshape(-1)[wrong].isinf()]
            raise InputError(f"The infinite logits of {named_rows(known // logits.shape[1])} break rules that join "
                             "rows, so no answer satisfies them.")  # fmt: skip


def _at(flat: Tensor, cells: Tensor) -> Tensor:
    """``flat[cells]``, of which the gradient is summed quickly."""
    return flat.index_select(0, cells.reshape(-1)).view(cells.shape)


def _said(rule: Lifted, grounds: Sequence[Ground], facts: Facts, like: Tensor, shapes: Shapes) -> Iterator[Said]:
    """What a rule says of cells: one for all things of each grounding, one that something exists of each group.

    Raises:
        InputError: It can never hold, as nothing is there that it could be true of, or for what is observed.
    """
    if rule.every:
        for ground in grounds:
            tree, cells = _cells(ground, like.shape[1])
            yield from _kept(rule, tree, cells, ground, shapes)
        return
    group, parts = groups_of(facts, like), rule.apart(grounds, facts, like)
    if rule.once:
        for own in filter(None, parts):
            trees, cells = _of_group(own, like.shape[1])
            yield from _kept(rule, counted(tuple(trees), 1, 1), cells, own[0], shapes)
        return
    there = {int(group[own[0].rows[0, 0]]) for own in parts if own}
    for lacking in sorted(set(group.tolist()) - there):
        row = int((group == lacking).int().argmax())
        raise ImpossibleError(f"{rule.name}: can never hold, as nothing is there that it could be true of.", row)
    for own in filter(None, parts):
        trees, cells = _of_group(own, like.shape[1])
        yield from _kept(rule, junction("or", trees), cells, own[0], shapes)


def _kept(rule: Lifted, tree: Tree, cells: Ints, first: Ground, shapes: Shapes) -> Iterator[Said]:
    """What is said of cells, if anything is; the rows of a first grounding are named where it can never hold."""
    if tree is False:
        row = int(first.rows[0, 0])
        raise ImpossibleError(f"{rule.name}: cannot hold for the facts of {named_rows(first.rows[:, 0])}.", row)
    if tree is not True:
        yield Said(shapes.kind(rule, tree, cells.shape[1]), cells)


def spelt(ground: Ground, labels: int) -> Iterator[Tree]:
    """What each grounding says, over cells from 1; once for all where it is settled."""
    if isinstance(ground.tree, bool):
        yield ground.tree
        return
    columns = torch.tensor(ground.columns, dtype=torch.long, device=ground.rows.device)[:, None]
    for own in (ground.rows[list(ground.of)] * labels + columns + 1).t().tolist():
        yield renumbered(ground.tree, dict(enumerate(own, 1)))


def _of_group(grounds: Sequence[Ground], labels: int) -> tuple[list[Tree], Ints]:
    """What each of several groundings says, over labels from 1 of which none is left out, and their cells,
    ``int64 [1, S]``."""
    trees: list[Tree] = [ground.tree for ground in grounds if isinstance(ground.tree, bool) for _ in range(len(ground))]
    each = [_cells(ground, labels) for ground in grounds if not isinstance(ground.tree, bool)]
    every = np.unique(np.concatenate([cells.ravel() for _, cells in each] or [np.zeros(0, np.int64)]))
    number = {cell: at for at, cell in enumerate(every.tolist(), 1)}
    for tree, cells in each:  # in an order of their own, so that groups that say the same are alike
        trees += [renumbered(tree, {slot: number[cell] for slot, cell in enumerate(row, 1)})
                  for row in cells[np.lexsort(cells.T[::-1])].tolist()]  # fmt: skip
    return trees, every[None]


def _cells(ground: Ground, labels: int) -> tuple[Tree, Ints]:
    """What groundings say, over labels from 1 of which none is left out, and their cells, ``int64 [G, S]``."""
    if isinstance(ground.tree, bool):
        return ground.tree, np.zeros((len(ground), 0), np.int64)
    used = sorted(set(labels_in(ground.tree)))
    rows, columns = ground.rows.cpu().numpy(), np.array(ground.columns)[used]
    cells = rows[[ground.of[slot] for slot in used]].T * labels + columns
    return renumbered(ground.tree, {slot + 1: at for at, slot in enumerate(used, 1)}), cells
