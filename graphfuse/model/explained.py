"""What rules make of the scores of one sample, for a head that is joined with them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch
from graphfuse.heads import Choose, Classify, MultiLabel, Tag
from graphfuse.model.over_nodes import OverNodes
from graphfuse.model.over_samples import OverSamples
from graphfuse.model.ruled import Ruled
from graphfuse.rules import Explanation, JointExplanation, Label, Rule, RuleWarning, exactly_one
from graphfuse.rules.explain import explain_row
from graphfuse.rules.joint import LABEL, ROW, explain_rows

ONE = "one answer"
"""The rule that a head has beside its own which answers one label."""


def explained(head: Ruled, scores: Tensor, batch: Batch, names: str | None = None) -> Explanation | JointExplanation:
    """As ``RuleSet.explain``, of several rows where rules are over nodes or links. In mode ``exact`` its answer is the
    head's; in others, whose head answers as the scores say, what hard rules would make of it.

    A head that answers one label of a sample has one rule more, ``one answer``: exactly one is true. ``Tag`` with
    ``Classify`` answers one label of each row, ``Choose`` one row, and none where hard rules leave none; margins are
    about such answers, and what is changed is changed with its row, or with its sample. Of scores that mean the same
    whatever is added to all of them, half of the way between the two highest is 0, so that by themselves they say the
    highest alone, and what a change costs is the difference to what is answered.

    Shape: ``scores [C]`` of a sample, ``[N, C]`` of its nodes or links, ``[N]`` of ``Choose``.

    Args:
        head: Of a model.
        scores: Of one sample.
        batch: Of this sample; its name, sizes, links and facts alone are looked at.
        names: The node fact (``Sample.node_facts``) that says what nodes are called; ``paper 3`` if left out, or where
            it is not known, and beside a name that several have. A link is called by both of its ends.

    Raises:
        InputError: As ``RuleSet.explain``; there are several samples; names are given for rules over samples, or no
            such fact is known of the nodes, or it is numbers.
    """
    if len(batch) != 1:
        raise InputError(f"The batch has {len(batch)} samples; one is explained at a time.")
    if isinstance(head.over, OverNodes):
        return _of_nodes(head, head.over, scores, batch, names)
    if not isinstance(head.over, OverSamples):
        raise InputError(f"Rules over several tasks, as of {type(head.head).__name__}, are not explained; those of one "
                         "head are.")  # fmt: skip
    if names is not None:
        raise InputError(f"names={names!r} is of nodes, and {type(head.head).__name__} answers of a sample; leave it "
                         "out.")  # fmt: skip
    rules, facts = head.rules, head.over.asked.facts(batch)
    if isinstance(head.head, MultiLabel):
        return explain_row(rules, scores, facts)
    name = ONE
    while any(rule.name == name for rule in rules.rules):
        name += "*"
    try:
        with warnings.catch_warnings(action="ignore", category=RuleWarning):  # what others say too is no matter here
            rules = replace(rules, rules=(*rules.rules, Rule(name, exactly_one(*map(Label, rules.labels)))))
    except InputError as error:
        raise InputError("No label alone satisfies all hard rules, so there is no answer to explain.") from error
    first = torch.zeros(1, len(scores), dtype=torch.bool)
    first[0, scores.argmax()] = True
    said = head.chosen(scores[None], batch) if head.mode == "exact" else None
    return explain_row(rules, _halved(scores.double(), 0), facts, first, said)


def _of_nodes(head: Ruled, over: OverNodes, scores: Tensor, batch: Batch, names: str | None) -> JointExplanation:
    logits, one = scores.double(), None
    if isinstance(over.head, Choose):
        logits, one = _halved(logits, 0)[:, None], ROW
    elif isinstance(over.head.each, Classify):
        logits, one = _halved(logits, 1), LABEL
    raw = answer = over.by_itself(scores, batch)
    if head.hard.any():
        answer = _under(over).chosen(scores, batch)
    called = names_of(over.among.of, batch, len(raw), names)
    return explain_rows(head.rules, logits, over.among.facts(batch), called, raw, answer, one)


def _halved(scores: Tensor, dim: int) -> Tensor:
    """Scores of which the half of the way between the two highest is 0."""
    many = min(2, scores.shape[dim])
    return scores - scores.topk(many, dim).values.mean(dim, keepdim=True) if many else scores


def _under(over: OverNodes) -> OverNodes:
    """What answers under hard rules, also where the mode is another."""
    if over.mode == "exact":
        return over
    head = over.head
    if isinstance(head, Tag) and isinstance(head.each, Classify):
        head = replace(head, each=replace(head.each, weights=None))  # which answers do not depend on
    return OverNodes(head, over.rules, "exact")


def names_of(of: str | tuple[str, str, str], batch: Batch, rows: int, fact: str | None = None) -> Sequence[str]:
    """What the nodes of a kind, or the links of a relation, of the one sample of a batch are called, each once.

    Args:
        of: The kind or the relation.
        batch: Of one sample.
        rows: How many there are.
        fact: The node fact that says it; ``paper 3`` if left out.

    Raises:
        InputError: No such fact is known of the nodes, or it is numbers.
    """
    kinds = [of] if isinstance(of, str) else [of[0], of[2]]
    known = batch.node_facts[0] if batch.node_facts else {}
    if fact is not None and not any(fact in known.get(kind, {}) for kind in kinds):
        there = sorted({name for kind in kinds for name in known.get(kind, {})})
        raise InputError(f"Sample {batch.names[0]!r}: nodes of kind {' or '.join(map(repr, dict.fromkeys(kinds)))} "
                         f"have no fact {fact!r} that could name them.{did_you_mean(fact, there)}")  # fmt: skip

    def called(kind: str, many: int) -> Sequence[str]:
        own = known.get(kind, {}).get(fact or "") if fact else None
        if isinstance(own, Tensor):
            raise InputError(f"Sample {batch.names[0]!r}: fact {fact!r} of nodes of kind {kind!r} is numbers; nodes "
                             "are named by words.")  # fmt: skip
        return _once([None] * many if own is None else own, kind)

    if isinstance(of, str):
        return called(of, rows)
    source, target = (called(kind, len(batch.nodes[kind])) for kind in kinds)
    ends = batch.links[of].t().tolist()
    return _once([f"{source[a]} {of[1]} {target[b]}" for a, b in ends], "link")


def _once(names: Sequence[str | None], kind: str) -> Sequence[str]:
    """Names of rows, of those that lack one or share it their place too."""
    often = Counter(names)
    found = [f"{kind} {row}" if name is None else name if often[name] == 1 else f"{name} ({kind} {row})"
             for row, name in enumerate(names)]  # fmt: skip
    if len(set(found)) < len(found):  # a name that looks like a place
        return [f"{kind} {row}" if name is None else f"{name} ({kind} {row})" for row, name in enumerate(names)]
    return found
