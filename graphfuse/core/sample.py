"""A sample (one case), a batch (many cases as tensors), and the way from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError

if TYPE_CHECKING:
    from networkx import MultiDiGraph
    from torch_geometric.data import HeteroData

    from graphfuse.core.schema import Schema

Relation = tuple[str, str, str]
"""(source kind, name, target kind)."""


@dataclass(frozen=True)
class Sample:
    """One case: nodes of several kinds, links among them, and what should be answered.

    Attributes:
        name: Unique among the samples of a data set; errors and predictions carry it.
        nodes: kind -> features ``[n, width]``. A kind that the sample lacks is absent or has zero rows.
        links: (source kind, name, target kind) -> row numbers within the sample, ``int64 [2, e]``.
        spans: kind -> start and end of each node, ``[n, 2]``, in seconds or positions.
        weights: relation of ``links`` -> one number a link, ``[e]``; read by the fusions that weigh links
            (``gf.Linked(.., weighted=True)`` in the schema).
        target: What the head expects; ``None`` to predict.
    """

    name: str
    nodes: Mapping[str, Tensor]
    links: Mapping[Relation, Tensor] = field(default_factory=dict)
    spans: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Mapping[Relation, Tensor] = field(default_factory=dict)
    target: Any = None

    def without(self, *kinds: str) -> Sample:
        """The same sample with these kinds lacking, and with them the links that touch them."""

        def kept(relation: Relation) -> bool:
            return relation[0] not in kinds and relation[2] not in kinds

        return replace(
            self,
            nodes={k: x for k, x in self.nodes.items() if k not in kinds},
            links={r: x for r, x in self.links.items() if kept(r)},
            spans={k: x for k, x in self.spans.items() if k not in kinds},
            weights={r: x for r, x in self.weights.items() if kept(r)},
        )

    def to_networkx(self, schema: Schema | None = None, states: Mapping[str, Tensor] | None = None) -> MultiDiGraph:
        """As a ``networkx.MultiDiGraph`` of plain values, to look at or to draw.

        Nodes are ``(kind, row)`` with ``kind``, ``x`` and, where given, ``span``; edges have ``relation``, its name,
        and, where given, ``weight``; the graph has ``name`` and ``target``.

        Args:
            schema: Lays its relations too (all pairs, nearest, ...); the sample's own links alone if left out.
            states: kind -> ``[n, d]``, of one width, that ``Nearest`` compares, as a model's projections; if left out,
                the features, filled up with zeros where kinds differ in width.

        Raises:
            InputError: As :func:`collate`, which checks the sample.
        """
        from graphfuse.core.networks import to_networkx

        return to_networkx(self, schema, states)


@dataclass(frozen=True)
class Batch:
    """Samples joined kind by kind. Every kind and given relation of the schema is there, with zero rows if need be.

    Attributes:
        names: The samples' names, ``B`` of them.
        nodes: kind -> features of all samples' nodes, sample after sample, ``[N_kind, width]``.
        offsets: kind -> first row of each sample and the end, ``int64 [B + 1]``.
        links: relation -> row numbers within the batch's nodes of the two kinds, ``int64 [2, E]``.
        spans: kind -> ``[N_kind, 2]``, for the kinds that have them; NaN for the nodes of a sample without.
        weights: relation -> ``[E]``, for the weighted relations.
        targets: One a sample.
    """

    names: tuple[str, ...]
    nodes: Mapping[str, Tensor]
    offsets: Mapping[str, Tensor]
    links: Mapping[Relation, Tensor] = field(default_factory=dict)
    spans: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Mapping[Relation, Tensor] = field(default_factory=dict)
    targets: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def owner(self, kind: str) -> Tensor:
        """The sample of each node of a kind, ``int64 [N_kind]``."""
        return owner_of(self.offsets[kind], len(self.nodes[kind]))

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The same batch with its tensors on a device."""

        def move(values: Mapping[Any, Tensor]) -> dict[Any, Tensor]:
            return {key: x.to(device, non_blocking=non_blocking) for key, x in values.items()}

        targets = tuple(t.to(device, non_blocking=non_blocking) if isinstance(t, Tensor) else t for t in self.targets)
        return replace(self, nodes=move(self.nodes), offsets=move(self.offsets), links=move(self.links),
                       spans=move(self.spans), weights=move(self.weights), targets=targets)  # fmt: skip

    def samples(self) -> list[Sample]:
        """The samples that the batch was made of; what a sample has no rows of is absent from it."""
        fields: list[dict[str, dict[Any, Tensor]]] = [{} for _ in self.names]

        def share(field: str, key: Any, values: Sequence[Tensor]) -> None:
            for own, x in zip(fields, values):
                if x.numel() and not (field == "spans" and x.isnan().all()):
                    own.setdefault(field, {})[key] = x

        for kind, offsets in self.offsets.items():
            sizes = offsets.diff().tolist()
            share("nodes", kind, self.nodes[kind].split(sizes))
            if kind in self.spans:
                share("spans", kind, self.spans[kind].split(sizes))
        for relation, links in self.links.items():
            source, target = self.offsets[relation[0]], self.offsets[relation[2]]
            owner, order = (torch.searchsorted(source, links[0].contiguous(), right=True) - 1).sort(stable=True)
            sizes = torch.bincount(owner, minlength=len(self)).tolist()
            local = links[:, order] - torch.stack([source[owner], target[owner]])
            share("links", relation, local.split(sizes, dim=1))
            if relation in self.weights:
                share("weights", relation, self.weights[relation][order].split(sizes))
        targets = self.targets or (None,) * len(self)
        return [
            Sample(name, own.pop("nodes", {}), **own, target=target)
            for name, own, target in zip(self.names, fields, targets)
        ]

    def to_hetero_data(self) -> HeteroData:
        """As PyG's ``HeteroData``; nothing is lost, see :func:`graphfuse.core.hetero.to_hetero_data`."""
        from graphfuse.core.hetero import to_hetero_data

        return to_hetero_data(self)

    @staticmethod
    def from_hetero_data(data: HeteroData) -> Batch:
        """From PyG's ``HeteroData``, one graph or a batch, see :func:`graphfuse.core.hetero.from_hetero_data`."""
        from graphfuse.core.hetero import from_hetero_data

        return from_hetero_data(data)


def owner_of(offsets: Tensor, rows: int) -> Tensor:
    """The sample of each row: ``offsets [B + 1] -> int64 [rows]``."""
    samples = torch.arange(len(offsets) - 1, device=offsets.device)
    return samples.repeat_interleave(offsets.diff(), output_size=rows)


def collate(samples: Sequence[Sample], schema: Schema) -> Batch:
    """Joins samples kind by kind, checked against the schema.

    Raises:
        InputError: Names the sample and the kind or relation: no node at all, an unknown kind or relation, a wrong
            width, a value that is not finite, a link out of range.
    """
    samples = list(samples)
    if not samples:
        raise InputError("There is no sample to collate; a batch needs at least one.")
    _check_names_of_parts(samples, schema)
    nodes, offsets, spans = {}, {}, {}
    found = (x.dtype for s in samples for x in s.nodes.values() if x.is_floating_point())
    dtype = next(found, torch.get_default_dtype())
    for kind, width in schema.kinds.items():
        nodes[kind], offsets[kind] = _join_nodes(samples, kind, width, dtype)
        if any(kind in s.spans for s in samples):
            spans[kind] = _join_spans(samples, kind)
    total = torch.stack([own.diff() for own in offsets.values()]).sum(0)
    if (total == 0).any():
        name = samples[int(total.argmin())].name
        raise InputError(f"Sample {name!r} has no node of any kind; it needs one of: {', '.join(schema.kinds)}.")
    links, weights = {}, {}
    for relation in schema.given:
        links[relation], owner = _join_links(samples, relation, offsets)
        if relation in schema.weighted:
            weights[relation] = _join_weights(samples, relation, owner, dtype)
    names, targets = tuple(s.name for s in samples), tuple(s.target for s in samples)
    return Batch(names, nodes, offsets, links, spans, weights, targets)


def check_relation(name: str, relation: Any, kinds: Iterable[str]) -> None:
    """Raises ``InputError`` where links of a sample are not between two of these kinds."""
    if not (isinstance(relation, tuple) and len(relation) == 3):
        raise InputError(f"Sample {name!r} has links under {relation!r}; expected (source kind, name, target kind).")
    for kind in (relation[0], relation[2]):
        if kind not in kinds:
            raise InputError(f"Sample {name!r} has links {relation}, which join kind {kind!r}; there is no such kind."
                             f"{did_you_mean(kind, kinds)}")  # fmt: skip


def _check_names_of_parts(samples: Sequence[Sample], schema: Schema) -> None:
    given = set(schema.given)
    for sample in samples:
        for what, brought in (("nodes", sample.nodes), ("spans", sample.spans)):
            for kind, x in brought.items():
                if kind not in schema.kinds and len(x):
                    raise InputError(f"Sample {sample.name!r} has {what} of kind {kind!r}, which the schema lacks."
                                     f"{did_you_mean(kind, schema.kinds)}")  # fmt: skip
        wrong = next((r for r, pairs in sample.links.items() if r not in given and pairs.numel()), None)
        if wrong is not None:
            check_relation(sample.name, wrong, schema.kinds)
            raise InputError(f"Sample {sample.name!r} has links {wrong}, for which the schema has no "
                             f"gf.Linked{wrong}.{did_you_mean(str(wrong), map(str, given))}")  # fmt: skip
        for relation in sample.weights:
            if relation not in sample.links:
                raise InputError(f"Sample {sample.name!r} has weights for {relation}, but no links of that relation.")
            if relation not in schema.weighted:
                raise InputError(f"Sample {sample.name!r} has weights for {relation}, which the schema's gf.Linked "
                                 "does not expect; give it weighted=True.")  # fmt: skip


def _join_nodes(samples: Sequence[Sample], kind: str, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    parts = [s.nodes.get(kind) for s in samples]
    for sample, x in zip(samples, parts):
        if x is not None and len(x) and (x.ndim != 2 or x.shape[1] != width):
            found = f"width {x.shape[1]}" if x.ndim == 2 else f"shape {list(x.shape)}"
            raise InputError(f"Sample {sample.name!r}, kind {kind!r}: expected width {width}, found {found}.")
    offsets = _offsets([0 if x is None else len(x) for x in parts])
    filled = [x for x in parts if x is not None and len(x)]
    joined = torch.cat(filled) if filled else torch.zeros(0, width, dtype=dtype)
    suspect = (
        joined.is_floating_point() and not joined.sum().isfinite()
    )  # NaN and inf survive a sum; one pass, not four
    if suspect and not torch.isfinite(joined).all():
        row = int((~torch.isfinite(joined)).any(1).nonzero()[0])
        place = int(torch.searchsorted(offsets, row, right=True)) - 1
        value = joined[row][~torch.isfinite(joined[row])][0].item()
        where = f"Sample {samples[place].name!r}, kind {kind!r}, row {row - int(offsets[place])}"
        raise InputError(f"{where}: a feature is {value}; features must be finite.")
    return joined, offsets


def _join_spans(samples: Sequence[Sample], kind: str) -> Tensor:
    """Spans of a kind; NaN for the nodes of a sample that brings none, which then overlap nothing."""
    parts = []
    for sample in samples:
        rows = len(sample.nodes.get(kind, ()))
        span = sample.spans.get(kind, torch.full((rows, 2), torch.nan))
        if tuple(span.shape) != (rows, 2):
            found = list(span.shape)
            raise InputError(f"Sample {sample.name!r}, kind {kind!r}: expected spans [{rows}, 2], found {found}.")
        parts.append(span)
    return torch.cat(parts)


def _join_links(samples: Sequence[Sample], relation: Relation, offsets: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    given = [(place, s.links[relation]) for place, s in enumerate(samples) if relation in s.links]
    for place, pairs in given:
        if pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.is_floating_point() or pairs.dtype == torch.bool:
            found = f"{str(pairs.dtype).removeprefix('torch.')} {list(pairs.shape)}"
            raise InputError(f"Sample {samples[place].name!r}, links {relation}: not integers [2, e] but {found}.")
    if not given:
        return torch.zeros(2, 0, dtype=torch.long), torch.zeros(0, dtype=torch.long)
    places = torch.tensor([place for place, _ in given])
    owner = places.repeat_interleave(torch.tensor([pairs.shape[1] for _, pairs in given]))
    links = torch.cat([pairs for _, pairs in given], dim=1).long()
    for end, kind in ((0, relation[0]), (1, relation[2])):
        sizes = offsets[kind].diff()[owner]
        wrong = (links[end] < 0) | (links[end] >= sizes)
        if wrong.any():
            at = int(wrong.nonzero()[0])
            where = f"Sample {samples[int(owner[at])].name!r}, links {relation}"
            raise InputError(f"{where}: row {int(links[end, at])} is out of range, the sample has {int(sizes[at])} "
                             f"nodes of kind {kind!r}.")  # fmt: skip
    return links + torch.stack([offsets[relation[0]][owner], offsets[relation[2]][owner]]), owner


def _join_weights(samples: Sequence[Sample], relation: Relation, owner: Tensor, dtype: torch.dtype) -> Tensor:
    counts = torch.bincount(owner, minlength=len(samples)).tolist()
    for sample, count in zip(samples, counts):
        own = sample.weights.get(relation)
        if own is not None and (tuple(own.shape) != (count,) or not torch.isfinite(own).all()):
            raise InputError(f"Sample {sample.name!r}, weights {relation}: expected {count} finite numbers, found "
                             f"shape {list(own.shape)}.")  # fmt: skip
    return torch.cat([s.weights.get(relation, torch.ones(n)).to(dtype) for s, n in zip(samples, counts)])


def _offsets(sizes: list[int]) -> Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)
