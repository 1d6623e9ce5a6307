"""One of a sample's own nodes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.message import segment, segment_log_sum, segment_softmax
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads.readout import RowScores

INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8, torch.int8)


@dataclass(frozen=True)
class Choose:
    """The node of ``kind`` that answers. Scores: ``[N_kind]``, one a candidate, sample after sample.

    Target: ``int64 [n]``, the rows of the sample's nodes of that kind that are right, several or none. A sample with
    no right candidate teaches nothing and is measured as wrong; one without candidates is answered by ``None``.
    """

    kind: str
    labels: ClassVar[tuple[str, ...]] = ("answer",)
    """What rules call it of a node that it is the one."""
    metric: ClassVar[str] = "accuracy"
    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {"accuracy": "max"}

    def config(self) -> dict[str, Any]:
        """The options as JSON values."""
        return asdict(self)

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """Weights ``Fused -> [N_kind]``."""
        if self.kind not in schema.kinds:
            near = did_you_mean(self.kind, schema.kinds)
            raise InputError(f"Choose: the schema has no kind {self.kind!r}.{near}")
        return RowScores(dim, self.kind)

    def check(self, samples: Iterable[Sample]) -> None:
        """Raises ``InputError`` with the sample's name where a target is no tensor of rows that exist."""
        for sample in samples:
            rows, target = len(sample.nodes.get(self.kind, ())), sample.target
            if not isinstance(target, Tensor) or target.ndim != 1 or target.dtype not in INTEGERS:
                raise InputError(f"Sample {sample.name!r}: target {target!r} is not an integer tensor [n] of rows.")
            if len(target) and (int(target.min()) < 0 or int(target.max()) >= rows):
                raise InputError(f"Sample {sample.name!r}: target {target.tolist()} names a row out of range; the "
                                 f"sample has {rows} nodes of kind {self.kind!r}.")  # fmt: skip

    def right(self, batch: Batch, device: torch.device) -> Tensor:
        """Which candidates are right, ``bool [N_kind]``; none of a sample whose candidates modality dropout hides."""
        offsets = batch.offsets[self.kind].to(device)
        right = torch.zeros(len(batch.nodes[self.kind]), dtype=torch.bool, device=device)
        sizes = torch.tensor([len(target) for target in batch.targets], device=device)
        first, many = (x.repeat_interleave(sizes) for x in (offsets[:-1], offsets.diff()))
        rows = torch.cat([target.to(device) for target in batch.targets])
        right[(rows + first)[rows < many]] = True
        return right

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """Minus the log of the right candidates' probability, averaged over the samples that have one."""
        each = self.log_loss(scores, batch)
        return each.sum() / max(len(each), 1)

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """The loss of each sample that has a right candidate, by which confidence is calibrated."""
        owner, right = batch.owner(self.kind).to(scores.device), self.right(batch, scores.device)
        known = segment(right.to(scores.dtype), owner, len(batch)) > 0
        every = segment_log_sum(scores, owner, len(batch))[known]
        good = segment_log_sum(scores[right], owner[right], len(batch))[known]
        return every - good

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Accuracy (Hits@1): 1 where the best candidate is right, else 0."""
        best, right = self.best(scores, batch), self.right(batch, scores.device)
        chosen = [bool(right[row]) if row is not None else False for row in best]
        return {"accuracy": scores.new_tensor(chosen)}

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """Nothing beside the means over samples."""
        return {}

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """The score of the candidate that is answered, ``[B]``; zero where there is none."""
        return segment(scores, batch.owner(self.kind).to(scores.device), len(batch), "max")

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """The best candidate's row within the sample, and its probability."""
        p = segment_softmax(scores[:, None], batch.owner(self.kind).to(scores.device), len(batch))[:, 0]
        first = batch.offsets[self.kind].tolist()
        return [
            Answer(name, None if row is None else row - start, None if row is None else float(p[row]))
            for name, row, start in zip(batch.names, self.best(scores, batch), first)
        ]

    def best(self, scores: Tensor, batch: Batch) -> list[int | None]:
        """The row in the batch of each sample's candidate with the highest score, ``B`` of them; ``None`` of none."""
        ends = batch.offsets[self.kind].tolist()
        every = scores.detach().cpu()
        return [a + int(every[a:b].argmax()) if b > a else None for a, b in itertools.pairwise(ends)]
