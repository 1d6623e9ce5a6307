"""A model as a folder: settings as JSON, weights as safetensors; nothing in it is ever executed.

``config.json`` holds the schema, the fusion with its options, the head with its labels, the trained encoders and the
checksum of the weights, so that the model opens on another machine, offline, and an altered file is noticed.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.files import read_json, sha256, write_bytes, write_json
from graphfuse.core.graph import Schema
from graphfuse.edges import EDGES
from graphfuse.encoders import ENCODERS
from graphfuse.heads import HEADS
from graphfuse.model import FusionModel

CONFIG, WEIGHTS = "config.json", "model.safetensors"
VERSIONED = ("graphfuse", "torch", "torch-geometric", "transformers")


def save(model: FusionModel, folder: Path, extra: dict[str, Any]) -> None:
    """Writes a model's two files whole; a full disk leaves what was there.

    Args:
        model: The one to save.
        folder: Made if need be.
        extra: Further values for ``config.json`` (preprocessing, the command, ...).
    """
    tensors = {name: x.detach().cpu().contiguous() for name, x in model.state_dict().items()}
    data = safetensors.torch.save(tensors, {"format": "pt"})
    write_bytes(folder / WEIGHTS, data)
    write_json(folder / CONFIG, {**describe(model), **extra, "sha256": {WEIGHTS: sha256(folder / WEIGHTS)}})


def describe(model: FusionModel) -> dict[str, Any]:
    """What ``config.json`` says of a model, beside the checksum."""
    fusion = model.settings["fusion"]
    heads = {part: name for name, part in HEADS.items()}
    encoders: dict[type, str] = {part: name for name, part in ENCODERS.items()}
    trained: dict[str, Any] = dict(model.encoders.items())
    return {
        "model": {**model.settings, "fusion": fusion if isinstance(fusion, str) else None},
        "schema": model.schema.to_dict(),
        "head": {"head": heads.get(type(model.head)), **asdict(model.head)},
        "encoders": {k: {"encoder": encoders[type(e)], **e.config()} for k, e in trained.items()},
        "versions": {name: version(name) for name in VERSIONED},
    }


def load(folder: str | Path, fusion: Any = None, head: Any = None, revision: str | None = None) -> FusionModel:
    """Opens a saved model in eval mode.

    Args:
        folder: A folder, or the name of a repository on a model hub.
        fusion: The class, where the model was made with a user's own.
        head: The head, where the model was made with a user's own.
        revision: Of the hub repository.

    Raises:
        InputError: A file is missing, altered or of another make; a hub that cannot be reached.
    """
    path = Path(folder)
    if not path.is_dir():
        path = _fetch(str(folder), revision)
    for name in (CONFIG, WEIGHTS):
        if not (path / name).is_file():
            raise InputError(f"{path / name}: there is no such file; a saved model has {CONFIG} and {WEIGHTS}.")
    config = read_json(path / CONFIG)
    try:
        model = _build(config, fusion, head, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path / CONFIG}: is not the config of a saved model ({error}).") from error
    _fill(model, path / WEIGHTS, config.get("sha256", {}).get(WEIGHTS))
    return model.eval()


def push(model: FusionModel, repository: str, private: bool = False, message: str = "Upload a graphfuse model") -> str:
    """Uploads a model to a hub repository, which is made if need be, and gives its address.

    Raises:
        InputError: The hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder), {})
        try:
            made = HfApi().create_repo(repository, private=private, exist_ok=True)
            HfApi().upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
        except (OSError, HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled) as error:
            raise InputError(f"{repository!r} could not be uploaded ({_first_line(error)}); save_pretrained(folder) "
                             "writes the same files to a folder.") from error  # fmt: skip
    return str(made)


def _build(config: dict[str, Any], fusion: Any, head: Any, path: Path) -> FusionModel:
    settings, described = dict(config["model"]), dict(config["head"])
    name = settings.pop("fusion")
    if name is None and fusion is None:
        raise InputError(f"{path}: the model has a fusion of your own; give it: from_pretrained(.., fusion=YourClass).")
    kind_of_head = described.pop("head")
    if kind_of_head is None and head is None:
        raise InputError(f"{path}: the model has a head of your own; give it: from_pretrained(.., head=your_head).")
    trained = {}
    for kind, entry in config["encoders"].items():
        own = dict(entry)
        trained[kind] = look_up(ENCODERS, own.pop("encoder"), "encoder")(**own)
    schema = Schema.from_dict(config["schema"], EDGES)
    made = head if head is not None else look_up(HEADS, kind_of_head, "head")(**described)
    return FusionModel(schema, made, fusion if fusion is not None else name, encoders=trained, **settings)


def _fill(model: nn.Module, path: Path, expected: str | None) -> None:
    if expected is not None and sha256(path) != expected:
        raise InputError(f"{path}: the file was altered after it was saved (its checksum differs from {CONFIG}).")
    try:
        tensors = safetensors.torch.load_file(path)
        model.load_state_dict(tensors, strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: does not hold the weights of this model ({_first_line(error)}).") from error


def _fetch(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=[CONFIG, WEIGHTS]))
    except HFValidationError:
        raise InputError(f"{repository}: there is no such folder.") from None
    except Exception as error:
        raise InputError(f"{repository!r} is no folder here, and the hub did not give it ({_first_line(error)}); "
                         "download it on a machine with network and give the folder.") from error  # fmt: skip


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
