"""The README is true: its two commands, its example, its names; and every dependency has its line."""

import re
import tomllib
from pathlib import Path

import pytest

import graphfuse as gf

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [
    'python3 -m venv .venv && .venv/bin/pip install ".[demo]" && .venv/bin/graphfuse demo',
    'python3 -m venv .venv-test && .venv-test/bin/pip install -e ".[dev]" && .venv-test/bin/python -m pytest',
]
CATALOGS = {"gf.FUSIONS": gf.FUSIONS, "gf.EDGES": gf.EDGES, "gf.HEADS": gf.HEADS, "gf.ENCODERS": gf.ENCODERS}
PAGES = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def fenced(text: str, language: str = "") -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block for named, block in blocks if named == language]


def links(text: str) -> set[str]:
    return {link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link}


def test_it_says_in_five_lines_what_it_is_for():
    title, blank, *rest = README.splitlines()
    assert title == "# graphfuse"
    assert blank == ""
    assert rest.index("") == 5


def test_the_two_commands_are_blocks_of_their_own():
    lines = [line for block in re.split(r"^```.*$", README, flags=re.MULTILINE)[1::2] for line in block.splitlines()]
    assert [line for line in lines if line.startswith("python3 -m venv")] == COMMANDS
    assert [block.strip() for block in fenced(README)] == COMMANDS


def test_the_example_runs_as_it_stands_and_the_graph_wins(run_python):
    (example,) = fenced(README, "python")
    statements = [line for line in example.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(statements) <= 25
    done = run_python(example)
    assert done.returncode == 0, done.stderr
    means = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines() if line[:3] in ("con", "hgt")}
    assert means["concat"] < 0.85
    assert means["hgt"] > 0.95
    assert re.findall(r"^(scene/\d+) (?:red|green|blue) [01]\.\d+$", done.stdout, re.MULTILINE) == [
        "scene/1000",
        "scene/1001",
    ]


@pytest.mark.parametrize("catalog", CATALOGS)
def test_the_table_names_what_the_catalogs_have(catalog):
    (row,) = re.findall(rf"^\| [a-z ]+, `{catalog}` \| (.*) \|$", README, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(CATALOGS[catalog])


def test_the_options_of_the_demo_are_those_of_the_command():
    from graphfuse.cli.app import app

    (command,) = [command for command in app.registered_commands if command.name == "demo"]
    told = re.findall(r"^\| `--(\w+)[^`]*` \|", README, re.MULTILINE)
    assert set(told) == set(command.callback.__annotations__) - {"return"}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_points_to_is_there(page):
    path = ROOT / page
    lacking = {link for link in links(path.read_text("utf-8")) if not (path.parent / link).exists()}
    assert not lacking


def test_every_dependency_has_its_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = sum(project["optional-dependencies"].values(), project["dependencies"])
    names = {re.match(r"[\w.-]+", each).group() for each in wanted} - {"graphfuse"}
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    told = re.findall(r"^\| ([\w.-]+) \| .+ \|$", page, re.MULTILINE)
    told = [name for name in told if name not in ("package", "---")]
    assert sorted(told) == sorted(names)


def test_it_speaks_of_countries_and_territories():
    assert not re.search(r"\bcountries\b(?! and territories)", " ".join(README.split()))
