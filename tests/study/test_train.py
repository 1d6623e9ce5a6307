"""A run folder of a table: whole, equal for equal seeds, taken up, and nothing written where the table is wrong."""

import json
import re

import pytest

import graphfuse as gf
from graphfuse.core.files import sha256
from graphfuse.study import Study, train
from graphfuse.tables.spec import Spec

FILES = {"config.json", "model.safetensors", "history.jsonl", "metrics.json", "predictions.jsonl", "run.json",
         "README.md", "report.html", "report.json", "comparison.json", "answers.jsonl", "metrics.jsonl",
         "checkpoint.safetensors", ".lock"}  # fmt: skip


def test_a_run_has_all_that_is_needed_and_says_all_about_itself(trained):
    run = trained / "run"
    assert {path.name for path in run.iterdir()} == FILES
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.9
    assert set(metrics["valid"]) == {*gf.heads.Classify.metrics, "loss"}
    told = json.loads((run / "run.json").read_text())
    assert told["seed"] == 1
    assert told["command"] == "graphfuse train spec.toml"
    assert told["splits"] == {"train": 46, "valid": 22, "test": 22}
    assert told["labels"] == ["round", "square"]
    assert told["cells"]["note"]["rows"] == 46 > told["cells"]["note"]["filled"]
    assert told["table"] == {"file": "cases.csv", "sha256": sha256(trained / "cases.csv")}
    assert told["config"]["fusion"]["name"] == "sage"
    assert all(told["sha256"][name] == sha256(run / name) for name in told["sha256"])
    assert {"torch", "graphfuse", "python"} <= set(told["versions"])
    assert told["peak_memory"].endswith(" GB")
    card = (run / "README.md").read_text("utf-8")
    assert "label" in card
    assert "sage" in card
    page = (run / "report.html").read_text("utf-8")
    assert "majority" in page
    assert "data:image/png" in page
    assert "Bars but the first are over rows that have the modality" in page
    assert "Arrows of evidence" not in page  # there is none
    assert re.search(r"note: (round|calm|a|circle|corners|box)\b", page)  # words are called by themselves


def test_equal_seeds_give_equal_runs_and_another_seed_another(trained):
    spec = Spec.open(trained / "spec.toml")
    for name, seed in (("again", 1), ("other", 2)):
        train(spec, trained / name, seed=seed)
    weights = {name: (trained / name / "model.safetensors").read_bytes() for name in ("run", "again", "other")}
    assert weights["run"] == weights["again"] != weights["other"]
    assert (trained / "run" / "metrics.json").read_bytes() == (trained / "again" / "metrics.json").read_bytes()


def test_a_folder_with_a_run_is_refused_unless_it_is_to_be_taken_up(trained):
    spec = Spec.open(trained / "spec.toml")
    with pytest.raises(gf.InputError, match=r"run: holds a run already; add --resume to take it up, or choose another"):
        train(spec, trained / "run", seed=1)
    before = (trained / "run" / "model.safetensors").read_bytes()
    train(spec, trained / "run", seed=1, resume=True)
    assert (trained / "run" / "model.safetensors").read_bytes() == before
    with pytest.raises(gf.InputError, match=r"holds another run \(seed was 1, now 5\)"):
        train(spec, trained / "run", seed=5, resume=True)


def test_test_labels_do_not_reach_the_weights(folder, trained):
    text = (folder / "cases.csv").read_text("utf-8")
    lines = [line.replace("round,test", "X,test").replace("square,test", "round,test").replace("X,test", "square,test")
             for line in text.splitlines()]  # fmt: skip
    (folder / "cases.csv").write_text("\n".join(lines) + "\n", "utf-8")
    metrics = train(Spec.open(folder / "spec.toml"), folder / "run", seed=1)
    assert (folder / "run" / "model.safetensors").read_bytes() == (trained / "run" / "model.safetensors").read_bytes()
    assert metrics["test"]["accuracy"] <= 0.1


@pytest.mark.parametrize(("old", "new", "text"), [
    ("pictures/4.png", "pictures/none.png", r"none\.png"),
    ("r9,", "r8,", "r8"),
    (",valid", ",validd", "validd"),
])  # fmt: skip
def test_nothing_is_written_where_the_table_is_wrong(old, new, text, folder):
    path = folder / "cases.csv"
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(gf.InputError, match=text):
        train(Spec.open(folder / "spec.toml"), folder / "run")
    assert not (folder / "run").exists()


@pytest.mark.parametrize(("changes", "head"), [
    (['target.class_weights="balanced"'], lambda h: h.weights is not None and h.features is None),
    (["target.label_text=true"], lambda h: h.weights is None and h.features.shape[0] == 2),
    (['target.metric="macro_f1"', "training.modality_dropout=0.3", "training.refit=true"], lambda h: True),
])  # fmt: skip
def test_options_of_the_target_and_of_training_hold(changes, head, folder):
    spec = Spec.open(folder / "spec.toml", ["training.epochs=2", *changes])
    assert head(Study.open(spec).head)
    train(spec, folder / "run")
    again = gf.FusionModel.from_pretrained(folder / "run")
    assert again.head.labels == ("round", "square")
    config = json.loads((folder / "run" / "config.json").read_text())
    assert config["training"]["metric"] == ("macro_f1" if "macro_f1" in changes[0] else "accuracy")
    assert config["training"]["modality_dropout"] == (0.3 if len(changes) > 1 else 0)
    anew = "training and validation samples together" in (folder / "run" / "README.md").read_text("utf-8")
    assert anew is config["training"]["refit"] is (len(changes) > 1)


def test_an_encoder_can_be_trained_with_the_model(folder):
    changes = ["training.epochs=1", "nodes.picture.trainable=true", "nodes.picture.grid=0"]
    train(Spec.open(folder / "spec.toml", changes), folder / "run")
    model = gf.FusionModel.from_pretrained(folder / "run")
    assert list(model.encoders) == ["picture"]
    assert any(name.startswith("encoders.picture.") for name in model.state_dict())
