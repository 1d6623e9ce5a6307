"""Tables in the docs are what the rows render, and rows have every field."""

import pytest

from benchmarks import rows, table
from benchmarks.run import BENCHMARKS, main

MADE = [
    rows.row(
        task="atlas", method=method, metric=table.metric_of(column), mean=mean, std=0.012, seeds=[0, 1], split="test",
        tuned_on="validation", seconds=12.4, parameters=1234, command="python -m benchmarks.run atlas --seeds 2",
    )
    for method, mean in (("concat", 0.3), ("hgt", 0.7))
    for column in table.COLUMNS
]  # fmt: skip


def test_the_page_is_what_the_rows_render():
    assert table.PAGE.read_text("utf-8") == table.render(), "run python -m benchmarks.table"


def test_the_tables_of_the_readme_are_what_the_rows_render():
    readme = table.README.read_text("utf-8")
    assert readme == table.filled(readme), "run python -m benchmarks.table"
    for name in ("atlas", "medical"):
        assert readme.count(f"<!-- {name} table -->") == readme.count(f"<!-- /{name} table -->") == 1


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_rows_that_are_kept_have_every_field(name):
    for row in rows.read(name):
        assert tuple(row) == rows.FIELDS
        assert row["task"] == name
        assert row["origin"] == "measured"
        assert row["command"].startswith(f"python -m benchmarks.run {name}")
        assert "--quick" not in row["command"]
        assert isinstance(row["seeds"], list)
        assert not row["metric"].startswith("accuracy") or 0 <= row["mean"] <= 1


def test_rows_are_read_as_they_were_written(tmp_path):
    rows.write("atlas", MADE, tmp_path)
    assert rows.read("atlas", tmp_path) == MADE
    assert rows.read("batching", tmp_path) == []


def test_both_tables_have_a_line_a_method_in_percent(monkeypatch):
    monkeypatch.setattr(table, "read", lambda name: MADE if name == "atlas" else [])
    assert table.short().splitlines() == [
        "| method | unseen | flag | both | clue | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| concat | 30.0 ± 1.2 | 30.0 ± 1.2 | 30.0 ± 1.2 | 30.0 ± 1.2 | 12 |",
        "| hgt | 70.0 ± 1.2 | 70.0 ± 1.2 | 70.0 ± 1.2 | 70.0 ± 1.2 | 12 |",
    ]
    assert "`python -m benchmarks.run atlas --seeds 2`, graphfuse " in table.render()
    assert "| hgt |" + " 70.0 ± 1.2 |" * 9 + " 12 | 1,234 |" in table.render()
    assert table.UNKNOWN in table.render()


def test_the_columns_are_those_of_the_demo():
    from graphfuse.demo.show import COLUMNS

    assert tuple(COLUMNS) == table.COLUMNS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["atlsa"], "There is no benchmark called 'atlsa'. Did you mean 'atlas'?"),
        (["batching", "--seeds", "0"], "--seeds is 0"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_code_2(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err
