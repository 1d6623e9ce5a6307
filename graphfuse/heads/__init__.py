"""Heads: from fused states to the answer of one task. Adding one: a file here and a line in ``HEADS``.

A head is a frozen description, so that one can be given to several models; the weights are in the module that it
builds. All heads have:

- ``build(dim, schema) -> nn.Module``, which gives scores from ``Fused``;
- ``loss(scores, batch) -> Tensor []`` and ``answers(scores, batch) -> list[Answer]``;
- ``said(scores, batch) -> Tensor [B]``: the score of what is answered, of which an explanation takes the gradient;
- ``measure(scores, batch) -> dict[str, Tensor [B]]``: one value a sample and metric, NaN where a sample has none, whose
  mean over samples is the metric, so that methods can be compared sample by sample; ``summary(scores, batches) ->
  dict[str, float]``: metrics of a whole set that are no such mean;
- ``metrics``: which there are and whether the ``max`` or ``min`` is best; ``metric`` decides unless the user says so;
- ``config()``: the options as JSON values, from which ``HEADS[name](**config)`` builds it again;
- ``tempered(scores, batch, temperature) -> scores`` where not all scores are to be divided by a temperature;
- ``log_loss(scores, batch) -> Tensor [n]``, of each sample that has one, where confidence is calibrated on validation;
- ``check(samples)``, which raises ``InputError`` for a target that the head cannot learn from.

:class:`graphfuse.model.Ruled` is a head joined with rules over its labels; it has all of these.
"""

from graphfuse.heads.choose import Choose
from graphfuse.heads.classify import Classify, balanced
from graphfuse.heads.multilabel import MultiLabel
from graphfuse.heads.multitask import MultiTask
from graphfuse.heads.regress import Regress
from graphfuse.heads.tag import Tag

HEADS = {
    "classify": Classify, "multilabel": MultiLabel, "regress": Regress, "choose": Choose, "tag": Tag,
    "multitask": MultiTask,
}  # fmt: skip

__all__ = ["HEADS", "Choose", "Classify", "MultiLabel", "MultiTask", "Regress", "Tag", "balanced"]
