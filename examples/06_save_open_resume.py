"""A run folder: training that was cut off goes on as if nothing had happened, and the model opens anywhere."""

import json
import tempfile
from pathlib import Path

import torch

import graphfuse as gf


def make(number: int) -> gf.Sample:
    """The number to be found is the sum of two numbers, one in each kind."""
    rng = torch.Generator().manual_seed(number)
    nodes = {"left": torch.randn(1, 2, generator=rng), "right": torch.randn(1, 2, generator=rng)}
    return gf.Sample(f"sum/{number}", nodes, target=float(nodes["left"][0, 0] + nodes["right"][0, 0]))


class CutOff(list):
    """Samples that can be read so many times; then somebody closes the laptop."""

    left = 250

    def __getitem__(self, place: int) -> gf.Sample:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().__getitem__(place)


train, valid = [make(number) for number in range(64)], [make(number) for number in range(64, 96)]
schema = gf.Schema.infer(train)
budget = {"epochs": 8, "learning_rate": 2e-2, "seed": 0}


def untrained() -> gf.FusionModel:
    with gf.seeded(0):
        return gf.FusionModel(schema, gf.heads.Regress(), "concat", dim=16)


with tempfile.TemporaryDirectory() as folder:
    whole = gf.fit(untrained(), train, valid, Path(folder) / "whole", **budget)

    run = Path(folder) / "cut"
    try:
        gf.fit(untrained(), CutOff(train), valid, run, **budget)
    except KeyboardInterrupt:
        print(f"cut off; the folder holds {sorted(path.name for path in run.iterdir() if path.name[0] != '.')}")
    resumed = gf.fit(untrained(), train, valid, run, **budget)  # the same call takes it up after its last whole epoch
    print(f"as if never cut off: {resumed.metrics == whole.metrics}")

    print(f"a finished run: {sorted(path.name for path in run.iterdir() if path.name[0] != '.')}")
    print(f"metrics: {json.loads((run / 'metrics.json').read_text())}")
    model = gf.FusionModel.from_pretrained(run)  # eval mode, offline, strict
    print(f"answer: {model.predict([make(1000)])[0].value:.2f}, truth: {make(1000).target:.2f}")
    (run / "model.safetensors").write_bytes(b"something else")
    try:
        gf.FusionModel.from_pretrained(run)
    except gf.InputError as error:
        print(str(error).replace(folder, "..."))
