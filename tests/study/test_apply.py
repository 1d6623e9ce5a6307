"""A run folder, moved or not, answers and measures other tables."""

import csv
import json
import shutil

import pandas as pd
import pytest

import graphfuse as gf
from graphfuse.study import apply, evaluate, predict


def new_table(folder, drop=("label", "split"), count=20, **cells):
    with open(folder / "cases.csv", newline="", encoding="utf-8") as file:
        rows = [{k: v for k, v in row.items() if k not in drop} for row in csv.DictReader(file)][:count]
    rows[0] |= cells
    with open(folder / "new.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "new.csv"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_each_row_gets_an_answer_with_a_confidence_and_no_target_is_needed(suffix, trained, tmp_path):
    out = tmp_path / f"answers{suffix}"
    answers = predict(trained / "run", new_table(trained), out)
    read = {".csv": pd.read_csv, ".tsv": lambda p: pd.read_csv(p, sep="\t"),
            ".jsonl": lambda p: pd.read_json(p, lines=True), ".parquet": pd.read_parquet}[suffix]  # fmt: skip
    table = read(out)
    assert list(table.columns) == ["id", "label", "confidence"]
    assert table["id"].tolist() == [f"r{i}" for i in range(20)]
    assert table["label"].tolist() == [a.value for a in answers]
    assert table["confidence"].tolist() == pytest.approx([a.score for a in answers])
    assert set(table["label"]) == {"round", "square"}


def test_a_moved_run_answers_alike(trained, tmp_path):
    table = new_table(trained)
    before = predict(trained / "run", table, tmp_path / "a.csv")
    shutil.copytree(trained / "run", tmp_path / "elsewhere")
    after = predict(tmp_path / "elsewhere", table, tmp_path / "b.csv")
    assert before == after


def test_the_test_split_is_measured_as_training_did(trained):
    metrics, rows, split = evaluate(trained / "run", trained / "cases.csv")
    assert (rows, split) == (22, "test")
    told = json.loads((trained / "run" / "metrics.json").read_text())
    assert metrics == pytest.approx(told["test"], abs=1e-6)
    valid, rows, _ = evaluate(trained / "run", trained / "cases.csv", "valid")
    assert valid == pytest.approx(told["valid"], abs=1e-6)
    _, rows, split = evaluate(trained / "run", trained / "cases.csv", "all")
    assert rows == 90


def test_a_table_without_splits_is_measured_whole(trained):
    _, rows, split = evaluate(trained / "run", new_table(trained, drop=("split",)))
    assert (rows, split) == (20, "all")


@pytest.mark.parametrize(("split", "drop", "cells", "text"), [
    ("tset", (), {}, r"no split called 'tset'\. Did you mean 'test'"),
    ("test", ("split",), {}, r"new\.csv: there is no split column 'split'"),
    (None, ("label",), {}, r"new\.csv: there is no target column 'label'"),
    ("all", (), {"label": "rund"}, r"new\.csv row 2, column label: the model does not know the label 'rund'\. Did yo"),
    ("all", ("note",), {}, r"the table has no column 'note'"),
])  # fmt: skip
def test_a_wrong_table_or_split_is_named(split, drop, cells, text, trained):
    with pytest.raises(gf.InputError, match=text):
        evaluate(trained / "run", new_table(trained, drop=drop, **cells), split)


def test_of_a_run_that_drew_its_splits_none_can_be_measured_alone(trained, monkeypatch):
    model, told = apply.opened(trained / "run")
    monkeypatch.setattr(apply, "opened", lambda folder: (model, {**told, "rows": {"id": "id"}}))
    with pytest.raises(gf.InputError, match=r"--split test: the run drew its splits by shares, so no column"):
        evaluate(trained / "run", trained / "cases.csv", "test")
    assert evaluate(trained / "run", trained / "cases.csv")[1:] == (90, "all")


def test_a_wrong_run_or_output_is_named_and_nothing_is_written(trained, tmp_path):
    table = new_table(trained)
    with pytest.raises(gf.InputError, match=r"--out .*answers\.xlsx: answers go to a file that ends in one of \.csv"):
        predict(trained / "run", table, tmp_path / "answers.xlsx")
    before = table.read_bytes()
    with pytest.raises(gf.InputError, match=r"--out .*new\.csv: is the table itself"):
        predict(trained / "run", table, table)
    assert table.read_bytes() == before
    model = gf.FusionModel(gf.Schema({"x": 1}), gf.heads.Classify("ab"), "concat", dim=8)
    model.save_pretrained(tmp_path / "own")
    with pytest.raises(gf.InputError, match=r"own: this model was not trained on a table by `graphfuse train`"):
        predict(tmp_path / "own", table, tmp_path / "a.csv")
    shutil.copytree(trained / "run", tmp_path / "altered")
    (tmp_path / "altered" / "model.safetensors").write_bytes(b"\0" * 64)
    with pytest.raises(gf.InputError, match=r"model\.safetensors: the file was altered"):
        predict(tmp_path / "altered", table, tmp_path / "a.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["altered", "own"]
