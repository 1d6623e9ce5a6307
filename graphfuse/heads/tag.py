"""Labels of each node of a kind, or of each link of a relation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.errors import InputError
from graphfuse.core.message import segment
from graphfuse.core.sample import Batch, Relation, Sample
from graphfuse.core.schema import Schema
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
    """

    of: str | Relation
    each: Classify | MultiLabel

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
        known = [entry is not None for entry in self._entries(batch, self._sizes(batch))]
        return torch.tensor(known, dtype=torch.bool, device=self._offsets(batch).device)

    def rows(self, batch: Batch) -> Batch:
        """The rows as ``N`` samples without nodes, named as in ``"case/7, paper 3"``, each with its target.

        The facts of a row are those of its node that are known, and those of its sample under other names.
        """
        sizes = self._sizes(batch)
        names = [self._name(name, row) for name, size in zip(batch.names, sizes) for row in range(size)]
        return Batch(tuple(names), {}, {}, targets=tuple(self._entries(batch, sizes)),
                     facts=tuple(self._facts(batch, sizes)))  # fmt: skip

    def loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of ``each``, over the known rows of all samples; 0 if there is none."""
        known, taught = self._taught(scores, batch)
        return self.each.loss(scores[known], taught) if len(taught) else 0 * scores.sum()

    def log_loss(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of each known row, by which confidence is calibrated."""
        known, taught = self._taught(scores, batch)
        return self.each.log_loss(scores[known], taught)

    def measure(self, scores: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Of each sample the means over its known rows; 0 where there is none."""
        known, taught = self._taught(scores, batch)
        owner = self.owner(batch).to(scores.device)[known]
        found = self.each.measure(scores[known], taught)
        return {name: segment(x, owner, len(batch), "mean") for name, x in found.items()}

    def summary(self, scores: Sequence[Tensor], batches: Sequence[Batch]) -> dict[str, float]:
        """That of ``each``, over the known rows of a whole set."""
        parts = [(x, *self._taught(x, batch)) for x, batch in zip(scores, batches)]
        return self.each.summary([x[known] for x, known, _ in parts], [taught for *_, taught in parts])

    def said(self, scores: Tensor, batch: Batch) -> Tensor:
        """That of ``each``, summed over a sample's rows, ``[B]``."""
        return segment(self.each.said(scores, _nameless([])), self.owner(batch).to(scores.device), len(batch))

    def answers(self, scores: Tensor, batch: Batch) -> list[Answer]:
        """Of each sample the answers to its rows, in their order, and the mean of their confidences."""
        sizes = self._sizes(batch)
        self._check_rows(scores, sum(sizes))
        every = iter(self.each.answers(scores, _nameless([None] * len(scores))))
        parts = [list(islice(every, size)) for size in sizes]
        sure = [fmean(row.score or 0.0 for row in own) if own else None for own in parts]
        return [Answer(name, tuple(row.value for row in own), score)
                for name, own, score in zip(batch.names, parts, sure)]  # fmt: skip

    def _taught(self, scores: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
        """Which rows are known, ``bool [N]``, and these as samples of which the targets alone are told."""
        entries = self._entries(batch, self._sizes(batch))
        self._check_rows(scores, len(entries))
        known = torch.tensor([entry is not None for entry in entries], dtype=torch.bool)
        return known.to(scores.device), _nameless([entry for entry in entries if entry is not None])

    def _entries(self, batch: Batch, sizes: Sequence[int]) -> list[Any]:
        """A target a row. A sample whose rows are hidden, as modality dropout does, has none."""
        entries: list[Any] = []
        for name, target, size in zip(batch.names, batch.targets or [None] * len(batch), sizes):
            known = target is not None and size > 0
            entries += self._listed(name, target, size) if known else [None] * size
        return entries

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
                yield Sample(self._name(sample.name, row), {}, target=entry)

    def _facts(self, batch: Batch, sizes: Sequence[int]) -> Iterator[Mapping[str, float | str]]:
        nothing: list[dict] = [{}] * len(batch)
        for facts, of_nodes, size in zip(batch.facts or nothing, batch.node_facts or nothing, sizes):
            own = of_nodes.get(self.of, {})
            columns = {name: x.double().tolist() if isinstance(x, Tensor) else x for name, x in own.items()}
            of_sample = {name: value for name, value in facts.items() if name not in columns}
            for row in range(size):
                known = {name: x[row] for name, x in columns.items() if x[row] is not None and x[row] == x[row]}
                yield {**of_sample, **known}

    def _sizes(self, batch: Batch) -> list[int]:
        """How many rows each sample has."""
        if isinstance(self.of, str):
            return self._offsets(batch).diff().tolist()
        return torch.bincount(self.owner(batch), minlength=len(batch)).tolist()

    def _size(self, sample: Sample) -> int:
        if isinstance(self.of, str):
            return len(sample.nodes.get(self.of, ()))
        return sample.links[self.of].shape[-1] if self.of in sample.links else 0

    def _offsets(self, batch: Batch) -> Tensor:
        return batch.offsets[self.of if isinstance(self.of, str) else self.of[0]]

    def _check_rows(self, scores: Tensor, rows: int) -> None:
        if len(scores) != rows:
            raise InputError(f"Tag: {len(scores)} rows are scored, and the samples have {rows} {self._called}; an "
                             "encoder that is trained with the model must give a node for each row.")  # fmt: skip

    def _name(self, sample: str, row: int) -> str:
        return f"{sample}, {self.of if isinstance(self.of, str) else ' '.join(self.of)} {row}"

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


def _nameless(targets: Sequence[Any]) -> Batch:
    return Batch(("",) * len(targets), {}, {}, targets=tuple(targets))
