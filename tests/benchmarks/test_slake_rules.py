"""The rules of SLAKE: facts by the words of a question, no training answer that breaks one, shares of the labels."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import medical_data, slake_draw, slake_en_rules, slake_facts, tables
from graphfuse.heads import Classify
from graphfuse.model import Ruled
from graphfuse.model.rule_labels import labelled
from graphfuse.rules import RuleSet

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
real = pytest.mark.skipif(not (DATA / "slake").is_dir(), reason="SLAKE is not here (see benchmarks/tables.py)")
FACTS = slake_facts.FACTS


@pytest.mark.parametrize(("question", "facts"), [
    ("Does the picture contain liver?", {"asks": "yes or no", "shows": "of the belly"}),
    ("Are/Is there kidneys in the picture?", {"asks": "yes or no", "shows": "of the belly"}),
    ("Does the lung exist in this picture?", {"asks": "yes or no", "shows": "lung"}),
    ("Does the picture contain mandible?", {"asks": "yes or no", "shows": "mandible"}),
    ("Is there a brain tumor?", {"asks": "yes or no"}),
    ("Is this a t1 weighted or t2 weighted MRI image?", {"asks": "choice"}),
    ("How many kidneys are there?", {"asks": "number"}),
    ("What color is the lesion?", {"asks": "colour"}),
    ("In what plane is this image scanned?", {"asks": "plane"}),
    ("Which organs/organ in the picture belong to the nervous system?", {"asks": "other", "system": "nervous"}),
    ("What are the white veins in the black part of the body?", {"asks": "other"}),
    ("Which part of the body does this image belong to?", {"asks": "part"}),
])  # fmt: skip
def test_facts_are_read_from_the_words_of_a_question(question, facts):
    nothing = dict.fromkeys(FACTS, "")
    assert slake_facts.facts(question, "Brain_Tissue") == {**nothing, **facts, "region": "head"}


def test_every_rule_asks_for_facts_that_there_are_and_no_solver_is_needed(monkeypatch):
    monkeypatch.setattr("graphfuse.rules.solved.find_spec", lambda name: None)
    rules = RuleSet.read(slake_draw.RULES, features=FACTS)
    soft = [rule.name for rule in rules.rules if not rule.hard]
    assert soft == ["brain_modality", "belly_modality", "chest_modality"]
    assert len(rules.rules) == 33


def test_a_share_is_inside_a_larger_one_and_the_test_is_whole():
    rows = [{"id": f"{split}{i}", "split": split} for split in ("train", "valid", "test") for i in range(40)]
    small, large, other = (slake_draw.drawn(rows, *own) for own in ((0.1, 0), (0.5, 0), (0.5, 1)))
    assert Counter(row["split"] for row in small) == {"train": 4, "valid": 4, "test": 40}
    assert {row["id"] for row in small} < {row["id"] for row in large}
    assert {row["id"] for row in other} != {row["id"] for row in large}
    assert slake_draw.drawn(rows, 1.0, 0) == slake_draw.drawn(rows, 1.0, 1) == rows


def test_a_draw_that_is_known_is_not_trained_again_unless_another_is_asked_for(tmp_path, monkeypatch):
    asked = []

    def found(rows, modes, seed, epochs, out, jobs):
        asked.append(epochs)
        return {("none", "accuracy"): 0.5}, {"none": 2.0}, {"none": 3}

    monkeypatch.setattr(slake_draw, "found", found)
    rows = [{"id": "a", "answer": "yes"}]
    first, again = (slake_draw.kept(rows, ["none"], 0, 3, tmp_path, 1) for _ in range(2))
    assert first == again == ({("none", "accuracy"): 0.5}, {"none": 2.0}, {"none": 3})
    slake_draw.kept(rows, ["none"], 0, 4, tmp_path, 1)
    slake_draw.kept([{"id": "a", "answer": "no"}], ["none"], 0, 4, tmp_path, 1)
    assert asked == [3, 4, 4]


def test_rules_over_few_answers_say_what_the_whole_ones_say_of_these():
    whole, some = RuleSet.read(slake_draw.RULES), ("yes", "no", "ct", "lung", "2")
    fewer = slake_draw.over(some, whole)
    assert "weighting" not in {rule.name for rule in fewer.rules}
    every = Ruled.of(Classify(whole.labels), whole)
    few = Ruled.of(Classify(some), fewer)
    cases = [{"asks": asks, "region": region} for asks in ("yes or no", "modality", "other", "number")
             for region in ("head", "chest")]  # fmt: skip
    for facts in cases:
        own = {}
        for head in (every, few):
            pairs = [(label, label, facts) for label in some]
            own[len(head.labels)] = {name for name, _ in labelled(head, pairs).broken}
        assert own[len(every.labels)] == own[len(some)], facts
    words = slake_draw.over(some, whole, ["region"])
    assert "head_answers" not in {rule.name for rule in words.rules}


def test_a_row_has_the_mean_and_spread_of_the_seeds_that_its_share_has():
    every = [(share, seed, ({("none", "accuracy"): value}, {"none": 10.0 * value}, {"none": 7}))
             for share, seed, value in ((0.5, 0, 0.6), (0.1, 0, 0.2), (0.1, 1, 0.4), (0.1, 3, 0.3))]  # fmt: skip
    given = {"task": "slake_en_rules", "split": "test", "command": "python -m benchmarks.run slake_en_rules"}
    few, many = slake_en_rules.rows_of(every, given)
    own = {"metric": "accuracy of 10% of labels", "mean": 0.3, "std": 0.1, "seeds": [0, 1, 3], "seconds": 3.0}
    assert own.items() <= few.items()
    assert {"metric": "accuracy of 50% of labels", "mean": 0.6, "std": 0.0, "seeds": [0]}.items() <= many.items()


def test_rows_whose_own_answer_breaks_a_rule_are_counted():
    nothing = dict.fromkeys(FACTS, "")
    asked = {"answer": "ct", **nothing, "asks": "modality"}
    own = ({"answer": "ct"}, {"answer": "yes"}, {"answer": "x-ray"}, {"answer": "x-ray", "region": "head"})
    rows = [{"id": str(i), "split": "test", **asked, **each} for i, each in enumerate(own)]
    train = [{**row, "split": "train"} for row in rows[1:2]]
    assert slake_en_rules.broken(rows + train) == 0.25  # the last breaks a soft rule alone


@real
def test_no_training_answer_breaks_a_rule_and_each_rule_is_asked():
    rows = [row for row in medical_data.slake(DATA / "slake") if row["split"] == "train"]
    labels = sorted({row["answer"] for row in rows})
    head = Ruled.of(Classify(labels), RuleSet.read(slake_draw.RULES, labels, features=FACTS))
    facts = [{name: row[name] for name in FACTS if row[name]} for row in rows]
    found = labelled(head, ((row["id"], row["answer"], own) for row, own in zip(rows, facts)))
    assert (found.samples, found.broken, found.lacking) == (4918, (), ())
    assert min(found.fires.values()) == 1
    assert Counter(own["asks"] for own in facts) == {
        "other": 1935, "yes or no": 1681, "modality": 324, "part": 311, "number": 220, "plane": 167, "colour": 121,
        "weighting": 100, "shape": 42, "choice": 17,
    }  # fmt: skip


@real
@pytest.mark.filterwarnings("ignore::graphfuse.rules.RuleWarning")  # few rows ask for few rules
def test_a_small_part_goes_the_whole_way(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GRAPHFUSE_DATA", str(DATA))
    every = medical_data.slake(DATA / "slake")
    some = [r for s in ("train", "valid", "test") for r in [r for r in every if r["split"] == s][:20]]
    task = tables.replace(tables.TASKS["slake_en"], read=lambda data: some)
    monkeypatch.setitem(tables.TASKS, "slake_en", task)
    monkeypatch.setattr(slake_en_rules, "SHARES", (0.5,))
    monkeypatch.setattr(slake_en_rules, "ALL", (0.5,))
    command = "python -m benchmarks.run slake_en_rules --quick"
    found = slake_en_rules.run("slake_en_rules", tmp_path / "out", range(1), True, command)
    values = {(row["method"], row["metric"].removesuffix(" of 50% of labels")): row["mean"] for row in found}
    after = (slake_draw.AFTER, slake_draw.WORDS, slake_draw.BOTH)
    trained = ("none", "exact", "loss", "refine", slake_draw.TOLD)
    assert {row["method"] for row in found} == {*trained, *after, slake_en_rules.TRUTH}
    assert values["exact", "rules_broken"] == values[slake_draw.AFTER, "rules_broken"] == 0
    assert values["none", "rules_broken"] > 0
    for method in (*after, *trained[1:]):
        own = slake_draw.TOLD if method == slake_draw.BOTH else "none"
        gain = values[method, "accuracy"] - values["none", "accuracy"]
        assert values[method, "gain, accuracy"] == pytest.approx(gain, abs=1e-4)
        if method in after:
            moved = values[method, "answers mended"] - values[method, "answers spoiled"]
            assert values[method, "accuracy"] - values[own, "accuracy"] == pytest.approx(moved, abs=1e-4)
    sizes = {row["method"]: row["parameters"] for row in found}
    assert sizes[slake_draw.TOLD] > sizes["none"] == sizes["exact"]
    spec = tmp_path / "out" / "share-0.5" / "draw-0" / "data" / "spec.toml"
    assert "answer" not in spec.read_text("utf-8").split("[nodes.facts]")[1].split("[")[1]
    assert json.dumps(found)
