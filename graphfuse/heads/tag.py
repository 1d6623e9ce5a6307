"""Labels of each node of a kind, or of each link of a relation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.core.kept import Kept
from graphfuse.core.sample import Batch, Relation, Sample
from graphfuse.core.schema import Schema
from graphfuse.heads.by_row import ByRow, Rows, known_of, named
from graphfuse.heads.classify import Classify
from graphfuse.heads.multilabel import MultiLabel
from graphfuse.heads.readout import EachScores

EACH = {"classify": Classify, "multilabel": MultiLabel}


@dataclass(frozen=True)
class Tag:
    """What ``each`` says, of each node of a kind or of each link of a relation; such a node or link is a *row*.

    Scores: logits ``[N, C]``, sample after sample, rows in the sample's order. Target: a sequence with an entry a row,
    each what ``each`` expects, or ``None`` where it is not known, which teaches nothing and is not measured. A sample
    needs one that is known to be learned from. What is measured of a sample is the mean over its known rows; metrics of
    a whole set that are no such means are of all its known rows.

    One graph may be all there is: the samples of training, validation and test are then that graph under three names,
    each with the targets of other rows, as in the transductive setting of Kipf and Welling 2017 ("Semi-supervised
    classification with graph convolutional networks", section 3).

    Attributes:
        of: A kind, or a relation ``(source kind, name, target kind)`` whose links the samples bring (``gf.Linked``).
        each: ``Classify`` or ``MultiLabel``; also its ``config()``, with its name under ``head``.
        kept: The rows of the last batches.
    """

    of: str | Relation
    each: Classify | MultiLabel
    kept: Kept[Rows] = field(init=False, default_factory=Kept, repr=False, compare=False)

    def __post_init__(self) -> None:
        of, each = _read(self.of, self.each)
        object.__setattr__(self, "of", of)
        object.__setattr__(self, "each", each)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of ``each``."""
        return self.each.labels

    @property
    def features(self) -> Tensor | int | None:
        """Those of ``each``, if it has any."""
        return getattr(self.each, "features", None)

    @property
    def metric(self) -> str:
        """That of ``each``."""
        return self.each.metric

    @property
    def metrics(self) -> Mapping[str, Literal["max", "min"]]:
        """Those of ``each``."""
        return self.each.metrics

    def config(self) -> dict[str, Any]:
        """The options as JSON values."""
        name = next(name for name, part in EACH.items() if isinstance(self.each, part))
        of = self.of if isinstance(self.of, str) else list(self.of)
        return {"of": of, "each": {"head": name, **self.each.config()}}

    def build(self, dim: int, schema: Schema) -> nn.Module:
        """Weights ``Fused -> [N, C]``."""
        if isinstance(self.of, str) and self.of not in schema.kinds:
            near = did_you_mean(self.of, schema.kinds)
            raise InputError(f"Tag: the schema has no kind {self.of!r}.{near}")
        if not isinstance(self.of, str) and self.of not in schema.given:
            near = did_you_mean(str(self.of), map(str, schema.given))
            raise InputError(f"Tag: the schema has no gf.Linked{self.of}, of which samples bring the links.{near}")
        return EachScores(dim, self.of, self.each.build(dim, schema))

    def check(self, samples: Iterable[Sample]) -> None:
        """Raises ``InputError`` with the sample's name, and the row's, where a target is none to learn from."""
        self.each.check(row for sample in samples for row in self._known_of(sample))

    def owner(self, batch: Batch) -> Tensor:
        """The sample of each row, ``int64 [N]``."""
        if isinstance(self.of, str):
            return batch.owner(self.of)
        return batch.owner(self.of[0])[batch.links[self.of][0]].sort().values

    def known(self, batch: Batch) -> Tensor:
        """Of which rows the target is known, ``bool [N]``."""
        return self.look(batch).known.to(self._offsets(batch).device)

    def rows(self, batch: Batch) -> Batch:
        """The rows as ``N`` samples without nodes, named as in ``"case/7, paper 3"``, each with its target.

        The facts of a row are those of its node that are known, and those of its sample under other names.
        """
        rows = self.look(batch)
        return replace(rows.every, targets=rows.targets)

    def look(self, batch: Batch) -> Rows:
        """The rows of a batch, which are read once, and what is known of them."""
        return self.kept.of(batch, self._look)

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of ``each``, over the known rows of all samples; 0 if there is none."""
        return self.by_row.loss(scores, batch)

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of each known row, by which confidence is calibrated."""
        return self.by_row.log_loss(scores, batch)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Of each sample the means over its known rows; 0 where there is none."""
        return self.by_row.measure(scores, batch)

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """That of ``each``, over the known rows of a whole set."""
        return self.by_row.summary(scores, batches)

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of ``each``, summed over a sample's rows, ``[B]``."""
        return self.by_row.said(scores, batch)

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """Of each sample the answers to its rows, in their order, and the mean of their confidences."""
        return self.by_row.answers(scores, batch)

    @cached_property
    def by_row(self) -> ByRow:
        """What ``each`` makes of rows."""
        return ByRow(self.each, self.look)

    def _look(self, batch: Batch) -> Rows:
        owner = self.owner(batch)
        sizes = torch.bincount(owner, minlength=len(batch)).tolist()
        of_nodes = [own.get(self.of, {}) for own in batch.node_facts] if isinstance(self.of, str) else []
        names, facts = named(batch.names, self._short, sizes), known_of(batch.facts, of_nodes, sizes)
        read = partial(self._targets, batch.names, batch.targets or [None] * len(batch), sizes)
        return Rows(self._called, self.labels, self.each.marks, owner, sizes, names, read, facts)

    def _targets(self, names: Sequence[str], given: Sequence[Any], sizes: Sequence[int]) -> list[Any]:
        """One a row. A sample whose rows are hidden, as modality dropout does, has none."""
        targets: list[Any] = []
        for name, target, size in zip(names, given, sizes):
            known = target is not None and size > 0
            targets += self._listed(name, target, size) if known else [None] * size
        return targets

    def _listed(self, name: str, target: Any, size: int) -> Sequence[Any]:
        if isinstance(target, str) or not isinstance(target, Sequence):
            raise InputError(f"Sample {name!r}: target {target!r:.80} is not a sequence with an entry for each of its "
                             f"{self._called}, None where it is not known.")  # fmt: skip
        if len(target) != size:
            raise InputError(f"Sample {name!r}: the target has {len(target)} entries; the sample has {size} "
                             f"{self._called}.")  # fmt: skip
        return target

    def _known_of(self, sample: Sample) -> Iterator[Sample]:
        """The known rows as samples, but each word once."""
        size, words = self._size(sample), set[str]()
        entries = self._listed(sample.name, sample.target, size)
        if all(entry is None for entry in entries):
            raise InputError(f"Sample {sample.name!r}: of its {size} {self._called} the target of none is known, so it "
                             "can neither teach nor be measured.")  # fmt: skip
        for row, entry in enumerate(entries):
            if isinstance(entry, str):
                if entry in words:
                    continue
                words.add(entry)
            if entry is not None:
                yield Sample(f"{sample.name}, {self._short} {row}", {}, target=entry)

    def _size(self, sample: Sample) -> int:
        if isinstance(self.of, str):
            return len(sample.nodes.get(self.of, ()))
        return sample.links[self.of].shape[-1] if self.of in sample.links else 0

    def _offsets(self, batch: Batch) -> Tensor:
        return batch.offsets[self.of if isinstance(self.of, str) else self.of[0]]

    @property
    def _short(self) -> str:
        return self.of if isinstance(self.of, str) else " ".join(self.of)

    @property
    def _called(self) -> str:
        return f"nodes of kind {self.of!r}" if isinstance(self.of, str) else f"links {self.of}"


def _read(of: Any, each: Any) -> tuple[str | Relation, Classify | MultiLabel]:
    """The options as JSON has them, or as they are."""
    if not isinstance(of, str):
        parts = tuple(of) if isinstance(of, list | tuple) else ()
        if [type(part) for part in parts] != [str] * 3:
            raise InputError(f"Tag: of is {of!r}; a kind is needed, or a relation (source kind, name, target kind).")
        of = parts
    if isinstance(each, Mapping):
        options = dict(each)
        each = look_up(EACH, options.pop("head", None), "head of nodes or links")(**options)
    if not isinstance(each, Classify | MultiLabel):
        raise InputError(f"Tag: each is a {type(each).__name__}; Classify or MultiLabel is needed.")
    return of, each
