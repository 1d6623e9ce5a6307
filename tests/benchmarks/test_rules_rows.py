"""The benchmark of rules: its command, its rows and its page; and the whole of it, quickly, where the data are."""

import itertools
import json

import numpy as np
import pytest

from benchmarks import data_folder, rows, rules, rules_data, rules_exact, rules_sets, rules_structured, rules_table
from benchmarks.rules_rows import found, part_of
from benchmarks.run import RULES, main
from graphfuse.core.errors import InputError

try:
    rules_data.rule_folder()
    PRESENT = True
except InputError:
    PRESENT = False
real = pytest.mark.skipif(not PRESENT, reason="the rule data are not here (see benchmarks/data_folder.py)")
KEPT = "speed: roadr, batch 256, MAP, freed memory kept"


def test_parts_that_are_not_asked_for_stay(monkeypatch, tmp_path):
    monkeypatch.setattr(rules, "rule_folder", lambda: tmp_path)
    monkeypatch.setattr(rules, "write", lambda name, made, out: None)
    numbers = itertools.count()
    monkeypatch.setattr(rules, "_measures", lambda part, *_: [found("own", "graphfuse", "rows", next(numbers))])
    before = rules.run("rules", tmp_path, [0], False, "all")
    assert [part_of(row) for row in before] == list(RULES)
    monkeypatch.setattr(rules, "read", lambda name: before)
    after = rules.run("rules", tmp_path, [0], False, "again", parts=["learn"])
    assert [row["command"] for row in after] == ["all", "all", "again", "all", "all"]
    assert [row["mean"] for row in after] == [0, 1, 5, 3, 4]


def test_the_page_has_ours_what_was_asked_and_what_others_have():
    made_rows = [
        rows.row(task="rules", command="python -m benchmarks.run rules", **each) for each in (
            found("exact: violations, ccn arts", "graphfuse", "rows", 5120),
            found("exact: violations, ccn arts", "graphfuse", "share of rows broken", 0),
            found("exact: violations, ccn arts", "PiShield (katz)", "share of rows broken", 0.75),
            found(KEPT, "graphfuse", "milliseconds", [4, 5], [0, 1]),
        )
    ]  # fmt: skip
    text = rules_table.rules(made_rows)
    assert "| violations, ccn arts (5,120 rows) | share of rows broken | 0 % | 0 % | PiShield (katz) 75 % |" in text
    assert "| roadr, batch 256, MAP, freed memory kept | milliseconds | ≤ 5 | 4.5 ± 0.71 |  |" in text
    assert rules_table.rules([]) == "Not measured yet."


def test_whatever_was_asked_for_is_measured():
    kept = rows.read("rules")
    if not kept:
        pytest.skip("the benchmark was not run yet")
    measured = [(row["method"], row["metric"].split(": ", 1)[1]) for row in kept]
    parts = {part_of(row) for row in kept}
    for method, what in (each for each in rules_table.ASKED if each[0].split(": ")[0] in parts):
        assert any(rules_table.asked(*each) == rules_table.ASKED[method, what] for each in measured), (method, what)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rules", "--parts", "speed,exat"], "There is no part of rules called 'exat'. Did you mean 'exact'?"),
        (["survival", "--parts", "exact"], "--parts: survival has none"),
    ],
)
def test_a_wrong_part_is_one_sentence_and_exit_code_2(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_data_that_are_not_there_are_one_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("GRAPHFUSE_DATA", str(tmp_path))
    assert main(["rules", "--quick"]) == 2
    assert "rules: there is no such folder; set GRAPHFUSE_DATA" in capsys.readouterr().err
    assert data_folder.data_folder() == tmp_path


@real
def test_the_data_are_as_their_page_says():
    yeast, enron, tree = rules_data.ccn("yeast"), rules_data.ccn("enron"), rules_data.hmc("eisen_FUN")
    assert [len(yeast.rows(part)[0]) for part in (0, 2)] == [1500, 917]
    assert (enron.x.shape[1], enron.y.shape[1], int((enron.part == 2).sum())) == (1001, 53, 579)
    assert [int((tree.part == part).sum()) for part in range(3)] == [1058, 529, 837]
    assert int(tree.evaluated.sum()) == 461
    assert np.isfinite(tree.x).all()
    assert not yeast.valid[yeast.part == 2].any()
    for name, width in rules_data.CCN.items():
        split = rules_data.ccn(name)
        assert split.y.shape[1] == width
        assert rules_sets.satisfied(rules_data.heads_clauses(rules_data.ccn_path(name)), split.y).all()
    own = rules_data.structured("grid")
    answers = np.concatenate([own.y, own.x[:, 24:] > 0], 1)
    assert rules_structured.grid_path(answers).all()


@real
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_quick_run_measures_every_part(tmp_path, capsys):
    assert main(["rules", "--quick", "--seeds", "1", "--json", "--out", str(tmp_path)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert rows.read("rules", tmp_path) == told
    assert list(dict.fromkeys(part_of(row) for row in told)) == list(RULES)
    assert all(set(row) == set(rows.FIELDS) for row in told)
    broken = {row["method"]: row["mean"] for row in told if row["metric"] == "graphfuse: share of rows broken"}
    assert len(broken) == len(rules_exact.FEW) + 2
    assert not any(broken.values())
    assert rules_table.rules(told).count("### Rules: ") == len(RULES)
