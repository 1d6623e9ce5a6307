"""A table as one experiment: its samples by split, the head, and untrained models."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Any

from graphfuse.core.relations import AllPairs
from graphfuse.core.sample import Sample
from graphfuse.core.schema import Schema
from graphfuse.encoders import Encoder, NGrams, Text
from graphfuse.heads import Classify, MultiLabel, Regress, balanced
from graphfuse.model import FusionModel
from graphfuse.tables.data import Data, load
from graphfuse.tables.facts import sorts_of
from graphfuse.tables.ruled import ruled
from graphfuse.tables.samples import encoders_of, samples_of
from graphfuse.tables.spec import Spec

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Study:
    """A spec with its table, encoded.

    Attributes:
        spec: What was asked.
        data: The table's rows, targets and splits.
        encoders: kind -> encoder.
        samples: split -> samples with targets.
        head: Of the task, joined with the spec's rules if it has any.
    """

    spec: Spec
    data: Data
    encoders: Mapping[str, Encoder]
    samples: Mapping[str, list[Sample]]
    head: Any

    @classmethod
    def open(cls, spec: Spec) -> Study:
        """Reads, checks and encodes a table; how it was read is noted on stderr, frozen features come from the cache.

        Raises:
            InputError: The table or a file that it names is not as the spec says.
        """
        data = load(spec)
        for note in data.notes:
            print(note, file=sys.stderr)
        encoders = encoders_of(spec, data)
        head, notes = ruled(spec, _head(spec, data, encoders.values()))
        for note in notes:
            print(note, file=sys.stderr)
        every = samples_of(data.rows, spec.nodes, encoders, data.folder, data.targets, sorts_of(head))
        samples = {split: [every[i] for i in data.splits[split]] for split in SPLITS}
        return cls(spec, data, encoders, samples, head)

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """The modalities as a user sees them: a column -> the kinds read from it; a table of cells -> its own kind."""
        columns = {node.column for node in self.spec.nodes}
        sources: dict[str, tuple[str, ...]] = {}
        for node in self.spec.nodes:
            cells = f"{node.kind} (cells)" if node.kind in columns else node.kind
            name = node.column or cells
            sources[name] = (*sources.get(name, ()), node.kind)
        return sources

    def maker(self, fusion: str | None = None, kinds: Sequence[str] = ()) -> Callable[[], FusionModel]:
        """A function that makes an untrained model; of some kinds only, if any are given."""
        return lambda: self._model(fusion, kinds or list(self.encoders))

    def schema(self, kinds: Sequence[str] = ()) -> Schema:
        """Kinds with the widths that samples bring, and all pairs between and within them; all kinds if left out."""
        encoders = {kind: self.encoders[kind] for kind in kinds or self.encoders}
        width = {kind: e.raw_width if e.trainable else e.width for kind, e in encoders.items()}
        return Schema(width, [AllPairs(source, target) for source in width for target in width])

    def _model(self, fusion: str | None, kinds: Sequence[str]) -> FusionModel:
        plan, trained = self.spec.fusion, {kind: self.encoders[kind] for kind in kinds if self.encoders[kind].trainable}
        options = plan.options if fusion in (None, plan.name) else {}
        return FusionModel(self.schema(kinds), self.head, fusion or plan.name, plan.dim, plan.layers,
                           dropout=plan.dropout, encoders=copy.deepcopy(trained), **options)  # fmt: skip

    @property
    def metric(self) -> str:
        """The validation metric that decides."""
        return self.spec.target.metric or self.head.metric

    @property
    def budget(self) -> dict[str, Any]:
        """Options of ``gf.fit``."""
        own = self.spec.training
        return {"epochs": own.epochs, "batch_size": own.batch_size, "learning_rate": own.learning_rate,
                "weight_decay": own.weight_decay, "patience": own.patience, "metric": self.spec.target.metric,
                "modality_dropout": own.modality_dropout, "together": list(self.sources.values()),
                "refit": own.refit,
                "allow_broken_labels": self.spec.rules is not None and self.spec.rules.broken_labels == "allow",
                }  # fmt: skip


def _head(spec: Spec, data: Data, encoders: Iterable[Encoder]) -> Any:
    target, train = spec.target, [data.targets[i] for i in data.splits["train"]]
    if target.task == "regress":
        values = list(map(float, train))
        return Regress(fmean(values), pstdev(values) or 1.0)
    if target.task == "multilabel":
        return MultiLabel(data.labels)
    weights = balanced(data.labels, train) if target.class_weights == "balanced" else None
    head = Classify(data.labels, weights)
    return replace(head, features=_meanings(encoders, data.labels)) if target.label_text else head


def _meanings(encoders: Iterable[Encoder], labels: Sequence[str]) -> Any:
    """What labels mean by their own words: as the first text encoder reads them, or by their characters."""
    import torch

    text = next((encoder for encoder in encoders if isinstance(encoder, Text)), None)
    encoder = Text(text.model, nodes="one") if text else NGrams()
    return torch.cat(encoder.encode(list(labels)))
