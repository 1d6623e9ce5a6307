"""What rules make of the scores of one sample, for a head that is joined with them."""

from __future__ import annotations

import warnings
from dataclasses import replace

import torch
from torch import Tensor

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch
from graphfuse.heads import MultiLabel
from graphfuse.model.over_samples import OverSamples
from graphfuse.model.ruled import Ruled
from graphfuse.rules import Explanation, Label, Rule, RuleWarning, exactly_one
from graphfuse.rules.explain import explain

ONE = "one answer"
"""The rule that a head has beside its own which answers one label."""


def explained(head: Ruled, scores: Tensor, batch: Batch) -> Explanation:
    """As ``RuleSet.explain``. In mode ``exact`` its answer is the head's.

    A head that answers one label has one rule more, ``one answer``: exactly one is true. Of its scores, that mean the
    same whatever is added to all of them, the half of the way between the two highest is 0, so that by themselves they
    say the highest alone, and its cost is the difference to the label that is answered.

    Shape: ``scores [C]``.

    Args:
        head: Of a model.
        scores: Of one sample.
        batch: Of this sample; its name and facts alone are looked at.

    Raises:
        InputError: As ``RuleSet.explain``; or rules are over nodes or links.
    """
    if not isinstance(head.over, OverSamples):
        raise InputError(f"Rules over nodes or links, as of {type(head.head).__name__}, are not explained; those over "
                         "labels of a sample are.")  # fmt: skip
    rules, facts = head.rules, head.over.asked.facts(batch)
    if isinstance(head.head, MultiLabel):
        return rules.explain(scores, facts)
    name = ONE
    while any(rule.name == name for rule in rules.rules):
        name += "*"
    try:
        with warnings.catch_warnings(action="ignore", category=RuleWarning):  # what others say too is no matter here
            rules = replace(rules, rules=(*rules.rules, Rule(name, exactly_one(*map(Label, rules.labels)))))
    except InputError as error:
        raise InputError("No label alone satisfies all hard rules, so there is no answer to explain.") from error
    scores = scores.double()
    first = torch.zeros(1, len(scores), dtype=torch.bool)
    first[0, scores.argmax()] = True
    said = head.chosen(scores[None], batch) if head.mode == "exact" else None
    return explain(rules, scores - scores.topk(min(2, len(scores))).values.mean(), facts, first, said)
