"""Columns of a table as facts that rules ask for: checked, trained on, needed where a run is applied."""

import json
from pathlib import Path

import pytest
import torch

import graphfuse as gf
from graphfuse.cli import run
from graphfuse.study import evaluate, predict, train
from graphfuse.study.apply import explain
from graphfuse.tables.check import check
from graphfuse.tables.facts import facts_of
from graphfuse.tables.read import read_table
from graphfuse.tables.spec import Spec

SPEC = """
table = "cases.jsonl"
[target]
column = "found"
[rows]
id = "id"
split = "split"
[nodes.note]
encoder = "vector"
column = "note"
[rules]
file = "cases.rules"
facts = ["organ", "temp"]
[fusion]
name = "concat"
dim = 8
layers = 1
[training]
epochs = 3
learning_rate = 0.02
"""
RULES = """
hard brain: forall q. organ(q) = "brain" -> tumour(q) | stroke(q)
hard heart: forall q. organ(q) = "heart" -> infarct(q)
hard hot: forall q. temp(q) >= 39 -> fever(q)
soft 0.5 cool: forall q. temp(q) < 37 -> ~fever(q)
"""
CASES = (("brain", 36.5, "tumour"), ("brain", None, "stroke"), ("heart", "37", "infarct"), (None, 40, "fever"))


def rows_of(split: str, count: int) -> list[dict]:
    """Vectors that are noise, so that rules alone tell a heart and a fever from the others."""
    rng, rows = torch.Generator().manual_seed(("train", "valid", "test").index(split)), []
    for i in range(count):
        organ, temp, found = CASES[i % len(CASES)]
        note = torch.randn(4, generator=rng).tolist()
        rows.append({"id": f"{split}{i}", "split": split, "note": note, "organ": organ, "temp": temp, "found": found})
    return rows


def make(folder: Path, *more: dict, spec: str = SPEC, rules: str = RULES) -> Path:
    rows = [row for split, count in (("train", 24), ("valid", 8), ("test", 12)) for row in rows_of(split, count)]
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (*rows, *more)), "utf-8")
    (folder / "cases.rules").write_text(rules, "utf-8")
    (folder / "spec.toml").write_text(spec, "utf-8")
    return folder / "spec.toml"


def row(**changes: object) -> dict:
    return {**rows_of("train", 1)[0], "id": "more", **changes}


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(own) + "\n" for own in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    metrics = train(Spec.open(make(folder)), folder / "run")
    return folder, metrics


def test_a_table_whose_facts_suit_has_no_problem_and_its_spec_is_read_back(tmp_path):
    spec = Spec.open(make(tmp_path))
    found = check(spec)
    assert (found.problems, found.warnings) == ((), ())
    assert spec.rules.facts == ("organ", "temp")
    assert Spec.from_dict(spec.to_dict(), spec.path) == spec


def test_facts_decide_what_a_run_answers(trained):
    folder, metrics = trained
    assert metrics["test"]["accuracy"] >= 0.5
    assert metrics["test"]["rules_broken"] == 0 < metrics["test"]["rules_broken_before"]
    answers = {a.name: a.value for a in predict(folder / "run", folder / "cases.jsonl", folder / "out.csv")}
    for name, value in answers.items():
        organ, temp, _ = CASES[int("".join(filter(str.isdigit, name))) % 4]
        assert value in {"brain": ("tumour", "stroke"), "heart": ("infarct",), None: ("fever",)}[organ], temp
    assert evaluate(folder / "run", folder / "cases.jsonl")[0] == pytest.approx(metrics["test"])
    found, mode = explain(folder / "run", folder / "cases.jsonl", "test2")
    assert (found.answer, mode) == (("infarct",), "exact")


def test_a_run_needs_the_columns_that_its_rules_ask_for_and_no_others(trained, tmp_path, capsys):
    folder, _ = trained
    rows = [{key: own[key] for key in ("id", "note", "organ", "temp")} for own in rows_of("test", 4)]
    assert len(predict(folder / "run", write(tmp_path / "new.jsonl", rows), tmp_path / "out.csv")) == 4
    fewer = write(tmp_path / "fewer.jsonl", [{"id": own["id"], "note": own["note"], "organs": "x"} for own in rows])
    message = r"fewer\.jsonl: facts that rules ask for: the table has no column 'organ'\. Did you mean 'organs'"
    with pytest.raises(gf.InputError, match=message):
        predict(folder / "run", fewer, tmp_path / "out.csv")
    with pytest.raises(gf.InputError, match=message):
        explain(folder / "run", fewer, "test0")
    wrong = write(tmp_path / "wrong.jsonl", [{**rows[0], "temp": "high"}])
    with pytest.raises(gf.InputError, match=r"wrong\.jsonl row 1, column temp, .* numbers: 'high' is not a number"):
        predict(folder / "run", wrong, tmp_path / "out.csv")
    odd = write(tmp_path / "odd.jsonl", [{**rows[0], "temp": 41.0}])
    assert run(["predict", str(folder / "run"), str(odd), "--out", str(tmp_path / "out.csv")]) == 2
    assert "sample 'test0': none of the labels satisfies every hard rule" in capsys.readouterr().err


def test_a_run_whose_rules_ask_for_fewer_columns_needs_fewer(tmp_path):
    spec = make(tmp_path, rules='hard heart: forall q. organ(q) = "heart" -> infarct(q)')
    (warning,) = check(Spec.open(spec)).warnings
    assert warning.endswith("[rules] facts: no rule asks for 'temp'; leave it out.")
    train(Spec.open(spec), tmp_path / "run")
    rows = [{key: own[key] for key in ("id", "note", "organ")} for own in rows_of("test", 4)]
    assert len(predict(tmp_path / "run", write(tmp_path / "new.jsonl", rows), tmp_path / "out.csv")) == 4


def test_cells_are_numbers_or_words_as_rules_compare_them(tmp_path):
    sorts = {"organ": str, "temp": float}
    cells = [
        {"organ": 2.0, "temp": 0},
        {"organ": " brain ", "temp": "-1.5"},
        {"organ": "", "temp": None},
        {"organ": True},
    ]
    rows = read_table(write(tmp_path / "cells.jsonl", cells)).rows
    assert facts_of(rows, sorts) == [
        {"organ": "2", "temp": 0.0},
        {"organ": "brain", "temp": -1.5},
        {},
        {"organ": "true"},
    ]
    assert facts_of(rows, {}) == [{}] * 4


@pytest.mark.parametrize(("change", "message"), [
    ('rules.facts=["organs", "temp"]', r"\[rules\] facts: the table has no column 'organs'\. Did you mean 'organ'"),
    ('rules.facts=["temp"]', r"cases\.rules:2: rule 'brain' asks for 'organ', which is none of the columns that facts "
                             r"of \[rules\] names\. Known: temp\."),
    ("rules.facts=[]", r"cases\.rules:2: rule 'brain' asks for 'organ', which is none of the columns that facts"),
])  # fmt: skip
def test_columns_that_do_not_suit_are_a_problem(change, message, tmp_path):
    spec = make(tmp_path)
    (problem,) = check(Spec.open(spec, [change])).problems
    with pytest.raises(gf.InputError, match=message) as caught:
        train(Spec.open(spec, [change]), tmp_path / "run")
    assert str(caught.value) == problem
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("change", "message"), [
    ('rules.facts=["found"]', r"\[rules\] facts reads the column 'found', which is the target; an answer must not be"),
    ('rules.facts=["split"]', r"\[rules\] facts reads the column 'split', which is the split"),
    ('rules.facts="organ"', r"\[rules\] facts is 'organ'; a list of texts is needed"),
    ('rules.fact=["organ"]', r"\[rules\] has no key 'fact'\. Did you mean 'facts'"),
])  # fmt: skip
def test_a_wrong_key_is_refused_when_the_spec_is_read(change, message, tmp_path):
    with pytest.raises(gf.InputError, match=message):
        Spec.open(make(tmp_path), [change])


def test_check_lists_cells_and_labels_that_do_not_suit(tmp_path):
    more = [row(temp="high"), row(id="a", organ=["x"]), row(id="b", organ="heart"), row(id="c", temp=39, split="test"),
            row(id="d", organ="heart", temp=40.5, found="fever")]  # fmt: skip
    problems = check(Spec.open(make(tmp_path, *more))).problems
    assert [problem.removeprefix(f"{tmp_path}/") for problem in problems] == [
        "cases.jsonl row 45, column temp, which rules compare with numbers: 'high' is not a number; write a number, or "
        "leave the cell empty.",
        "cases.jsonl row 46, column organ, which rules compare with words: ['x'] is not one value; a text or a number "
        "is needed.",
        "cases.rules: sample 'cases.jsonl row 48': none of the labels satisfies every hard rule where it "
        "alone is true, as Classify answers, given the facts that they ask for (organ = 'brain', temp = 39.0).",
        "spec.toml: [rules] 2 of 28 train rows have labels that break a hard rule: 'cases.jsonl row 47' breaks "
        "'heart', 'cases.jsonl row 49' breaks 'heart' (by rule: heart 2); mend them or the rules, or set "
        'broken_labels = "allow".',
    ]  # fmt: skip
    empty = [{**own, "organ": None} for own in rows_of("train", 24)]
    spec = make(tmp_path)
    write(tmp_path / "cases.jsonl", [*empty, *rows_of("valid", 8), *rows_of("test", 12)])
    warnings = check(Spec.open(spec)).warnings
    assert any("2 of 4 rules that say 'if' never fire" in warning for warning in warnings)
    assert any("rules ask for a column that no training row fills: 'organ'" in warning for warning in warnings)
