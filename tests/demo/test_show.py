"""The demo from end to end on a tiny draw: what it writes, that it takes up finished runs, how it answers."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("countryinfo", reason="needs the extra demo")
pytest.importorskip("resvg_py", reason="needs the extra demo")

from graphfuse.cli import run
from graphfuse.core.errors import InputError
from graphfuse.demo import asks, show
from graphfuse.demo.atlas import knowledge
from graphfuse.demo.build import COPIES, build, read_with
from graphfuse.demo.facts import read_facts
from graphfuse.demo.methods import AFTER, EXACT, FULL, GROUPS, METHODS, PLAIN, RULES
from graphfuse.demo.pictures import degrade, draw_flag
from graphfuse.demo.questions import split_countries
from graphfuse.demo.run import LEVEL, model_folder
from graphfuse.model import FusionModel
from graphfuse.model import plain as plain_head
from graphfuse.report import Story
from graphfuse.rules import RuleSet


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return out, show.demo(out, "tiny", "en", [0])


def test_every_method_is_compared_on_every_test_question(finished):
    _, comparison = finished
    assert comparison.methods == list(FULL)
    assert list(METHODS) == list(GROUPS)
    asked = {frozenset(run.scores) for run in comparison.runs}
    assert len(asked) == 1
    assert len(next(iter(asked))) == 60


def test_the_folder_holds_what_the_page_is_drawn_from(finished):
    out, _ = finished
    assert {path.name for path in out.iterdir()} >= {"comparison.json", "report.json", "report.html"}
    story = Story.open(out)
    assert len(story.cards) == 12
    assert {row.hidden for row in story.hidden} == {"text", "flag", "outline"}
    assert "OpenMoji" in (out / "report.html").read_text()


def test_no_answer_under_rules_breaks_one_and_the_page_says_which_others_do(finished):
    out, comparison = finished
    rows = [json.loads(line) for line in (out / "rules.jsonl").read_text().splitlines()]
    rules = [rule.name for rule in RuleSet.read(RULES, ["answer"]).rules]
    assert [(row["method"], row["rule"]) for row in rows] == [(method, name) for method in (EXACT, AFTER)
                                                              for name in rules]  # fmt: skip
    assert {row["after"] for row in rows} == {0.0}
    assert max(row["before"] for row in rows if row["method"] == AFTER) > 0
    plain, after = ({run.method: run for run in comparison.runs}[method] for method in (PLAIN, AFTER))
    assert plain.scores != after.scores
    assert plain.parameters == after.parameters
    assert 'id="rules"' in (out / "report.html").read_text()


def test_evidence_on_the_cards_is_in_the_graph_and_ends_at_the_answer(finished):
    out, _ = finished
    triples = set(knowledge(read_facts("en")).triples)
    paths = [(card, path) for card in Story.open(out).cards for path in card.paths]
    assert paths
    for card, path in paths:
        assert set(path.steps) <= triples
        assert [end for _, _, end in path.hops()][-1] == card.answer


def test_finished_runs_are_taken_up_side_by_side_and_say_the_same(finished, capsys, jobs_asked):
    out, first = finished
    assert show.demo(out, "tiny", "en", [0], jobs=2) == first
    assert jobs_asked == [2, 2]
    printed = capsys.readouterr().out
    assert "evidence:" in printed
    assert "without flag" in printed
    assert "OpenMoji" in printed


def test_a_question_of_ones_own_is_answered_with_a_picture(finished, tmp_path):
    out, _ = finished
    facts = read_facts("en")
    kg = knowledge(facts)
    readers = read_with(facts, kg, split_countries(facts, 0)["train"], LEVEL, COPIES["tiny"])
    model = FusionModel.from_pretrained(model_folder(out, 0, "relation_gate"))
    Image.fromarray(degrade(draw_flag(facts.flags["NE"]), 0.2, np.random.default_rng(0))).save(tmp_path / "flag.png")
    text = show.answered(
        "What is the capital of this country?", str(tmp_path / "flag.png"), "flag", facts, kg, readers, model
    )
    lines = text.splitlines()
    shown = lines.index("  The picture looks like:")
    assert all(line.strip() in facts.types for line in lines[shown + 1 : shown + 4])
    assert any(line.startswith("  because ") for line in lines)
    with pytest.raises(InputError, match=r"none\.png"):
        show.answered("What is it?", str(tmp_path / "none.png"), "flag", facts, kg, readers, model)
    with pytest.raises(InputError, match="Atlantis"):
        show.answered("What is the capital of Atlantis?", "", "", facts, kg, readers, model)
    with pytest.raises(InputError, match="'map'"):
        show.answered("What is it?", str(tmp_path / "flag.png"), "map", facts, kg, readers, model)


def test_what_rules_change_in_an_answer_is_explained_with_the_entities_by_name(finished, capsys):
    out, _ = finished
    folder = model_folder(out, 0, EXACT)
    model, atlas = FusionModel.from_pretrained(folder), build(0, "tiny", "en", LEVEL, model_folder(out, 0, asks.FOLDER))
    answers = model.predict(atlas.samples("test"))
    plain = replace_head(model).predict(atlas.samples("test"))
    place = next(at for at, (said, raw) in enumerate(zip(answers, plain)) if raw.value != said.value is not None)
    case = atlas.cases["test"][place]
    assert run(["rules", "explain", str(folder), "--sample", case.question.name]) == 0
    question, changed, _, *flips = capsys.readouterr().out.splitlines()
    assert question == case.question.text
    assert changed.startswith("changed, at a cost of ")
    entities = case.sub.entities
    shown = {(entities[plain[place].value], "true   false"), (entities[answers[place].value], "false  true")}
    assert {(name, way) for name, way in shown if any(name in line and way in line for line in flips[:2])} == shown
    assert flips[2] == "rules:"
    for words, said in (
        (["--sample", "test/x"], "no question of seed 0 is called 'test/x'"),
        (["--sample", case.question.name, str(out)], "was not trained on a table by `graphfuse train`"),
    ):
        assert run(["rules", "explain", str(folder), *words]) == 2
        assert said in capsys.readouterr().err
    assert run(["rules", "explain", str(model_folder(out, 0, PLAIN)), "--sample", case.question.name]) == 2
    assert "this model was trained without rules" in capsys.readouterr().err
    assert run(["rules", "explain", str(out), "--sample", case.question.name]) == 2
    assert "say of which table the row is" in capsys.readouterr().err


def replace_head(model: FusionModel) -> FusionModel:
    """The same model that answers without its rules."""
    other = copy.copy(model)
    other.head = plain_head(model.head)
    return other


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        show.demo(tmp_path / "file" / "demo", "tiny", "en", [0])
