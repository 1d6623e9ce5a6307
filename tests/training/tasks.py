"""A task that is learned in a few epochs, and models for it; used by the tests here and by fresh processes."""

from collections.abc import Callable

import torch

import graphfuse as gf

PLAN = gf.Schema(
    {"text": 6, "image": 4}, [gf.AllPairs("text", "image", direction="both"), gf.Nearest("text", "image", k=1)]
)


def split(name: str, count: int, seed: int, noisy: bool = False) -> list[gf.Sample]:
    """Samples whose first text feature is mostly positive for "b"; some lack images. ``noisy``: labels by chance."""
    rng = torch.Generator().manual_seed(seed)
    made = []
    for i in range(count):
        sign, chance = (bool(torch.rand((), generator=rng) > 0.5) for _ in range(2))
        nodes = {"text": torch.randn(1 + i % 3, 6, generator=rng), "image": torch.randn(2, 4, generator=rng)}
        nodes["text"][:, 0] += 2.0 if sign else -2.0
        if i % 4 == 3:
            del nodes["image"]
        made.append(gf.Sample(f"{name}/{i}", nodes, target="ab"[chance if noisy else sign]))
    return made


TRAIN, VALID, TEST = split("train", 48, 1), split("valid", 16, 2), split("test", 24, 3)


def model(fusion: str = "sage", seed: int = 0, **settings: object) -> gf.FusionModel:
    """An untrained model; the same weights for the same seed."""
    with gf.seeded(seed):
        return gf.FusionModel(PLAN, gf.heads.Classify("ab"), fusion, dim=8, **{"layers": 1, **settings})


def maker(fusion: str) -> Callable[[], gf.FusionModel]:
    """What ``compare`` calls under its seed."""
    return lambda: gf.FusionModel(PLAN, gf.heads.Classify("ab"), fusion, dim=8, layers=1)
