"""Hard rules of all rows at once, where they join some: best answer, totals and marginals, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from graphfuse.core.errors import InputError
from graphfuse.rules.compiled import Compiled, contradiction
from graphfuse.rules.cost import log_total
from graphfuse.rules.diagram import Budget, TooLargeError, parted
from graphfuse.rules.exact import NEVER, impossible, odds, weights
from graphfuse.rules.facts import Facts
from graphfuse.rules.lifted import Ground, Lifted, groups_of, named_rows
from graphfuse.rules.normal import Tree, counted, labels_in, renumbered
from graphfuse.rules.normal import joined as junction

MOST = 200_000
"""As many groundings are taken together."""


class ImpossibleError(InputError):
    """Hard rules cannot hold of some rows, of which one is told."""

    def __init__(self, what: str, row: int):
        super().__init__(what)
        self.row = row


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
        trees, whose = list[Tree](), list[Lifted]()
        for rule, grounds in zip(rules, found):
            for tree in _trees(rule, grounds, facts, like):
                if tree is not True:
                    trees.append(tree)
                    whose.append(rule)
        alike = dict[tuple[Tree, ...], list[list[int]]]()
        by = dict[tuple[Tree, ...], list[Lifted]]()
        for cells, own in _components(trees):
            number = {cell + 1: at for at, cell in enumerate(cells, 1)}
            said = tuple(renumbered(trees[at], number) for at in own)
            alike.setdefault(said, []).append(cells)
            by.setdefault(said, [whose[at] for at in own])
        parts = list[tuple[Compiled, Tensor]]()
        with torch.inference_mode(False):
            for said, each in alike.items():
                compiled = _compiled(said, by[said], each[0], like.shape[1], budget, source)
                parts.append((compiled, torch.tensor(each, device=like.device)))
        return cls(tuple(rules), found, facts, tuple(parts))

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
            value = log_total(compiled, flat[cells], partial(self._refuse, cells, logits))
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
        sign = known.reshape(-1, flat.numel()).double()  # [K, B * L]
        own = torch.where(sign == 0, 0.0, -logsigmoid(sign * flat.double()))
        free, total = torch.ones_like(flat, dtype=torch.bool), own.new_zeros(len(sign), rows)
        bad = torch.zeros_like(total, dtype=torch.long)
        for compiled, cells in self.parts:
            free[cells.reshape(-1)] = False
            here = sign[:, cells]  # [K, M, n]
            given = torch.where(here == 0, flat[cells].double(), here * torch.inf)
            every = log_total(compiled, flat[cells], partial(self._refuse, cells, logits))
            told = log_total(compiled, given.flatten(0, 1), lambda rows: None).view(len(sign), -1)
            fine = told > NEVER / 2
            wrong = (~fine)[:, :, None].expand_as(here).reshape(len(sign), -1)
            bad = bad.index_add(1, cells.reshape(-1) // labels, wrong.long())
            value = torch.where(fine, own[:, cells].sum(2) + every - told.masked_fill(~fine, 0.0), 0.0)
            total = total.index_add(1, cells.amin(1) // labels, value)
        total = total + (own * free).view(-1, rows, labels).sum(2)
        return total.view(*each, rows), (bad > 0).view(*each, rows)

    @staticmethod
    def _refuse(cells: Tensor, logits: Tensor, rows: Sequence[int]) -> None:
        if rows:
            wrong = cells[torch.as_tensor(rows, device=cells.device)].reshape(-1)
            known = wrong[logits.reshape(-1)[wrong].isinf()]
            raise InputError(f"The infinite logits of {named_rows(known // logits.shape[1])} break rules that join "
                             "rows, so no answer satisfies them.")  # fmt: skip


def _components(trees: Sequence[Tree]) -> Iterator[tuple[list[int], list[int]]]:
    """The cells of each component, ascending, and the places of what is said of them."""
    said = [list(labels_in(tree)) for tree in trees]
    root, own = parted(said), dict[int, list[int]]()
    for at, cells in enumerate(said):
        own.setdefault(root[cells[0]] if cells else -1, []).append(at)
    for places in own.values():
        yield sorted({cell for at in places for cell in said[at]}), places


def _compiled(said: Sequence[Tree], whose: Sequence[Lifted], cells: Sequence[int], labels: int, budget: Budget,
              source: str) -> Compiled:  # fmt: skip
    try:
        compiled = Compiled.of(said, len(cells), budget, solver=True)
        if isinstance(compiled, Compiled):
            return compiled
        core = [whose[at].name for at in contradiction(said, compiled, len(cells), budget)]
    except TooLargeError:
        limit = f"{budget.nodes} nodes and {budget.seconds:g} s"
        raise InputError(f"{source}: what hard rules say of rows together is beyond a budget of {limit}; give RuleSet "
                         "a larger one, install graphfuse[solver] for answers without totals, or make rules "
                         "soft.") from None  # fmt: skip
    rows = named_rows(torch.tensor(cells) // labels)
    named = list(dict.fromkeys(core))
    what = f"{', '.join(named)}: cannot hold {'at once ' * (len(named) > 1)}for the facts of {rows}."
    raise ImpossibleError(what, cells[0] // labels)


def _trees(rule: Lifted, grounds: Sequence[Ground], facts: Facts, like: Tensor) -> Iterator[Tree]:
    """What a rule says, over cells: of one for all things each grounding, of one that something exists all of a group.

    Raises:
        InputError: It can never hold, as nothing is there that it could be true of, or for what is observed.
    """
    if rule.every:
        for ground in grounds:
            if ground.tree is False:
                row = int(ground.rows[0, 0])
                raise ImpossibleError(
                    f"{rule.name}: cannot hold for the facts of {named_rows(ground.rows[:, 0])}.", row
                )
            yield from spelt(ground, like.shape[1])
        return
    group, parts = groups_of(facts, like), rule.apart(grounds, facts, like)
    if rule.once:
        for own in filter(None, parts):
            yield counted(tuple(tree for ground in own for tree in spelt(ground, like.shape[1])), 1, 1)
        return
    there = {int(group[own[0].rows[0, 0]]) for own in parts if own}
    for lacking in sorted(set(group.tolist()) - there):
        row = int((group == lacking).int().argmax())
        raise ImpossibleError(f"{rule.name}: can never hold, as nothing is there that it could be true of.", row)
    for own in filter(None, parts):
        yield junction("or", [tree for ground in own for tree in spelt(ground, like.shape[1])])


def spelt(ground: Ground, labels: int) -> Iterator[Tree]:
    """What each grounding says."""
    if isinstance(ground.tree, bool):
        yield ground.tree
        return
    columns = torch.tensor(ground.columns, dtype=torch.long, device=ground.rows.device)[:, None]
    for own in (ground.rows[list(ground.of)] * labels + columns + 1).t().tolist():
        yield renumbered(ground.tree, dict(enumerate(own, 1)))
