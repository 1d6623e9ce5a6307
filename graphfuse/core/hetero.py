"""To and from PyG's ``HeteroData``, losing nothing. The only door to torch-geometric beside ``fusion/pyg.py``.

PyG's ``Batch`` takes the node types from the first graph of a list and drops those that only later graphs have
(torch-geometric issue 10801); here every kind of the batch is carried over, with zero rows if it has none.
"""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphfuse.core.errors import InputError
from graphfuse.core.sample import Batch


def to_hetero_data(batch: Batch) -> HeteroData:
    """A batch as one ``HeteroData`` with PyG's own fields, so that PyG layers and transforms work on it.

    ``data[kind].x [N_kind, width]``, ``.batch [N_kind]``, ``.ptr [B + 1]`` and ``.span [N_kind, 2]`` where given;
    ``data[relation].edge_index [2, E]`` and ``.edge_weight [E]`` where given; ``data.name`` and ``data.target``, one a
    sample.
    """
    data = HeteroData()
    for kind, x in batch.nodes.items():
        data[kind].x, data[kind].ptr, data[kind].batch = x, batch.offsets[kind], batch.owner(kind)
        if kind in batch.spans:
            data[kind].span = batch.spans[kind]
    for relation, links in batch.links.items():
        data[relation].edge_index = links
        if relation in batch.weights:
            data[relation].edge_weight = batch.weights[relation]
    data.name, data.target = list(batch.names), list(batch.targets)
    return data


def from_hetero_data(data: HeteroData) -> Batch:
    """One ``HeteroData`` (a sample named ``"0"``) or a batch of them, from :func:`to_hetero_data` or PyG's ``Batch``.

    Raises:
        InputError: A node type has no ``x``, or a batch of several graphs does not say to which a node belongs.
    """
    size = max((len(store.ptr) - 1 for store in data.node_stores if "ptr" in store), default=1)
    nodes, offsets, spans = {}, {}, {}
    for kind in data.node_types:
        store = data[kind]
        if "x" not in store:
            raise InputError(f"HeteroData: node type {kind!r} has no features 'x'.")
        nodes[kind] = store.x
        offsets[kind] = _offsets(kind, store, size)
        if "span" in store:
            spans[kind] = store.span
    links = {relation: data[relation].edge_index for relation in data.edge_types}
    weights = {r: data[r].edge_weight for r in data.edge_types if "edge_weight" in data[r]}
    names = tuple(str(name) for name in _listed(data, "name", [str(place) for place in range(size)]))
    targets = tuple(_listed(data, "target", [None] * size))
    return Batch(names, nodes, offsets, links, spans, weights, targets)


def _offsets(kind: str, store: object, size: int) -> Tensor:
    rows = len(store.x)  # type: ignore[attr-defined]
    if "ptr" in store:  # type: ignore[operator]
        return store.ptr  # type: ignore[attr-defined]
    if "batch" in store:  # type: ignore[operator]
        counts = torch.bincount(store.batch, minlength=size)  # type: ignore[attr-defined]
        return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    if size > 1:
        raise InputError(f"HeteroData: node type {kind!r} has neither 'ptr' nor 'batch', so its samples are unknown.")
    return torch.tensor([0, rows])


def _listed(data: HeteroData, key: str, default: list) -> list:
    value = data[key] if key in data else default  # noqa: SIM401 - HeteroData has no get
    return list(value) if isinstance(value, list | tuple | Tensor) else [value]
