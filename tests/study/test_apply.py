"""A run folder, moved or not, answers and measures other tables."""

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from cases_table import make

import graphfuse as gf
from graphfuse.encoders.efficientnet_lite import EfficientNetLite0
from graphfuse.study import evaluate, predict, train
from graphfuse.study.answers import write_answers
from graphfuse.tables.spec import Spec


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


def test_a_run_finds_weights_that_were_named_from_its_spec_from_any_folder(folder, tmp_path, monkeypatch):
    torch.save(EfficientNetLite0().state_dict(), folder / "w.pth")
    spec = (folder / "spec.toml").read_text().replace('weights = "random"', 'weights = "w.pth"')
    (folder / "spec.toml").write_text(spec)
    monkeypatch.chdir(folder)
    train(Spec.open("spec.toml", ["training.epochs=1"]), Path("run"))
    monkeypatch.chdir(tmp_path)
    assert len(predict(folder / "run", folder / "cases.csv", tmp_path / "a.csv")) == 90


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


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder whose run drew its splits and was trained anew on training and validation rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = make(tmp_path_factory.mktemp("drawn") / "data")
        spec = (folder / "spec.toml").read_text().replace('split = "split"\n', "") + "refit = true\n"
        (folder / "spec.toml").write_text(spec)
        changes = ["training.epochs=2", "target.task=multilabel", "target.unseen=wrong"]
        train(Spec.open(folder / "spec.toml", changes), folder / "run")
    return folder


def test_splits_that_a_run_drew_are_drawn_again_from_its_own_table(drawn, capsys):
    told = json.loads((drawn / "run/metrics.json").read_text())
    metrics, rows, split = evaluate(drawn / "run", drawn / "cases.csv")
    assert (rows, split) == (13, "test")
    assert metrics == pytest.approx(told["test"], abs=1e-6)
    assert capsys.readouterr().err == ""
    other = new_table(drawn, drop=("split",))
    assert evaluate(drawn / "run", other)[1:] == (20, "all")
    assert "new.csv: which rows the model was trained on is not known; they may be" in capsys.readouterr().err
    with pytest.raises(gf.InputError, match=r"--split test: the run drew its splits by shares, and not from this"):
        evaluate(drawn / "run", other, "test")


@pytest.mark.parametrize(("split", "count", "rows"), [("train", 63, 63), ("valid", 14, 14), ("all", 77, 90)])
def test_rows_that_the_model_was_trained_on_are_said_with_refit(split, count, rows, drawn, capsys):
    evaluate(drawn / "run", drawn / "cases.csv", split)
    said = f"the model was trained on {count} of these {rows} rows, those of train and valid (refit).\n"
    assert capsys.readouterr().err.endswith(said)


def test_without_refit_validation_rows_were_not_trained_on(trained, capsys):
    evaluate(trained / "run", trained / "cases.csv", "valid")
    assert capsys.readouterr().err == ""
    evaluate(trained / "run", trained / "cases.csv", "all")
    assert "the model was trained on 46 of these 90 rows, those of train.\n" in capsys.readouterr().err


def test_one_of_several_labels_that_the_model_lacks_counts_as_missed(drawn):
    before = evaluate(drawn / "run", drawn / "cases.csv", "all")[0]
    with open(drawn / "cases.csv", newline="", encoding="utf-8") as file:
        rows = [{**row, "label": row["label"] + ";NEW"} for row in csv.DictReader(file)]
    with open(drawn / "more.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    after = evaluate(drawn / "run", drawn / "more.csv")[0]
    assert after["exact_match"] == 0 < before["exact_match"]
    assert after["f1"] < before["f1"]
    assert after["macro_f1"] == pytest.approx(before["macro_f1"] * 2 / 3)


def test_categories_that_training_lacks_and_a_guessed_encoding_are_said(trained, tmp_path, capsys):
    table = new_table(trained, drop=("split",), site="wést")
    table.write_bytes(table.read_text("utf-8").encode("cp1252"))
    for apply in (evaluate, lambda run, table: predict(run, table, tmp_path / "a.csv")):
        apply(trained / "run", table)
        said = capsys.readouterr().err
        assert "was read as cp1252" in said
        assert "new.csv: column site: 1 of 20 cells have a category that training lacks.\n" in said


@pytest.mark.parametrize(("column", "header"), [
    ("id", ["row_id", "id", "confidence"]), ("confidence", ["id", "confidence", "answer_confidence"]),
])  # fmt: skip
def test_no_column_overwrites_the_answers(column, header, tmp_path):
    write_answers([gf.Answer("r1", ("a", "b"), 0.5)], tmp_path / "a.csv", column, "|")
    assert list(csv.reader((tmp_path / "a.csv").open())) == [header, ["r1", "a|b", "0.5"]]


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
