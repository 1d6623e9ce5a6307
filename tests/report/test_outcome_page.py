"""The figures of answers, missing values, further metrics and rules: the numbers of the rows, for every reader."""

import itertools
import json
import re

import pytest
from report_data import EVIL, METHODS, Page, missing_of, runs_of, write_lines, write_outcomes

from graphfuse.core.errors import InputError
from graphfuse.report import Confusion, MissingCurve, MoreMetrics, Reliability, write_report
from graphfuse.training.comparison import Comparison

LABELS = ["flu", "<b>x</b>", f"label {EVIL}"]
SECTIONS = {"answers.jsonl": "answers", "missing.jsonl": "missing", "metrics.jsonl": "metrics",
            "rules.jsonl": "rules"}  # fmt: skip


def sections(page):
    return [attrs["id"] for tag, attrs in page.tags if tag == "section"]


@pytest.fixture
def told(folder):
    """A folder with all files."""
    write_outcomes(folder, METHODS, 3, LABELS)
    return folder


def test_a_page_without_these_files_is_the_same_as_one_whose_files_are_empty(folder):
    before = write_report(folder).read_bytes()
    assert b"matrix" not in before
    assert b"shares" not in before
    for file in SECTIONS:
        (folder / file).write_text("")
    assert write_report(folder).read_bytes() == before


@pytest.mark.parametrize("files", [each for n in (1, 2, 4) for each in itertools.combinations(SECTIONS, n)])
def test_each_file_has_a_section_that_the_page_leads_to(files, told):
    for file in SECTIONS.keys() - set(files):
        (told / file).unlink()
    page = Page(write_report(told))
    wanted = {SECTIONS[file] for file in files}
    assert set(sections(page)) & set(SECTIONS.values()) == wanted
    assert {f"#{name}" for name in sections(page)} == {attrs["href"] for tag, attrs in page.tags if tag == "a"}


def test_tables_hold_the_numbers_of_the_rows(told):
    page, confusion = Page(write_report(told)), Confusion.open(told, "gate")
    for i, name in enumerate(confusion.names):
        total = sum(confusion.counts[i])
        wanted = [str(n) for n in confusion.counts[i]]
        assert [name, *wanted, str(total), f"{100 * confusion.right[i] / total:.0f} %"] in page.cells()
    for truth, said, n in confusion.frequent:
        assert f"{truth} → {said}: {n}" in page.text
    for method, reliability in Reliability.open(told).items():
        assert f"{reliability.error:.3f}" in [cell for row in page.rows if row and method in row[0] for cell in row]
    for each in Reliability.open(told)["gate"].bins:
        row = page.row(f"{each.low} to {each.high}")
        assert row == [str(each.answers), f"{each.confidence:.3f}", f"{each.accuracy:.3f}"]
    more = MoreMetrics.open(told).values
    shown = [f"{more[name]['gate'].mean:.3f} ± {more[name]['gate'].error:.3f}" for name in more]
    assert page.row("gate", 1) == shown
    rules = [row for row in page.cells() if row[0:1] and row[0].endswith((" hard", " soft"))]
    assert rules == [
        [f"if {EVIL} soft", f'a -> "{EVIL}"', *["51.0 ± 1.0", "50.0 ± 0.0"] * 2],
        ["one hard", "exactly_one(a, b)", *["13.5 ± 1.0", "0.0 ± 0.0"] * 2],
        ["never hard", "a | b", *["0.0 ± 0.0"] * 4],
    ]
    curve = MissingCurve.open(told).values["gate"]
    for train in (0.0, 0.3):
        cells = [curve[train, test] for test in (0.0, 0.25, 0.5)]
        texts = [f"{100 * cell.mean:.1f} ± {100 * cell.error:.1f}" for cell in cells]
        assert [f"{100 * train:g} %", *texts] in page.cells()


def test_labels_are_shown_as_they_are_and_none_is_markup(told):
    path = write_report(told)
    page = Page(path)
    assert "<b>x</b>" in page.text
    assert f"label {EVIL}" in page.text
    assert "<b>x</b>" not in path.read_text("utf-8")
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


def test_the_figures_can_be_read_without_seeing_them(told):
    tags = Page(write_report(told)).tags
    pictures = [attrs for tag, attrs in tags if tag == "svg" and attrs.get("overflow") != "visible"]
    assert all(each.get("aria-hidden") == "true" or (each["role"] == "img" and each["aria-label"]) for each in pictures)
    labels = [each["aria-label"] for each in pictures if "aria-label" in each]
    assert sum(label.startswith("Accuracy by confidence, gate: 0.0 to 0.1:") for label in labels) == 1
    assert sum("with 25 % hidden in test" in label for label in labels) == 2
    assert sum(tag == "caption" for tag, _ in tags) == sum(tag == "table" for tag, _ in tags) == 8
    assert sum(tag == "figcaption" for tag, _ in tags) == sum(tag == "figure" for tag, _ in tags)
    assert all(attrs["scope"] in ("col", "row", "colgroup", "rowgroup") for tag, attrs in tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_lines_differ_in_more_than_colour(tmp_path):
    methods = {f"method {i}": 0.2 + i / 20 for i in range(14)}
    Comparison(runs_of(methods, 2)).save(tmp_path)
    write_lines(tmp_path / "missing.jsonl", missing_of(methods, 2))
    page = Page(write_report(tmp_path))
    paths = [(attrs.get("class", "").split(), attrs["d"]) for tag, attrs in page.tags if tag == "path"]
    lines = [names[1:3] for names, _ in paths if names[0:1] == ["line"]]
    marks = [d for names, d in paths if names[0:1] == ["mark"] and names[1].startswith("l")]
    assert len({(dash, mark) for (_, dash), mark in zip(lines, marks[:14])}) == 14
    for panel in (1, 2):  # drawn with the chosen method last, so that it lies above
        assert lines[14 * panel : 14 * (panel + 1)] == lines[13::-1]
    assert marks[14:] == [mark for mark in marks[13::-1] for _ in range(3)] * 2


def test_arrows_say_which_way_is_better(told):
    text = Page(write_report(told)).text
    assert "macro f1 ↑ auc ↑ calibration error ↓ log loss ↓" in text


@pytest.mark.parametrize(("labels", "seeds"), [(2, 1), (40, 2)])
def test_one_method_is_enough(labels, seeds, tmp_path):
    names = [f"label {i} of many words" for i in range(labels)]
    Comparison(runs_of({"only": 0.7}, seeds)).save(tmp_path)
    write_outcomes(tmp_path, {"only": 0.7}, seeds, names)
    page = Page(write_report(tmp_path))
    assert sections(page) == ["methods", "metrics", "rules", "learning", "answers", "missing", "made"]
    assert ("other labels" in page.text) == (labels == 40)
    assert ("Most frequent confusions" in page.text) == (labels == 40)
    assert "nan" not in page.text
    assert ("± standard deviation over seeds. ↑" in page.text.replace("mean ", "")) == (seeds == 2)


def test_of_many_rules_those_that_are_broken_most_are_shown_and_the_others_counted(tmp_path):
    Comparison(runs_of({"only": 0.7}, 1)).save(tmp_path)
    row = {"method": "only", "seed": 0, "hard": True, "says": "a | b", "after": 0.0}
    write_lines(tmp_path / "rules.jsonl",
                [{**row, "rule": f"rule {i}", "before": max(0, i - 9) / 100} for i in range(60)])  # fmt: skip
    page = Page(write_report(tmp_path))
    shown = [row[0] for row in page.cells() if row[0:1] and row[0].startswith("rule ")]
    assert shown == [f"rule {i} hard" for i in range(59, 19, -1)]
    assert "20 more rules are not shown, broken less often than these; no answer breaks 10 of them." in page.text


def test_another_metric_or_one_that_is_no_number_is_drawn(tmp_path):
    Comparison(runs_of({"only": 0.7}, 2)).save(tmp_path)
    rows = missing_of({"only": 40.0}, 2, "absolute_error")
    rows[0]["value"] = float("nan")
    write_lines(tmp_path / "missing.jsonl", rows)
    page = Page(write_report(tmp_path))
    assert "Test absolute error (lower is better) by the share" in page.text
    assert next(row for row in page.cells() if row[0:1] == ["0 %"] and len(row) == 4)[1] == "–"
    assert "nan" not in page.text


def test_the_chosen_method_may_lack_answers(folder):
    write_outcomes(folder, {"text": 0.3}, 3, LABELS)
    page = Page(write_report(folder))
    assert "Confusion matrix" not in page.text
    assert "Calibration of all methods" in page.text


@pytest.mark.parametrize("file", SECTIONS)
def test_a_method_that_was_not_compared_is_an_error_and_the_old_page_stays(file, told):
    before = write_report(told).read_bytes()
    path = told / file
    row = json.loads(path.read_text("utf-8").split("\n")[0])
    path.write_text(json.dumps({**row, "method": "gatte"}), "utf-8")
    with pytest.raises(InputError, match=rf"{file}: There is no method in this comparison called 'gatte'\. .*'gate'"):
        write_report(told)
    assert (told / "report.html").read_bytes() == before
