"""A set of rules over named labels: read, checked, and used as a loss or as a guarantee."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.rules.atoms import Label
from graphfuse.rules.conditioned import Conditioned
from graphfuse.rules.cost import COSTS
from graphfuse.rules.diagram import Budget
from graphfuse.rules.explain import Explanation, explain
from graphfuse.rules.facts import Facts
from graphfuse.rules.forms import FORMS, subsumed, text_of
from graphfuse.rules.joint_told import JointExplanation
from graphfuse.rules.language import parse
from graphfuse.rules.lifted import Ground, Lifted, check_answers, check_logits
from graphfuse.rules.margin import Margins
from graphfuse.rules.refine import enhancement
from graphfuse.rules.rule import Rule, RuleWarning, check, place_of, weights_of
from graphfuse.rules.vocabulary import ALL, Vocabulary


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
        check(self.rules, self._place, self.source)
        for rule, what in self._exact.redundant():
            warnings.warn(f"{place_of(rule, self.source)}: rule {rule.name!r} {what}.", RuleWarning, stacklevel=5)
        _ = self._exact.compiled

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
        text = text_of(path)
        read = look_up({"text": None, **FORMS}, form, "form of rules")
        if read is None:
            return cls.parse(text, labels, relations, features, str(path))
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
        at = [place_of(rule, self.source) for rule in self.rules]
        return tuple(Lifted.of(f"{where}: rule {rule.name!r}" if rule.line else where, rule.says, rule.hard)
                     for where, rule in zip(at, self.rules))  # fmt: skip

    @cached_property
    def _exact(self) -> Conditioned:
        return Conditioned(self.rules, self._lifted, self._place, self.budget, self.source or "Rules")

    def answer(self, logits: Tensor, graph: Facts | None = None) -> Tensor:
        """The most probable assignment that satisfies every hard rule, exactly.

        Of equally probable ones it is always the same: false before true in the order of the diagram, in a count
        earlier labels first, and in a hierarchy as few labels as may be.
        What is given is checked against every hard rule by looking at it.

        Shape: ``logits [B, L] -> bool [B, L]``.

        Args:
            logits: Infinite ones are evidence.
            graph: What is observed of the rows, where hard rules ask for it. Rows that they join are answered together.

        Raises:
            InputError: A logit is NaN, or evidence breaks a hard rule, names the rows; hard rules contradict each other
                for these facts, or what they join is beyond the budget.
        """
        check_logits(logits, len(self.labels))
        return self._exact.answer(logits, graph)

    def log_partition(self, logits: Tensor, graph: Facts | None = None) -> Tensor:
        """The logarithm of the probability that independent outputs satisfy every hard rule; its negative is a loss.

        Its gradient to a logit is the marginal given the rules minus the probability without them. Of rows that hard
        rules join it stands at the first one.

        Shape: ``logits [B, L] -> [B]``.

        Raises:
            InputError: As :meth:`answer`; or totals of a hierarchy with many parents are beyond the budget.
        """
        check_logits(logits, len(self.labels))
        return self._exact.log_partition(logits, graph).to(_full(logits))

    def marginals(self, logits: Tensor, graph: Facts | None = None) -> Tensor:
        """The probability of each label given that every hard rule holds.

        Shape: ``logits [B, L] -> [B, L]``.

        Raises:
            InputError: As :meth:`log_partition`.
        """
        check_logits(logits, len(self.labels))
        learns = torch.is_grad_enabled() and logits.requires_grad
        return self._exact.marginals(logits, graph, learns).to(_full(logits))

    def loss(
        self, logits: Tensor, graph: Facts | None = None, kind: str = "probability", weights: Tensor | None = None
    ) -> Tensor:
        """What each rule costs, the mean over its groundings, times its weight; the mean over the rules.

        A hard rule weighs 1. Of a weight ``w`` that is learned, ``-log w`` is added: what a rule costs is taken as
        exponentially distributed with the rate ``w``, so that it settles at one over that: small where the data break a
        rule, and without end, if slowly, where they keep it.

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
        check_logits(logits, len(self.labels))
        cost, weigh = look_up(COSTS, kind, "kind of loss"), weights_of(self.rules, weights, self.source)
        total = logits[:, :0].sum(dtype=torch.double)
        for place, (rule, lifted) in enumerate(zip(self.rules, self._lifted)):
            if kind == "exact" and rule.hard and lifted.of_rows:
                continue
            grounds = self._ground(lifted, logits, graph)
            if grounds:
                total = total + weigh[place] * cost(lifted, grounds, graph, logits, self.budget)
                if rule.weight is None and not rule.hard:
                    total = total - weigh[place].log()
        if kind == "exact" and len(logits):
            total = total - self._exact.of_rows(logits, graph).mean()
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
        check_logits(logits, len(self.labels))
        weigh, given = weights_of(self.rules, weights, self.source), logits.to(_full(logits))
        found = given
        for place, lifted in enumerate(self._lifted):
            grounds = self._ground(lifted, logits, graph)
            found = found + weigh[place].to(given) * enhancement(lifted, grounds, given)
        return torch.where(given.isinf(), given, found)  # what is known stays so

    def holds(self, answers: Tensor, graph: Facts | None = None) -> Tensor:
        """Whether answers satisfy every hard rule over single rows, by a look: ``bool [B, L] -> bool [B]``."""
        check_answers(answers, len(self.labels))
        return self._exact.compiled.holds(
            self._exact.beside(torch.where(answers, 1.0, -1.0), graph, self._exact.hard_seen) > 0
        )

    def violations(self, answers: Tensor, graph: Facts | None = None) -> Tensor:
        """Which rules answers break, hard and soft: a row of them where it is part of a grounding that is false, and
        of a rule that something exists all rows (of a group) where nothing does.

        Shape: ``answers bool [B, L] -> bool [B, R]``.
        """
        check_answers(answers, len(self.labels))
        found = [each.broken(self._ground(each, answers, graph), answers, graph) for each in self._lifted]
        return torch.stack(found, 1) if found else answers[:, :0]

    def groundings(self, rows: int, graph: Facts | None = None) -> dict[str, int]:
        """Of how many things, or that meet, each rule says something that is not true by itself."""
        like = torch.empty(rows, len(self.labels), device="meta")
        return {rule.name: sum(map(len, self._ground(lifted, like, graph)))
                for rule, lifted in zip(self.rules, self._lifted)}  # fmt: skip

    def explain(
        self, logits: Tensor, graph: Facts | None = None, names: Sequence[str] | None = None
    ) -> Explanation | JointExplanation:
        """What :meth:`answer` changes in raw scores, for which rules and at what cost, and how near each rule is to
        being broken or to holding. Of one row alone, rules that join rows are left out.

        Shape: ``[L]`` or ``[1, L] -> Explanation``; ``[N, L]``, with ``names`` of the rows, or where hard rules join
        rows ``-> JointExplanation``. Raises ``InputError`` as :meth:`answer`, and where names are not one a row."""
        return explain(self, logits, graph, names)

    def allowed(self) -> int:
        """How many assignments of the labels satisfy every hard rule.

        Raises:
            InputError: That depends on what is observed.
        """
        return self._exact.allowed()

    def check_totals(self) -> None:
        """Raises ``InputError`` where ``log_partition`` and ``marginals`` are beyond the budget."""
        for method in self._exact.compiled.methods:
            method.models()

    @cached_property
    def _margins(self) -> Margins:
        return Margins(len(self.labels) + len(self._exact.seen))

    def _ground(self, lifted: Lifted, logits: Tensor, graph: Facts | None) -> tuple[Ground, ...]:
        return lifted.ground(len(logits), graph, self._place, self.budget, logits.device)


def _full(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)
