"""The page: alone in the world, safe, readable by everyone, the same each time, for any comparison."""

import itertools
import json
import re
from dataclasses import replace

import pytest
from report_data import EVIL, METHODS, Page, runs_of, story_of

from graphfuse.core.errors import InputError
from graphfuse.report import Story, overview_picture, write_report
from graphfuse.report.story import FILE
from graphfuse.training.comparison import Comparison, Run

REDRAW = "import sys; from graphfuse.report import write_report; write_report(sys.argv[1])"


def test_the_page_loads_nothing_from_anywhere(folder):
    page = Page(write_report(folder))
    links = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "xlink:href")]
    assert links
    assert all(link.startswith(("#", "data:image/")) for link in links)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    styles = [text for text in page.texts if "{" in text]
    styles += [value for _, attrs in page.tags for value in attrs.values() if value and "url(" in value]
    assert all(found == "#" for text in styles for found in re.findall(r"url\(['\"]?(.)", text))
    assert "@import" not in "".join(styles)


def test_every_text_is_shown_as_it_is_and_none_is_markup(folder):
    page = Page(write_report(folder))
    for what in ("title", "lead", "one modality", "form", "slice", "hidden", "card", "ask", "answer", "truth",
                 "kind", "node", "currency", "graphfuse", "key", "credit", "gat"):  # fmt: skip
        assert f"{what} {EVIL}" in page.text, what
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert sum(attrs.get("alt") == EVIL for _, attrs in page.tags) == 2


def test_chinese_is_there_with_its_language(folder):
    path = write_report(folder)
    assert "这面旗帜属于哪个国家？" in path.read_text("utf-8")
    assert ("html", {"lang": "en"}) in Page(path).tags
    assert all(attrs["lang"] == "zh" for tag, attrs in Page(path).tags if tag in ("article", "h1"))


def test_a_page_can_be_read_without_seeing_it(folder):
    tags = Page(write_report(folder)).tags
    outer = [attrs for tag, attrs in tags if tag == "svg" and attrs.get("overflow") != "visible"]
    assert all(
        attrs.get("aria-hidden") == "true" or (attrs["role"] == "img" and attrs["aria-label"]) for attrs in outer
    )
    assert all(attrs["alt"] for tag, attrs in tags if tag == "img")
    assert all(attrs["scope"] in ("col", "row", "colgroup") for tag, attrs in tags if tag == "th")
    assert sum(tag == "figcaption" for tag, _ in tags) == sum(tag == "figure" for tag, _ in tags) >= 4
    assert sum(tag == "caption" for tag, _ in tags) == sum(tag == "table" for tag, _ in tags) == 2
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_letters_stand_out_in_both_colour_schemes(folder):
    page = write_report(folder).read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    colours = {}
    for scheme in (light, dark):
        colours |= dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for text, ground in itertools.product(("ink", "muted", "good", "bad"), ("paper", "card", "tint")):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_right_and_wrong_are_words_and_arrows_show_the_edge(folder):
    page = Page(write_report(folder))
    assert "✗ wrong" in page.text
    assert "✓ right" in page.text
    assert f"Chad ◀ ─ borders ── Sudan ── currency {EVIL} ─ ▶ Pound" in page.text
    assert "confidence 25 %" in page.text
    assert "costs 30.0" in page.text
    assert "gains 5.0" in page.text


def test_evidence_and_hidden_modalities_are_explained_where_there_are_any(folder):
    page = write_report(folder).read_text("utf-8")
    assert "Arrows of evidence" in page
    story = Story.open(folder)
    replace(story, cards=story.cards[1:], hidden_note="Over <some> rows.").save(folder)
    page = write_report(folder).read_text("utf-8")
    assert "Arrows of evidence" not in page
    assert "Over &lt;some&gt; rows." in page


def test_redrawing_gives_the_same_bytes_in_any_process(folder, run_python):
    pages = []
    for seed in "12":
        done = run_python(REDRAW, folder, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        pages.append((folder / "report.html").read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("metric", "best"), [("accuracy", "max"), ("absolute_error", "min"), ("r2", "max")])
@pytest.mark.parametrize("methods", [1, 15])
def test_a_comparison_is_enough(tmp_path, seeds, metric, best, methods):
    levels = {f"{i} " + "a_very_long_name_" * 5: (i + 1) / 20 - (metric == "r2") for i in range(methods)}
    Comparison(runs_of(levels, seeds, metric, best)).save(tmp_path)
    page = Page(write_report(tmp_path))
    assert [attrs["id"] for tag, attrs in page.tags if tag == "section"] == ["methods", "learning", "made"]
    assert all(name in page.text for name in levels)
    assert ("lower is better" in page.text) == (best == "min")
    assert ("standard error" in page.text) == (seeds == 1)
    assert ("binomial" in page.text) == (seeds == 1 and metric == "accuracy")
    assert "nan" not in page.text.replace("nothing", "")


def test_a_run_without_training_or_with_holes_is_drawn(tmp_path):
    nan = float("nan")
    runs = (
        Run("majority", 0, "f1", "max", {"f1": 0.2}, {"a": 0.0}),
        Run("broken", 0, "f1", "max", {"f1": nan}, {"a": nan}),
    )
    Comparison(runs).save(tmp_path)
    page = Page(write_report(tmp_path))
    assert page.row("broken")[0] == "–"
    assert "nan" not in page.text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda story: story | {"titel": "x"}, r"report.json: there is no field 'titel'. Did you mean 'title'\?"),
        (lambda story: story | {"credits": "OpenMoji"}, r"report.json.credits: expected a list, got 'OpenMoji'"),
        (lambda story: story | {"cards": [{"name": "a"}]}, r"report.json.cards\[0\]: lacks the field 'text'"),
        (lambda story: story | {"slices": {"form": {"flag": ["x"]}}}, r"report.json: Slice form/flag: .* such as 'x'"),
        (lambda story: story | {"against": ["conca"]}, r"report.json: There is no method or group .*'concat'"),
        (lambda story: story | {"hidden": [{"method": "gat", "hidden": "x", "mean": 1, "std": 0, "drop": 0}]},
         r"report.json: There is no method in this comparison called 'gat'"),
        (lambda story: [], r"report.json: expected an object, got \[\]"),
    ],
)  # fmt: skip
def test_a_damaged_story_is_one_clear_error_and_the_old_page_stays(folder, damage, message):
    before = write_report(folder).read_bytes()
    _edit(folder / FILE, damage)
    with pytest.raises(InputError, match=message):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before


def test_files_that_are_missing_or_no_json_are_named(folder):
    (folder / FILE).write_text('{"title": ')
    with pytest.raises(InputError, match=r"report\.json:1: not valid JSON"):
        write_report(folder)
    (folder / "comparison.json").unlink()
    with pytest.raises(InputError, match=r"comparison\.json: there is no such file"):
        write_report(folder)
    Comparison(()).save(folder)
    (folder / FILE).unlink()
    with pytest.raises(InputError, match=r"comparison\.json: The comparison holds no runs"):
        write_report(folder)


def test_two_metrics_do_not_fit_one_page(tmp_path):
    Comparison(runs_of({"a": 0.5}, 1) + runs_of({"b": 0.5}, 1, "f1")).save(tmp_path)
    with pytest.raises(InputError, match=r"'b', seed 0: its metric is 'f1' \(max\); .* 'accuracy'"):
        write_report(tmp_path)


def test_the_overview_is_a_picture_and_the_same_each_time(folder, tmp_path):
    first = overview_picture(folder, tmp_path / "a.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert overview_picture(folder, tmp_path / "b.png").read_bytes() == first


def test_a_page_with_a_dozen_cards_is_small(folder):
    story = story_of()
    Story(cards=story.cards * 6, slices=story.slices).save(folder)
    assert len(story.cards * 6) == 12
    assert write_report(folder).stat().st_size < 500_000


def test_the_key_finding_names_its_rivals(folder):
    page = Page(write_report(folder))
    comparison = Comparison(runs_of(METHODS, 3))
    gap, p = comparison.paired("gate", "concat")
    assert p < 0.001
    assert f"Better by {100 * gap:.1f} points than concat (" in page.text
    assert f"than text, the best of “one modality {EVIL}”" in page.text
    assert "p < 0.001" in page.text


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def _edit(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))), "utf-8")
