"""To and from PyG's ``HeteroData``, losing nothing. The only door to torch-geometric beside ``fusion/pyg.py``.

PyG's ``Batch`` takes the node types from the first graph of a list and drops those that only later graphs have
(torch-geometric issue 10801); here every kind of the batch is carried over, with zero rows if it has none.
"""

from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch


def to_hetero_data(batch: Batch) -> HeteroData:
    """A batch as one ``HeteroData`` with PyG's own fields, so that PyG layers and transforms work on it.

    ``data[kind].x [N_kind, width]``, ``.batch [N_kind]``, ``.ptr [B + 1]`` and ``.span [N_kind, 2]`` where given;
    ``data[relation].edge_index [2, E]`` and ``.edge_weight [E]`` where given; ``data.name`` and ``data.target``, one a
    sample. A batch of one sample is as a graph that PyG batches: no ``.batch`` and ``.ptr``, bare name and target, and
    a ``.span`` of every kind, NaN where none is given, since PyG joins only fields that all graphs have.
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
    data.target = list(batch.targets) if several else next(iter(batch.targets), None)
    return data


def from_hetero_data(data: HeteroData) -> Batch:
    """One ``HeteroData`` (a sample named ``"0"``) or a batch of them, from :func:`to_hetero_data` or PyG's ``Batch``.

    Raises:
        InputError: A node type has no ``x``, or a batch of several graphs does not say to which a node belongs.
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
    links = {relation: data[relation].edge_index for relation in data.edge_types}
    weights = {r: data[r].edge_weight for r in data.edge_types if "edge_weight" in data[r]}
    names = tuple(str(name) for name in _listed(data, "name", [str(place) for place in range(size)]))
    targets = tuple(_listed(data, "target", [None] * size))
    return Batch(names, nodes, offsets, links, spans, weights, targets)


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


def _listed(data: HeteroData, key: str, default: list) -> list:
    value = data[key] if key in data else default  # noqa: SIM401 - HeteroData has no get
    return list(value) if isinstance(value, list | tuple | Tensor) else [value]
