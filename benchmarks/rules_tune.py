"""Prints what the settings of ``rules_tasks`` and ``rules_hmc`` were chosen by, each method by itself, on validation.

``python -m benchmarks.rules_tune SET EPOCHS [SEEDS [METHOD]]``: of each method and setting the best epoch and what is
reached there, the mean over seeds (three if not said) and five epochs: the share of rows with all labels right as the
method answers, of hierarchies the area under the curve of precision and recall. All methods have the same grid, and no
test row is read.
"""

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import rules_hmc, rules_together
from benchmarks.rules_data import TREES
from benchmarks.rules_net import Loss, Setting, area, cross_entropy, exact_match, logits_of, train
from benchmarks.rules_rows import OURS, RAW
from benchmarks.rules_tasks import given_rules, task

SMOOTH = 5
Grid = Mapping[str, tuple[float, ...]]
Curve = Callable[[Setting], np.ndarray]
"""What is reached on validation after each epoch, the mean over seeds."""
STRUCTURED: Grid = {"width": (512,), "dropout": (0.2, 0.5), "rate": (1e-3,), "hidden": (1, 2), "batch": (128,)}
TREE: Grid = {"width": (500,), "dropout": (0.7,), "rate": (1e-3,), "hidden": (2,), "batch": (64,)}
SPACES: Mapping[str, Grid] = {
    "yeast": {"width": (512,), "dropout": (0.5, 0.7), "rate": (3e-4, 1e-3), "hidden": (2,), "batch": (128,)},
    "enron": {"width": (128,), "dropout": (0.2, 0.5), "rate": (1e-3,), "hidden": (1, 2), "batch": (128,)},
    "sushi": STRUCTURED, "grid": STRUCTURED, **dict.fromkeys(TREES, TREE),
}  # fmt: skip
"""Of yeast and enron those near what was best without rules among 24 and 16 settings of width, dropout, rate and depth.
Of hierarchies the published network; but batches of 4 and a rate of 1e-4 take sixteen times as many steps."""


def curves(name: str, seeds: Sequence[int]) -> dict[str, Curve]:
    """Of a set with mined rules or of structured answers: without rules and with them."""
    own = task(name)
    split, rules = own.read(), own.rules()
    fit, held = (split.part == 0) & ~split.valid, split.valid
    x, count = torch.from_numpy(split.x[held]), split.y.shape[1]

    def of(loss: Loss, answer: Callable[[Tensor], Tensor]) -> Curve:
        def curve(setting: Setting, seed: int) -> list[float]:
            found = list[float]()

            def told(model: nn.Module) -> None:
                each = answer(own.told(logits_of(model, split.x[held]), x))[:, :count].numpy()
                found.append(float(exact_match(each, split.y[held]).mean()))

            train(split.x[fit], split.y[fit], setting, seed, loss, told)
            return found

        return lambda setting: np.mean([curve(setting, seed) for seed in seeds], 0)

    return {RAW: of(cross_entropy, lambda logits: logits > 0), OURS: of(given_rules(rules, own.told), rules.answer)}


def tree_curves(name: str, seeds: Sequence[int]) -> dict[str, Curve]:
    """Of a hierarchy."""
    split = rules_hmc.hmc(name)
    (x, y), (held, truth), counted = split.rows(0), split.rows(1), split.evaluated

    def of(method: rules_hmc.Method) -> Curve:
        def curve(setting: Setting) -> np.ndarray:
            found = list[float]()

            def told(weights: rules_together.Weights) -> None:
                each = map(method.scores, rules_together.logits_of(weights, held))
                found.append(np.mean([area(scores[:, counted].numpy(), truth[:, counted]) for scores in each]))

            rules_hmc.trained(method, x, y, setting, seeds, told)
            return np.array(found)

        return curve

    return {who: of(method) for who, method in rules_hmc.methods(name).items()}


def main(name: str, epochs: int, seeds: int = 3, *methods: str) -> None:
    space, ways = SPACES[name], (tree_curves if name in TREES else curves)(name, range(seeds))
    for method in methods or ways:
        found = []
        for values in itertools.product(*space.values()):
            setting = Setting(epochs=epochs, **dict(zip(space, values)))
            smooth = np.convolve(ways[method](setting), np.ones(SMOOTH) / SMOOTH, "valid")
            best = int(smooth.argmax())
            found.append((smooth[best], replace(setting, epochs=best + (SMOOTH + 1) // 2)))
            print(f"{method}: {found[-1][0]:.4f} {found[-1][1]}", flush=True)
        print(f"{method}: best", *max(found, key=lambda each: each[0]), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1], *map(int, sys.argv[2:4]), *sys.argv[4:])
