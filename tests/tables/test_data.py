import json

import pytest

from graphfuse.core.errors import InputError
from graphfuse.tables.data import examine, load, load_rows
from graphfuse.tables.spec import Spec


def test_rows_know_their_place_their_name_their_split_and_their_target(folder):
    data = load(folder.open())
    assert data.splits == {"train": [*range(6)], "valid": [6, 7, 8], "test": [9, 10, 11]}
    assert (data.rows[0].name, data.rows[0].place, data.rows[0]["note"]) == ("r0", "table.csv row 2", None)
    assert data.targets[:3] == ["cat", "dog", "cat"]
    assert (data.labels, data.notes, data.problems) == (("cat", "dog"), (), ())
    assert [row.name for row in data.of("test")] == ["r9", "r10", "r11"]


def test_rows_without_ids_are_named_by_their_number_and_shares_draw_the_splits(folder):
    data = load(folder.change('id = "id"\nsplit = "split"', "shares = [0.5, 0.25, 0.25]").open())
    assert data.rows[3].name == "row 5"
    assert [len(data.splits[name]) for name in ("train", "valid", "test")] == [6, 3, 3]


@pytest.mark.parametrize(
    ("row", "cells", "message"),
    [
        (4, {"id": "r0"}, r"table.csv row 4, column id: 'r0' is the id of row 2 already; ids must differ"),
        (4, {"id": ""}, r"table.csv row 4, column id: the cell is empty; each row needs an id"),
        (4, {"split": "tets"}, r"table.csv row 4, column split: 'tets' is no split\. Did you mean 'test'"),
        (4, {"label": " "}, r"table.csv row 4, column label: the target is empty; fill it"),
        (12, {"label": "dgo"}, r"table.csv row 12, column label: the label 'dgo' is in the split test, but no training "
         r"row has it; move one to train, mend it, or set unseen = \"wrong\"\. Did you mean 'dog'"),
        (4, {"note": "", "picture": "", "size": "", "site": ""}, r"table.csv row 4: every column that is read is empty "
         r"\(note, picture, size, site\); fill one, or drop the row"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_row_is_named(folder, row, cells, message):
    with pytest.raises(InputError, match=message):
        load(folder.put(row, **cells).open())


def test_a_column_that_is_not_there_is_named_with_the_nearest(folder):
    folder.change('column = "note"', 'column = "nots"').change('split = "split"', 'split = "spilt"')
    problems = examine(folder.open()).problems
    assert len(problems) == 2
    assert "spec.toml: [rows] split: the table has no column 'spilt'. Did you mean 'split'" in problems[0]
    assert "spec.toml: [nodes.note]: the table has no column 'nots'. Did you mean 'note'" in problems[1]


def test_the_first_problem_is_raised_and_the_others_are_counted(folder):
    folder.put(3, label="").put(4, label="").put(5, id="r0")
    with pytest.raises(InputError, match=r"row 5, column id: .*\(And 2 more; `graphfuse check` lists them\.\)"):
        load(folder.open())


def test_an_empty_split_and_a_single_label_are_named(folder):
    for row in (8, 9, 10):
        folder.put(row, split="train")
    with pytest.raises(InputError, match=r"table.csv: no row is in the split valid \(column split\)"):
        load(folder.open())
    for row in range(2, 14):
        folder.put(row, label="cat", split=folder.rows[row - 2]["split"] if row > 8 else "train")
    with pytest.raises(InputError, match=r"column label: the training rows have only the label 'cat'; two or more"):
        load(folder.put(11, split="valid").open())


def test_an_unseen_label_may_count_as_wrong(folder):
    data = load(folder.put(12, label="cow").open("target.unseen=wrong"))
    assert data.targets[10] == ()
    assert data.labels == ("cat", "dog")


def test_several_labels_stand_with_a_separator_and_none_is_fine(folder):
    folder.put(2, label="cat; dog;cat").put(3, label="").put(4, label="dog")
    data = load(folder.open("target.task=multilabel"))
    assert data.targets[:3] == [("cat", "dog"), (), ("dog",)]
    folder.put(13, label="cow")
    with pytest.raises(InputError, match=r"row 13, column label: the label 'cow' is in the split test"):
        load(folder.open("target.task=multilabel"))
    data = load(folder.open("target.task=multilabel", "target.unseen=wrong"))
    assert (data.targets[11], data.labels) == (("cow",), ("cat", "cow", "dog"))


def test_a_number_is_a_target_and_a_word_is_not(folder):
    for row in range(2, 14):
        folder.put(row, label=str(row / 2))
    data = load(folder.open("target.task=regress"))
    assert (data.targets[:2], data.labels) == ([1.0, 1.5], ())
    with pytest.raises(InputError, match=r"table.csv row 6, column label: 'six' is not a number"):
        load(folder.put(6, label="six").open("target.task=regress"))
    with pytest.raises(InputError, match=r"table.csv row 6, column label: '1e300' is too large to be learnt"):
        load(folder.put(6, label="1e300").open("target.task=regress"))


@pytest.mark.parametrize(("task", "metric", "label"), [("classify", "auc", "cat"), ("regress", "r2", "2"),
                                                       ("multilabel", "auc", "cat;dog")])  # fmt: skip
def test_a_metric_that_validation_rows_do_not_define_is_named_before_training(folder, task, metric, label):
    for row in range(2, 14):
        folder.put(row, label=label if row in (8, 9, 10) else ("1" if task == "regress" else ("cat", "dog")[row % 2]))
    spec = folder.open(f"target.task={task}", f"target.metric={metric}")
    with pytest.raises(InputError, match=rf"\[target\] metric {metric} is not defined, since all validation rows"):
        load(spec)
    folder.put(8, label="1" if task == "regress" else "dog")
    assert not load(folder.open(f"target.task={task}", f"target.metric={metric}")).problems


def test_lists_of_labels_and_other_types_come_from_json_lines(tmp_path):
    lines = [{"t": "a", "y": ["x", 1]}, {"t": "b", "y": []}, {"t": "c", "y": None}, {"t": "d", "y": 1.0}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "spec.toml").write_text(
        'table = "t.jsonl"\n[target]\ncolumn = "y"\ntask = "multilabel"\nunseen = "wrong"\n'
        '[nodes.t]\nencoder = "ngrams"\ncolumn = "t"\n'
    )
    assert load(Spec.open(tmp_path / "spec.toml")).targets == [("x", "1"), (), (), ("1",)]


def test_a_new_table_needs_neither_target_nor_split_nor_ids(folder, tmp_path):
    nodes = folder.open().nodes
    (tmp_path / "new.csv").write_text("note,picture,size,site\nhello,,,\n,,1,\n")
    assert [row.name for row in load_rows(tmp_path / "new.csv", nodes, "id")] == ["row 2", "row 3"]
    (tmp_path / "new.csv").write_text("id,note,picture,size,sight\nq,hello,,,\n")
    with pytest.raises(InputError, match=r"new.csv: \[nodes.table\]: the table has no column 'site'\. Did you mean"):
        load_rows(tmp_path / "new.csv", nodes, "id")
    (tmp_path / "new.csv").write_text("id,note,picture,size,site\nq,hello,,,\nr,,,,\n")
    with pytest.raises(InputError, match=r"new.csv row 3: every column that is read is empty"):
        load_rows(tmp_path / "new.csv", nodes, "id")
