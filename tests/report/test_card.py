"""A model's card: what a hub reads of it, what a person reads of it, and nothing of it is markup of a user's."""

import itertools
import math

import pytest

from graphfuse.report import model_card

yaml = pytest.importorskip("yaml")

EVIL = 'a|b `c` <i>d</i> **e**\n---\n# f: "g" \\ \x85 \u2028 [h](i) \ud800 😀'
CONFIG = {
    "model": {"fusion": "relation_gate", "dim": 32, "layers": 2, "dropout": 0.1},
    "schema": {"kinds": {"note": 384, "scan": 1280, "facts": 12}, "edges": []},
    "head": {"head": "classify", "labels": ["no", "yes"]},
    "encoders": {"note": {"encoder": "text"}, "scan": {"encoder": "image"}},
    "versions": {"torch": "2.10"},
    "sha256": {"model.safetensors": "abc"},
}
FACTS = {
    "name": "ward",
    "command": "graphfuse train ward.toml",
    "seed": 3,
    "versions": {"graphfuse": "0.2.0"},
    "hardware": "one CPU",
    "splits": {"train": 1200, "valid": 150},
    "cells": {"findings": {"filled": 900, "rows": 1200}, "age": {"filled": 1200, "rows": 1200}},
    "labels": ["no", "yes"],
    "metrics": {"valid": {"accuracy": 0.91234567}, "test": {"accuracy": 0.9, "log_loss": 1e-5, "auc": math.nan}},
    "columns": {
        "note": {"encoder": "text", "column": "findings"},
        "facts": {"encoder": "table", "numeric": ["age"], "categorical": ["ward"]},
    },
    "target": {"column": "ill", "task": "classify"},
    "temperature": 1.25,
    "sha256": {"model.safetensors": "def"},
}
SECTIONS = {
    "target": "column **ill**", "labels": "2 labels: no, yes.", "splits": "| train | 1,200 |",
    "cells": "| findings | 1,200 | 300 | 25.0 % |", "metrics": "| accuracy | 0.9123 | 0.9 |",
    "temperature": "divided by 1.25", "columns": "| facts | table | numeric: age; categorical: ward |",
    "seed": "- seed: 3", "hardware": "- hardware: one CPU", "versions": "graphfuse 0.2.0",
    "command": "```shell\ngraphfuse train ward.toml\n```", "sha256": "| model.safetensors | def |",
}  # fmt: skip


def front(card):
    """The values in front, read as a hub does."""
    start, matter, _ = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(matter)


def test_a_hub_reads_what_is_in_front():
    assert front(model_card(CONFIG, FACTS)) == {
        "library_name": "graphfuse",
        "tags": ["graphfuse", "multimodal", "relation_gate", "note", "facts"],
        "metrics": ["accuracy", "log_loss"],
        "model-index": [
            {
                "name": "ward",
                "results": [
                    {
                        "task": {"type": "other", "name": "classify"},
                        "dataset": {"type": "table", "name": "the table of this run", "split": "test"},
                        "metrics": [
                            {"type": "accuracy", "value": 0.9, "name": "test accuracy"},
                            {"type": "log_loss", "value": 1e-5, "name": "test log_loss"},
                        ],
                    }
                ],
            }
        ],
    }


def test_the_hubs_own_client_reads_it():
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(model_card(CONFIG, FACTS)).data
    assert (data.library_name, data.model_name) == ("graphfuse", "ward")
    assert [(each.metric_type, each.metric_value) for each in data.eval_results] == [
        ("accuracy", 0.9),
        ("log_loss", 1e-5),
    ]


@pytest.mark.parametrize(
    ("columns", "task", "pipeline"),
    [
        ({"note": {"encoder": "text", "column": "a"}}, "classify", "text-classification"),
        ({"scan": {"encoder": "image", "column": "a"}}, "classify", "image-classification"),
        ({"facts": {"encoder": "table", "numeric": ["a"]}}, "regress", "tabular-regression"),
        ({"facts": {"encoder": "vector", "column": "numeric"}}, "classify", "tabular-classification"),
        ({"note": {"encoder": "text"}, "scan": {"encoder": "image"}}, "classify", None),
        ({"note": {"encoder": "text"}}, "regress", None),
        ({"note": {"encoder": "own: Mine"}}, "classify", None),
    ],
)
def test_a_pipeline_is_named_where_a_single_kind_fits_one(columns, task, pipeline):
    card = model_card({}, {"columns": columns, "target": {"column": "x", "task": task}})
    assert front(card).get("pipeline_tag") == pipeline


@pytest.mark.parametrize("part", SECTIONS)
def test_a_part_is_told_where_it_is_there_and_left_out_where_not(part):
    assert SECTIONS[part] in model_card(CONFIG, FACTS)
    assert SECTIONS[part] in model_card({}, FACTS)
    assert SECTIONS[part] not in model_card({}, {key: value for key, value in FACTS.items() if key != part})


@pytest.mark.parametrize("count", range(3))
def test_any_parts_may_lack(count):
    for parts in itertools.combinations(FACTS, count):
        for config in ({}, CONFIG):
            card = model_card(config, {key: FACTS[key] for key in parts})
            assert front(card)["library_name"] == "graphfuse"
            assert "nan" not in card
            assert "\n\n\n" not in card


def test_limits_are_stated_plainly():
    card = model_card(CONFIG, FACTS)
    assert "Trained on this table only." in card
    assert "Not for clinical use" in card
    assert "may lack any of these, as in training: findings." in card
    assert "Never lacking in training, so untested without: age." in card
    assert "graphfuse predict RUN new.csv --out answers.csv" in card
    assert 'gf.FusionModel.from_pretrained("RUN")' in card


def test_a_model_that_was_not_calibrated_does_not_say_so():
    assert "calibrated" not in model_card(CONFIG, {**FACTS, "temperature": 1.0})


def test_many_labels_are_cut_short():
    card = model_card({}, {"labels": [f"l{i}" for i in range(40)]})
    assert "40 labels: l0, " in card
    assert "l29 and 10 more." in card


def test_texts_of_users_are_no_markup_in_front_nor_below():
    facts = {**FACTS, "name": EVIL, "labels": [EVIL, "- x", "12. y"], "command": "echo ```\n```\n# x",
             "columns": {EVIL: {"encoder": "text", "column": EVIL}},
             "metrics": {"test": {EVIL: 0.5}}, "cells": {EVIL: {"filled": 0, "rows": 0}}}  # fmt: skip
    card = model_card({}, facts)
    card.encode()
    matter = front(card)
    mended = EVIL.replace("\ud800", "\ufffd")
    assert matter["model-index"][0]["name"] == mended
    assert matter["metrics"] == [mended]
    assert matter["tags"][2] == mended
    below = card.split("---\n", 2)[2]
    assert "<i>" not in below.replace(r"\<i\>", "")
    assert "````shell\necho ```\n```\n# x\n````" in below
    rows = [line for line in below.split("\n") if line.startswith("| a")]
    assert rows
    assert all(line.count("|") - line.count(r"\|") in (4, 5) for line in rows)


def test_markdown_shows_users_texts_as_they_are():
    markdown = pytest.importorskip("markdown_it")
    texts = [
        "- x",
        "12. y",
        "#z",
        "a|b",
        "<i>d</i>",
        "&lt;",
        "**e**",
        "`c`",
        "[h](i)",
        "~~k~~",
        "\\",
        "a_b_c",
        "+ w",
        "1) v",
    ]
    for each in texts:
        card = model_card({}, {"name": each, "cells": {each: {"filled": 1, "rows": 2}}})
        parsed = markdown.MarkdownIt("gfm-like", {"linkify": False}).parse(card.split("---\n", 2)[2])
        shown = ["".join(child.content for child in token.children) for token in parsed if token.type == "inline"]
        assert shown[0] == each
        assert each in shown[1:]
        kinds = {child.type for token in parsed if token.type == "inline" for child in token.children}
        assert not kinds & {"html_inline", "link_open", "em_open", "s_open"}, each
