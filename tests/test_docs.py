"""docs/tables.md and docs/adding_a_part.md are true: keys with their defaults, checks with their claims."""

import inspect
import json
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from graphfuse.encoders import ENCODERS
from graphfuse.tables.parts import Fusion
from graphfuse.tables.spec import METRICS, SHARES, Rows, Rules, Spec, Target, Training
from graphfuse.testing import CHECKS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "tables.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NAMED = {"separator": '";"', "shares": json.dumps(list(SHARES)), "metric": "the task's first"}


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_is_a_spec_of_the_table_that_the_page_shows(number, tmp_path):
    (tmp_path / "spec.toml").write_text(EXAMPLES[number], "utf-8")
    header = re.search(r"^\$ head -3 fruit.csv\n(.*)$", PAGE, re.MULTILINE).group(1).split(",")
    spec = Spec.open(tmp_path / "spec.toml")
    columns = [spec.target.column, spec.rows.id, *(column for node in spec.nodes for column in node.columns)]
    assert spec.table == tmp_path / "fruit.csv"
    assert set(columns) <= set(header)


def rows_of(key: str) -> list[list[str]]:
    """The table rows of the page whose first cell names a key, as cells."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line[:1] == "|"]
    return [row for row in rows if f"`{key}`" in row[0]]


@pytest.mark.parametrize("part", [Target, Rows, Rules, Training, Fusion])
def test_every_key_of_a_section_is_named_with_its_default(part):
    for field in fields(part):
        if field.name == "options":
            continue
        rows = [dict(zip(row[0].split(", "), row[1].split(", ") if "`, `" in row[0] else row[1:2]))
                for row in rows_of(field.name)]  # fmt: skip
        told = [row[f"`{field.name}`"].strip("`") for row in rows]
        default = "needed" if field.default is MISSING else json.dumps(field.default)
        assert NAMED.get(field.name, "none" if default == "null" else default) in told, field.name


@pytest.mark.parametrize("name", ENCODERS)
def test_every_option_of_an_encoder_is_named_with_its_default(name):
    ((first, _, told),) = rows_of(name)
    assert first == f"`{name}`"
    for option in inspect.signature(ENCODERS[name]).parameters.values():
        default = "" if option.default is option.empty else f" = {json.dumps(option.default)}"
        assert f"`{option.name}{default}`" in told, option.name


def test_every_metric_is_named():
    assert {name for metrics in METRICS.values() for name in metrics} <= set(re.findall(r"[a-z_0-9]+", PAGE))


def test_the_list_of_checks_is_that_of_the_library():
    page = (DOCS / "adding_a_part.md").read_text("utf-8")
    told = page.split("<!-- checks -->")[1].split("<!-- /checks -->")[0]
    rows = [f"| `{name}` | {check.__doc__.strip().replace('``', '`')} |" for name, check in CHECKS.items()]
    assert told.strip() == "\n".join(["| check | claim |", "| --- | --- |", *rows])
