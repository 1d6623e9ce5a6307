"""A sample (one case) and a batch (many cases as tensors)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
NodeFacts = Mapping[str, Mapping[str, "Tensor | Sequence[str | None]"]]
"""kind -> name -> one number or one word a node."""


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
        facts: name -> a number or a word that is known of the sample and that rules may ask for; no fusion sees it.
        node_facts: kind -> name -> what is known of each of its nodes, in the same way: numbers ``[n]``, NaN where one
            is not known, or ``n`` words, ``None`` where one is not.
    """

    name: str
    nodes: Mapping[str, Tensor]
    links: Mapping[Relation, Tensor] = field(default_factory=dict)
    spans: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Mapping[Relation, Tensor] = field(default_factory=dict)
    target: Any = None
    facts: Mapping[str, float | str] = field(default_factory=dict)
    node_facts: NodeFacts = field(default_factory=dict)

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
            node_facts={k: x for k, x in self.node_facts.items() if k not in kinds},
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
        facts: One a sample.
        node_facts: One a sample.
    """

    names: Sequence[str]
    nodes: Mapping[str, Tensor]
    offsets: Mapping[str, Tensor]
    links: Mapping[Relation, Tensor] = field(default_factory=dict)
    spans: Mapping[str, Tensor] = field(default_factory=dict)
    weights: Mapping[Relation, Tensor] = field(default_factory=dict)
    targets: Sequence[Any] = ()
    facts: Sequence[Mapping[str, float | str]] = ()
    node_facts: tuple[NodeFacts, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def owner(self, kind: str) -> Tensor:
        """The sample of each node of a kind, ``int64 [N_kind]``."""
        return owner_of(self.offsets[kind], len(self.nodes[kind]))

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The same batch with its tensors on a device; from pinned memory the copy runs beside what is computed."""
        return self._with_each(lambda x: x.to(device, non_blocking=non_blocking))

    def without_features(self) -> Batch:
        """Names, targets, facts, links and sizes alone: what a head needs beside scores."""
        nodes = {kind: x.new_empty(len(x), 0) for kind, x in self.nodes.items()}
        return replace(self, nodes=nodes, spans={}, weights={})

    def pin_memory(self) -> Batch:
        """The same batch in memory from which an accelerator copies by itself."""
        return self._with_each(Tensor.pin_memory)

    def _with_each(self, move: Callable[[Tensor], Tensor]) -> Batch:
        def moved(values: Mapping[Any, Tensor]) -> dict[Any, Tensor]:
            return {key: move(x) for key, x in values.items()}

        targets = tuple(move(t) if isinstance(t, Tensor) else t for t in self.targets)
        return replace(self, nodes=moved(self.nodes), offsets=moved(self.offsets), links=moved(self.links),
                       spans=moved(self.spans), weights=moved(self.weights), targets=targets)  # fmt: skip

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
        nothing: tuple[dict, ...] = ({},) * len(self)
        targets = self.targets or (None,) * len(self)
        facts, of_nodes = self.facts or nothing, self.node_facts or nothing
        return [
            Sample(name, own.pop("nodes", {}), **own, target=target, facts=known, node_facts=more)
            for name, own, target, known, more in zip(self.names, fields, targets, facts, of_nodes)
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


def check_relation(name: str, relation: Any, kinds: Iterable[str]) -> None:
    """Raises ``InputError`` where links of a sample are not between two of these kinds."""
    if not (isinstance(relation, tuple) and len(relation) == 3):
        raise InputError(f"Sample {name!r} has links under {relation!r}; expected (source kind, name, target kind).")
    for kind in (relation[0], relation[2]):
        if kind not in kinds:
            raise InputError(f"Sample {name!r} has links {relation}, which join kind {kind!r}; there is no such kind."
                             f"{did_you_mean(kind, kinds)}")  # fmt: skip
