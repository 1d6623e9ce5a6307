import os
import shutil
import socket
import time

import pytest
import torch

from graphfuse.core.errors import InputError
from graphfuse.encoders import Text, hub

WAYS_OUT = r"name a folder.*pip install \"graphfuse\[demo\]\".*ngrams"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("some/model", r"hub cannot be reached for the model 'some/model'; "),
        ("./nowhere", r"\./nowhere: there is no such folder; "),
        ("a b c", r"'a b c' is neither a folder nor a model name of the hub; "),
    ],
)
def test_a_model_that_cannot_be_had_tells_the_ways_out(model, message):
    with pytest.raises(InputError, match=message + WAYS_OUT):
        Text(model).encode(["words"])


def test_minilm_that_is_not_installed_tells_the_ways_out(monkeypatch):
    monkeypatch.setattr(hub, "package_folder", lambda package: None)
    with pytest.raises(InputError, match="minilm is not installed; " + WAYS_OUT):
        Text().encode(["words"])


def test_a_hub_that_does_not_answer_is_given_up_soon(run_python, tmp_path):
    with socket.socket() as server:  # accepts and says nothing
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        code = (
            "from graphfuse.encoders import Text, hub; hub.SECONDS = 0.2\n"
            "try: Text('some/model').width\nexcept ValueError as error: print(error)"
        )
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        start = time.monotonic()
        done = run_python(code, HF_HUB_OFFLINE="0", HF_ENDPOINT=address, HF_HOME=str(tmp_path))
    assert "cannot be reached" in done.stdout, done.stderr
    assert time.monotonic() - start < 30


def test_pickled_weights_are_never_read(tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_bert, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled: no transformers model in safetensors form can be read"):
        Text(str(folder)).encode(["flag"])


def test_a_folder_without_a_model_or_with_a_torn_one_is_named(tiny_bert, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: this folder has no config.json"):
        Text(str(tmp_path / "empty")).encode(["flag"])
    folder = shutil.copytree(tiny_bert, tmp_path / "torn")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"torn: no transformers model"):
        Text(str(folder)).encode(["flag"])
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"torn: its config.json cannot be read"):
        _ = Text(str(folder)).width


def test_code_that_comes_with_a_model_is_not_run(tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_bert, tmp_path / "coded")
    config = (
        (folder / "config.json")
        .read_text()
        .replace('"model_type"', '"auto_map": {"AutoModel": "code.Net"}, "model_type"')
    )
    (folder / "config.json").write_text(config)
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Net: pass\n")
    Text(str(folder)).encode(["flag"])
    assert not (tmp_path / "ran").exists()


def test_transformers_is_quiet_and_stays_as_it_was(tiny_bert, capfd):
    from transformers.utils import logging

    logging.enable_progress_bar()
    level = logging.get_verbosity()
    Text(str(tiny_bert)).encode(["flag"])
    assert capfd.readouterr().err == ""
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, True)
    assert os.environ["HF_HUB_OFFLINE"] == "1"
