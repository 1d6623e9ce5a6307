"""The way from samples to a batch: each checked against the schema, all joined kind by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.relations import relations_of
from graphfuse.core.sample import Batch, Relation, Sample, check_relation

if TYPE_CHECKING:
    from graphfuse.core.schema import Schema


def collate(samples: Sequence[Sample], schema: Schema, max_edges: int | None = None) -> Batch:
    """Joins samples kind by kind, checked against the schema.

    With ``max_edges`` a batch that would have more edges is refused before anything is joined; pairs of relations that
    join all of a sample's nodes count, and links. Those that other builders find are not known before.

    Raises:
        InputError: Names the sample and the kind or relation: no node at all, an unknown kind or relation, a wrong
            width, a value that is not finite, a link out of range; or more edges than allowed, and how many.
    """
    samples = list(samples)
    if not samples:
        raise InputError("There is no sample to collate; a batch needs at least one.")
    _check_names_of_parts(samples, schema)
    if max_edges is not None:
        _check_edges(samples, schema, max_edges)
    found = (x.dtype for s in samples for x in s.nodes.values() if x.is_floating_point())
    dtype = next(found, torch.get_default_dtype())
    nodes, spans, sizes = {}, {}, list[list[int]]()
    for kind, width in schema.kinds.items():
        nodes[kind], own = _join_nodes(samples, kind, width, dtype)
        sizes.append(own)
        if any(kind in s.spans for s in samples):
            spans[kind] = _join_spans(samples, kind, own)
    counts = np.array(sizes)  # [K, B]
    if not counts.any(axis=0).all():
        name = samples[int(counts.any(axis=0).argmin())].name
        raise InputError(f"Sample {name!r} has no node of any kind; it needs one of: {', '.join(schema.kinds)}.")
    begins = torch.from_numpy(np.column_stack([0 * counts[:, 0], counts.cumsum(axis=1)]))  # [K, B + 1]
    links, weights = {}, {}
    for relation in schema.given:
        ends = [list(schema.kinds).index(kind) for kind in relation[::2]]
        links[relation], own = _join_links(samples, relation, begins[ends])
        if relation in schema.weighted:
            weights[relation] = _join_weights(samples, relation, own, dtype)
    names, targets = tuple(s.name for s in samples), tuple(s.target for s in samples)
    facts, of_nodes = tuple(s.facts for s in samples), tuple(s.node_facts for s in samples)
    return Batch(names, nodes, dict(zip(schema.kinds, begins)), links, spans, weights, targets, facts, of_nodes)


def _check_names_of_parts(samples: Sequence[Sample], schema: Schema) -> None:
    kinds, given = schema.kinds, set(schema.given)
    for sample in samples:
        for what, brought in (("nodes", sample.nodes), ("spans", sample.spans)):
            for kind, x in brought.items():
                if kind not in kinds and len(x):
                    raise InputError(f"Sample {sample.name!r} has {what} of kind {kind!r}, which the schema lacks."
                                     f"{did_you_mean(kind, kinds)}")  # fmt: skip
        for relation, pairs in sample.links.items():
            if relation not in given and pairs.numel():
                check_relation(sample.name, relation, kinds)
                raise InputError(f"Sample {sample.name!r} has links {relation}, for which the schema has no "
                                 f"gf.Linked{relation}.{did_you_mean(str(relation), map(str, given))}")  # fmt: skip
        for name, value in sample.facts.items():
            if isinstance(value, bool) or not isinstance(value, str | Real):
                raise InputError(f"Sample {sample.name!r}: fact {name!r} is {value!r}; it must be a number or a word.")
        for kind, own in sample.node_facts.items():
            if kind not in kinds and own:
                raise InputError(f"Sample {sample.name!r} has facts of nodes of kind {kind!r}, which the schema lacks."
                                 f"{did_you_mean(kind, kinds)}")  # fmt: skip
            if not isinstance(own, Mapping):
                raise InputError(f"Sample {sample.name!r}: facts of nodes of kind {kind!r} are a {type(own).__name__}; "
                                 "expected name -> a number or a word a node.")  # fmt: skip
            for name, values in own.items():
                _check_node_fact(sample, kind, name, values)
        for relation in sample.weights:
            if relation not in sample.links:
                raise InputError(f"Sample {sample.name!r} has weights for {relation}, but no links of that relation.")
            if relation not in schema.weighted:
                raise InputError(f"Sample {sample.name!r} has weights for {relation}, which the schema's gf.Linked "
                                 "does not expect; give it weighted=True.")  # fmt: skip


def _check_node_fact(sample: Sample, kind: str, name: str, values: object) -> None:
    where, rows = f"Sample {sample.name!r}: fact {name!r} of nodes of kind {kind!r}", len(sample.nodes.get(kind, ()))
    if isinstance(values, str) or not isinstance(values, Tensor | Sequence):
        raise InputError(f"{where} is a {type(values).__name__}; it must be a tensor [n] of numbers, or n words.")
    if isinstance(values, Tensor) and (values.shape != (rows,) or values.is_complex()):
        raise InputError(f"{where} has shape {list(values.shape)}; expected [{rows}], a number a node.")
    if isinstance(values, Tensor):
        return
    wrong = [value for value in values if not isinstance(value, str | None)]
    if wrong:
        raise InputError(f"{where} has {wrong[0]!r}; words or None are needed, or a tensor of numbers.")
    if len(values) != rows:
        raise InputError(f"{where} has {len(values)} words; the sample has {rows} such nodes.")


def _check_edges(samples: Sequence[Sample], schema: Schema, most: int) -> None:
    sizes = {kind: np.array([len(s.nodes.get(kind, ())) for s in samples]) for kind in schema.kinds}
    sizes |= {kind: np.ones(len(samples), dtype=np.int64) for kind in schema.hubs}
    edges = 0
    for builder in schema.edges:
        given = (builder.source, builder.name, builder.target)
        found = int(sizes[builder.source] @ sizes[builder.target]) if builder.dense else 0
        if given in schema.given:
            found = sum(s.links[given].shape[-1] for s in samples if given in s.links)
        edges += len(relations_of(builder)) * found
    if edges > most:
        nodes = sum(int(sizes[kind].sum()) for kind in schema.kinds)
        raise InputError(f"A batch of {len(samples)} samples, from {samples[0].name!r} on, has {nodes} nodes and "
                         f"{edges} edges; max_edges is {most}. Take fewer samples a batch (batch_size, batch_nodes), "
                         "or allow more edges.")  # fmt: skip


def _join_nodes(samples: Sequence[Sample], kind: str, width: int, dtype: torch.dtype) -> tuple[Tensor, list[int]]:
    """The features of all samples, and how many nodes each has."""
    parts = [s.nodes.get(kind) for s in samples]
    shapes = [(0, width) if x is None else x.shape for x in parts]
    for sample, shape in zip(samples, shapes):
        if len(shape) != 2 or (shape[1] != width and shape[0]):
            found = f"width {shape[1]}" if len(shape) == 2 else f"shape {list(shape)}"
            raise InputError(f"Sample {sample.name!r}, kind {kind!r}: expected width {width}, found {found}.")
    sizes = [shape[0] for shape in shapes]
    filled = [x for x, rows in zip(parts, sizes) if x is not None and rows]
    joined = torch.cat(filled) if filled else torch.zeros(0, width, dtype=dtype)
    bad = _not_finite(joined)
    if bad is not None:
        place, row = _place_of(bad[0], sizes)
        value = joined[tuple(bad)].item()
        raise InputError(f"Sample {samples[place].name!r}, kind {kind!r}, row {row}: a feature is {value}; features "
                         "must be finite.")  # fmt: skip
    return joined, sizes


def _join_spans(samples: Sequence[Sample], kind: str, sizes: Sequence[int]) -> Tensor:
    """Spans of a kind; NaN for the nodes of a sample that brings none, which then overlap nothing."""
    parts = [s.spans[kind] if kind in s.spans else torch.full((rows, 2), torch.nan) for s, rows in zip(samples, sizes)]
    for sample, rows, span in zip(samples, sizes, parts):
        if span.shape != (rows, 2):
            raise InputError(f"Sample {sample.name!r}, kind {kind!r}: expected spans [{rows}, 2], found "
                             f"{list(span.shape)}.")  # fmt: skip
    return torch.cat(parts)


def _join_links(samples: Sequence[Sample], relation: Relation, begins: Tensor) -> tuple[Tensor, list[int]]:
    """The links in row numbers of the batch, and how many each sample has; ``begins [2, B + 1]``: of the two kinds."""
    parts = [s.links.get(relation) for s in samples]
    for sample, pairs in zip(samples, parts):
        if pairs is not None and (pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.is_floating_point()
                                  or pairs.dtype == torch.bool):  # fmt: skip
            found = f"{str(pairs.dtype).removeprefix('torch.')} {list(pairs.shape)}"
            raise InputError(f"Sample {sample.name!r}, links {relation}: not integers [2, e] but {found}.")
    counts = [0 if pairs is None else pairs.shape[1] for pairs in parts]
    if not any(counts):
        return torch.zeros(2, 0, dtype=torch.long), counts
    links = torch.cat([pairs for pairs in parts if pairs is not None], dim=1).long()
    owner = torch.arange(len(samples)).repeat_interleave(torch.tensor(counts), output_size=links.shape[1])
    first, many = begins[:, owner], begins.diff(dim=1)[:, owner]  # [2, E]
    wrong = (links < 0) | (links >= many)
    if wrong.any():
        end, at = wrong.nonzero()[0].tolist()
        where = f"Sample {samples[int(owner[at])].name!r}, links {relation}"
        raise InputError(f"{where}: row {int(links[end, at])} is out of range, the sample has {int(many[end, at])} "
                         f"nodes of kind {relation[::2][end]!r}.")  # fmt: skip
    return links + first, counts


def _join_weights(samples: Sequence[Sample], relation: Relation, counts: Sequence[int], dtype: torch.dtype) -> Tensor:
    parts = [s.weights[relation] if relation in s.weights else torch.ones(n) for s, n in zip(samples, counts)]
    wrong = next((i for i, (x, n) in enumerate(zip(parts, counts)) if x.shape != (n,)), None)
    if wrong is None:
        joined = torch.cat([x.to(dtype) for x in parts])
        bad = _not_finite(joined)
        if bad is None:
            return joined
        wrong = _place_of(bad[0], counts)[0]
    raise InputError(f"Sample {samples[wrong].name!r}, weights {relation}: expected {counts[wrong]} finite numbers, "
                     f"found shape {list(parts[wrong].shape)}.")  # fmt: skip


def _not_finite(x: Tensor) -> list[int] | None:
    """Where the first value stands that is not finite. NaN and inf survive a sum: one pass, not four, if all are."""
    if not x.is_floating_point() or isfinite(x.sum().item()):
        return None
    bad = (~torch.isfinite(x)).nonzero()
    return bad[0].tolist() if len(bad) else None


def _place_of(row: int, sizes: Sequence[int]) -> tuple[int, int]:
    """The sample that brings a row of the batch, and the row's number within it."""
    place = next(place for place, end in enumerate(accumulate(sizes)) if row < end)
    return place, row - sum(sizes[:place])
