"""The command: help that teaches, one clear sentence for what the user can mend, and what each command prints."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphfuse.cli import THREADS, run
from graphfuse.encoders import ENCODERS
from graphfuse.training.comparison import Comparison, Run

COMMANDS = {"demo", "init", "check", "train", "evaluate", "predict", "compare", "report", "rules", "cache",
            "info"}  # fmt: skip
THREADS_OF_A_COMMAND = """
import os, sys
import graphfuse.cli as cli
assert "torch" not in sys.modules
cli.run = lambda words: print(*(os.environ[name] for name in cli.THREADS)) or ("torch" in sys.modules)
cli.main()
"""


def plain(text: str) -> str:
    """Help without its frames and line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@pytest.fixture
def cache_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def comparison(tmp_path) -> Path:
    runs = [
        Run(method, seed, "accuracy", "max", {"accuracy": level}, {f"s/{i}": float(i < 10 * level) for i in range(10)},
            100, 1.0, ({"epoch": 1, "valid_accuracy": level, "train_loss": 1.0, "valid_loss": 1.0, "seconds": 1.0},))
        for method, level in (("concat", 0.4), ("hgt", 0.8)) for seed in (0, 1)
    ]  # fmt: skip
    Comparison(tuple(runs)).save(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_names_every_command_and_where_to_start(words, capsys):
    assert run(words) == 0
    shown = plain(capsys.readouterr().out)
    assert all(f" {name} " in shown for name in COMMANDS)
    assert "Start with: graphfuse demo --quick" in shown


def test_help_of_the_demo_says_what_happens_and_every_option(capsys):
    assert run(["demo", "--help"]) == 0
    shown = plain(capsys.readouterr().out)
    for words in ("knowledge graph", "report.html", "takes up what is finished", "about two minutes", "en or zh"):
        assert words in shown
    assert {"--quick", "--ask", "--language", "--seeds", "--out"} <= set(shown.split())


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    assert run([command, "--help"]) == 0
    assert len(plain(capsys.readouterr().out).split()) > 20


def test_info_names_versions_and_devices(capsys):
    assert run(["info"]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["torch"] == torch.__version__.split("+")[0] or lines["torch"] == torch.__version__
    assert {"graphfuse", "torch-geometric", "python", "threads", "accelerator"} <= set(lines)


def test_info_as_json_is_one_object(capsys):
    assert run(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["graphfuse"]
    assert facts["python"] == sys.version.split()[0]


def test_cache_says_folder_size_and_entries_by_encoder_and_clears(cache_folder, capsys):
    encoder = ENCODERS["ngrams"](width=1000)
    encoder.encode([f"text {i}" for i in range(50)])
    assert run(["cache"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"folder: {cache_folder}\n")
    assert re.search(rf"^{encoder.id} +0\.2 +50$", shown, re.MULTILINE)
    assert re.search(r"^all +0\.2 +50$", shown, re.MULTILINE)
    assert run(["cache", "--clear"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^all +0\.0 +0$", shown, re.MULTILINE)
    assert "freed 0.2 MB" in shown


def test_cache_as_json_is_one_object(cache_folder, capsys):
    assert run(["cache", "--json"]) == 0
    nothing = {"bytes": 0, "entries": 0, "encoders": {}}
    assert json.loads(capsys.readouterr().out) == {"folder": str(cache_folder), **nothing}


def test_report_draws_the_page_and_says_where(comparison, capsys):
    assert run(["report", str(comparison)]) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page == comparison / "report.html"
    assert "hgt" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--language", "fr"], r"There is no language of the demo called 'fr'\. .*en, zh\."),
        (["report", "FOLDER"], r"FOLDER/comparison\.json: there is no such file\."),
        (["frobnicate"], r"No such command 'frobnicate'; see graphfuse --help\."),
        (["demo", "--sedes", "3"], r"No such option: --sedes.*; see graphfuse demo --help\."),
        (["demo", "--seeds", "0"], r"Invalid value for '--seeds': .*; see graphfuse demo --help\."),
        (["report"], r"Missing argument 'folder'; see graphfuse report --help\."),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_and_exit_code_2(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [word.replace("FOLDER", str(tmp_path)) for word in words]
    assert run(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(f"graphfuse: {said}\n", shown.err.replace(str(tmp_path), "FOLDER"))
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_the_installed_command_ends_with_2_and_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "graphfuse", "report", "nowhere"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "graphfuse: nowhere/comparison.json: there is no such file.\n"


def test_the_command_sets_thread_variables_before_torch_is_loaded(run_python, monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    done = run_python(THREADS_OF_A_COMMAND)
    assert (done.returncode, done.stdout.split()) == (0, list(THREADS.values())), done.stderr


def test_the_users_own_thread_variables_stay(run_python):
    done = run_python(THREADS_OF_A_COMMAND, **dict.fromkeys(THREADS, "7"))
    assert (done.returncode, done.stdout.split()) == (0, ["7", "7"]), done.stderr
