"""A model as a folder: opened elsewhere, refused where a file is missing or altered, never half-written."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import contract
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.testing import assert_close

import graphfuse as gf

OPEN = """
import sys, contract, torch, graphfuse as gf
model = gf.FusionModel.from_pretrained(sys.argv[1])
assert not model.training and not any(m.training for m in model.modules())
with torch.no_grad():
    scores = model(model.collate(contract.samples())).scores
torch.save(scores, sys.argv[2])
print([a.value for a in model.predict(contract.samples())])
"""
FULL_DISK = """
import resource, sys, contract, graphfuse as gf
model = contract.model_of("sage", contract.schema())
for folder, limit, notes in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    try:
        model.save_pretrained(folder, notes="n" * int(notes))
    except gf.InputError as error:
        print(error)
"""


class Own(nn.Module):
    def __init__(self, dim: int, schema: gf.Schema, layers: int = 1, shift: float = 0.0):
        super().__init__()
        self.bias = nn.Parameter(torch.randn(dim))
        self.shift = shift

    def forward(self, graph: gf.FusionGraph) -> gf.Fused:
        return gf.Fused(graph, self.bias.expand(len(graph), -1) + self.shift)


class OwnHead(gf.heads.Classify):
    """Not in the catalog."""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    contract.model_of("hgt", contract.schema()).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change(folder: Path, edit: Callable[[dict], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_a_folder_has_two_files_and_says_what_is_in_it(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((saved / "config.json").read_text())
    assert config["model"]["fusion"] == "hgt"
    assert config["head"] == {"head": "classify", "labels": list(contract.LABELS), "weights": None, "features": None}
    assert list(config["schema"]["kinds"].items()) == list(contract.KINDS.items())
    assert config["versions"]["graphfuse"] == gf.__version__


def test_another_process_opens_it_offline_in_eval_mode_with_the_same_scores(saved, run_python, tmp_path):
    done = run_python(OPEN, saved, tmp_path / "scores.pt")
    assert done.returncode == 0, done.stderr
    model = contract.model_of("hgt", contract.schema())
    with torch.no_grad():
        expected = model(model.collate(contract.samples())).scores
    assert_close(torch.load(tmp_path / "scores.pt"), expected, rtol=0, atol=0)
    assert done.stdout.strip() == str([a.value for a in model.predict(contract.samples())])


def test_saving_twice_gives_equal_bytes(tmp_path):
    for name in "ab":
        contract.model_of("rgcn", contract.schema()).save_pretrained(tmp_path / name)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_further_values_are_kept_in_the_config(tmp_path):
    contract.model_of("sage", contract.schema()).save_pretrained(tmp_path, command="graphfuse train x.toml")
    assert json.loads((tmp_path / "config.json").read_text())["command"] == "graphfuse train x.toml"
    assert gf.FusionModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(gf.InputError, match=rf"{name}: there is no such file; a saved model has config\.json and "):
        gf.FusionModel.from_pretrained(saved)


@pytest.mark.parametrize("spoil", [
    lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[: len(data) // 2], lambda data: b"",
], ids=["a bit", "cut off", "empty"])  # fmt: skip
def test_altered_weights_are_noticed(saved, spoil):
    path = saved / "model.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(gf.InputError, match=r"model\.safetensors: the file was altered after it was saved"):
        gf.FusionModel.from_pretrained(saved)


def without_checksum(config: dict) -> None:
    del config["sha256"]


@pytest.mark.parametrize(
    "edit", [lambda tensors: tensors.pop("hub"), lambda tensors: tensors.update(more=torch.ones(1))]
)
def test_keys_are_strict(saved, edit):
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    edit(tensors)
    safetensors.torch.save_file(tensors, saved / "model.safetensors")
    change(saved, without_checksum)
    with pytest.raises(gf.InputError, match=r"model\.safetensors: does not hold the weights of this model"):
        gf.FusionModel.from_pretrained(saved)


@pytest.mark.parametrize("edit", [
    lambda c: c.pop("model"), lambda c: c.pop("schema"), lambda c: c["model"].update(colour="red"),
    lambda c: c["model"].update(dim="wide"), lambda c: c["model"].update(dim=16), lambda c: c["model"].update(dim=-8),
    lambda c: c["model"].update(dropout=7.0), lambda c: c["model"].update(fusion="htg"),
    lambda c: c["head"].update(head="clasify"), lambda c: c["schema"].update(edges=[{"edge": "Nothing"}]),
    lambda c: c["schema"].update(kinds={}), lambda c: c.update(sha256=None), lambda c: c.update(encoders=[1]),
], ids=range(13))  # fmt: skip
def test_a_config_that_is_no_longer_one_gives_one_sentence(saved, edit):
    change(saved, edit)
    with pytest.raises(gf.InputError) as caught:
        gf.FusionModel.from_pretrained(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("edit", [
    lambda c: c["head"]["labels"].reverse(), lambda c: c["schema"]["edges"][5].update(k=1),
], ids=["labels", "edge builder"])  # fmt: skip
def test_an_altered_config_that_still_fits_the_weights_is_noticed(saved, edit):
    change(saved, edit)
    with pytest.raises(gf.InputError, match=r"config\.json.*altered"):
        gf.FusionModel.from_pretrained(saved)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "3"])
def test_a_config_that_is_no_json_object_is_named(saved, text):
    (saved / "config.json").write_text(text)
    with pytest.raises(gf.InputError, match=r"config\.json"):
        gf.FusionModel.from_pretrained(saved)


def test_an_own_fusion_is_given_again_to_open_its_model(tmp_path):
    model = gf.FusionModel(contract.schema(), gf.heads.Classify(contract.LABELS), Own, dim=8, shift=0.5).eval()
    model.save_pretrained(tmp_path)
    with pytest.raises(gf.InputError, match=r"fusion of your own \(Own\); give it: from_pretrained\(folder, fusion=Y"):
        gf.FusionModel.from_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path, fusion=Own)
    assert again.predict(contract.samples()) == model.predict(contract.samples())


def test_an_own_head_is_given_again_to_open_its_model(tmp_path):
    head = OwnHead(contract.LABELS)
    model = gf.FusionModel(contract.schema(), head, "sage", dim=8).eval()
    model.save_pretrained(tmp_path)
    with pytest.raises(gf.InputError, match=r"head of your own \(OwnHead\); give it: from_pretrained\(folder, head=y"):
        gf.FusionModel.from_pretrained(tmp_path)
    assert gf.FusionModel.from_pretrained(tmp_path, head=head).predict(contract.samples()) == model.predict(
        contract.samples()
    )


class PlainHead:
    """A head of a user's own that is no dataclass."""

    metric, best = "accuracy", "max"

    def __init__(self) -> None:
        self.inner = gf.heads.Classify(contract.LABELS)

    def __getattr__(self, name: str) -> object:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)


def test_an_own_head_need_not_be_a_dataclass(tmp_path):
    model = gf.FusionModel(contract.schema(), PlainHead(), "sage", dim=8).eval()
    model.save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path, head=PlainHead())
    assert again.predict(contract.samples()) == model.predict(contract.samples())


def test_a_model_with_a_layer_of_pyg_given_as_a_function_is_saved_or_refused_in_one_sentence(tmp_path):
    from torch_geometric.nn import SAGEConv

    def conv(dim: int, plan: gf.Schema) -> nn.Module:
        return SAGEConv(dim, dim)

    model = gf.FusionModel(contract.schema(), gf.heads.Classify(contract.LABELS), "pyg", dim=8, conv=conv).eval()
    with contextlib.suppress(gf.InputError):  # one clear sentence is well, a crash is not
        model.save_pretrained(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, run_python: Callable) -> tuple[Path, Path, list[str], list]:
    """Two saved models over which another was to be saved, on a disk that was full at once or after the weights."""
    folders = [tmp_path_factory.mktemp("full") / name for name in ("at once", "after the weights")]
    for folder in folders:
        contract.model_of("hgt", contract.schema()).save_pretrained(folder)
    answers = gf.FusionModel.from_pretrained(folders[0]).predict(contract.samples())
    room = 4 * (folders[0] / "model.safetensors").stat().st_size
    done = run_python(FULL_DISK, folders[0], 2_000, 0, folders[1], room, 2 * room)
    assert done.returncode == 0, done.stderr
    return *folders, done.stdout.splitlines(), answers


def test_a_full_disk_leaves_the_model_that_was_there(filled):
    folder, _, said, before = filled
    assert said[0] == f"{folder}/model.safetensors: cannot be written (File too large); what was there is kept."
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert gf.FusionModel.from_pretrained(folder).predict(contract.samples()) == before


def test_a_disk_that_is_full_after_the_weights_leaves_the_model_that_was_there(filled):
    _, folder, said, before = filled
    assert "cannot be written" in said[1]
    assert gf.FusionModel.from_pretrained(folder).predict(contract.samples()) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(gf.InputError, match=r"file/model/model\.safetensors: cannot be written"):
        contract.model_of("sage", contract.schema()).save_pretrained(tmp_path / "file" / "model")


HUB = """
import sys, traceback, contract, graphfuse as gf
model = contract.model_of("sage", contract.schema())
for name in ("someone/model", "no/such/model"):
    for act in (gf.FusionModel.from_pretrained, model.push_to_hub):
        try:
            act(name)
        except gf.InputError as error:
            print(error)
        except Exception as error:
            print(type(error).__name__, *str(error).splitlines()[:1])
"""
UNREACHABLE = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_TOKEN": "none"}


@pytest.fixture(scope="module", params=["offline", "unreachable"])
def said(request: pytest.FixtureRequest, run_python: Callable, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is said when a model is opened from or pushed to a hub without network, and then by an impossible name."""
    environment = {"offline": {"HF_HUB_OFFLINE": "1"}, "unreachable": UNREACHABLE}[request.param]
    done = run_python(HUB, HF_HOME=str(tmp_path_factory.mktemp("hub")), **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "advice"), [(0, "give the folder"), (1, "save_pretrained(folder)")], ids=["open", "push"]
)
def test_a_hub_that_cannot_be_reached_gives_one_sentence_with_the_way_out(line, advice, said):
    assert said[line].startswith("'someone/model' ")
    assert advice in said[line]
    assert len(said) == 4


@pytest.mark.parametrize("line", [2, 3], ids=["open", "push"])
def test_a_name_that_no_hub_has_gives_one_sentence(line, said):
    assert "no/such/model" in said[line]
    assert not said[line].startswith("HFValidationError")
