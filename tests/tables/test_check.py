import csv
import json
import re
import time

import numpy as np
import pytest
from PIL import Image
from small_table import picture

from graphfuse.tables.check import check
from graphfuse.tables.infer import infer
from graphfuse.tables.spec import Spec


def test_a_table_that_is_right_is_counted(folder):
    found = check(folder.open())
    assert (found.problems, found.warnings) == ((), ())
    assert found.splits == {"train": 6, "valid": 3, "test": 3}
    assert found.filled == {"id": 12, "split": 12, "note": 9, "picture": 8, "size": 12, "site": 12, "label": 12}
    assert found.labels == {"cat": {"train": 3, "valid": 2, "test": 1}, "dog": {"train": 3, "valid": 1, "test": 2}}
    lines = found.lines()
    assert lines[0].endswith("table.csv: 6 training, 3 validation, 3 test")
    assert "label 'cat': 6 (3/2/1)" in lines
    assert lines[-1] == "no problems, no warnings"
    assert json.loads(json.dumps(found.to_dict()))["labels"] == found.labels


def test_all_problems_are_listed_and_not_only_the_first(folder):
    folder.put(3, label="").put(4, size="three", id="r0").put(5, split="tset", picture="img/none.png")
    folder.put(6, picture="../x.png").put(12, label="cow", size="nan")
    (folder.path / "img/10.png").write_bytes(b"no picture")
    (folder.path / "img/7.png").write_bytes((folder.path / "img/7.png").read_bytes()[:50])
    found = check(folder.change("width = 64", "width = 1").open())
    expected = [
        "row 4, column id: 'r0' is the id of row 2",
        "row 3, column label: the target is empty",
        "row 5, column split: 'tset' is no split",
        "row 12, column label: the label 'cow'",
        "row 5, column picture: 'img/none.png' is missing",
        "row 6, column picture: '../x.png' leads out",
        "row 9, column picture: ",
        "row 12, column picture: ",
        "row 4, column size: 'three' is not a number",
        "row 12, column size: 'nan' is not a finite number",
        "[nodes.note] width is 1",
    ]
    for part in expected:
        assert sum(part in problem for problem in found.problems) == 1, part
    assert len(found.problems) == len(expected)
    assert found.lines()[-1] == "11 problems, no warnings"


def test_columns_that_are_not_there_are_all_named(folder):
    found = check(folder.change('"note"\nw', '"nots"\nw').change('["size"]', '["siz"]').open())
    assert ["'nots'" in found.problems[0], "'siz'" in found.problems[1]] == [True, True]


def test_wrong_features_are_all_named(folder):
    for i in range(12):
        np.save(folder.path / f"{i}.npy", np.full(4, float(i)))
        folder.put(i + 2, scan=f"{i}.npy")
    np.save(folder.path / "1.npy", np.zeros(3))
    np.save(folder.path / "2.npy", [1, 2, np.inf, 4])
    np.save(folder.path / "9.npy", np.zeros((2, 5)))
    (folder.path / "0.npy").write_bytes(b"torn")
    folder.put(7, scan="words").put(8, scan="none.npy").put(9, scan="")
    folder.spec += '[nodes.scan]\nencoder = "vector"\ncolumn = "scan"\nwidth = 4\n'
    problems = check(folder.open()).problems
    for part in ("row 2, column scan: .*0.npy is not a whole", "row 3, column scan: .*width 4 .* 3 found",
                 "row 4, column scan: row 0 .*infinity", "row 11, column scan: .*width 4 .* 5 found",
                 "row 7, column scan: 'words' is neither", "row 8, column scan: 'none.npy' is missing"):  # fmt: skip
        assert sum(bool(re.search(part, problem)) for problem in problems) == 1, part
    assert len(problems) == 6
    folder.spec = folder.spec.replace("width = 4\n", "")
    assert any("width 3 were expected, 4 found" in p for p in check(folder.open()).problems)  # row 3 is the first


def test_features_that_are_all_torn_are_all_named(folder):
    for i in range(12):
        (folder.path / f"{i}.npy").write_bytes(b"torn")
        folder.put(i + 2, scan=f"{i}.npy")
    folder.spec += '[nodes.scan]\nencoder = "vector"\ncolumn = "scan"\n'
    problems = check(folder.open()).problems
    assert [re.search(r"row (\d+), column scan: .*npy is not a whole", p).group(1) for p in problems] == [
        str(row) for row in range(2, 14)
    ]


def test_a_column_that_training_lacks_is_named_with_its_kind(folder):
    for row in range(2, 14):
        folder.put(row, size="")
    assert check(folder.open()).problems == (
        "kind table: Column 'size': no training row has a value in it; leave the column out.",
    )


def test_rows_that_two_splits_share_are_a_warning(folder):
    cells = {"size": "0.5", "site": "s"}
    folder.put(11, note="note   number 1", picture="img/copy.png", **cells)
    folder.put(12, note="note number 2", picture="img/2.png", size="1.0", site="n")
    (folder.path / "img/copy.png").write_bytes((folder.path / "img/1.png").read_bytes())
    found = check(folder.open())
    assert found.problems == ()
    (warning,) = found.warnings
    assert warning == "2 of 3 test rows repeat a training row (table.csv row 11 repeats row 3)."
    assert "warning: 1 of 3 test rows" in "\n".join(check(folder.put(12, size="9").open()).lines())


def test_groups_that_two_splits_share_are_a_warning(folder):
    for row in range(2, 14):
        folder.put(row, patient=f"p{row // 3}")
    found = check(folder.change('split = "split"', 'split = "split"\ngroup = "patient"').open())
    assert "1 values of the column patient are in both the training and the validation split ('p2'" in found.warnings[0]


def test_a_picture_of_one_pixel_and_a_kind_that_training_lacks_are_warnings(folder):
    picture(folder.path / "img/10.png", 3, side=1)
    for row in range(2, 8):
        folder.put(row, note="")
    warnings = "\n".join(check(folder.open()).warnings)
    assert "table.csv row 12, column picture: 'img/10.png' is a picture of a single pixel" in warnings
    assert "kind note: no training row has it (note), so that it is never learnt." in warnings


def test_a_guessed_encoding_is_a_warning_and_an_unseen_label_is_counted(folder):
    spec = folder.put(2, note="für Köln").put(12, label="cow").open("target.unseen=wrong")
    path = folder.path / "table.csv"
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    found = check(spec)
    assert "was read as cp1252" in found.warnings[0]
    assert found.labels["(unseen)"] == {"train": 0, "valid": 0, "test": 1}


def test_the_terminal_gets_a_hundred_problems_and_the_count_of_all(folder):
    folder.rows *= 10
    lines = check(folder.open()).lines()
    assert "... and 8 more problems" in lines
    assert lines[-1].startswith("108 problems")


def test_what_a_fusion_and_files_of_weights_would_refuse_is_named(folder):
    folder.change('weights = "random"', 'weights = "w.pth"').spec += '[fusion]\nname = "hgt"\nheads = 3\n'
    problems = check(folder.open()).problems
    assert [re.search(part, problem) is not None for part, problem in zip((
        r"spec\.toml: \[nodes\.picture\] w\.pth: there is no such file of weights",
        r"spec\.toml: \[fusion\] .*128",
    ), problems, strict=True)] == [True, True]  # fmt: skip
    (folder.path / "w.pth").write_bytes(b"weights")
    assert len(check(folder.open()).problems) == 1


def test_a_number_in_a_column_of_pictures_is_named(tmp_path):
    lines = [{"picture": 5 if i == 1 else None, "note": f"words {i}", "label": "ab"[i % 2]} for i in range(12)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "spec.toml").write_text(
        'table = "t.jsonl"\n[target]\ncolumn = "label"\n[nodes.note]\nencoder = "ngrams"\ncolumn = "note"\n'
        '[nodes.picture]\nencoder = "image"\ncolumn = "picture"\nweights = "random"\n'
    )
    found = check(Spec.open(tmp_path / "spec.toml"))
    assert found.problems == ("t.jsonl row 2, column picture: 5 is not the path of a picture.",)


@pytest.mark.parametrize("count", [10_000])
def test_ten_thousand_rows_with_a_thousand_pictures_take_seconds(tmp_path, count):
    rng = np.random.default_rng(0)
    (tmp_path / "img").mkdir()
    for i in range(1000):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"img/{i}.png")
    with open(tmp_path / "t.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "note", "picture", "size", "site", "label"])
        for i in range(count):
            writer.writerow([i, f"a note about {i}", f"img/{i % 1000}.png", i / 7, "ns"[i % 2], "ab"[i % 2]])
    start = time.process_time()
    text, _ = infer(tmp_path / "t.csv")
    (tmp_path / "spec.toml").write_text(text)
    found = check(Spec.open(tmp_path / "spec.toml"))
    assert time.process_time() - start < 10
    assert found.problems == ()
