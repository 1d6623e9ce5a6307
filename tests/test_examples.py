"""Every example runs, offline and in seconds, and shows what it says."""

import re
import runpy
import warnings
from pathlib import Path

import pytest

import graphfuse as gf

FOLDER = Path(__file__).resolve().parent.parent / "examples"
EXAMPLES = sorted(path.name for path in FOLDER.glob("*.py"))

# Lines that an example prints, as patterns: add one for a new example.
SHOWN = {
    "01_two_kinds.py": [r"words and pixels: (1\.00|0\.9\d)", r"words alone: +0\.[2-7]\d", r"pixels alone: +0\.[2-7]\d"],
    "02_edge_builders.py": [
        r"image -nearest-> text: \[\(0, 0\), \(1, 1\), \(1, 2\)\]",
        r"-hub-> hub: \[\(0, 0\), \(1, 0\)",
    ],
    "03_missing_modalities.py": [r"as they come: (1\.00|0\.[89]\d)", "alike: True", "has no node of any kind"],
    "04_your_own_fusion.py": [r"accuracy: (1\.00|0\.[89]\d)", "same answers: True"],
    "05_knowledge_graph.py": [r"never asked about: (1\.00|0\.9\d)", r"Fenham\? mayor of Fenham, because \[\('Fenham"],
    "07_your_own_table.py": [
        r"note: text",
        r"only note +0\.[678]\d",
        r"sage +(1\.0|0\.[89]\d)",
        "missing.jsonl, report.html",
    ],
    "06_save_open_resume.py": [r"holds \['checkpoint.safetensors'\]", "as if never cut off: True", "was altered after"],
    "08_check_your_own_layer.py": [
        "Loudest: (\\d+) of \\1 checks passed",
        "Forgetful: alone_and_in_company, beside_a_very_large_sample",
        r"loudest +(1\.00|0\.9\d)",
        r"concat +0\.[3-7]\d",
    ],
    "09_rules.py": [
        "8 of 64 answers satisfy all rules",
        r"without +all labels right: 0\.[45]\d+, answers that break a rule: [1-9]\d+ of 2000",
        r"with rules all labels right: 0\.[5-7]\d+, answers that break a rule: 0 of 2000",
        r"FusionModel exact_match: 0\.[5-7]\d+ rules_broken_before: 0\.[1-9]\d+ rules_broken: 0\.000",
    ],
    "10_nodes_of_a_graph.py": [
        r"words alone: 0\.[3-5]\d",
        r"words and citations: 0\.[7-9]\d",
        "800 papers, the first one of (graphs|pictures|speech|text); sure to 0",
    ],
    "11_rules_between_tasks.py": [
        r"without +right: diagnosis 0\.[34]\d, findings 0\.[67]\d",
        r"with rules +right: diagnosis 0\.[56]\d, findings 0\.[67]\d; .* 0\.[1-9]\d by the scores alone, 0\.00 as",
        r"\{'finding': \(.*\), 'diagnosis': '(pneumonia|tumour|well)'\}",
    ],
}


def test_examples_are_numbered_and_short_and_each_is_tried():
    assert set(EXAMPLES) == set(SHOWN)
    assert [int(name[:2]) for name in EXAMPLES] == list(range(1, len(EXAMPLES) + 1))
    long = {name for name in EXAMPLES if len((FOLDER / name).read_text("utf-8").splitlines()) > 60}
    assert not long


@pytest.fixture(autouse=True)
def same_catalog():
    """An example may name a part of its own; other tests do not see it."""
    before = dict(gf.FUSIONS)
    yield
    gf.FUSIONS.clear()
    gf.FUSIONS.update(before)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_says(name, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings(action="error", category=UserWarning):
        runpy.run_path(str(FOLDER / name), run_name="__main__")
    printed = capsys.readouterr().out
    for pattern in SHOWN[name]:
        assert re.search(pattern, printed), f"{pattern!r} is not in:\n{printed}"
    assert not list(folder.iterdir()), "an example leaves nothing behind"
