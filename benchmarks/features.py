"""Frozen features of 10,000 texts and 1,000 pictures: computed once, then read from the cache, equal bit for bit."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.rows import row
from graphfuse.core.errors import InputError
from graphfuse.core.machine import peak_memory
from graphfuse.encoders import ENCODERS, Cache

TEXTS, PICTURES = 10_000, 1_000
WORDS = ["the", "left", "right", "upper", "lower", "lung", "heart", "bone", "shows", "no", "clear", "dense", "mass"]


def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str) -> list[dict[str, object]]:
    seeds, share = list(seeds), 20 if quick else 1
    found: dict[str, list[tuple[float, float]]] = {"text": [], "image": []}
    for seed in seeds:
        rng = random.Random(seed)
        texts = [" ".join(rng.choices(WORDS, k=rng.randint(4, 16))) + f" {i}" for i in range(TEXTS // share)]
        pictures = [drawn(out / "pictures", f"{seed}-{i}", rng) for i in range(PICTURES // share)]
        for kind, values in (("text", texts), ("image", pictures)):
            found[kind].append(timed(kind, values, out / f"cache-{kind}-{seed}"))
    print(f"peak memory: {peak_memory()}")
    return [
        row(task="features", method=kind, metric=metric, mean=fmean(values), seeds=seeds, split="none", command=command,
            std=stdev(values) if len(values) > 1 else 0.0, tuned_on="nothing", parameters=0,
            seconds=round(sum(map(sum, pairs)), 1))
        for kind, pairs in found.items() for metric, values in (
            ("times faster from the cache", [a / b for a, b in pairs]),
            ("seconds, computed", [a for a, _ in pairs]), ("seconds, cached", [b for _, b in pairs]),
        )
    ]  # fmt: skip


def drawn(folder: Path, name: str, rng: random.Random) -> str:
    """A picture of coloured noise, as a file."""
    path = folder / f"{name}.png"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        small = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((320, 240)).save(path)
    return str(path)


def timed(kind: str, values: Sequence[Any], folder: Path) -> tuple[float, float]:
    """Seconds to compute, and to read from the cache in a fresh encoder; the features must be equal."""
    cache = Cache(folder)
    cache.clear()
    seconds, features = [], []
    for _ in range(2):
        start = time.perf_counter()
        features.append(ENCODERS[kind]().encode(values, cache=cache))
        seconds.append(time.perf_counter() - start)
    if not all(a.equal(b) for a, b in zip(*features, strict=True)):
        raise InputError(f"features: {kind} features from the cache differ from those computed.")
    return seconds[0], seconds[1]
