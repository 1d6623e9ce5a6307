"""How improbable it is that rows have the labels that are known of them, given hard rules that may join rows."""

from __future__ import annotations

from torch import Tensor

from graphfuse.rules.facts import Facts
from graphfuse.rules.lifted import check_logits
from graphfuse.rules.ruleset import RuleSet
from graphfuse.rules.together import Together


def known_loss(rules: RuleSet, logits: Tensor, known: Tensor, graph: Facts | None = None) -> tuple[Tensor, Tensor]:
    """Minus the log probability of what is known given every hard rule; what is not known is summed over.

    Labels that rules join, known or not, are a component; where what is known breaks a rule, however far it is handed
    along, that component counts nothing.

    Shape: ``logits [B, L], known [B, L] -> float64 [B], bool [B]``: each component at its first row, and which rows are
    of one that counts nothing. Of several things known, each by itself, ``known [K, B, L] -> [K, B], [K, B]``.

    Args:
        rules: Of which the hard ones count.
        logits: Of the rows.
        known: 1 where a label is true, -1 where it is false, 0 where that is not known.
        graph: What is observed of the rows.

    Raises:
        InputError: As ``RuleSet.log_partition``.
    """
    return together(rules, logits, graph).lost(logits, known)


def together(rules: RuleSet, logits: Tensor, graph: Facts | None = None) -> Together:
    """All rows under the hard rules, also where these join none.

    Shape: ``logits [B, L]``.

    Raises:
        InputError: As ``RuleSet.answer``; an ``ImpossibleError`` of one of the rows where they cannot hold.
    """
    check_logits(logits, len(rules.labels))
    return rules._exact.together(logits, graph)
