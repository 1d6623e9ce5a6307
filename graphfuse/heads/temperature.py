"""Scores made more or less sure."""

from typing import Any

from torch import Tensor

from graphfuse.core.sample import Batch


def tempered(head: Any, scores: Tensor, batch: Batch, temperature: Tensor | float) -> Tensor:
    """A head's scores divided by a temperature, which changes no answer: as the head says, or all of them."""
    own = getattr(head, "tempered", None)
    return scores / temperature if own is None else own(scores, batch, temperature)
