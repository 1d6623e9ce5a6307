"""To and from PyG's ``HeteroData``, losing nothing. The only door to torch-geometric beside ``fusion/pyg.py``.

PyG's ``Batch`` takes the node types from the first graph of a list and drops those that only later graphs have
(torch-geometric issue 10801); here every kind of the batch is carried over, with zero rows if it has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch, Relation


@dataclass(frozen=True, eq=False)
class Kept:
    """A target, or facts, that PyG's ``Batch`` leaves alone: it rounds numbers to float32, joins tensors and drops
    ``None``."""

    value: Any


def to_hetero_data(batch: Batch) -> HeteroData:
    """A batch as one ``HeteroData`` with PyG's own fields, so that PyG layers and transforms work on it.

    ``data[kind].x [N_kind, width]``, ``.batch [N_kind]``, ``.ptr [B + 1]`` and ``.span [N_kind, 2]`` where given;
    ``data[relation].edge_index [2, E]`` and ``.edge_weight [E]`` where given; ``data.name`` and ``data.target``,
    one a sample, and so ``data.facts`` and ``data.node_facts``, each in a :class:`Kept`. A batch of one sample is
    as a graph that PyG batches: no ``.batch`` and ``.ptr``, a bare name, a target that is bare if it is text and
    else in a :class:`Kept`, and a ``.span`` of every kind, NaN where none is given, since PyG joins only fields
    that all graphs have.
    """
    data, several = HeteroData(), len(batch) > 1
    for kind, x in batch.nodes.items():
        data[kind].x = x
        if several:
            data[kind].ptr, data[kind].batch = batch.offsets[kind], batch.owner(kind)
        if kind in batch.spans:
            data[kind].span = batch.spans[kind]
        elif not several:
            data[kind].span = torch.full((len(x), 2), torch.nan, device=x.device)
    for relation, links in batch.links.items():
        data[relation].edge_index = links
        if relation in batch.weights:
            data[relation].edge_weight = batch.weights[relation]
    data.name = list(batch.names) if several else batch.names[0]
    target = next(iter(batch.targets), None)
    alone = target if isinstance(target, str) else Kept(target)
    data.target = list(batch.targets) if several else alone
    for name in ("facts", "node_facts"):
        facts = [Kept(known) for known in getattr(batch, name) or [{}] * len(batch)]
        data[name] = facts if several else facts[0]
    return data


def from_hetero_data(data: HeteroData) -> Batch:
    """One ``HeteroData`` (a sample named ``"0"``) or a batch, from :func:`to_hetero_data`, PyG's ``Batch`` or loader.

    Raises:
        InputError: A node type has no ``x``; a batch of several graphs does not say to which a node belongs; an edge
            has an end that is not there, or ends in two samples.
    """
    size = _size(data)
    nodes, offsets, spans = {}, {}, {}
    for kind in data.node_types:
        store = data[kind]
        if "x" not in store:
            raise InputError(f"HeteroData: node type {kind!r} has no features 'x'.")
        nodes[kind] = store.x
        offsets[kind] = _offsets(kind, store, size)
        if "span" in store and not store.span.isnan().all():
            spans[kind] = store.span
    weights = {r: data[r].edge_weight for r in data.edge_types if "edge_weight" in data[r]}
    names = tuple(str(name) for name in _listed(data, "name", [str(place) for place in range(size)]))
    found = _listed(data, "target", [None] * size)
    targets = tuple(target.value if isinstance(target, Kept) else target for target in found)
    facts, of_nodes = (tuple(known.value for known in _listed(data, name, [Kept({})] * size))
                       for name in ("facts", "node_facts"))  # fmt: skip
    links = {relation: data[relation].edge_index for relation in data.edge_types}
    for relation, pairs in links.items():
        _check_edges(relation, pairs, offsets, names)
    return Batch(names, nodes, offsets, links, spans, weights, targets, facts, of_nodes)


def _size(data: HeteroData) -> int:
    """How many graphs a batch has, by whatever says so."""
    sizes = [len(store.ptr) - 1 for store in data.node_stores if "ptr" in store]
    sizes += [int(store.batch.max()) + 1 for store in data.node_stores if "batch" in store and len(store.batch)]
    if "name" in data and isinstance(data["name"], list | tuple):
        sizes.append(len(data["name"]))
    return max(sizes, default=1)


def _offsets(kind: str, store: Any, size: int) -> Tensor:
    if "ptr" in store:
        if len(store.ptr) != size + 1:
            raise InputError(f"HeteroData: node type {kind!r} is in {len(store.ptr) - 1} of {size} graphs, and PyG's "
                             "Batch does not say in which; give every graph every node type, with zero rows if need "
                             "be.")  # fmt: skip
        return store.ptr
    if "batch" in store:
        counts = torch.bincount(store.batch, minlength=size)
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    if size > 1:
        raise InputError(f"HeteroData: node type {kind!r} has neither 'ptr' nor 'batch', so its samples are unknown.")
    return torch.tensor([0, len(store.x)])


def _check_edges(relation: Relation, pairs: Tensor, offsets: Mapping[str, Tensor], names: Sequence[str]) -> None:
    """Raises ``InputError`` where an edge does not join two nodes of one sample."""
    if pairs.ndim != 2 or pairs.shape[0] != 2 or pairs.is_floating_point() or pairs.dtype == torch.bool:
        found = f"{str(pairs.dtype).removeprefix('torch.')} {list(pairs.shape)}"
        raise InputError(f"HeteroData, edge type {relation}: 'edge_index' is not integers [2, E] but {found}.")
    kinds = (relation[0], relation[2])
    for kind in kinds:
        if kind not in offsets:
            raise InputError(f"HeteroData: edge type {relation} joins node type {kind!r}, which the data lacks."
                             f"{did_you_mean(kind, offsets)}")  # fmt: skip
    owners = torch.stack([torch.searchsorted(offsets[kind], rows.contiguous(), right=True) - 1
                          for kind, rows in zip(kinds, pairs)])  # fmt: skip
    outside = (owners < 0) | (owners >= len(names))
    wrong = outside.any(0) | (owners[0] != owners[1])
    if not wrong.any():
        return
    at = int(wrong.nonzero()[0])
    if outside[:, at].any():
        end = int(outside[1, at] & ~outside[0, at])
        sample = int(owners[1 - end, at].clamp(0, len(names) - 1))  # the other end says which, if it is inside
        first, stop = offsets[kinds[end]][sample : sample + 2].tolist()
        row = int(pairs[end, at]) - first
        raise InputError(f"HeteroData, sample {names[sample]!r}, edge type {relation}: row {row} is out of range, the "
                         f"sample has {stop - first} nodes of type {kinds[end]!r}.")  # fmt: skip
    ends = [f"row {int(row - offsets[kind][owner])} of sample {names[int(owner)]!r}"
            for kind, row, owner in zip(kinds, pairs[:, at], owners[:, at])]  # fmt: skip
    raise InputError(f"HeteroData, edge type {relation}: edge {at} joins {' to '.join(ends)}; an edge stays within a "
                     "sample, so an id of one of them was out of its range.")  # fmt: skip


def _listed(data: HeteroData, key: str, default: list) -> list:
    value = data[key] if key in data else default  # noqa: SIM401 - HeteroData has no get
    return list(value) if isinstance(value, list | tuple | Tensor) else [value]
