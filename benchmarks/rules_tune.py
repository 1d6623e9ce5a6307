"""Prints what the settings of ``rules_tasks`` and ``rules_hmc`` were chosen by: networks without rules, on validation.

``python -m benchmarks.rules_tune SET EPOCHS``: for each setting the best epoch and what it reaches there, the mean over
three seeds and five epochs: the share of rows with all labels right, of hierarchies the area under the curve of
precision and recall. No test row is read, and no rule.
"""

import itertools
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from benchmarks.rules_data import TREES, Split, ccn, hmc, structured
from benchmarks.rules_net import Setting, area, cross_entropy, exact_match, logits_of, train

SEEDS, SMOOTH = (0, 1, 2), 5
SPACE = {"width": (128, 512), "dropout": (0.2, 0.5, 0.7), "rate": (3e-4, 1e-3), "hidden": (1, 2), "batch": (128,)}
FEWER = {"width": (512,), "dropout": (0.2, 0.5), "rate": (1e-3,), "hidden": (1, 2), "batch": (128,)}
PUBLISHED = {"width": (500,), "dropout": (0.7,), "rate": (1e-3,), "hidden": (2,), "batch": (64,)}
"""Of hierarchies the published network; but batches of 4 and a rate of 1e-4 take sixteen times as many steps."""


def curve(name: str, split: Split, setting: Setting, seed: int) -> list[float]:
    """What is reached on validation after each epoch."""
    fit, held, counted = (split.part == 0) & ~split.valid, split.valid, split.evaluated
    found = list[float]()

    def told(model: nn.Module) -> None:
        logits, y = logits_of(model, split.x[held]).numpy(), split.y[held]
        tree = name in TREES
        found.append(area(logits[:, counted], y[:, counted]) if tree else float(exact_match(logits > 0, y).mean()))

    train(split.x[fit], split.y[fit], setting, seed, cross_entropy, told)
    return found


def main(name: str, epochs: int) -> None:
    ways: dict[str, tuple[Callable[[str], Split], dict[str, tuple[float, ...]]]] = {
        **dict.fromkeys(TREES, (hmc, PUBLISHED)), **dict.fromkeys(("sushi", "grid"), (structured, FEWER)),
    }  # fmt: skip
    read, space = ways.get(name, (ccn, SPACE))
    split, found = read(name), []
    for values in itertools.product(*space.values()):
        setting = Setting(epochs=epochs, **dict(zip(space, values)))
        mean = np.mean([curve(name, split, setting, seed) for seed in SEEDS], 0)
        smooth = np.convolve(mean, np.ones(SMOOTH) / SMOOTH, "valid")
        best = int(smooth.argmax())
        found.append((smooth[best], replace(setting, epochs=best + (SMOOTH + 1) // 2)))
        print(f"{found[-1][0]:.4f} {found[-1][1]}", flush=True)
    print("best", *max(found, key=lambda each: each[0]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], int(sys.argv[2]))
