import csv
import json
import re

import numpy as np
import pytest

from graphfuse.core.errors import InputError
from graphfuse.tables import profile
from graphfuse.tables.infer import infer
from graphfuse.tables.profile import guess
from graphfuse.tables.spec import Spec

TWENTY = range(20)
TEXT = [f"some words that say {i} things" for i in TWENTY]


@pytest.fixture(autouse=True)
def minilm(monkeypatch):
    """As if the text model were installed."""
    monkeypatch.setattr(profile, "MINILM_PACKAGE", "json")


@pytest.mark.parametrize(
    ("column", "cells", "role", "why"),
    [
        ("patient_id", [f"p{i}" for i in TWENTY], "id", "all 20 values differ"),
        ("imageKey", [f"p{i}" for i in TWENTY], "id", "all 20 values differ"),
        ("name", [f"p{i}" for i in TWENTY], "id", "all 20 values differ"),
        ("Set", ["Train", "dev"] * 10, "split", "every cell is one of Train, dev"),
        ("split", ["a", "b"] * 10, "categorical", "2 different values"),
        ("patient", [f"p{i // 4}" for i in TWENTY], "group", "5 values, each of 4.0 rows"),
        ("age_group", ["old", "young"] * 10, "categorical", "2 different values"),
        ("patientID", [f"p{i // 4}" for i in TWENTY], "group", "5 values, each of 4.0 rows"),
        ("author_name", [f"p{i // 4}" for i in TWENTY], "group", "5 values, each of 4.0 rows"),
        ("patient_age", [30 + i % 15 for i in TWENTY], "numeric", "numbers from 30 to 44"),
        ("author_comment", [f"words {i // 2}" for i in TWENTY], "text", "10 different texts"),
        ("", TEXT, "out", "the column has no name"),
        ("picture", [f"img/{i}.PNG" if i % 3 else None for i in TWENTY], "image", "13 of 20 cells filled, they"),
        ("picture", [[f"{i}.jpg", "x.webp"] for i in TWENTY], "image", "end in .jpg .webp: pictures"),
        ("file_name", [f"{i}.png" if i % 3 else f"{i}.dat" for i in TWENTY], "image", "7 end in something else"),
        ("scan_file_name", [f"{i}.dcm" for i in TWENTY], "out", r"look like files (.dcm), which no encoder here reads"),
        ("sound", [f"a/{i}.wav" for i in TWENTY], "out", "look like files (.wav)"),
        ("link", [f"https://x.org/{i}.png" for i in TWENTY], "out", "20 cells are addresses"),
        ("scan", [f"{i}.npz#x" for i in TWENTY], "vector", "end in .npy or .npz: features"),
        ("x", [f"[{i}, 2.5]" for i in TWENTY], "vector", "each of 2 numbers: features"),
        ("x", [f"{i} 2.5 3" for i in TWENTY], "vector", "each of 3 numbers"),
        ("x", [f"{i};2;3;4" for i in TWENTY], "vector", "each of 4 numbers"),
        ("pay", [f"1,234,{100 + i}.50" for i in TWENTY], "text", "20 different texts"),
        ("day", [f"2020 1 {i}" for i in TWENTY], "text", "20 different texts"),
        ("phone", [f"03 12 34 {i}" for i in TWENTY], "text", "20 different texts"),
        ("x", [[i, 0.5] for i in TWENTY], "vector", "each of 2 numbers"),
        ("size", [str(i * 1.5) for i in TWENTY], "numeric", "20 of 20 cells filled, numbers from 0 to 28.5"),
        ("size", [*(str(i * 1.5) for i in range(19)), "three"], "numeric", "1 are not, such as 'three': empty them"),
        ("size", [*(str(i * 1.5) for i in range(18)), "three", "x"], "text", "20 different texts"),
        ("grade", [str(i % 4) for i in TWENTY], "categorical", "4 whole numbers that repeat like codes"),
        ("zip", [f"0{i % 4}123" for i in TWENTY], "categorical", "4 whole numbers that repeat like codes"),
        ("age", [str(20 + 3 * (i % 17)) for i in TWENTY], "numeric", "numbers from 20 to 68"),
        ("row", [str(i) for i in TWENTY], "out", "it counts the rows"),
        ("site", ["north", "south"] * 10, "categorical", "2 different values"),
        ("flag", [True, False] * 10, "categorical", "2 different values"),
        ("note", TEXT, "text", "20 different texts of 2[0-9] characters"),
        ("note", [f"第{i}个句子在这里" for i in TWENTY], "ngrams", "not in Latin letters"),
        ("note", ["nan", "NA"] * 10, "categorical", "2 different values"),
        ("tags", [["a", "b"], ["c"], [], None] * 5, "text", "different texts in lists of 1 characters"),
        ("id", [[f"p{i}"] for i in TWENTY], "text", "20 different texts in lists"),
        ("m", [[[1.0, 2.0], [3, i]] for i in TWENTY], "vector", "each of 2 numbers"),
        ("m", [[[1, 2], [3]]] * 20, "out", "are no text, number, or list"),
        ("s", [{"a": i} for i in TWENTY], "out", r"cells such as \"{'a': 0}\" are no text"),
        ("b", [b"x"] * 20, "out", "are no text"),
        ("s", [{}] * 20, "out", r"cells such as '{}' are no text"),
        ("big", [10**400, *range(19)], "numeric", "numbers from 0 to inf"),
        ("same", ["yes", None] * 10, "out", "every filled cell is 'yes'"),
        ("empty", [None] * 20, "out", "no cell is filled"),
    ],
)  # fmt: skip
def test_a_column_is_taken_for(column, cells, role, why):
    found = guess(column, cells)
    assert found.role == role
    assert why in found.why or re.search(why, found.why)


def test_without_the_text_model_texts_are_read_by_ngrams(monkeypatch):
    monkeypatch.setattr(profile, "MINILM_PACKAGE", "no_such_package")
    assert (guess("note", TEXT).role, "not installed" in guess("note", TEXT).why) == ("ngrams", True)


@pytest.fixture
def inferred(tmp_path):
    def inferred(columns, target=None, **options):
        with open(tmp_path / "t.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values()))
        text, reasons = infer(tmp_path / "t.csv", target, **options)
        (tmp_path / "t.toml").write_text(text, "utf-8")
        return Spec.open(tmp_path / "t.toml"), text, reasons

    return inferred


def test_a_whole_table_becomes_a_spec_with_its_reasons(inferred, tmp_path):
    spec, text, reasons = inferred({
        "id": [f"r{i}" for i in TWENTY], "note": TEXT, 'front "view"': [f"{i}.png" for i in TWENTY],
        "größe": [i * 1.5 for i in TWENTY], "site": ["n", "s"] * 10, "same\nline": ["x\ny"] * 20,
        "person": [f"p{i // 2}" for i in TWENTY], "Label": ["a", "b"] * 10,
    })  # fmt: skip
    assert spec.table == tmp_path / "t.csv"
    assert (spec.target.column, spec.target.task, spec.rows.id, spec.rows.group) == (
        "Label",
        "classify",
        "id",
        "person",
    )
    assert spec.rows.shares == (0.7, 0.15, 0.15)
    assert {node.kind: (node.encoder, node.columns) for node in spec.nodes} == {
        "note": ("text", ("note",)),
        'front "view"': ("image", ('front "view"',)),
        "table": ("table", ("größe", "site")),
    }  # fmt: skip
    assert "  # 20 of 20 cells filled, they end in .png: pictures" in text
    assert "# same line: every filled cell is" in text
    assert len(reasons) == 8
    assert reasons[0] == "Label: the target, classify: 2 different values"


def test_a_split_column_is_taken_and_a_second_id_is_left_out(inferred):
    spec, text, _ = inferred({"uid": TWENTY, "other_id": [f"x{i}" for i in TWENTY], "note": TEXT,
                              "table": ["s", "t"] * 10, "fold": ["train", "test"] * 10,
                              "y": ["a", "b"] * 10})  # fmt: skip
    assert (spec.rows.id, spec.rows.split, spec.rows.shares) == ("uid", "fold", None)
    assert "# other_id: all 20 values differ, and it is called so: a second id" in text
    assert [node.kind for node in spec.nodes] == ["note", "cells"]  # a column is called table already


def test_the_group_is_best_called_an_id_and_what_else_may_be_one_is_a_feature(inferred):
    spec, _, reasons = inferred({"user": ["x", "y", "z", "w"] * 5, "patient_id": [f"p{i // 4}" for i in TWENTY],
                                 "patient_age": [30 + i % 15 for i in TWENTY], "y": ["a", "b"] * 10})  # fmt: skip
    assert spec.rows.group == "patient_id"
    assert {node.kind: node.columns for node in spec.nodes} == {"table": ("patient_age", "user")}
    assert "user: categorical: 20 of 20 cells filled, 4 different values" in reasons


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        ([f"{i}.5" for i in TWENTY], "regress"),
        ([i * 7 for i in range(30)], "regress"),
        ([i % 3 for i in range(60)], "classify"),
        (["0.5", "1.5"] * 10, "classify"),
        (["a;b", "b", "a", "a; c"] * 5, "multilabel"),
        (["a|b", "b", "a", "c"] * 5, "multilabel"),
        ([f"a sentence; and {i}" for i in TWENTY], "classify"),
        (["a", "b"] * 10, "classify"),
    ],
)
def test_the_task_follows_from_the_target(inferred, cells, task):
    spec, _, _ = inferred({"note": [f"words {i}" for i in range(len(cells))], "odd": cells}, target="odd")
    assert spec.target.task == task
    assert spec.target.separator == ("|" if "a|b" in cells else ";")


def test_lists_of_labels_are_multilabel(tmp_path):
    lines = [{"note": f"words {i}", "labels": ["a", "b"][: i % 3]} for i in TWENTY]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert 'task = "multilabel"  # cells are lists' in infer(tmp_path / "t.jsonl")[0]


def test_a_target_that_is_unknown_or_cannot_be_guessed_is_asked_for(inferred):
    with pytest.raises(InputError, match=r"t.csv has no column 'answr'\. Did you mean 'answer'"):
        inferred({"note": TEXT, "answer": TEXT}, target="answr")
    with pytest.raises(InputError, match=r"no column is called label, .* or answer; say with --target .*: note, odd\."):
        inferred({"note": TEXT, "odd": TEXT})


def test_a_table_without_a_column_to_learn_from_is_refused(inferred):
    with pytest.raises(
        InputError, match=r"no column is left to learn 'y' from \(id: .*; c: every filled cell is 'x'\)"
    ):
        inferred({"id": TWENTY, "c": ["x"] * 20, "y": ["a", "b"] * 10})


def test_the_table_is_named_from_where_the_spec_lies(inferred, tmp_path):
    _, text, _ = inferred({"note": TEXT, "y": ["a", "b"] * 10}, folder=tmp_path / "runs")
    assert text.startswith('table = "../t.csv"')


def test_reading_and_inferring_load_no_torch(run_python, tmp_path):
    (tmp_path / "t.csv").write_text("note,y\n" + "".join(f"words {i},{i % 2}\n" for i in TWENTY))
    done = run_python(
        "import sys; from graphfuse.tables.infer import infer; import graphfuse.tables.check, graphfuse.tables.spec\n"
        f"infer({str(tmp_path / 't.csv')!r}); print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_features_that_were_inferred_are_read(inferred, tmp_path):
    from graphfuse.tables.samples import encoders_of, load, samples_of

    for i in TWENTY:
        np.save(tmp_path / f"{i}.npy", np.full(3, i))
    spec, _, _ = inferred({"scan": [f"{i}.npy" for i in TWENTY], "x": [f"{i} 1.0 2" for i in TWENTY],
                           "label": ["a", "b"] * 10})  # fmt: skip
    data = load(spec)
    samples = samples_of(data.rows, spec.nodes, encoders_of(spec, data), data.folder, data.targets)
    assert samples[4].nodes["scan"].tolist() == [[4, 4, 4]]
    assert samples[4].nodes["x"].tolist() == [[4, 1, 2]]
