"""Independent outputs given what hard rules say of single rows: best answer, totals and marginals, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.rules.alike import Shapes
from graphfuse.rules.atoms import Atom, Differ, Exists, ForAll, Label, Measured, of_row, renamed
from graphfuse.rules.compiled import Compiled, contradiction, never
from graphfuse.rules.cost import log_total
from graphfuse.rules.count import Counted
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import impossible, odds, weights
from graphfuse.rules.facts import Facts, given_facts, needed
from graphfuse.rules.lifted import Lifted, named_rows
from graphfuse.rules.normal import Tree, tree_of
from graphfuse.rules.redundant import redundant
from graphfuse.rules.rule import Rule
from graphfuse.rules.together import Together


@dataclass(frozen=True, eq=False)
class Conditioned:
    """Rules as constraints on each row: its labels, and beside them what is measured of it, which is known.

    Attributes:
        rules: All of the set, ``R`` of them.
        lifted: The same, as they are used.
        place: The column of each label, ``L`` of them.
        budget: What the diagram of a component may take.
        source: Where the rules are from, for errors.
    """

    rules: tuple[Rule, ...]
    lifted: tuple[Lifted, ...]
    place: Mapping[str, int]
    budget: Budget
    source: str

    @cached_property
    def seen(self) -> tuple[Measured, ...]:
        """What rules measure of a row by itself: further columns, known to be true or false; of hard rules first."""
        order = sorted((lifted for lifted in self.lifted if lifted.of_rows), key=lambda lifted: not lifted.hard)
        atoms = (of_row(atom) for lifted in order for atom in lifted.observed)
        return tuple(dict.fromkeys(atom for atom in atoms if isinstance(atom, Measured)))

    @cached_property
    def hard_seen(self) -> tuple[Measured, ...]:
        """Those that hard rules measure, ``O`` of them."""
        hard = {of_row(atom) for lifted in self.lifted if lifted.of_rows and lifted.hard for atom in lifted.observed}
        return self.seen[: len(hard)]

    @cached_property
    def trees(self) -> dict[int, Tree]:
        """Of each rule that says something of each row by itself, by its place, over labels and what is measured."""
        place: dict[Atom, int] = {Label(name): at for name, at in self.place.items()}
        place |= {atom: at for at, atom in enumerate(self.seen, len(place))}
        says = [rule.says.of if isinstance(rule.says, ForAll | Exists) else rule.says for rule in self.rules]
        return {at: tree_of(says[at].each(of_row), place)
                for at, lifted in enumerate(self.lifted) if lifted.of_rows}  # fmt: skip

    @cached_property
    def compiled(self) -> Compiled:
        """Hard rules made ready.

        Raises:
            InputError: They contradict each other, and which do; or they are beyond the budget.
        """
        for rule, lifted in zip(self.rules, self.lifted):
            if rule.hard and not lifted.of_rows and never(lifted.whole, len(lifted.atoms), self.budget):
                raise InputError(f"{self.source}: hard rule {_named(rule)} can never hold.")
        hard = [place for place in self.trees if self.rules[place].hard]
        trees, count = [self.trees[place] for place in hard], len(self.place) + len(self.hard_seen)
        try:
            compiled = Compiled.of(trees, count, self.budget, solver=True)
            if isinstance(compiled, Compiled):
                return compiled
            core = [self.rules[hard[at]] for at in contradiction(trees, compiled, count, self.budget)]
        except TooLargeError:
            budget = f"{self.budget.nodes} nodes and {self.budget.seconds:g} s"
            raise InputError(f"{self.source}: labels that hard rules join are beyond a budget of {budget}; give RuleSet"
                             " a larger one, install graphfuse[solver] for answers without totals, or make rules "
                             "soft.") from None  # fmt: skip
        named = ", ".join(map(_named, core))
        if len(core) == 1:
            raise InputError(f"{self.source}: hard rule {named} can never hold.")
        raise InputError(f"{self.source}: hard rules {named} contradict each other; leave one of them out.")

    def redundant(self) -> Iterator[tuple[Rule, str]]:
        """Rules that say nothing, or nothing that one before them does not say, and what is to be said of each."""
        return redundant(self.rules, self.lifted, self.trees, self.budget)

    @cached_property
    def hard(self) -> tuple[Lifted, ...]:
        """The hard ones."""
        return tuple(lifted for lifted in self.lifted if lifted.hard)

    @cached_property
    def joining(self) -> Lifted | None:
        """The first hard rule that joins rows, if there is one: then all rows are answered together."""
        return next((lifted for lifted in self.hard if not lifted.of_rows), None)

    @cached_property
    def nothing(self) -> Facts:
        """What is known where rules ask nothing."""
        return Facts()

    @cached_property
    def shapes(self) -> Shapes:
        """What was made ready of rows that rules join."""
        return Shapes(self.budget, self.source)

    def together(self, logits: Tensor, graph: Facts | None) -> Together:
        """Hard rules of all rows, made ready once for these facts."""
        asked = [atom for lifted in self.hard for atom in lifted.observed if not isinstance(atom, Differ)]
        facts = given_facts(graph) or (
            needed(graph, self.joining.name, asked) if asked and self.joining else self.nothing
        )
        known, key = facts.kept(len(logits)), ("together", self, logits.device)
        if key not in known:
            known[key] = Together.of(self.hard, facts, logits.detach(), self.place, self.shapes)
        found: Together = known[key]
        return found

    def beside(self, logits: Tensor, graph: Facts | None, atoms: Sequence[Measured]) -> Tensor:
        """Logits beside what is measured, ``[B, L] -> [B, L + len(atoms)]``."""
        if not atoms:
            return logits
        facts = needed(graph, self.source, [renamed(atom, {"": "x"}) for atom in atoms])
        seen = torch.stack([facts.measured(atom, len(logits)).to(logits.device) for atom in atoms], 1)
        return torch.cat([logits, torch.where(seen, torch.inf, -torch.inf).to(logits.dtype)], 1)

    def answer(self, logits: Tensor, graph: Facts | None) -> Tensor:
        """The most probable that satisfies all hard rules, ``[B, L] -> bool [B, L]``."""
        if self.joining:
            return self.together(logits, graph).answer(logits)
        given = self.beside(logits, graph, self.hard_seen)
        with torch.no_grad():
            best = list[Tensor]()
            for method, own in zip(self.compiled.methods, self.compiled.taken(given)):
                chosen = method.best_of_logits(own) if isinstance(method, Counted) else None
                if chosen is None:
                    chosen, value = method.best(*odds(own.t()))
                    self._refuse(impossible(value))
                best.append(chosen)
            found = self._beside(lambda: given > 0, best).contiguous()
        if not self.compiled.holds(found).all():
            raise AssertionError("An answer breaks a hard rule; please report the rules and the logits.")
        return found[:, : len(self.place)]

    def log_partition(self, logits: Tensor, graph: Facts | None) -> Tensor:
        """The logarithm of the probability that all hard rules hold, ``[B, L] -> float64 [B]``."""
        if self.joining:
            return self.together(logits, graph).log_partition(logits)
        return self.of_rows(logits, graph)

    def of_rows(self, logits: Tensor, graph: Facts | None) -> Tensor:
        """The logarithm of the probability that hard rules over single rows hold, ``[B, L] -> float64 [B]``."""
        return log_total(self.compiled, self.beside(logits, graph, self.hard_seen), self._refuse)

    def marginals(self, logits: Tensor, graph: Facts | None, learns: bool) -> Tensor:
        """Of each label given that all hard rules hold, ``[B, L] -> float64 [B, L]``; with a gradient if asked."""
        if self.joining:
            return self.together(logits, graph).marginals(logits, learns)
        given = self.beside(logits, graph, self.hard_seen)
        found = list[Tensor]()
        with torch.inference_mode(False), torch.enable_grad():
            for method, own in zip(
                self.compiled.methods, self.compiled.taken(given if learns else given.detach().clone())
            ):
                off, on = weights(own.t() if learns else own.t().detach().requires_grad_())
                value = method.total(off, on)
                self._refuse(impossible(value))
                found += torch.autograd.grad(value.sum(), on, create_graph=learns)
        return self._beside(given.double().sigmoid, found)[:, : len(self.place)]

    def _beside(self, free: Callable[[], Tensor], found: list[Tensor]) -> Tensor:
        """What methods found in the place of what labels are by themselves, ``[B, L + O]``."""
        places = self.compiled.places
        if places is None:
            return torch.cat(found).t()
        own = free()
        return own.index_copy(1, places.to(own.device), torch.cat(found).t()) if found else own

    def allowed(self) -> int:
        """How many assignments of the labels satisfy all hard rules.

        Raises:
            InputError: That depends on what is observed.
        """
        for rule, lifted in zip(self.rules, self.lifted):
            if rule.hard and (lifted.observed or not lifted.of_rows):
                raise InputError(f"{lifted.name} speaks of what is observed, so how many are allowed depends on that.")
        joined = {label for method in self.compiled.methods for label in method.labels}
        free: int = 2 ** (len(self.place) - len(joined))
        return math.prod((method.models() for method in self.compiled.methods), start=free)

    def _refuse(self, rows: Sequence[int]) -> None:
        if rows:
            what = "infinite logits or measurements" if self.hard_seen else "infinite logits"
            raise InputError(f"The {what} of {named_rows(torch.tensor(rows))} break a rule, so no answer satisfies it.")


def _named(rule: Rule) -> str:
    return f"{rule.name!r} (line {rule.line})" if rule.line else repr(rule.name)
