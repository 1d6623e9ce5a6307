import pytest
import torch
from torch import nn
from torch.testing import assert_close

from graphfuse.core.errors import InputError
from graphfuse.encoders import Table
from graphfuse.encoders.table import category_of

ROWS = [{"size": 1.0, "site": "south"}, {"size": "3", "site": "north "}, {"size": None, "site": "north"}]


def test_a_cell_says_its_column_and_its_value():
    table = Table.fitted(ROWS, numeric=["size"], categorical=["site"])
    assert table.config() == {"numeric": {"size": [2.0, 1.0]}, "categorical": {"site": ["north", "south"]}}
    first, _, third = table.encode(ROWS)
    assert first.tolist() == [[1, -1, 0, 0, 0], [0, 0, 1, 0, 1]]
    assert third.tolist() == [[0, 0, 1, 1, 0]]  # a lacking number is no node, and no zero


def test_a_linear_map_is_the_feature_tokenizer_of_ft_transformer():
    table, tokens = Table({"a": (2, 4), "b": (0, 1)}, {"c": ("x", "y")}), nn.Linear(7, 5)
    nodes = tokens(table.encode([{"a": 4, "b": -1, "c": "y"}])[0])
    weight, shared = tokens.weight.T, tokens.bias  # [7, 5]
    a = weight[0] + 0.5 * weight[1]  # b_a + x_a W_a
    b = weight[2] - 1.0 * weight[3]
    c = weight[4] + weight[6]  # b_c + e_c[y]
    assert_close(nodes, torch.stack([a, b, c]) + shared)


def test_an_unseen_category_has_the_place_of_its_column_alone():
    table = Table({}, {"site": ("north", "south")})
    assert table.encode([{"site": "west"}])[0].tolist() == [[1, 0, 0]]


def test_a_constant_column_is_fine_and_a_far_number_is_clipped():
    table = Table.fitted([{"age": 40, "size": x} for x in (0, 2)], numeric=["age", "size"])
    assert table.encode([{"age": 40}, {"age": 41}])[0].tolist() == [[1, 0, 0, 0]]
    assert table.encode([{"size": 1e9}, {"size": -1e9}])[1].tolist() == [[0, 0, 1, -10]]


def test_a_column_that_is_constant_up_to_rounding_is_constant():
    table = Table.fitted([{"t": 37.2}] * 7, numeric=["t"])
    assert table.numeric["t"][1] == 0.0
    assert table.encode([{"t": 37.3}])[0][0, 1].item() == pytest.approx(0.1)
    assert Table.fitted([{"t": 1e6}, {"t": 1e6 + 1e-3}], numeric=["t"]).numeric["t"][1] > 0


def test_a_value_has_one_category_however_a_file_writes_it():
    table = Table.fitted([{"n": 1, "b": True}, {"n": "2.0", "b": "FALSE"}], categorical=["n", "b"])
    assert table.categorical == {"n": ("1", "2"), "b": ("false", "true")}
    parquet, csv = [{"n": 1, "b": True}, {"n": 2.0, "b": False}], [{"n": "1", "b": "True"}, {"n": "2.00", "b": "false"}]
    assert all((a == b).all() for a, b in zip(table.encode(parquet), table.encode(csv), strict=True))
    kept = ("007", "00", "+1", "1.5", "1.", "1e3", "Yes", "٣")
    assert tuple(category_of(text, "") for text in (*kept, "-0.0", " 12 ")) == (*kept, "0", "12")


def test_unseen_categories_are_counted_a_column():
    table = Table({"age": (0, 1)}, {"site": ("True", "n"), "ward": ("1",)})
    rows = [{"age": 1, "site": "true", "ward": 1}, {"age": 1, "site": "x", "ward": None}, {"site": "y", "ward": "1.0"}]
    assert table.unseen(rows) == {"site": 2}


def test_numbers_and_truth_values_are_categories_as_they_are_written_in_a_csv():
    table = Table.fitted([{"c": 3}, {"c": 3.0}, {"c": "3"}, {"c": True}, {"c": 2.5}], categorical=["c"])
    assert table.categorical == {"c": ("2.5", "3", "true")}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("three", "t.csv row 8, column size: 'three' is not a number; write a number, or leave the cell empty"),
        ("3,5", r"t.csv row 8, column size: '3,5' is not a number; write a number \(with a decimal point\)"),
        ("1_000", "column size: '1_000' is not a number"),
        ([1], r"column size: \[1\] is not a number"),
        ("nan", "t.csv row 8, column size: 'nan' is not a finite number; leave the cell empty where a value lacks"),
        ("-inf", "column size: '-inf' is not a finite number"),
        (float("inf"), "column size: inf is not a finite number"),
        (10**400, "column size: 10{400} is not a number"),
    ],
)
def test_a_cell_that_is_no_number_is_named_with_row_and_column(cell, message):
    for read in (Table({"size": (0, 1)}, {}).prepare, lambda rows, names: Table.fitted(rows, ["size"], names=names)):
        with pytest.raises(InputError, match=message):
            read([{"size": 1}, {"size": cell}], ["t.csv row 7", "t.csv row 8"])


def test_what_is_no_category_and_what_is_no_row_is_named():
    with pytest.raises(InputError, match=r"value 0, column c: \[1\] is not one value"):
        Table({}, {"c": ("1",)}).prepare([{"c": [1]}])
    with pytest.raises(InputError, match="value 0: 5 is not a row of a table; a mapping"):
        Table({}, {"c": ("1",)}).prepare([5])


def test_columns_that_nothing_can_be_learnt_from_are_refused():
    with pytest.raises(InputError, match="Column 'size': no training row has a value in it; leave the column out"):
        Table.fitted([{"size": None}, {}], numeric=["size"])
    with pytest.raises(InputError, match=r"Column 'c': 1001 different values are too many.*as text"):
        Table.fitted([{"c": i} for i in range(1001)], categorical=["c"])
    with pytest.raises(InputError, match=r"Column 'size': its numbers are too large for a mean"):
        Table.fitted([{"size": 1e308}, {"size": 1.1e308}], numeric=["size"])


def test_wrong_statistics_are_refused():
    with pytest.raises(InputError, match="A table needs at least one column"):
        Table({}, {})
    with pytest.raises(InputError, match="Column 'a' is both numeric and categorical"):
        Table({"a": (0, 1)}, {"a": ("x",)})
    for pair in ((0, -1), (0,), ("x", 1), (float("nan"), 1)):
        with pytest.raises(InputError, match=r"Column 'a': .* is not a mean and a standard deviation of at least 0"):
            Table({"a": pair}, {})
