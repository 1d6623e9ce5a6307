"""A set of rules over named labels: read, checked, and used as a loss or as a guarantee."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.rules.atoms import Atom, Exists, ForAll, Label, Measured, of_row
from graphfuse.rules.compiled import Compiled, contradiction, truth
from graphfuse.rules.cost import COSTS, log_total
from graphfuse.rules.diagram import Budget, TooLargeError
from graphfuse.rules.exact import impossible, odds, weights
from graphfuse.rules.explain import Explanation, explain
from graphfuse.rules.expression import Expression
from graphfuse.rules.facts import Facts, needed
from graphfuse.rules.forms import FORMS, subsumed
from graphfuse.rules.language import DEPTH, PARTS, parse
from graphfuse.rules.lifted import Ground, Lifted, named_rows
from graphfuse.rules.margin import Margins
from graphfuse.rules.normal import Tree, tree_of
from graphfuse.rules.redundant import redundant
from graphfuse.rules.refine import enhancement
from graphfuse.rules.rule import Rule
from graphfuse.rules.vocabulary import ALL, Vocabulary


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
            if rule.says.size() > 2 * PARTS:  # of text: atoms, and as many signs at most
                raise InputError(f"{self._at(rule)}: rule {rule.name!r} has more than {2 * PARTS} parts.")
            if rule.weight is not None and not 0 <= rule.weight < math.inf:
                raise InputError(f"{self._at(rule)}: rule {rule.name!r} weighs {rule.weight}; it must be 0 or more.")
            labels = [atom.name for atom in rule.says.atoms() if isinstance(atom, Label)]
            if not labels:
                raise InputError(f"{self._at(rule)}: rule {rule.name!r} speaks of no label, so nothing can follow it.")
            for label in labels:
                if label not in self._place:
                    near = did_you_mean(label, self.labels)
                    raise InputError(f"{self._at(rule)}: there is no label {label!r}.{near}")
        for rule, what in redundant([self.rules[place] for place in self._trees], list(self._trees.values())):
            warnings.warn(f"{self._at(rule)}: rule {rule.name!r} {what}.", RuleWarning, stacklevel=5)
        _ = self._compiled

    @classmethod
    def parse(
        cls,
        text: str,
        labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        relations: Collection[str] | None = None,
        features: Collection[str] | None = None,
        source: str = "",
    ) -> RuleSet:
        """Reads rules from text. What is left out is what the text speaks of, labels in their order there.

        Args:
            text: The rules.
            labels: In the order of the logits; or groups of them by name, for rules of a group.
            relations: The names of observed relations.
            features: The names of observed numbers.
            source: The name of the file, for errors.

        Raises:
            InputError: As :func:`graphfuse.rules.language.parse` and the class itself.
        """
        vocabulary = Vocabulary(labels, relations, features)
        return cls._of(parse(text, vocabulary, source), vocabulary.groups.get(ALL), source)

    @classmethod
    def read(
        cls,
        path: str | Path,
        labels: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        form: str = "text",
        relations: Collection[str] | None = None,
        features: Collection[str] | None = None,
    ) -> RuleSet:
        """Reads rules from a UTF-8 file.

        Args:
            path: The file.
            labels: As in :meth:`parse`.
            form: ``"text"``, the language; ``"dimacs"``, clauses over the numbers of labels from 1; ``"heads"``, lines
                ``weight head :- body`` over numbers from 0; ``"hierarchy"``, lines ``child,parent``.
            relations: As in :meth:`parse`, of the form ``"text"``.
            features: As in :meth:`parse`, of the form ``"text"``.

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
            return cls.parse(text, labels, relations, features, str(path))
        read = look_up(FORMS, form, "form of rules")
        if labels is None and form != "hierarchy":
            raise InputError(f"{path}: {form} numbers its labels; give labels, in the order of the logits.")
        known = Vocabulary(labels).groups.get(ALL)
        return cls._of(read(text, known or (), str(path)), known, str(path))

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
        found = dict.fromkeys(a.name for rule in rules for a in rule.says.atoms() if isinstance(a, Label))
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
    def _lifted(self) -> tuple[Lifted, ...]:
        return tuple(Lifted.of(f"{self._at(rule)}: rule {rule.name!r}" if rule.line else self._at(rule), rule.says)
                     for rule in self.rules)  # fmt: skip

    @cached_property
    def _seen(self) -> tuple[Measured, ...]:
        """What rules measure of a row by itself: further columns of what is compiled, known to be true or false."""
        atoms = (atom for lifted in self._lifted if lifted.of_rows for atom in lifted.observed)
        return tuple(dict.fromkeys(atom for atom in map(of_row, atoms) if isinstance(atom, Measured)))

    @cached_property
    def _trees(self) -> dict[int, Tree]:
        """Of each rule that says something of each row by itself, by its place, over labels and what is measured."""
        place: dict[Atom, int] = {Label(name): at for name, at in self._place.items()}
        place |= {atom: at for at, atom in enumerate(self._seen, len(place))}
        return {at: tree_of(_inner(self.rules[at].says).each(of_row), place)
                for at, lifted in enumerate(self._lifted) if lifted.of_rows}  # fmt: skip

    @cached_property
    def _compiled(self) -> Compiled:
        hard = [place for place in self._trees if self.rules[place].hard]
        trees, count = [self._trees[place] for place in hard], len(self.labels) + len(self._seen)
        try:
            compiled = Compiled.of(trees, count, self.budget)
            if isinstance(compiled, Compiled):
                return compiled
            core = [self.rules[hard[at]] for at in contradiction(trees, compiled, count, self.budget)]
        except TooLargeError:
            budget = f"{self.budget.nodes} nodes and {self.budget.seconds:g} s"
            raise InputError(f"{self.source or 'Rules'}: labels that hard rules join are beyond a budget of {budget}; "
                             "give RuleSet a larger one, or make rules soft.") from None  # fmt: skip
        named = ", ".join(f"{rule.name!r} (line {rule.line})" if rule.line else repr(rule.name) for rule in core)
        if len(core) == 1:
            raise InputError(f"{self.source or 'Rules'}: hard rule {named} can never hold.")
        raise InputError(f"{self.source or 'Rules'}: hard rules {named} contradict each other; leave one of them out.")

    def answer(self, logits: Tensor, graph: Facts | None = None) -> Tensor:
        """The most probable assignment that satisfies every hard rule, exactly.

        Of equally probable ones it is always the same: false before true in the order of the diagram, in a count
        earlier labels first, and in a hierarchy as few labels as may be.
        What is given is checked against every hard rule by looking at it.

        Shape: ``logits [B, L] -> bool [B, L]``.

        Args:
            logits: Infinite ones are evidence.
            graph: What is observed of the rows, where hard rules measure something.

        Raises:
            InputError: A logit is NaN, or evidence breaks a hard rule, names the rows; a hard rule joins rows, which
                are answered one by one.
        """
        given = self._given(logits, graph)
        found = given.detach() > 0
        with torch.no_grad():
            for method in self._compiled.methods:
                places = torch.tensor(method.labels, device=logits.device)
                best, value = method.best(*odds(given[:, places]))
                self._refuse(impossible(value))
                found[:, places] = best.t()
        if not self._compiled.holds(found).all():
            raise AssertionError("An answer breaks a hard rule; please report the rules and the logits.")
        return found[:, : len(self.labels)]

    def log_partition(self, logits: Tensor, graph: Facts | None = None) -> Tensor:
        """The logarithm of the probability that independent outputs satisfy every hard rule; its negative is a loss.

        Its gradient to a logit is the marginal of that label given the rules minus its probability without them.

        Shape: ``logits [B, L] -> [B]``.

        Raises:
            InputError: As :meth:`answer`; or totals of a hierarchy with many parents are beyond the budget.
        """
        return log_total(self._compiled, self._given(logits, graph), self._refuse).to(_full(logits))

    def marginals(self, logits: Tensor, graph: Facts | None = None) -> Tensor:
        """The probability of each label given that every hard rule holds.

        Shape: ``logits [B, L] -> [B, L]``.

        Raises:
            InputError: As :meth:`log_partition`.
        """
        given = self._given(logits, graph)
        learns = torch.is_grad_enabled() and logits.requires_grad
        found = given.sigmoid().double()
        for method in self._compiled.methods:
            places = torch.tensor(method.labels, device=logits.device)
            with torch.inference_mode(False), torch.enable_grad():
                off, on = weights(given[:, places] if learns else given.detach()[:, places].clone().requires_grad_())
                value = method.total(off, on)
                self._refuse(impossible(value))
                own = torch.autograd.grad(value.sum(), on, create_graph=learns)[0]
            found = found.index_copy(1, places, own.t())
        return found[:, : len(self.labels)].to(_full(logits))

    def loss(
        self, logits: Tensor, graph: Facts | None = None, kind: str = "probability", weights: Tensor | None = None
    ) -> Tensor:
        """What each rule costs, the mean over its groundings, times its weight; the mean over the rules.

        A hard rule weighs 1. Of a weight ``w`` that is learned, ``-log w`` is added: what a rule costs is taken as
        exponentially distributed with the rate ``w``, so that rules which the data break end with small ones.

        Shape: ``logits [B, L] -> []``.

        Args:
            logits: A row for each thing that variables may stand for.
            graph: Relations and features of the rows, where rules speak of them.
            kind: ``"probability"``: ``-log P(rule)``, of a clause ``-log(1 - prod(1 - literal))``; ``"exact"``: so too,
                but hard rules over single rows all at once, ``-log_partition``; ``"goedel"``, ``"lukasiewicz"``,
                ``"product"``: ``1 - truth`` in a fuzzy logic; ``"p_mean"``: the root of the mean square of
                ``1 - truth`` over groundings (Badreddine et al. 2022, "Logic tensor networks", eq. 19).
            weights: One a rule, ``[R]``, as :class:`RuleWeights` gives; needed where some are learned.

        Raises:
            InputError: A logit is NaN, names the rows; facts or weights are needed; a rule has too many groundings.
        """
        self._check(logits)
        cost, weigh = look_up(COSTS, kind, "kind of loss"), self._weights(weights, logits)
        total = logits[:, :0].sum(dtype=torch.double)
        for place, (rule, lifted) in enumerate(zip(self.rules, self._lifted)):
            if kind == "exact" and rule.hard and lifted.of_rows:
                continue
            grounds = self._ground(lifted, logits, graph)
            if grounds:
                total = total + weigh[place] * cost(lifted, grounds, logits, self.budget)
            if rule.weight is None:
                total = total - weigh[place].log()
        if kind == "exact" and len(logits):
            total = total - log_total(self._compiled, self._seen_beside(logits, graph), self._refuse).mean()
        return (total / max(1, len(self.rules))).to(_full(logits))

    def refine(self, logits: Tensor, graph: Facts | None = None, weights: Tensor | None = None) -> Tensor:
        """Logits pushed towards what the rules say, each by its weight: a residual layer that can be stacked.

        Shape: ``logits [B, L] -> [B, L]``.
        Source: KENN; see :func:`graphfuse.rules.refine.enhancement`.

        Args:
            logits: As in :meth:`loss`.
            graph: As in :meth:`loss`.
            weights: As in :meth:`loss`.

        Raises:
            InputError: As :meth:`loss`; a rule says that something exists, or counts more than few.
        """
        self._check(logits)
        weigh, found = self._weights(weights, logits), logits
        for place, lifted in enumerate(self._lifted):
            grounds = self._ground(lifted, logits, graph)
            found = found + weigh[place].to(logits.dtype) * enhancement(lifted, grounds, logits)
        return found

    def holds(self, answers: Tensor, graph: Facts | None = None) -> Tensor:
        """Whether answers satisfy every hard rule over single rows, by a look at all clauses at once.

        Shape: ``answers bool [B, L] -> bool [B]``.
        """
        return self._compiled.holds(self._seen_beside(torch.where(answers, 1.0, -1.0), graph) > 0)

    def violations(self, answers: Tensor, graph: Facts | None = None) -> Tensor:
        """Which rules answers break, hard and soft: a row of them where it is part of a grounding that is false.

        Of a rule that something exists, all rows where nothing does.

        Shape: ``answers bool [B, L] -> bool [B, R]``.
        """
        if answers.ndim != 2 or answers.shape[1] != len(self.labels):
            raise InputError(
                f"Answers are {list(answers.shape)}; expected [B, {len(self.labels)}], one column a label."
            )
        if answers.dtype != torch.bool:
            raise InputError(f"Answers are {answers.dtype}; expected torch.bool, as scores > 0 gives.")
        broken = answers.new_zeros(len(answers), len(self.rules))
        for place, lifted in enumerate(self._lifted):
            found = False
            for ground in self._ground(lifted, answers, graph):
                true = truth(ground.tree, ground.take(answers).t())
                found = found or bool(true.any())
                if lifted.every:
                    broken[ground.rows[:, ~true].reshape(-1), place] = True
            if not lifted.every and not found:
                broken[:, place] = True
        return broken

    def groundings(self, rows: int, graph: Facts | None = None) -> dict[str, int]:
        """Of how many things, or of how many that meet, each rule says something that is not true by itself."""
        like = torch.empty(rows, len(self.labels), device="meta")
        return {rule.name: sum(map(len, self._ground(lifted, like, graph)))
                for rule, lifted in zip(self.rules, self._lifted)}  # fmt: skip

    def explain(self, logits: Tensor, graph: Facts | None = None) -> Explanation:
        """What :meth:`answer` changes in the raw scores of one sample, for which rules and at what cost, and how near
        each rule, hard or soft, is to being broken or to holding. Rules that join rows are left out.

        Shape: ``logits [L]`` or ``[1, L]``.

        Raises:
            InputError: As :meth:`answer`, or there are several rows.
        """
        return explain(self, logits, graph)

    def allowed(self) -> int:
        """How many assignments of the labels satisfy every hard rule.

        Raises:
            InputError: That depends on what is observed.
        """
        for rule, lifted in zip(self.rules, self._lifted):
            if rule.hard and (lifted.observed or not lifted.of_rows):
                raise InputError(f"{lifted.name} speaks of what is observed, so how many are allowed depends on that.")
        joined = {label for method in self._compiled.methods for label in method.labels}
        free: int = 2 ** (len(self.labels) - len(joined))
        return math.prod((method.models() for method in self._compiled.methods), start=free)

    @cached_property
    def _margins(self) -> Margins:
        return Margins(len(self.labels) + len(self._seen))

    def _ground(self, lifted: Lifted, logits: Tensor, graph: Facts | None) -> tuple[Ground, ...]:
        return lifted.ground(len(logits), graph, self._place, self.budget, logits.device)

    def _weights(self, weights: Tensor | None, logits: Tensor) -> Sequence[Tensor]:
        if weights is not None:
            if weights.shape != (len(self.rules),):
                raise InputError(f"Weights are {list(weights.shape)}; expected [{len(self.rules)}], one a rule.")
            return weights.unbind()
        learned = next((rule for rule in self.rules if rule.weight is None), None)
        if learned:
            raise InputError(f"{self._at(learned)}: rule {learned.name!r} has no weight; give weights, as "
                             "gf.rules.RuleWeights(rules)() learns them.")  # fmt: skip
        return logits.new_tensor([1.0 if rule.hard else rule.weight for rule in self.rules]).double().unbind()

    def _given(self, logits: Tensor, graph: Facts | None) -> Tensor:
        """Checked logits, with what is measured as further columns."""
        for rule, lifted in zip(self.rules, self._lifted):
            if rule.hard and not lifted.of_rows:
                raise InputError(f"{lifted.name} joins rows, and rows are answered one by one; make it soft, or use it "
                                 "as a loss or to refine.")  # fmt: skip
        self._check(logits)
        return self._seen_beside(logits, graph)

    def _seen_beside(self, logits: Tensor, graph: Facts | None) -> Tensor:
        if not self._seen:
            return logits
        facts = needed(graph, self.source or "The rules", self._seen)
        seen = torch.stack([facts.measured(atom, len(logits)) for atom in self._seen], 1).to(logits.device)
        return torch.cat([logits, torch.where(seen, torch.inf, -torch.inf).to(logits.dtype)], 1)

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
            raise InputError(f"Logits are NaN in {named_rows(torch.tensor(rows))}.")

    @staticmethod
    def _refuse(rows: Sequence[int]) -> None:
        if rows:
            raise InputError(f"The infinite logits of {named_rows(torch.tensor(rows))} break a rule, so no answer "
                             "satisfies it.")  # fmt: skip


def _full(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


def _inner(says: Expression) -> Expression:
    return says.of if isinstance(says, ForAll | Exists) else says
