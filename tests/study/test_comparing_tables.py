"""Fusions beside each modality alone and the common answer, on the user's own table; curves; other tasks."""

import json
from statistics import fmean

import pytest
from cases_table import make

import graphfuse as gf
from graphfuse.report import write_report
from graphfuse.study import Study, compare
from graphfuse.study.baselines import alone, majority
from graphfuse.study.compare import _folder
from graphfuse.tables.spec import Spec

QUICK = ["training.epochs=3"]


@pytest.fixture
def compared(folder):
    spec = Spec.open(folder / "spec.toml", QUICK)
    found = compare(spec, ["concat", "sage"], [0, 1], folder / "out", (0.0, 0.5), command="graphfuse compare spec.toml")
    return folder / "out", found


def test_every_method_is_there_with_its_rows_curves_and_page(compared):
    out, found = compared
    names = ["majority", "only note", "only picture", "only table", "concat", "sage"]
    assert found.methods == names
    assert found.table()["seeds"].tolist() == [2] * 6
    answers = [json.loads(line) for line in (out / "answers.jsonl").read_text("utf-8").splitlines()]
    assert len(answers) == 6 * 2 * 22
    for run in found.runs:
        own = [row for row in answers if (row["method"], row["seed"]) == (run.method, run.seed)]
        assert {row["name"]: float(row["right"]) for row in own} == run.scores
        assert all(row["right"] == (row["said"] in row["truth"]) for row in own)
    missing = [json.loads(line) for line in (out / "missing.jsonl").read_text("utf-8").splitlines()]
    assert {(r["method"], r["train"], r["test"]) for r in missing} == {
        (m, a, b) for m in ("concat", "sage") for a in (0, 0.5) for b in (0, 0.5)
    }
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert {row["metric"] for row in metrics} == set(gf.heads.Classify.metrics) - {"accuracy"}
    page = (out / "report.html").read_bytes()
    assert b"Further metrics" in page
    assert write_report(out).read_bytes() == page  # drawn again from the rows alone
    assert json.loads((out / "run.json").read_text())["seeds"] == [0, 1]


def test_a_comparison_is_taken_up_and_another_refused(compared):
    out, found = compared
    spec = Spec.open(out.parent / "spec.toml", QUICK)
    with pytest.raises(gf.InputError, match="holds a run already; add --resume"):
        compare(spec, ["concat"], [0], out)
    again = compare(spec, ["concat", "sage"], [0, 1], out, (0.0, 0.5), resume=True)
    assert [run.scores for run in again.runs] == [run.scores for run in found.runs]
    assert [run.seconds for run in again.runs] == [run.seconds for run in found.runs]  # nothing was trained again


def test_the_majority_is_the_most_common_answer_of_training(folder):
    study = Study.open(Spec.open(folder / "spec.toml"))
    run, told = majority(study, 0)
    targets = [sample.target for sample in study.samples["train"]]
    common = max(study.head.labels, key=targets.count)
    assert {row["said"] for row in told.answers} == {common}
    assert fmean(run.scores.values()) == fmean(s.target == common for s in study.samples["test"])
    share = targets.count(common) / len(targets)
    assert told.answers[0]["confidence"] == pytest.approx(share, abs=0.02)


def test_a_modality_alone_sees_nothing_else_and_gives_the_common_answer_where_it_lacks(folder):
    study = Study.open(Spec.open(folder / "spec.toml", QUICK))
    run, told = alone(study, "note", 0, folder / "note")
    common = {row["said"] for row in majority(study, 0)[1].answers}
    lacking = {s.name for s in study.samples["test"] if "note" not in s.nodes}
    assert lacking
    assert not run.history  # of fewer rows than those of other methods: no curve beside theirs
    assert {row["said"] for row in told.answers if row["name"] in lacking} == common
    assert set(run.scores) == {s.name for s in study.samples["test"]}
    model = gf.FusionModel.from_pretrained(folder / "note")
    assert set(model.schema.kinds) == {"note", "whole"}  # both are read from the column note


def test_numbers_and_several_labels_are_compared_too(tmp_path, folder):
    numbers = make(tmp_path / "numbers", target="number")
    spec = Spec.open(numbers / "spec.toml", [*QUICK, 'target.task="regress"'])
    found = compare(spec, ["sage"], [0], numbers / "out")
    assert found.runs[0].metric == "absolute_error"
    assert not (numbers / "out" / "answers.jsonl").exists()
    several = Spec.open(folder / "spec.toml", [*QUICK, 'target.task="multilabel"'])
    assert compare(several, ["sage"], [0], folder / "several").runs[0].metric == "f1"


@pytest.mark.parametrize(("fusions", "seeds", "missing", "text"), [
    (["sgae"], [0], (), r"no fusion called 'sgae'\. Did you mean 'sage'"),
    (["sage"], [0], (0.5, 2.0), r"--missing is 2\.0; it must be from 0 to 1"),
    ([], [0], (), "at least one fusion and one seed"),
])  # fmt: skip
def test_wrong_wishes_are_named_before_anything_is_written(fusions, seeds, missing, text, folder):
    with pytest.raises(gf.InputError, match=text):
        compare(Spec.open(folder / "spec.toml"), fusions, seeds, folder / "out", missing)
    assert not (folder / "out").exists()


def test_a_comparison_that_was_stopped_is_taken_up_only_if_asked(folder):
    (folder / "out/only-note/seed-0").mkdir(parents=True)
    (folder / "out/only-note/seed-0/checkpoint.safetensors").touch()
    with pytest.raises(gf.InputError, match="out: holds a run already; add --resume to take it up"):
        compare(Spec.open(folder / "spec.toml"), ["sage"], [0], folder / "out")


def test_columns_with_names_that_are_alike_have_folders_of_their_own(tmp_path):
    names = ["note", "a.b", "a b", "../x", "x" * 400, "x" * 399 + "y", "颜色"]
    folders = [_folder(tmp_path, name, 0) for name in names]
    assert len(set(folders)) == len(names)
    assert folders[0] == tmp_path / "only-note" / "seed-0"
    assert all(len(folder.parent.name) < 80 and folder.parents[1] == tmp_path for folder in folders)


def test_each_model_trains_an_encoder_of_its_own(folder):
    changes = ["training.epochs=1", "nodes.picture.trainable=true", "nodes.picture.grid=0"]
    study = Study.open(Spec.open(folder / "spec.toml", changes))
    before = {name: x.clone() for name, x in study.encoders["picture"].state_dict().items()}
    model = study.maker("concat")()
    gf.fit(model, study.samples["train"], study.samples["valid"], epochs=1, learning_rate=0.01)
    trained = model.encoders["picture"].state_dict()
    assert any(not trained[name].equal(x) for name, x in before.items())
    assert all(study.encoders["picture"].state_dict()[name].equal(x) for name, x in before.items())
    again = study.maker("concat")().encoders["picture"].state_dict()
    assert all(again[name].equal(x) for name, x in before.items())


def test_cells_that_are_called_like_a_column_are_a_modality_of_their_own(folder):
    text = (folder / "spec.toml").read_text("utf-8").replace("[nodes.table]", "[nodes.note]", 1)
    text = text.replace('[nodes.note]\nencoder = "ngrams"', '[nodes.words]\nencoder = "ngrams"', 1)
    (folder / "spec.toml").write_text(text, "utf-8")
    sources = Study.open(Spec.open(folder / "spec.toml")).sources
    assert sources == {"note": ("words", "whole"), "picture": ("picture",), "note (cells)": ("note",)}
