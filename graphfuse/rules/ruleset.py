"""A set of rules over named labels: read, checked, and used as a loss or as a guarantee."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.rules.compiled import Compiled, contradiction
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import impossible, odds, weights
from graphfuse.rules.forms import FORMS, subsumed
from graphfuse.rules.language import DEPTH, Rule, parse
from graphfuse.rules.normal import Tree, tree_of
from graphfuse.rules.redundant import redundant


class RuleWarning(UserWarning):
    """A rule says nothing, or nothing that another one does not say."""


@dataclass(frozen=True, eq=False)
class RuleSet:
    """Rules over the labels that a model gives logits for, the outputs taken as independent before them.

    Hard rules are made ready when the set is made: labels that no rule joins are treated apart, each component by the
    method that suits it. All exact results are computed in float64 and given in the type of the logits, or in float32
    where that is shorter. A logit of plus or minus infinity is evidence: that label is true, or false.

    Attributes:
        labels: In the order of the logits, ``L`` of them.
        rules: In their order, ``R`` of them.
        source: The file that they were read from, for errors.
        budget: What the diagram of a component may take.

    Raises:
        InputError: A rule speaks of an unknown label; hard rules contradict each other, and which do; a component is
            beyond the budget.
    """

    labels: tuple[str, ...]
    rules: tuple[Rule, ...]
    source: str = ""
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        names = set[str]()
        for rule in self.rules:
            if rule.name in names:
                raise InputError(f"{self._at(rule)}: there is a rule {rule.name!r} already; names are unique.")
            names.add(rule.name)
            if rule.says.depth() > DEPTH:
                raise InputError(f"{self._at(rule)}: rule {rule.name!r} is more than {DEPTH} deep.")
            if rule.weight is not None and not 0 <= rule.weight < math.inf:
                raise InputError(f"{self._at(rule)}: rule {rule.name!r} weighs {rule.weight}; it must be 0 or more.")
            for label in rule.says.labels():
                if label not in self._place:
                    near = did_you_mean(label, self.labels)
                    raise InputError(f"{self._at(rule)}: there is no label {label!r}.{near}")
        for rule, what in redundant(self.rules, self._trees):
            warnings.warn(f"{self._at(rule)}: rule {rule.name!r} {what}.", RuleWarning, stacklevel=4)
        _ = self._compiled

    @classmethod
    def parse(cls, text: str, labels: Sequence[str] | None = None, source: str = "") -> RuleSet:
        """Reads rules from text; the labels are those of the text, in their order there, if they are left out.

        Raises:
            InputError: As :func:`graphfuse.rules.language.parse` and the class itself.
        """
        return cls._of(parse(text, labels, source), labels, source)

    @classmethod
    def read(cls, path: str | Path, labels: Sequence[str] | None = None, form: str = "text") -> RuleSet:
        """Reads rules from a UTF-8 file.

        Args:
            path: The file.
            labels: In the order of the logits; those of the file, in their order there, if they are left out.
            form: ``"text"``, the language; ``"dimacs"``, clauses over the numbers of labels from 1; ``"heads"``, lines
                ``weight head :- body`` over numbers from 0; ``"hierarchy"``, lines ``child,parent``.

        Raises:
            InputError: There is no such file or form, it is not UTF-8, labels are needed, or as :meth:`parse`.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise InputError(f"{path}: the rules cannot be read: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: byte {error.start} is not UTF-8; save the rules as UTF-8.") from error
        if form == "text":
            return cls.parse(text, labels, str(path))
        read = look_up(FORMS, form, "form of rules")
        if labels is None and form != "hierarchy":
            raise InputError(f"{path}: {form} numbers its labels; give labels, in the order of the logits.")
        return cls._of(read(text, labels or (), str(path)), labels, str(path))

    @classmethod
    def from_networkx(cls, graph: Any, labels: Sequence[str] | None = None) -> RuleSet:
        """Of a ``networkx.DiGraph`` whose edges run from what is special to what is general: each implies the other.

        The labels are its nodes, in their order, if they are left out.
        """
        if not graph.is_directed():
            raise InputError("The graph has no directions; give a networkx.DiGraph, from special to general.")
        pairs = list(dict.fromkeys((str(edge[0]), str(edge[1])) for edge in graph.edges))
        found = dict.fromkeys([*map(str, graph.nodes), *(end for pair in pairs for end in pair)])
        return cls._of(subsumed(pairs), tuple(found) if labels is None else labels, "")

    @classmethod
    def _of(cls, rules: Sequence[Rule], labels: Sequence[str] | None, source: str) -> RuleSet:
        found = dict.fromkeys(label for rule in rules for label in rule.says.labels())
        return cls(tuple(found if labels is None else labels), tuple(rules), source)

    def __str__(self) -> str:
        return "\n".join(map(str, self.rules))

    @cached_property
    def _place(self) -> dict[str, int]:
        place = {label: at for at, label in enumerate(self.labels)}
        if len(place) < len(self.labels):
            twice = next(label for at, label in enumerate(self.labels) if place[label] != at)
            raise InputError(f"Label {twice!r} is there twice; labels are unique.")
        return place

    @cached_property
    def _trees(self) -> tuple[Tree, ...]:
        return tuple(tree_of(rule.says, self._place) for rule in self.rules)

    @cached_property
    def _compiled(self) -> Compiled:
        hard = [place for place, rule in enumerate(self.rules) if rule.hard]
        trees, count = [self._trees[place] for place in hard], len(self.labels)
        try:
            compiled = Compiled.of(trees, count, self.budget)
            if isinstance(compiled, Compiled):
                return compiled
            core = [self.rules[hard[at]] for at in contradiction(trees, compiled, count, self.budget)]
        except TooLargeError:
            budget = f"{self.budget.nodes} nodes and {self.budget.seconds:g} s"
            raise InputError(f"{self.source or 'Rules'}: labels that hard rules join are beyond a budget of {budget}; "
                             "give RuleSet a larger one, install graphfuse[solver] for answers without totals, or make "
                             "rules soft.") from None  # fmt: skip
        named = ", ".join(f"{rule.name!r} (line {rule.line})" if rule.line else repr(rule.name) for rule in core)
        if len(core) == 1:
            raise InputError(f"{self.source or 'Rules'}: hard rule {named} can never hold.")
        raise InputError(f"{self.source or 'Rules'}: hard rules {named} contradict each other; leave one of them out.")

    def answer(self, logits: Tensor) -> Tensor:
        """The most probable assignment that satisfies every hard rule, exactly.

        Of equally probable ones it is always the same: false before true in the order of the diagram, in a count
        earlier labels first, and in a hierarchy as few labels as may be.
        What is given is checked against every hard rule by looking at it.

        Shape: ``logits [B, L] -> bool [B, L]``.

        Raises:
            InputError: A logit is NaN, or evidence breaks a hard rule; names the rows.
        """
        self._check(logits)
        found = logits.detach() > 0
        with torch.no_grad():
            for method in self._compiled.methods:
                places = torch.tensor(method.labels, device=logits.device)
                best, value = method.best(*odds(logits[:, places]))
                self._refuse(impossible(value))
                found[:, places] = best.t()
        if not self._compiled.holds(found).all():
            raise AssertionError("An answer breaks a hard rule; please report the rules and the logits.")
        return found

    def log_partition(self, logits: Tensor) -> Tensor:
        """The logarithm of the probability that independent outputs satisfy every hard rule; its negative is a loss.

        Its gradient to a logit is the marginal of that label given the rules minus its probability without them.

        Shape: ``logits [B, L] -> [B]``.

        Raises:
            InputError: As :meth:`answer`; or totals of a hierarchy with many parents are beyond the budget.
        """
        self._check(logits)
        return self._total(self._compiled, logits).to(_full(logits))

    def marginals(self, logits: Tensor) -> Tensor:
        """The probability of each label given that every hard rule holds.

        Shape: ``logits [B, L] -> [B, L]``.

        Raises:
            InputError: As :meth:`log_partition`.
        """
        self._check(logits)
        learns = torch.is_grad_enabled() and logits.requires_grad
        found = logits.sigmoid().double()
        for method in self._compiled.methods:
            places = torch.tensor(method.labels, device=logits.device)
            with torch.inference_mode(False), torch.enable_grad():
                off, on = weights(logits[:, places] if learns else logits.detach()[:, places].clone().requires_grad_())
                value = method.total(off, on)
                self._refuse(impossible(value))
                own = torch.autograd.grad(value.sum(), on, create_graph=learns)[0]
            found = found.index_copy(1, places, own.t())
        return found.to(_full(logits))

    def loss(self, logits: Tensor) -> Tensor:
        """How improbable it is that independent outputs satisfy each rule: ``-log P(rule)``, the mean over the batch,
        times the weight, the mean over the rules. A hard rule weighs 1.

        Shape: ``logits [B, L] -> []``.
        Source: semantic loss, Xu et al. 2018, "A semantic loss function for deep learning with symbolic knowledge",
        definition 1, rule by rule.

        Raises:
            InputError: A logit is NaN, names the rows; a rule that cannot be learned yet.
        """
        self._check(logits)
        learned = next((rule for rule in self.rules if rule.weight is None), None)
        if learned:
            raise InputError(f"{self._at(learned)}: rule {learned.name!r} has no weight; give it one, for instance "
                             f"'soft 1 {learned.name}: ..'. Weights cannot be learned yet.")  # fmt: skip
        total, batch = logits[:, :0].sum(dtype=torch.double), max(1, len(logits))
        for rule, compiled in zip(self.rules, self._apart):
            weight = 1.0 if rule.hard or rule.weight is None else rule.weight
            total = total - weight * self._total(compiled, logits).sum() / batch
        return (total / max(1, len(self.rules))).to(_full(logits))

    def _total(self, compiled: Compiled, logits: Tensor) -> Tensor:
        total = logits[:, :0].sum(1, dtype=torch.double)  # zeros, with a gradient
        for method in compiled.methods:
            value = method.total(*weights(logits[:, torch.tensor(method.labels, device=logits.device)]))
            self._refuse(impossible(value))
            total = total + value
        return total

    def violations(self, answers: Tensor) -> Tensor:
        """Which rules answers break, hard and soft.

        Shape: ``answers bool [B, L] -> bool [B, R]``.
        """
        if answers.ndim != 2 or answers.shape[1] != len(self.labels):
            raise InputError(
                f"Answers are {list(answers.shape)}; expected [B, {len(self.labels)}], one column a label."
            )
        if answers.dtype != torch.bool:
            raise InputError(f"Answers are {answers.dtype}; expected torch.bool, as scores > 0 gives.")
        facts = dict(zip(self.labels, answers.unbind(1)))
        if not self.rules:
            return answers.new_zeros(len(answers), 0, dtype=torch.bool)
        return ~torch.stack([rule.says.holds(facts) for rule in self.rules], 1)

    def allowed(self) -> int:
        """How many assignments of the labels satisfy every hard rule."""
        joined = {label for method in self._compiled.methods for label in method.labels}
        free: int = 2 ** (len(self.labels) - len(joined))
        return math.prod((method.models() for method in self._compiled.methods), start=free)

    @cached_property
    def _apart(self) -> tuple[Compiled, ...]:
        """Each rule alone."""
        found = [Compiled.of([tree], len(self.labels), self.budget) for tree in self._trees]
        for rule, own in zip(self.rules, found):
            if isinstance(own, set):
                raise InputError(f"{self._at(rule)}: rule {rule.name!r} can never hold.")
        return tuple(own for own in found if isinstance(own, Compiled))

    def _at(self, rule: Rule) -> str:
        where = f"{self.source}:{rule.line}" if self.source else f"Line {rule.line}"
        return where if rule.line else f"Rule {rule.name!r}"

    def _check(self, logits: Tensor) -> None:
        if logits.ndim != 2 or logits.shape[1] != len(self.labels):
            raise InputError(f"Logits are {list(logits.shape)}; expected [B, {len(self.labels)}], a column a label.")
        if not logits.is_floating_point():
            raise InputError(f"Logits are {logits.dtype}; expected floating point numbers.")
        rows = logits.isnan().any(1).nonzero()[:, 0].tolist()
        if rows:
            raise InputError(f"Logits are NaN in {_rows(rows)}.")

    def _refuse(self, rows: Sequence[int]) -> None:
        if rows:
            raise InputError(f"The infinite logits of {_rows(rows)} break a rule, so no answer satisfies it.")


def _full(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


def _rows(rows: Sequence[int]) -> str:
    listed, more = ", ".join(map(str, rows[:5])), f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"row{'s' if len(rows) > 1 else ''} {listed}{more}"
