"""Values: shapes, precision, gradients, and what is left as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from graphfuse.core.fused import Fused
from graphfuse.core.graph import FusionGraph
from graphfuse.testing import cases
from graphfuse.testing.subject import Fault, Subject, close, close_fused, furthest, learns


def shapes_are_those_of_the_contract(subject: Subject) -> str:
    """States are ``[N, d]`` and vectors ``[B, d]``, of the type of the states that came in."""
    plan = cases.schema()
    for dtype in (torch.float32, torch.float64):
        graph = cases.graph_of(cases.samples(), plan, subject.dim, dtype)
        result = subject.module(plan).to(dtype)(graph)
        shape = (len(graph), subject.dim)
        for what, x, expected in (("graph.x", result.graph.x, graph.x.shape), ("vector", result.vector, shape)):
            if x.shape != expected or x.dtype != dtype:
                raise Fault(f"{what} is {x.dtype} {list(x.shape)}, expected {dtype} {list(expected)}")
        if result.meant is not None and result.meant.shape != (len(graph.x),):
            raise Fault(f"meant is {list(result.meant.shape)}, expected [{len(graph.x)}]")
    return f"graph.x {list(graph.x.shape)}, vector {list(shape)}"


def nodes_and_relations_are_kept(subject: Subject) -> str:
    """The fused graph has the samples, nodes and relations of the one that came in."""
    plan = cases.schema()
    graph = cases.graph_of(cases.samples(), plan, subject.dim)
    fused = subject.module(plan)(graph).graph
    changed = [name for name in ("names", "starts", "relations", "schema") if
               getattr(fused, name) != getattr(graph, name)]  # fmt: skip
    changed += [name for name in ("offsets", "owners") if not torch.equal(getattr(fused, name), getattr(graph, name))]
    if changed:
        raise Fault(f"{', '.join(changed)} of the fused graph differ")
    return f"{len(graph)} samples, {len(graph.x)} nodes, {len(graph.relations)} relations"


def the_graph_that_came_in_is_unchanged(subject: Subject) -> str:
    """The graph that came in is left as it was."""
    plan = cases.schema()
    graph = cases.graph_of(cases.samples(), plan, subject.dim)
    before = _tensors(graph)
    with torch.no_grad():
        subject.module(plan)(graph)
    if changed := [name for name, x in _tensors(graph).items() if not torch.equal(x, before[name])]:
        raise Fault(f"{', '.join(changed)} of the graph that came in changed")
    return f"{len(before)} tensors are as before"


def gradients_are_right(subject: Subject) -> str:
    """Gradients to states and weights are those of finite differences, in float64."""
    plan = cases.schema()
    module = subject.module(plan).double()
    graph = cases.graph_of(cases.samples(5, most=3), plan, subject.dim, torch.double)
    x, rng = graph.x.clone().requires_grad_(), torch.Generator().manual_seed(7)
    mix = [torch.randn(rows, subject.dim, generator=rng, dtype=torch.double) for rows in (len(graph), len(x))]

    def value() -> Tensor:
        result: Fused = module(graph.replace(x=x))
        return (result.vector * mix[0]).sum() + (result.graph.x * mix[1]).sum()

    weights = list(module.parameters())
    offs = [_off_slope(what, value, parts, rng)
            for what, parts in (("states", [x]), ("weights", weights)) if parts for _ in range(3)]  # fmt: skip
    return f"{furthest(offs)}, along 3 directions of the states and 3 of {len(weights)} weights"


def _off_slope(what: str, value: Callable[[], Tensor], inputs: Sequence[Tensor], rng: torch.Generator) -> float:
    """How far the slope of a value along a random direction of its inputs is from the one its gradient says."""
    way = [torch.randn(x.shape, generator=rng, dtype=x.dtype) for x in inputs]
    gradients = torch.autograd.grad(value(), inputs, allow_unused=True, materialize_grads=True)
    said = torch.stack([(gradient * own).sum() for gradient, own in zip(gradients, way)]).sum()
    step, seen = 1e-6, []
    with torch.no_grad():
        for by in (step, -2 * step):  # ahead, then behind; that they stay a step aside does not matter
            for x, own in zip(inputs, way):
                x.add_(own, alpha=by)
            seen.append(value())
    return close(f"slope along the {what}", said, (seen[0] - seen[1]) / (2 * step))


def float64_agrees_with_float32(subject: Subject) -> str:
    """Results in float64 are those in float32, more precise."""
    plan, samples = cases.schema(), cases.samples()
    module, graph = subject.module(plan), cases.graph_of(samples, plan, subject.dim)
    laid = tuple(replace(own, weight=None if own.weight is None else own.weight.double()) for own in graph.relations)
    with torch.no_grad():
        single = module(graph)
        double = module.double()(graph.replace(x=graph.x.double(), relations=laid))
    return furthest([close("vector", double.vector, single.vector.double(), bound=1e-3)])


def bfloat16_stays_finite(subject: Subject) -> str:
    """Results and gradients under bfloat16 autocast are finite."""
    plan = cases.schema()
    with torch.autocast("cpu", torch.bfloat16):
        learns("bfloat16", subject.module(plan).train(), cases.samples(), plan, subject.dim)
    return "finite results and gradients"


def large_values_stay_finite(subject: Subject) -> str:
    """States a thousand times as large give finite results and gradients."""
    plan = cases.schema()
    learns("states times 1000", subject.module(plan), cases.samples(), plan, subject.dim, by=1e3)
    return "finite results and gradients"


def zeros_stay_finite(subject: Subject) -> str:
    """States that are all zero give finite results and gradients."""
    plan = cases.schema()
    learns("states of zero", subject.module(plan), cases.samples(), plan, subject.dim, by=0.0)
    return "finite results and gradients"


def evaluation_is_deterministic(subject: Subject) -> str:
    """The same graph gives bit for bit the same in eval mode."""
    plan, samples = cases.schema(), cases.samples()
    again = subject.fused(subject.module(plan), samples, plan)
    return furthest([close_fused("again", again, subject.usual, bound=0)])


def with_and_without_gradients_agree(subject: Subject) -> str:
    """Results under ``torch.no_grad`` are those with gradients."""
    plan, samples = cases.schema(), cases.samples()
    graph = cases.graph_of(samples, plan, subject.dim)
    with_gradients = subject.module(plan)(graph.replace(x=graph.x.clone().requires_grad_()))
    return furthest([close("vector", with_gradients.vector.detach(), subject.usual.vector)])


def another_device_and_back(subject: Subject) -> str:
    """On the GPU, if there is one, it gives the same, and back on the CPU bit for bit."""
    plan, samples = cases.schema(), cases.samples()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    module = subject.module(plan).to(device)
    with torch.no_grad():
        there = module(cases.graph_of(samples, plan, subject.dim, device=device))
    off = close(f"on {device}", there.vector.cpu(), subject.usual.vector, bound=1e-4)
    close_fused("back on the CPU", subject.fused(module.to("cpu"), samples, plan), subject.usual, bound=0)
    return f"{device}: {furthest([off])}"


def _tensors(graph: FusionGraph) -> dict[str, Tensor]:
    """Copies of all that a layer could write into."""
    found = {"x": graph.x, "offsets": graph.offsets, "owners": graph.owners}
    for laid in graph.relations:
        parts = {"pairs": laid.pairs, "weight": laid.weight, "gate": laid.gate}
        found |= {f"{part} of {laid.relation}": x for part, x in parts.items() if x is not None}
    return {name: x.clone() for name, x in found.items()}
