"""The model: projections, relations, a fusion and a head, in that order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphfuse.core.answer import Answer
from graphfuse.core.catalog import did_you_mean, look_up
from graphfuse.core.collate import collate
from graphfuse.core.errors import InputError
from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.core.lay import lay
from graphfuse.core.loader import Limits, batches
from graphfuse.core.sample import Batch, Sample
from graphfuse.core.schema import Schema
from graphfuse.fusion import FUSIONS
from graphfuse.fusion.stack import as_fusion
from graphfuse.heads.temperature import tempered
from graphfuse.model.ruled import Ruled
from graphfuse.rules import Refine, RuleSet


@dataclass(frozen=True, eq=False)
class Output:
    """What a model gives for a batch.

    Attributes:
        scores: As the head says; ``[B, C]`` for classify.
        fused: Node states and one vector a sample.
        before: Scores before rules refined them; ``None`` where none do.
    """

    scores: Tensor
    fused: Fused
    before: Tensor | None = None


class FusionModel(nn.Module):
    """Projects every kind to one width, lays the relations, fuses, and scores.

    Args:
        schema: Kinds, widths and edge builders of the samples.
        head: A description from ``gf.heads``, such as ``gf.heads.Classify(labels)``.
        fusion: A name in ``gf.FUSIONS``, or a class or function of your own: a fusion, called ``(dim, schema,
            layers=.., **options)``, or a layer, called ``(dim, schema, **options)``, which is stacked.
        dim: Width of the node states.
        layers: Of the fusion.
        rules: Over the labels of the head, of a sample (``Classify``, ``MultiLabel``), of its nodes (``Tag``,
            ``Choose``, whose label is ``answer``) or of both (``MultiTask``): a ``gf.RuleSet``, or the path of a file.
            They may ask for facts of samples and nodes, as in ``forall x. temp(x) >= 39 -> fever(x)``, and of nodes for
            their links.
        rule_mode: ``"exact"``: no answer breaks a hard rule, and training conditions outputs on them. ``"loss"``: what
            rules cost by themselves, soft ones too, is added to the loss; answers may break them. ``"refine"``: scores
            are pushed towards all rules, by weights of which some may be learned; answers may still break them.
        rule_weight: Of the rules beside the head's own loss, in mode ``"loss"``.
        dropout: Share of state values that are dropped in training, after the relations are laid.
        encoders: kind -> encoder that is trained with the model; its samples bring what ``encoder.prepare`` gives.
        options: Further options of the fusion.

    With rules, ``head`` is a :class:`graphfuse.model.Ruled`; it alone conditions on them, so scores are those before.

    Scores are divided by ``temperature``, 1 until ``gf.fit`` calibrates it on validation: it changes no answer, only
    how sure of it the model is (Guo et al. 2017, "On calibration of modern neural networks", section 4.2).

    Shape: ``Batch -> Output(scores, fused)``.

    Raises:
        InputError: An unknown fusion (with the nearest names), a schema that does not suit the head or an encoder, or
            rules that do not suit the head.
    """

    temperature: Tensor

    def __init__(
        self,
        schema: Schema,
        head: Any,
        fusion: str | Callable[..., nn.Module] = "hgt",
        dim: int = 128,
        layers: int = 2,
        rules: RuleSet | str | Path | None = None,
        dropout: float = 0.1,
        encoders: Mapping[str, nn.Module] | None = None,
        rule_mode: str = "exact",
        rule_weight: float = 1.0,
        **options: Any,
    ):
        super().__init__()
        if rules is None and (rule_mode, rule_weight) != ("exact", 1.0):
            raise InputError("FusionModel: rule_mode or rule_weight is given, and no rules are; give rules too.")
        self.schema = schema
        self.head = head if rules is None else Ruled.of(head, rules, rule_mode, rule_weight)
        self.settings = {"fusion": fusion, "dim": dim, "layers": layers, "dropout": dropout, **options}
        self.encoders = nn.ModuleDict()
        for kind, encoder in (encoders or {}).items():
            self.encoders[_trained(kind, encoder, schema)] = encoder
        self.project = nn.ModuleList(self._projection(kind, dim) for kind in schema.kinds)
        self.hub = nn.Parameter(torch.randn(len(schema.hubs), dim) * dim**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.fusion = find_fusion(fusion)(dim, schema, layers=layers, **options)
        self.readout = self.head.build(dim, schema)
        refined = isinstance(self.head, Ruled) and self.head.mode == "refine"
        self.refine = Refine(self.head.rules) if refined else None
        self.register_buffer("temperature", torch.ones(()))

    def _projection(self, kind: str, dim: int) -> nn.Module:
        width = self.encoders[kind].width if kind in self.encoders else self.schema.kinds[kind]
        return nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim))  # type: ignore[arg-type]

    @property
    def rules(self) -> RuleSet | None:
        """Over the labels of the head, if there are any."""
        return self.head.rules if isinstance(self.head, Ruled) else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.hub.device

    def forward(self, batch: Batch) -> Output:
        """Scores a batch that is on the model's device."""
        return self.traced(batch)[0]

    def traced(self, batch: Batch) -> tuple[Output, FusionGraph]:
        """As calling the model, with the graph before fusion, from which gradients can be taken."""
        states, nodes, offsets = {}, dict(batch.nodes), dict(batch.offsets)
        for kind, project in zip(self.schema.kinds, self.project):
            if kind in self.encoders:
                nodes[kind], offsets[kind] = self.encoders[kind](nodes[kind], offsets[kind])
            states[kind] = project(nodes[kind].to(self.hub.dtype))
        for kind, state in zip(self.schema.hubs, self.hub):
            states[kind] = state.expand(len(batch), -1)
        graph = lay(replace(batch, nodes=nodes, offsets=offsets), self.schema, states)
        graph = graph.replace(x=self.dropout(graph.x))
        fused = self.fusion(graph)
        scores = self.readout(fused)
        if self.refine is None:
            return Output(tempered(self.head, scores, batch, self.temperature), fused), graph
        if scores.isnan().any():  # which fit tells better than rules could
            return Output(scores, fused, scores), graph
        refined = self.head.refined(self.refine, scores, batch)
        sure, before = (tempered(self.head, x, batch, self.temperature) for x in (refined, scores))
        return Output(sure, fused, before), graph

    def collate(self, samples: Sequence[Sample], max_edges: int | None = None) -> Batch:
        """A batch of this model's schema; names the sample where one does not fit it."""
        return collate(samples, self.schema, max_edges)

    def predict(self, samples: Sequence[Sample], batch_size: int = 64, batch_nodes: int | None = None) -> list[Answer]:
        """One answer a sample, in their order; targets are not looked at. ``batch_nodes`` as in ``gf.fit``."""

        def join(part: list[Sample]) -> Batch:
            return self.collate([replace(s, target=None) for s in part])

        answers: list[Answer] = []
        for output, batch in self.outputs(samples, Limits(batch_size, batch_nodes), join):
            answers += self.head.answers(output.scores, batch)
        return answers

    def outputs(
        self, samples: Sequence[Sample], limits: Limits, join: Callable[[list[Sample]], Batch]
    ) -> Iterator[tuple[Output, Batch]]:
        """What the model gives for samples in their order, batch by batch, with the batch (in main memory)."""
        parts = limits.parts(range(len(samples)), limits.sizes(samples))
        for batch in batches(samples, parts, join, self.device):
            with self.answering():
                output = self(batch.to(self.device))
            yield output, batch

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Without dropout and gradients inside; as it was afterwards."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(training)

    def save_pretrained(self, folder: str | Path, **extra: Any) -> None:
        """Writes ``config.json``, ``model.safetensors`` and any ``rules.txt``; see :mod:`graphfuse.model.folder`."""
        from graphfuse.model.folder import save

        save(self, Path(folder), extra)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **parts: Any) -> FusionModel:
        """Opens a folder or a hub repository, in eval mode; see :func:`graphfuse.model.folder.load`."""
        from graphfuse.model.folder import load

        return load(folder, **parts)

    def push_to_hub(self, repository: str, **options: Any) -> str:
        """Uploads the model to a hub repository; see :func:`graphfuse.model.folder.push`."""
        from graphfuse.model.folder import push

        return push(self, repository, **options)


def find_fusion(fusion: str | Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """What makes a fusion, called ``(dim, schema, layers=.., **options)``, by its name or from the caller's own part.

    Raises:
        InputError: There is no fusion of that name, or a module that is made already came.
    """
    if isinstance(fusion, nn.Module):
        raise InputError(f"The fusion is a {type(fusion).__name__} that is made already; give what makes it, the class "
                         "or a function (dim, schema) -> module.")  # fmt: skip
    return as_fusion(look_up(FUSIONS, fusion, "fusion") if isinstance(fusion, str) else fusion)


def _trained(kind: str, encoder: Any, schema: Schema) -> str:
    if kind not in schema.kinds:
        near = did_you_mean(kind, schema.kinds)
        raise InputError(f"An encoder is given for kind {kind!r}, which the schema lacks.{near}")
    if schema.kinds[kind] != encoder.raw_width:
        raise InputError(f"Kind {kind!r} is encoded in the model, so the schema must give its raw width "
                         f"{encoder.raw_width}, not {schema.kinds[kind]}.")  # fmt: skip
    return kind
