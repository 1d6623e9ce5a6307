"""A training that is killed at any moment and taken up again ends with the same weights, bit for bit.

``python -m benchmarks.run survival`` kills 50 runs a seed at random moments with SIGKILL; the test suite kills five.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from graphfuse.core.errors import InputError

MOMENTS = 50


def run(name: str, out: Path, seeds: Iterable[int], quick: bool, command: str) -> list[dict[str, object]]:
    from benchmarks.rows import row

    seeds, shares, start = list(seeds), [], time.perf_counter()
    for seed in seeds:
        told = apart(out / f"seed-{seed}", 5 if quick else MOMENTS, seed)
        shares.append(sum(told) / len(told))
    took = round(time.perf_counter() - start, 1)
    share = sum(shares) / len(shares)
    return [row(task="survival", method="fit", metric="bit-equal after SIGKILL", mean=share, std=0.0, seeds=seeds,
                split="train", tuned_on="nothing", seconds=took, parameters=0, command=command)]  # fmt: skip


def apart(folder: Path, moments: int, seed: int) -> list[bool]:
    """Whether each killed run ended with the weights of one that was not, tried in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.survival", str(folder), str(moments), str(seed)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(words, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"survival: the trial failed: {done.stderr.strip()[-500:]}")
    return [line == "equal" for line in done.stdout.split()]


def train(folder: Path) -> None:
    """A small training that saves a checkpoint after each of its epochs."""
    import torch

    import graphfuse as gf

    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    samples = [
        gf.Sample(f"s{i}", {"text": torch.randn(1 + i % 4, 16, generator=rng),
                            "image": torch.randn(5, 12, generator=rng)}, target="ab"[i % 2])
        for i in range(96)
    ]  # fmt: skip
    with gf.seeded(0):
        model = gf.FusionModel(gf.Schema.infer(samples), gf.heads.Classify("ab"), "sage", dim=16, dropout=0.3)
    gf.fit(model, samples[:64], samples[64:], folder, epochs=8, batch_size=16, modality_dropout=0.3)


def in_child(folder: Path, kill_after: float | None) -> float:
    """Trains in a forked process, killed after so many seconds if it still runs; gives the seconds that it ran."""
    start = time.monotonic()
    child = os.fork()  # the parent never computes, so that no thread of torch is lost
    if not child:
        try:
            train(folder)
        finally:
            os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return time.monotonic() - start


def weights(folder: Path) -> str:
    path = folder / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"


def main(folder: Path, moments: int, seed: int) -> None:
    import scipy.optimize  # noqa: F401
    import sklearn.metrics  # noqa: F401 - loaded once, here, and not in each child
    import torch._dynamo  # noqa: F401

    import graphfuse.training  # noqa: F401

    rng = random.Random(seed)
    in_child(folder / "warm", None)
    lasts = in_child(folder / "whole", None)
    for number in range(moments):
        killed = folder / f"killed-{number}"
        in_child(killed, rng.uniform(0.0, lasts))
        in_child(killed, None)
        print("equal" if weights(killed) == weights(folder / "whole") != "none" else "different", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
