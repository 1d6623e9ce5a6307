"""A model as a folder: settings as JSON, weights as safetensors; nothing in it is ever executed.

``config.json`` holds the schema, the fusion with its options, the head with its labels, the trained encoders, how rules
are used and the checksums of itself and the other files, so that the model opens on another machine, offline, and an
altered file is noticed. Rules are a text of their own, over the labels of the head. Parts of a user's own are recorded
by name only and have to be given again.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from graphfuse.core.catalog import look_up
from graphfuse.core.errors import InputError
from graphfuse.core.files import read_json, sha256, write_all
from graphfuse.core.schema import Schema
from graphfuse.edges import EDGES
from graphfuse.encoders import ENCODERS
from graphfuse.heads import HEADS
from graphfuse.model.fusion_model import FusionModel
from graphfuse.model.ruled import Ruled, plain
from graphfuse.rules import Budget, RuleSet, RuleWarning
from graphfuse.rules.language import parse
from graphfuse.rules.vocabulary import Vocabulary

CONFIG, WEIGHTS, RULES = "config.json", "model.safetensors", "rules.txt"
VERSIONED = ("graphfuse", "torch", "torch-geometric", "transformers")
OWN = "own: "
"""How a part that is in no catalog is recorded."""


def save(model: FusionModel, folder: Path, extra: Mapping[str, Any]) -> None:
    """Writes a model's files, all or none; a full disk leaves what was there.

    Args:
        model: The one to save.
        folder: Made if need be.
        extra: Further values for ``config.json`` (preprocessing, the command, ...).

    Raises:
        InputError: The folder cannot be written.
    """
    tensors = {name: x.detach().cpu().clone(memory_format=torch.contiguous_format)  # tied ones are saved twice
               for name, x in model.state_dict().items()}  # fmt: skip
    data = safetensors.torch.save(tensors, {"format": "pt"})
    files = {WEIGHTS: data} | ({} if model.rules is None else {RULES: f"{model.rules}\n".encode()})
    config = {**describe(model), **extra}
    config["sha256"] = {name: hashlib.sha256(own).hexdigest() for name, own in files.items()}
    config["sha256"][CONFIG] = _own_checksum(config)
    files[CONFIG] = (json.dumps(config, ensure_ascii=False, indent=2) + "\n").encode()
    write_all({folder / name: own for name, own in files.items()})
    if model.rules is None:
        (folder / RULES).unlink(missing_ok=True)


def describe(model: FusionModel) -> dict[str, Any]:
    """What ``config.json`` says of a model, as plain values, beside the checksums."""
    encoders: dict[str, Any] = dict(model.encoders.items())
    own = plain(model.head)
    head = own.config() if hasattr(own, "config") else {}
    told = {
        "model": {key: _plain(value) for key, value in model.settings.items()},
        "schema": model.schema.to_dict(),
        "head": {"head": _name(HEADS, own), **head},
        "encoders": {kind: {"encoder": _name(ENCODERS, e), **e.config()} for kind, e in encoders.items()},
        "versions": {name: version(name) for name in VERSIONED},
    }
    if isinstance(model.head, Ruled):
        told["rules"] = model.head.config()
    return json.loads(json.dumps(told, default=str))


def load(
    folder: str | Path,
    fusion: Any = None,
    head: Any = None,
    encoders: Mapping[str, Any] | None = None,
    edges: Sequence[Any] = (),
    revision: str | None = None,
    **options: Any,
) -> FusionModel:
    """Opens a saved model in eval mode.

    Args:
        folder: A folder, or the name of a repository on a model hub.
        fusion: The class, where the model was made with one of your own.
        head: The head, where the model was made with one of your own.
        encoders: kind -> encoder, where the model was made with one of your own.
        edges: Classes of your own edge builders.
        revision: Of the hub repository.
        options: Options of the fusion that were functions.

    Raises:
        InputError: A file is missing, altered or of another make, a part of your own is not given, or a hub cannot be
            reached.
    """
    path = Path(folder)
    if not path.is_dir():
        path = _fetch(str(folder), revision)
    for name in (CONFIG, WEIGHTS):
        if not (path / name).is_file():
            raise InputError(f"{path / name}: there is no such file; a saved model has {CONFIG} and {WEIGHTS}.")
    config = read_json(path / CONFIG)
    try:
        _check_sums(config, path)
        model = _build(config, path, fusion, head, encoders or {}, edges, options)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path / CONFIG}: is not the config of a saved model ({_first_line(error)}).") from error
    _fill(model, path / WEIGHTS)
    return model.eval()


def push(model: FusionModel, repository: str, private: bool = False, message: str = "Upload a graphfuse model") -> str:
    """Uploads a model to a hub repository, which is made if need be, and gives its address.

    Raises:
        InputError: The hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder), {})
        try:
            made = HfApi().create_repo(repository, private=private, exist_ok=True)
            HfApi().upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
        except Exception as error:  # the hub's client raises many kinds, its transport's own among them
            raise InputError(f"{repository!r} could not be uploaded ({_first_line(error)}); save_pretrained(folder) "
                             "writes the same files to a folder.") from error  # fmt: skip
    return str(made)


def _build(config: Mapping[str, Any], path: Path, fusion: Any, head: Any, encoders: Mapping[str, Any],
           edges: Sequence[Any], options: Mapping[str, Any]) -> FusionModel:  # fmt: skip
    settings, described = {**config["model"], **options}, dict(config["head"])
    fusion = _given(settings.pop("fusion"), fusion, "fusion", "fusion=YourClass")
    for key, value in settings.items():
        _given(value, None, f"option {key}", f"{key}=your_function")
    name = described.pop("head")
    head = _given(name, head, "head", "head=your_head")
    trained = {}
    for kind, entry in config["encoders"].items():
        own = dict(entry)
        made = _given(own.pop("encoder"), encoders.get(kind), f"encoder of {kind!r}", f"encoders={{{kind!r}: yours}}")
        trained[kind] = look_up(ENCODERS, made, "encoder")(**own) if isinstance(made, str) else made
    schema = Schema.from_dict(config["schema"], EDGES | {part.__name__: part for part in edges})
    head = look_up(HEADS, head, "head")(**described) if isinstance(head, str) else head
    return FusionModel(schema, head, fusion, encoders=trained, **_rules(config, path, head), **settings)


def _rules(config: Mapping[str, Any], path: Path, head: Any) -> dict[str, Any]:
    """How ``FusionModel`` is told of saved rules, if there are any."""
    if "rules" not in config:
        return {}
    told, labels, file = config["rules"], tuple(map(str, head.labels)), path / RULES
    with warnings.catch_warnings(action="ignore", category=RuleWarning):  # said when they were made
        found = tuple(parse(file.read_text("utf-8"), Vocabulary(labels), str(file)))
        rules = RuleSet(labels, found, str(file), Budget(**told["budget"]))
    return {"rules": rules, "rule_mode": told["mode"], "rule_weight": told["weight"]}


def _given(recorded: Any, given: Any, what: str, how: str) -> Any:
    """A part by its recorded name, or the one that the caller gave; a recorded own part has to be given."""
    if given is not None:
        return given
    if isinstance(recorded, str) and recorded.startswith(OWN):
        raise InputError(f"the model has a {what} of your own ({recorded.removeprefix(OWN)}); give it: "
                         f"from_pretrained(folder, {how}).")  # fmt: skip
    return recorded


def _check_sums(config: Mapping[str, Any], path: Path) -> None:
    sums = config.get("sha256", {})
    names = [WEIGHTS, *([RULES] if "rules" in config else [])]
    for name, found in [(CONFIG, _own_checksum(config)), *((name, sha256(path / name)) for name in names)]:
        if sums.get(name, None if "rules" in config else found) != found:  # models without rules may be older than sums
            raise InputError(f"{name}: the file was altered after it was saved (its checksum differs).")


def _own_checksum(config: Mapping[str, Any]) -> str:
    told = {key: value for key, value in config.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _fill(model: nn.Module, path: Path) -> None:
    try:
        weights = safetensors.torch.load_file(path)
        weights.setdefault("temperature", torch.ones(()))  # models saved before there was one
        model.load_state_dict(weights, strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: does not hold the weights of this model ({_first_line(error)}).") from error


def _fetch(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=[CONFIG, WEIGHTS, RULES]))
    except HFValidationError:
        raise InputError(f"{repository}: there is no such folder.") from None
    except Exception as error:  # the hub's client raises many kinds, its transport's own among them
        raise InputError(f"{repository!r} is no folder here, and the hub did not give it ({_first_line(error)}); "
                         "download it on a machine with network and give the folder.") from error  # fmt: skip


def _name(catalog: Mapping[str, Any], part: Any) -> str:
    names = {own: name for name, own in catalog.items()}
    return names.get(type(part), OWN + type(part).__qualname__)


def _plain(value: Any) -> Any:
    return OWN + getattr(value, "__qualname__", type(value).__qualname__) if callable(value) else value


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
