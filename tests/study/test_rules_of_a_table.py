"""A spec with rules over the labels of its table: checked, trained, applied to another table, compared, drawn."""

import json
from pathlib import Path

import pytest
import ward

import graphfuse as gf
from graphfuse.cli import run
from graphfuse.report import model_card
from graphfuse.study import compare, evaluate, predict, train
from graphfuse.tables.check import check
from graphfuse.tables.spec import Spec

SPEC = """
table = "ward.jsonl"
[target]
column = "found"
task = "multilabel"
[rows]
id = "id"
split = "split"
[nodes.note]
encoder = "vector"
column = "note"
[nodes.scan]
encoder = "vector"
column = "scan"
[rules]
file = "ward.rules"
[fusion]
name = "concat"
dim = 16
layers = 1
[training]
epochs = 4
batch_size = 16
learning_rate = 0.02
"""


def rows_of(split: str, samples: list[gf.Sample]) -> list[dict]:
    return [
        {"id": s.name, "split": split, "found": ";".join(s.target), **{k: x[0].tolist() for k, x in s.nodes.items()}}
        for s in samples
    ]


def make(folder: Path, *more: dict, rules: str = ward.RULES) -> Path:
    """The spec of a table of visits and some rows more."""
    parts = {"train": ward.TRAIN, "valid": ward.VALID[:24], "test": ward.TEST[:24]}
    rows = [row for split, samples in parts.items() for row in rows_of(split, samples)]
    text = "".join(json.dumps(row) + "\n" for row in (*rows, *more))
    (folder / "ward.jsonl").write_text(text, "utf-8")
    (folder / "ward.rules").write_text(rules, "utf-8")
    (folder / "spec.toml").write_text(SPEC, "utf-8")
    return folder / "spec.toml"


def row(name: str, split: str, found: str) -> dict:
    return {**rows_of(split, ward.visits("more", 1, seed=ord(name[0])))[0], "id": name, "found": found}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ward")
    metrics = train(Spec.open(make(folder)), folder / "run")
    return folder, metrics


def test_a_table_that_keeps_its_rules_has_no_problem(tmp_path):
    found = check(Spec.open(make(tmp_path)))
    assert (found.problems, found.warnings) == ((), ())


def test_check_lists_rows_that_break_a_rule_and_rules_that_say_nothing(tmp_path):
    more = [row("a", "train", "chest;head"), row("b", "valid", "sign"), row("c", "test", "head;cough")]
    text = ward.RULES + "hard again: seizure -> head\nsoft rare: cough & seizure -> sign\n"
    spec = make(tmp_path, *more, rules=text)
    found = check(Spec.open(spec))
    where = r"spec.toml: [rules] "
    expected = [
        f"{where}1 of 49 train rows have labels that break a hard rule: 'ward.jsonl row 97' breaks 'one_place' (by "
        'rule: one_place 1); mend them or the rules, or set broken_labels = "allow".',
        f"{where}1 of 25 valid rows have labels that break a hard rule: 'ward.jsonl row 98' breaks 'one_place' (by "
        'rule: one_place 1); mend them or the rules, or set broken_labels = "allow".',
    ]
    assert [problem.removeprefix(f"{tmp_path}/") for problem in found.problems] == expected
    assert len(found.warnings) == 3
    assert "rule 'again' says nothing that 'seizure_is_head' does not say" in found.warnings[0]
    assert "1 of 5 rules that say 'if' never fire" in found.warnings[1]
    assert "row 99' breaks 'cough_is_chest'" in found.warnings[2]
    with pytest.raises(gf.InputError, match=r"1 of 49 training samples .*: 'a' breaks 'one_place'"):
        train(Spec.open(spec), tmp_path / "run")
    allowed = check(Spec.open(spec, ['rules.broken_labels="allow"']))
    assert (allowed.problems, len(allowed.warnings)) == ((), 5)


@pytest.mark.parametrize(("change", "message"), [
    ('rules.file="none.rules"', r"none\.rules: the rules cannot be read"),
    ('rules.file="wrong.rules"', r"wrong\.rules:1:9: .*'cugh'.* Did you mean 'cough'"),
    ("rules.weight=2.0", r"rule_weight is 2\.0, but it is of rule_mode 'loss' only"),
])  # fmt: skip
def test_rules_that_do_not_suit_are_a_problem(change, message, tmp_path):
    spec = make(tmp_path)
    (tmp_path / "wrong.rules").write_text("hard a: cugh -> chest", "utf-8")
    (problem,) = check(Spec.open(spec, [change])).problems
    with pytest.raises(gf.InputError, match=message) as caught:
        train(Spec.open(spec, [change]), tmp_path / "run")
    assert str(caught.value) == problem
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("change", "message"), [
    ('rules.mode="exakt"', r"\[rules\] mode is 'exakt'\. Did you mean 'exact'"),
    ('rules.fiel="x"', r"\[rules\] has no key 'fiel'\. Did you mean 'file'"),
    ("target.task=regress", r"\[rules\] are over labels, which the task regress does not have"),
])  # fmt: skip
def test_a_wrong_section_is_refused_when_the_spec_is_read(change, message, tmp_path):
    with pytest.raises(gf.InputError, match=message):
        Spec.open(make(tmp_path), [change])


def test_a_spec_with_rules_is_read_back(tmp_path):
    spec = Spec.open(make(tmp_path))
    assert spec.rules is not None
    assert Spec.from_dict(spec.to_dict(), spec.path) == spec
    plain = {key: value for key, value in spec.to_dict().items() if key != "rules"}
    assert Spec.from_dict(plain, spec.path).to_dict() == plain


def test_a_run_keeps_its_rules_and_says_so(trained):
    folder, metrics = trained
    own = folder / "run"
    assert metrics["test"]["rules_broken"] == 0 < metrics["test"]["rules_broken_before"]
    assert (own / "rules.txt").read_text("utf-8") == f"{ward.rules()}\n"
    told = json.loads((own / "run.json").read_text())
    assert told["rules"] == str(ward.rules())
    assert "rules.txt" in told["sha256"]
    page, card = ((own / name).read_text("utf-8") for name in ("report.html", "README.md"))
    assert "ward.rules: 3 hard, 1 soft, mode exact" in page
    assert "exactly_one(chest, head, abdomen)" in page
    assert "No answer breaks a hard rule over its labels (`rules.txt`)." in card
    assert "hard cough_is_chest: cough -> chest" in card


def test_a_run_answers_another_table_under_its_rules_even_where_the_rule_file_is_gone(trained, tmp_path):
    folder, _ = trained
    rows = [*rows_of("test", ward.TEST[24:60]), row("new", "test", "sign;unknown;chest")]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(own) + "\n" for own in rows), "utf-8")
    answers = predict(folder / "run", tmp_path / "new.jsonl", tmp_path / "out.csv")
    assert all(sum(label in answer.value for label in ward.LABELS[:3]) == 1 for answer in answers)
    config = json.loads((folder / "run/config.json").read_text())
    assert config["rules"]["mode"] == "exact"
    with pytest.raises(gf.InputError, match="does not know the label 'unknown'"):
        evaluate(folder / "run", tmp_path / "new.jsonl")


def test_a_label_that_the_model_lacks_counts_as_missed_under_rules_too(tmp_path):
    spec = make(tmp_path)
    train(Spec.open(spec, ['target.unseen="wrong"', "training.epochs=2"]), tmp_path / "run")
    rows = [*rows_of("test", ward.TEST[24:60]), row("new", "test", "sign;unknown;chest")]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(own) + "\n" for own in rows), "utf-8")
    metrics, count, _ = evaluate(tmp_path / "run", tmp_path / "new.jsonl", "all")
    assert count == 37
    assert metrics["rules_broken"] == 0
    model = gf.FusionModel.from_pretrained(tmp_path / "run")
    known = gf.evaluate(model, ward.TEST[24:60])
    assert metrics["exact_match"] == pytest.approx(known["exact_match"] * 36 / 37)


def test_fusions_are_compared_under_the_rules_and_so_is_the_common_answer(tmp_path):
    spec = make(tmp_path)
    compare(Spec.open(spec, ["training.epochs=2"]), ["concat", "sage"], [0], tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out/rules.jsonl").read_text("utf-8").splitlines()]
    assert {own["method"] for own in rows} == {"majority", "only note", "only scan", "concat", "sage"}
    assert not any(own["after"] for own in rows if own["hard"])


def test_the_command_line_checks_trains_and_prints_what_is_broken(tmp_path, capsys):
    spec = make(tmp_path)
    assert run(["check", str(spec)]) == 0
    assert "no problems, no warnings" in capsys.readouterr().out
    quick = ["--set", "training.epochs=2", "--set", 'rules.mode="loss"', "--set", "rules.weight=0.5"]
    assert run(["train", str(spec), "--out", str(tmp_path / "run"), *quick]) == 0
    assert "rules_broken_before" in capsys.readouterr().out
    assert gf.FusionModel.from_pretrained(tmp_path / "run").head.weight == 0.5
    make(tmp_path, row("a", "train", "chest;head"))
    assert run(["check", str(spec)]) == 2
    assert "problem: " in capsys.readouterr().out


def test_a_card_without_rules_says_nothing_of_them():
    assert "## Rules" not in model_card({"model": {"fusion": "sage"}}, {"name": "x"})
    many = {"rules": "\n".join(f"hard r{i}: a -> b" for i in range(40))}
    card = model_card({"rules": {"mode": "loss"}}, many)
    assert "which answers may still break (`rules.txt`)." in card
    assert "10 more are in that file." in card


def test_what_rules_make_of_a_row_is_explained(trained, capsys):
    folder, _ = trained
    words = ["rules", "explain", str(folder / "run"), str(folder / "ward.jsonl")]
    answers = {a.name: a.value for a in predict(folder / "run", folder / "ward.jsonl", folder / "answers.csv")}
    flipped = 0
    for sample in ward.TEST[:8]:
        assert run([*words, "--sample", sample.name, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["sample"], found["mode"]) == (sample.name, "exact")
        assert tuple(found["answer"]) == answers[sample.name]
        assert not any(rule["broken_after"] for rule in found["rules"] if rule["hard"])
        flipped += len(found["flipped"])
    assert flipped, "so little was trained that rules change something"
    assert run([*words, "--sample", sample.name]) == 0
    assert capsys.readouterr().out.startswith("answer: ")
    assert run([*words, "--sample", "test/1x"]) == 2
    assert "no row is called 'test/1x'. Did you mean 'test/1" in capsys.readouterr().err


def test_a_run_that_only_learnt_from_rules_says_so_and_one_without_is_refused(tmp_path, capsys):
    spec = make(tmp_path)
    train(Spec.open(spec, ["rules.mode=loss", "training.epochs=1"]), tmp_path / "loss")
    words = [str(tmp_path / "ward.jsonl"), "--sample", ward.TEST[0].name]
    assert run(["rules", "explain", str(tmp_path / "loss"), *words]) == 0
    assert "note: rules were a loss in training" in capsys.readouterr().out
    spec.write_text(SPEC.replace('[rules]\nfile = "ward.rules"\n', ""))
    train(Spec.open(spec, ["training.epochs=1"]), tmp_path / "plain")
    assert run(["rules", "explain", str(tmp_path / "plain"), *words]) == 2
    assert "this model was trained without rules" in capsys.readouterr().err
