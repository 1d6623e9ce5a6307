import csv
import json
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from graphfuse.core.errors import InputError
from graphfuse.tables.read import read_table


@pytest.fixture
def read(tmp_path):
    def written(content, name="table.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(tmp_path / name)

    return written


def cells(frame):
    return [dict(row) for row in frame.rows]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_line_ends_and_quotes_are_recognised(read, mark, end):
    lines = [mark.join(["id", "note"]), f'1{mark}"a, b; c"', "", f'2{mark}"say ""hi"""']
    frame = read("\ufeff" + end.join(lines) + end)
    assert frame.columns == ("id", "note")
    assert [row["note"] for row in frame.rows] == ["a, b; c", 'say "hi"']
    assert [row.number for row in frame.rows] == [2, 4]


def test_rows_are_numbered_by_the_line_at_which_they_begin(read):
    frame = read('id,note\n1,"two\nlines"\n\n2,x\n')
    assert [(row.number, row.place, row["note"]) for row in frame.rows] == [
        (2, "table.csv row 2", "two\nlines"), (5, "table.csv row 5", "x"),
    ]  # fmt: skip


def test_only_an_empty_cell_is_lacking(read):
    assert cells(read("a,b,c,d\n,  ,NA,None\n")) == [{"a": None, "b": None, "c": "NA", "d": "None"}]


def test_a_tsv_is_separated_by_tabs_whatever_else_is_in_it(read):
    assert cells(read("a\tb\n1,2;3,4\tx,y\n", "t.tsv")) == [{"a": "1,2;3,4", "b": "x,y"}]


def test_a_column_without_a_name_is_called_by_its_place(read):
    assert read(",note\n0,x\n").columns == ("column 1", "note")


@pytest.mark.parametrize(
    ("encoding", "text", "said"),
    [
        ("utf-8", "für Köln, 中文", None), ("utf-8-sig", "中文", None), ("utf-16", "für 中文", None),
        ("gb18030", "数据中文字符", "gb18030"), ("cp1252", "für Köln é", "cp1252"),
    ],
)  # fmt: skip
def test_an_encoding_is_recognised_and_said_where_it_was_guessed(read, encoding, text, said):
    frame = read(f'id,note\n1,"{text}"\n'.encode(encoding))
    assert frame.rows[0]["note"] == text
    assert len(frame.notes) == (said is not None)
    assert all(f"(line 2) and was read as {said}" in note for note in frame.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"table.csv: the file is empty"),
        (b" \n\n", r"table.csv: the file is empty"),
        (b"id,note\n", r"table.csv: there is a header but no row"),
        (b"id,note,id\n1,2,3\n", r"table.csv:1: the column 'id' is there more than once, as columns 1 and 3"),
        (b"a,b\n1,2\n1,2,3\n", r"table.csv:3: the row has 3 fields, but the header has 2 \(separated by comma\)"),
        (b"a;b\n1;2\n\n1\n", r"table.csv:4: the row has 1 field, but the header has 2 \(separated by semicolon\)"),
        (b'a,b\n1,"x\n2,y\n3,z\n', r"table.csv:2: a quote opens here and is not closed"),
        (b'a,b\n1,"x"y\n', r"table.csv:2: a quote opens here"),
        (b'a,b\n"1\n2","x\n2,y\n', r"table.csv:3: a quote opens here"),
        (b'a,b\n1,"x\n2"\n\n3,"y ""z""\n', r"table.csv:5: a quote opens here"),
        (b"PK\x03\x04 zip", r"table.csv: this is a spreadsheet or a zip file, not CSV; export it as CSV"),
        (b"\xd0\xcf\x11\xe0 ole", r"table.csv: this is an old spreadsheet, not CSV; export it as CSV"),
        (b"a,b\n1,\x00\n", r"table.csv:2: there is a null byte"),
        ("a,b\n1,äöüäöüäöüäöü\n2,".encode() + b"\xff\n", r"table.csv:3: a byte here is damaged"),
        ("a\nx".encode("utf-16") + b"\x00", r"table.csv: is cut short or damaged UTF-16"),
        (b"a,b\n1,\x81 \x81 \x81\n", r"table.csv:2: the text is neither UTF-8 nor"),
    ],
)
def test_a_bad_file_is_named_with_the_line(read, content, message):
    with pytest.raises(InputError, match=message):
        read(content)


def test_a_torn_quote_in_a_large_file_is_found_and_no_limit_stays_changed(read):
    before = csv.field_size_limit()
    with pytest.raises(InputError, match=r"table.csv:3: a quote opens here"):
        read('a,b\n1,2\n1,"' + "x,y\n" * 60_000)
    assert csv.field_size_limit() == before
    assert len(read("a,b\n1," + "x" * 200_000 + "\n").rows[0]["b"]) == 200_000


def test_json_lines_keep_types_and_lines_and_lack_what_they_do_not_name(read):
    frame = read('{"a": 1, "b": ["x", "y"]}\n\n{"b": null, "c": NaN, "d": " "}\n', "t.jsonl")
    assert frame.columns == ("a", "b", "c", "d")
    assert cells(frame) == [
        {"a": 1, "b": ["x", "y"], "c": None, "d": None},
        {"a": None, "b": None, "c": None, "d": None},
    ]
    assert [row.number for row in frame.rows] == [1, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a":\n', r"t.jsonl:2: not valid JSON"),
        ('[{"a": 1}]\n', r"t.jsonl:1: a list is not a row"),
        ('{"a": "ok \\\\ud83d \\ud83d\\ude00"}\n{"a": ["\\uD83d"]}\n', r"t.jsonl:2: a text has half of a character"),
        ('{"a": ' + "9" * 5000 + "}\n", r"t.jsonl:1: not valid JSON \(Exceeds the limit"),
        ('{"a": ' + "[" * 100_000 + "\n", r"t.jsonl:1: not valid JSON"),
    ],
)
def test_a_bad_line_of_json_is_named(read, content, message):
    with pytest.raises(InputError, match=message):
        read(content, "t.jsonl")


def test_parquet_keeps_types_and_leaves_out_the_index_of_pandas(tmp_path, read):
    table = pd.DataFrame({"n": [1.5, None], "t": ["x", None], "l": [[1.0, 2.0], None]}, index=[5, 9])
    table["day"] = pd.to_datetime(["2024-01-02", None])
    table.to_parquet(tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet")
    assert frame.columns == ("n", "t", "l", "day")
    assert cells(frame)[0] == {"n": 1.5, "t": "x", "l": [1.0, 2.0], "day": "2024-01-02T00:00:00"}
    assert {str(value) for value in cells(frame)[1].values()} == {"None"}
    assert [row.number for row in frame.rows] == [1, 2]
    with pytest.raises(InputError, match=r"bad.parquet: this is not a whole Parquet file"):
        read(b"PAR1 torn", "bad.parquet")


def test_a_file_that_is_missing_or_of_another_kind_is_named(tmp_path, read):
    read("a\n1\n", "visits.csv")
    with pytest.raises(InputError, match=r"visit.csv: there is no such file\. Did you mean 'visits.csv'\?$"):
        read_table(tmp_path / "visit.csv")
    with pytest.raises(InputError, match=r"this is a folder; a table is a file that ends in"):
        read_table(tmp_path)
    for name, found in (("t.xlsx", ".xlsx"), ("t", "nothing")):
        with pytest.raises(InputError, match=rf"ends in one of .csv .tsv .jsonl .parquet, not in {found}; .*CSV"):
            read(json.dumps({}), name)


def test_parquet_keeps_the_digits_of_decimals_and_damaged_text_is_named(tmp_path):
    exact = pa.array([Decimal("12345678901234567890"), Decimal("2"), None], pa.decimal128(20))
    part = pa.array([Decimal("0.50"), Decimal("3.00"), None], pa.decimal128(5, 2))
    parquet.write_table(pa.table({"id": exact, "x": part}), tmp_path / "t.parquet")
    assert cells(read_table(tmp_path / "t.parquet")) == [
        {"id": 12345678901234567890, "x": 0.5}, {"id": 2, "x": 3}, {"id": None, "x": None},
    ]  # fmt: skip
    bad = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"note": bad}), tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=r"bad.parquet: this is not a whole Parquet file \('utf-8' codec"):
        read_table(tmp_path / "bad.parquet")


def test_a_first_line_that_says_the_delimiter_is_no_header(read):
    for said in ("sep=;", '"SEP=;"'):
        frame = read(f"\ufeff{said}\r\na;b\r\n1;x, y, z\r\n")
        assert cells(frame) == [{"a": "1", "b": "x, y, z"}]
        assert frame.rows[0].number == 3
    with pytest.raises(InputError, match=r"table.csv:1: sep=\| is none of comma, semicolon, tab"):
        read("sep=|\na|b\n1|2\n")


def test_decimal_commas_are_points_where_semicolons_separate_and_a_column_has_nothing_else(read):
    frame = read("a;b;c;d;note\n0,5;1,234;1,5;007;x, y\n;2,345;two;;\n-12;;;1,5e3;1,5\n")
    assert [tuple(row.values()) for row in frame.rows] == [
        ("0.5", "1,234", "1,5", "007", "x, y"), (None, "2,345", "two", None, None), ("-12", None, None, "1.5e3", "1,5"),
    ]  # fmt: skip
    assert frame.notes == (f"{frame.path}: decimal commas were read as decimal points in: a, d.",)
    assert read('a,b\n"0,5",1\n').rows[0]["a"] == "0,5"
