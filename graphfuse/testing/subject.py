"""The fusion that is checked: made, run, and its results compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from graphfuse.core.fused import Fused
from graphfuse.core.sample import Sample
from graphfuse.core.schema import Schema
from graphfuse.core.seed import seeded
from graphfuse.heads import HEADS
from graphfuse.model import FusionModel, find_fusion
from graphfuse.testing import cases

Module = TypeVar("Module", bound=nn.Module)
BOUND = 1e-5
"""How far apart results may be that should be the same, relative above 1."""


class Fault(Exception):  # noqa: N818 - it ends a check, and never leaves this room
    """A claim does not hold; the text says what was found."""


@dataclass(frozen=True)
class Subject:
    """The fusion that is checked.

    Attributes:
        fusion: A name in ``gf.FUSIONS``, or a fusion or layer of the caller's own.
        dim: The width that it is made with.
        options: Its further options.
    """

    fusion: str | Callable[..., nn.Module]
    dim: int = 8
    options: Mapping[str, Any] = field(default_factory=dict)

    def made(self, plan: Schema, layers: int = 2) -> nn.Module:
        """As it starts, from the random state as it is."""
        return find_fusion(self.fusion)(self.dim, plan, layers=layers, **self.options)

    def fresh(self, plan: Schema, layers: int = 2, seed: int = 3) -> nn.Module:
        """As it starts, from a seed."""
        with seeded(seed):
            return self.made(plan, layers)

    def module(self, plan: Schema, layers: int = 2) -> nn.Module:
        """In eval mode with weights away from their start; every call gives the same."""
        return perturbed(self.fresh(plan, layers))

    def model(self, plan: Schema) -> FusionModel:
        """A whole model with the fusion inside, likewise."""
        head = HEADS["classify"](cases.LABELS)
        with seeded(3):
            return perturbed(FusionModel(plan, head, self.fusion, dim=self.dim, **self.options))

    @cached_property
    def usual(self) -> Fused:
        """What it makes of the usual samples, which most checks compare with."""
        return self.fused(self.module(cases.schema()), cases.samples(), cases.schema())

    @cached_property
    def changed(self) -> dict[str, Tensor]:
        """kind -> the vectors of the usual samples where all values of that kind are others."""
        plan, samples = cases.schema(), cases.samples()
        module = self.module(plan)
        return {kind: self.fused(module, [cases.changed(one, kind) for one in samples], plan).vector
                for kind in cases.KINDS}  # fmt: skip

    def fused(self, module: nn.Module, samples: Sequence[Sample], plan: Schema) -> Fused:
        """What the fusion makes of samples, without gradients."""
        with torch.no_grad():
            return module(cases.graph_of(samples, plan, self.dim))


def perturbed(module: Module, seed: int = 0, by: float = 0.1) -> Module:
    """The module, in eval mode, with parameters away from their initial values, where faults can hide."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=rng, dtype=parameter.dtype))
    return module.eval()


def close(what: str, found: Tensor, expected: Tensor, bound: float = BOUND) -> float:
    """How far apart two results are, relative above 1.

    Raises:
        Fault: Further than ``bound``, of another shape, or not a number.
    """
    if found.shape != expected.shape:
        raise Fault(f"{what}: shape {list(found.shape)}, expected {list(expected.shape)}")
    off = float(((found - expected).abs() / (1 + expected.abs())).max()) if found.numel() else 0.0
    if not off <= bound:
        raise Fault(f"{what}: off by {off:.1e}, allowed {bound:.0e}")
    return off


def close_fused(what: str, found: Fused, expected: Fused, bound: float = BOUND) -> float:
    """As :func:`close`, for node states and vectors."""
    return max(close(f"{what}, vector", found.vector, expected.vector, bound),
               close(f"{what}, node states", found.graph.x, expected.graph.x, bound))  # fmt: skip


def furthest(offs: Iterable[float]) -> str:
    """What a check that compared results says of them."""
    worst = max(offs)
    return f"off by at most {worst:.0e}" if worst else "equal"


def finite(what: str, result: Fused) -> None:
    """Raises a ``Fault`` where a vector or a node state is not finite."""
    for part, x in (("vector", result.vector), ("node states", result.graph.x)):
        if not torch.isfinite(x).all():
            raise Fault(f"{what}: {part} {int((~torch.isfinite(x)).sum())} of {x.numel()} values are not finite")


def learns(what: str, module: nn.Module, samples: Sequence[Sample], plan: Schema, dim: int, by: float = 1.0) -> Tensor:
    """One step forward and back; the gradient of the node states.

    Args:
        what: Said where something is not finite.
        module: The fusion.
        samples: What it is run on.
        plan: Their schema.
        dim: Width of the states.
        by: What the states are multiplied with.

    Raises:
        Fault: A result or a gradient is not finite.
    """
    graph = cases.graph_of(samples, plan, dim)
    x = (graph.x * by).requires_grad_()
    module.zero_grad()
    result = module(graph.replace(x=x))
    finite(what, result)
    (result.vector.square().sum() + result.graph.x.square().sum()).backward()
    gradients = {"the node states": x.grad, **{name: weight.grad for name, weight in module.named_parameters()}}
    for name, gradient in gradients.items():
        if gradient is not None and not torch.isfinite(gradient).all():
            raise Fault(f"{what}: the gradient of {name} is not finite")
    return x.new_zeros(x.shape) if x.grad is None else x.grad
