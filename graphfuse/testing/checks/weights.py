"""Weights: where they come from, what they take in, how they are kept; and where randomness comes from."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graphfuse.core.seed import seeded
from graphfuse.model import FusionModel
from graphfuse.testing import cases
from graphfuse.testing.subject import Fault, Subject, close, close_fused, furthest


def weights_are_a_function_of_the_seed(subject: Subject) -> str:
    """Made twice from one seed, weights and results are bit-equal."""
    plan, samples = cases.schema(), cases.samples()
    one, other = (subject.fresh(plan).eval() for _ in range(2))
    _same_weights("made again", other.state_dict(), one.state_dict())
    return furthest([close_fused("made again", subject.fused(other, samples, plan), subject.fused(one, samples, plan),
                                 bound=0)])  # fmt: skip


def making_it_sets_no_seed(subject: Subject) -> str:
    """What is drawn after making it still depends on the caller's seed."""
    plan, drawn = cases.schema(), []
    for seed in (1, 2):
        with seeded(seed):
            subject.made(plan)
            drawn.append({"torch": float(torch.rand(())), "random": random.random(), "numpy": float(np.random.rand())})
    if set_ := [name for name in drawn[0] if drawn[0][name] == drawn[1][name]]:
        raise Fault(f"making it sets the seed of {', '.join(set_)}")
    return "torch, random and numpy go on from the caller's seed"


def prediction_draws_no_random_number(subject: Subject) -> str:
    """In eval mode no random state moves."""
    plan = cases.schema()
    module = subject.module(plan)
    before = _random_states()
    subject.fused(module, cases.samples(), plan)
    if moved := [name for name, state in _random_states().items() if state != before[name]]:
        raise Fault(f"prediction draws from {', '.join(moved)}")
    return "torch, random and numpy are as before"


def buffers_do_not_depend_on_batches(subject: Subject) -> str:
    """Running it in train mode changes no buffer: nothing is kept of a batch."""
    plan = cases.schema()
    module = subject.module(plan).train()
    before = {name: x.clone() for name, x in module.state_dict().items()}
    subject.fused(module, [cases.large(), *cases.samples()], plan)
    _same_weights("after a batch", module.state_dict(), before)
    return f"{sum(1 for _ in module.buffers())} buffers, as before"


def every_weight_can_learn(subject: Subject) -> str:
    """Every weight is reached by the gradient of vectors or node states, and every matrix gets one that is not zero."""
    plan = cases.schema(hubs=False)  # attention to a hub alone has one outcome, whatever the weights
    module = subject.module(plan)
    result = module(cases.graph_of(cases.samples(), plan, subject.dim))
    rng = torch.Generator().manual_seed(6)
    loss = sum((x * torch.randn(x.shape, generator=rng)).sum() for x in (result.vector, result.graph.x))
    parameters = {name: weight for name, weight in module.named_parameters() if weight.numel()}
    if parameters:
        loss.backward()
    idle = [
        name
        for name, own in parameters.items()
        if own.grad is None or (own.ndim > 1 and len(own) > 1 and not own.grad.any())
    ]  # a softmax cancels a bias
    if idle:
        raise Fault(f"no gradient reaches {', '.join(idle[:5])} ({len(idle)} of {len(parameters)} weights)")
    return f"{len(parameters)} weights"


def a_state_dict_loads_strictly(subject: Subject) -> str:
    """Weights of one, loaded into another made from another seed, give bit-equal results."""
    plan, samples = cases.schema(), cases.samples()
    other = subject.fresh(plan, seed=4).eval()
    other.load_state_dict(subject.module(plan).state_dict(), strict=True)
    return furthest([close_fused("loaded", subject.fused(other, samples, plan), subject.usual, bound=0)])


def saved_and_opened_is_bit_equal(subject: Subject) -> str:
    """A model with it, saved and opened, is bit-equal and in eval mode."""
    model = subject.model(cases.schema())
    own = {name: value for name, value in {"fusion": subject.fusion, **subject.options}.items() if callable(value)}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        again = FusionModel.from_pretrained(folder, **own)
    if again.training:
        raise Fault("the opened model is in train mode")
    _same_weights("opened", again.state_dict(), model.state_dict())
    batch = model.collate(cases.samples())
    with torch.no_grad():
        return furthest([close("scores", again(batch).scores, model(batch).scores, bound=0)])


def a_deep_copy_is_equal_and_apart(subject: Subject) -> str:
    """A deep copy gives bit for bit the same, and shares no weight."""
    plan, samples = cases.schema(), cases.samples()
    module, before = subject.module(plan), subject.usual
    copied = copy.deepcopy(module)
    offs = [close_fused("copied", subject.fused(copied, samples, plan), before, bound=0)]
    nn.utils.vector_to_parameters(torch.zeros(sum(w.numel() for w in copied.parameters())), copied.parameters())
    offs.append(close_fused("after the copy changed", subject.fused(module, samples, plan), before, bound=0))
    return furthest(offs)


def _same_weights(what: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    if found.keys() != expected.keys():
        raise Fault(f"{what}: other weights, {', '.join(sorted(found.keys() ^ expected.keys()))}")
    if differing := [name for name, x in found.items() if not torch.equal(x, expected[name])]:
        raise Fault(f"{what}: {', '.join(differing[:5])} differ")


def _random_states() -> dict[str, Any]:
    array: dict[str, Any] = np.random.get_state(legacy=False)["state"]
    return {
        "torch": torch.get_rng_state().tolist(),
        "random": random.getstate(),
        "numpy": (array["key"].tobytes(), array["pos"]),
    }
