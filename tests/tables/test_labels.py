"""Which labels the rows of a table have, by a column for each or by one column with their names."""

import json

import pytest

from graphfuse.core.errors import InputError
from graphfuse.tables.labels import marked, named
from graphfuse.tables.read import read_table


@pytest.fixture
def read(tmp_path):
    def written(content: str, name: str = "table.csv"):
        (tmp_path / name).write_text(content, encoding="utf-8")
        return read_table(tmp_path / name)

    return written


def test_a_column_a_label_says_0_or_1_in_any_way_of_writing_it(read):
    frame = read("id,b,发烧,a\n1,0,1,1.0\n2,TRUE,false, 1 \n")
    assert marked(frame, ["a", "b", "发烧"]) == [[True, False, True], [True, True, False]]
    frame = read('{"a": true, "b": 0}\n{"a": 0.0, "b": 1}\n', "table.jsonl")
    assert marked(frame, ["a", "b"]) == [[True, False], [False, True]]


@pytest.mark.parametrize(("text", "said"), [
    ("a,c\n1,1\n", r"there is no column for the label 'b'\. Known: a, c\."),
    ("fever,b\n1,1\n", r"no column for the label 'a'\."),
    ("x,y\n1,1\n", r"no column for the label 'a' \(nor for 1 more\).*--column"),
    ("a,b\n1,1\n1,\n", r"^table\.csv row 3, column b: the cell is empty; 0 or 1 is needed\.$"),
    ("a,b\n1,2\n", r"^table\.csv row 2, column b: '2' says neither .* 0 or 1 is needed\.$"),
    ("a,b\n1,yes\n", r"row 2, column b: 'yes' says neither"),
])  # fmt: skip
def test_what_says_neither_is_named_with_its_place(read, text, said):
    with pytest.raises(InputError, match=said):
        marked(read(text), ["a", "b"])


def test_one_column_has_the_names_as_a_text_or_as_a_list(read):
    frame = read("id;tags\n1;b, a ,a\n2;\n3;c,rash\n4;rash\n")
    found, other = named(frame, ["a", "b", "c"], "tags", ",")
    assert found == [[True, True, False], [False] * 3, [False, False, True], [False] * 3]
    assert other == {"rash": 2}
    lines = "\n".join(json.dumps({"tags": tags}) for tags in (["a", "b"], [], None, ["c", 3]))
    found, other = named(read(lines, "table.jsonl"), ["a", "b", "c"], "tags", ";")
    assert found == [[True, True, False], [False] * 3, [False] * 3, [False, False, True]]
    assert other == {"3": 1}


def test_a_column_that_is_not_there_or_holds_no_names_is_named(read):
    with pytest.raises(InputError, match=r"there is no column 'tag'\. Did you mean 'tags'\?"):
        named(read("id,tags\n1,a\n"), ["a"], "tag", ";")
    with pytest.raises(InputError, match=r"^table\.jsonl row 1, column tags: \['a'\] is not one value"):
        named(read('{"tags": [["a"]]}', "table.jsonl"), ["a"], "tags", ";")
