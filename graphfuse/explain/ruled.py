"""What the rules of a model change in its scores for a sample."""

from __future__ import annotations

from dataclasses import replace

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Sample
from graphfuse.model import FusionModel, Ruled
from graphfuse.model.explained import explained
from graphfuse.model.over_nodes import OverNodes
from graphfuse.rules import Explanation, JointExplanation


def under_rules(model: FusionModel, sample: Sample, names: str | None = None) -> Explanation | JointExplanation:
    """Which rules the model's scores break by themselves, what the rules change for which of them, and at what cost.

    The target is not looked at.

    Args:
        model: With rules. In mode ``exact`` the explained answer is the model's; in modes ``loss`` and ``refine``, in
            which it answers as its scores say, what its hard rules would make of it; ``refine`` has pushed the scores.
        sample: Any.
        names: For rules over nodes or links, the fact of nodes (``Sample.node_facts``) that says what they are called.

    Returns:
        Of rules over labels of the sample an ``Explanation``; of rules over its nodes or links a ``JointExplanation``.

    Raises:
        InputError: The model has no rules, the sample does not fit it, or as
            :func:`graphfuse.model.explained.explained`.
    """
    if not isinstance(model.head, Ruled):
        raise InputError("The model has no rules that could explain an answer; FusionModel(.., rules=..) gives it "
                         "some.")  # fmt: skip
    batch = model.collate([replace(sample, target=None)])
    with model.answering():
        scores = model(batch.to(model.device)).scores.cpu()
    return explained(model.head, scores if isinstance(model.head.over, OverNodes) else scores[0], batch, names)
