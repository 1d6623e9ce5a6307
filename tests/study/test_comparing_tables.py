"""Fusions beside each modality alone and the common answer, on the user's own table; curves; other tasks."""

import json
from statistics import fmean

import pytest
import torch
from cases_table import make

import graphfuse as gf
from graphfuse.core.jobs import at_a_time
from graphfuse.report import write_report
from graphfuse.study import Study, compare, evaluate, train
from graphfuse.study.baselines import alone, constant, majority
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


def test_runs_and_curves_go_side_by_side_when_asked(folder, jobs_asked):
    spec = Spec.open(folder / "spec.toml", QUICK)
    compare(spec, ["concat"], [0], folder / "out", (0.5,), jobs=2)
    assert jobs_asked == [2, 2]
    said = json.loads((folder / "out" / "run.json").read_text())["machine"]["threads"]
    assert said.startswith("1 in each of 2 processes" if at_a_time(2) == 2 else f"{torch.get_num_threads()} of")


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


def test_training_anew_changes_no_validation_metric_of_a_modality_alone_and_the_common_answer_is_of_both_splits(folder):
    specs = (Spec.open(folder / "spec.toml", [*QUICK, f"training.refit={on}"]) for on in ("false", "true"))
    plain, anew = map(Study.open, specs)
    before, after = (alone(study, "note", 0, folder / f"note-{i}")[0] for i, study in enumerate((plain, anew)))
    assert before.valid == after.valid
    first, second = ((folder / f"note-{i}" / "model.safetensors").read_bytes() for i in range(2))
    assert first != second
    share = {on: constant(study, "test").answers[0].score for on, study in (("plain", plain), ("anew", anew))}
    for on, splits in (("plain", ("train",)), ("anew", ("train", "valid"))):
        targets = [sample.target for split in splits for sample in plain.samples[split]]
        common = max(targets.count(label) for label in set(targets))
        assert share[on] == pytest.approx((common + 0.5) / (len(targets) + 1))
    assert constant(anew, "valid").answers == constant(plain, "valid").answers


def test_a_metric_that_the_rows_of_a_modality_leave_undefined_does_not_end_the_comparison(folder):
    study = Study.open(Spec.open(folder / "spec.toml", [*QUICK, 'target.metric="auc"']))
    valid = study.samples["valid"]
    valid[:] = [sample if sample.target == "round" else sample.without("picture") for sample in valid]
    run, _ = alone(study, "picture", 0, folder / "picture")
    assert run.decides == ("auc", "max")
    assert "auc" in run.valid


def test_curves_of_what_is_no_longer_compared_are_left_out(compared):
    out, _ = compared
    spec = Spec.open(out.parent / "spec.toml", QUICK)
    compare(spec, ["concat"], [0, 1], out, resume=True)
    rows = [json.loads(line) for line in (out / "missing.jsonl").read_text("utf-8").splitlines()]
    assert {row["method"] for row in rows} == {"concat"}


def test_models_of_a_comparison_answer_other_tables_and_the_two_commands_keep_out_of_each_others_folders(compared):
    out, found = compared
    table = out.parent / "cases.csv"
    metrics, rows, _ = evaluate(out / "sage" / "seed-1", table, "test")
    run = next(run for run in found.runs if (run.method, run.seed) == ("sage", 1))
    assert rows == len(run.scores)
    assert metrics["accuracy"] == pytest.approx(fmean(run.scores.values()))
    spec = Spec.open(out.parent / "spec.toml", QUICK)
    with pytest.raises(gf.InputError, match="out: holds a comparison, not a run of `graphfuse train`"):
        train(spec, out, resume=True)
    train(spec, out.parent / "run")
    with pytest.raises(gf.InputError, match="run: holds a run of `graphfuse train`, not a comparison"):
        compare(spec, ["sage"], [0], out.parent / "run", resume=True)


def test_hidden_modalities_with_a_metric_that_the_test_lacks_are_refused_before_training(folder):
    text = (folder / "cases.csv").read_text("utf-8")
    (folder / "cases.csv").write_text(text.replace("square,test", "round,test"), "utf-8")
    spec = Spec.open(folder / "spec.toml", [*QUICK, 'target.metric="auc"'])
    with pytest.raises(gf.InputError, match=r"--missing: auc is not defined on the test split"):
        compare(spec, ["sage"], [0], folder / "out", (0.0, 0.5))
    assert not (folder / "out").exists()
