"""The commands for a user's own table, as the README types them, and one sentence where something is wrong."""

import csv
import json
import random

import pytest

from graphfuse.cli import run


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    with open("cases.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "age", "site", "dose", "label"])
        for i in range(80):
            sick = rng.random() < 0.5
            age = f"{rng.gauss(60 if sick else 30, 8):.1f}" if rng.random() < 0.8 else ""
            writer.writerow(
                [f"p{i}", age, rng.choice("nsw"), f"{rng.gauss(9 if sick else 4, 2):.2f}", "ill" if sick else "well"]
            )
    return tmp_path


def ran(capsys, *words: str, code: int = 0) -> str:
    assert run(list(words)) == code, capsys.readouterr().err
    said = capsys.readouterr()
    return said.err if code else said.out


def test_the_way_of_the_readme(place, capsys):
    said = ran(capsys, "init", "cases.csv", "--target", "label")
    assert "graphfuse check spec.toml" in said
    assert "age" in said
    assert "no problems" in ran(capsys, "check", "spec.toml")
    found = json.loads(ran(capsys, "check", "spec.toml", "--json"))
    assert sum(found["splits"].values()) == 80
    quick = ("--set", "training.epochs=20", "--set", "fusion.dim=16", "--set", "training.learning_rate=0.02")
    said = ran(capsys, "train", "spec.toml", "--fusion", "sage", "--seed", "3", *quick)
    assert "accuracy" in said
    assert "peak memory" in said
    assert (place / "runs/spec-sage-3/report.html").is_file()
    told = json.loads((place / "runs/spec-sage-3/config.json").read_text())
    assert told["model"]["fusion"] == "sage"
    assert told["training"]["epochs"] == 20
    metrics = json.loads(ran(capsys, "evaluate", "runs/spec-sage-3", "cases.csv", "--json"))
    assert metrics["accuracy"] > 0.7
    assert metrics["split"] == "test"
    assert "80 answers: answers.csv" in ran(capsys, "predict", "runs/spec-sage-3", "cases.csv")
    said = ran(
        capsys,
        "compare",
        "spec.toml",
        "--fusions",
        "concat,sage",
        "--seeds",
        "1",
        "--missing",
        "0,0.5",
        "--jobs",
        "2",
        *quick,
    )
    assert "majority" in said
    assert "chosen on validation" in said
    assert (place / "runs/spec-compare/missing.jsonl").is_file()
    again = ("compare", "spec.toml", "--fusions", "concat,sage", "--seeds", "1", "--resume", "--json")
    table = json.loads(ran(capsys, *again, *quick))
    assert {row["method"] for row in table} >= {"majority", "concat", "sage"}


@pytest.mark.parametrize(("words", "parts"), [
    (["init", "cases.csv", "--target", "lable"], ["'lable'", "'label'"]),
    (["init", "case.csv"], ["case.csv", "cases.csv"]),
    (["check", "spec.toml"], ["spec.toml", "graphfuse init"]),
    (["compare", "spec.toml", "--missing", "a,b"], ["spec.toml"]),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(words, parts, capsys):
    said = ran(capsys, *words, code=2)
    assert all(part in said for part in parts)
    assert said.count("\n") == 1


def test_more_of_what_is_wrong(place, capsys):
    ran(capsys, "init", "cases.csv", "--target", "label")
    for words, part in (
        (["init", "cases.csv", "--target", "label"], "spec.toml: is there already; add --force"),
        (["train", "spec.toml", "--fusion", "hgtt"], "'hgtt'. Did you mean 'hgt'"),
        (["train", "spec.toml", "--set", "training.epoch=3"], "'epoch'. Did you mean 'epochs'"),
        (["train", "spec.toml", "--set", "target.metric=acuracy"], "'acuracy'"),
        (["compare", "spec.toml", "--missing", "a,b"], "--missing a,b: numbers from 0 to 1"),
        (["compare", "spec.toml", "--fusions", "concat,hgtt"], "'hgtt'. Did you mean 'hgt'"),
        (["predict", "runs/none", "cases.csv"], "runs/none"),
    ):
        assert part in ran(capsys, *words, code=2)
    assert not (place / "runs").exists()
    ran(capsys, "init", "cases.csv", "--target", "label", "--force")


def test_a_table_is_never_written_over(place, capsys):
    before = (place / "cases.csv").read_bytes()
    said = ran(capsys, "init", "cases.csv", "--target", "label", "--out", "./cases.csv", "--force", code=2)
    assert "--out cases.csv: is the table itself" in said
    assert (place / "cases.csv").read_bytes() == before


def test_check_takes_changes_and_a_seed_has_a_limit(place, capsys):
    ran(capsys, "init", "cases.csv", "--target", "label")
    assert "'epoch'" in ran(capsys, "check", "spec.toml", "--set", "training.epoch=3", code=2)
    assert run(["check", "spec.toml", "--set", "target.task=regress"]) == 2
    assert "'ill' is not a number" in capsys.readouterr().out
    assert "--seed" in ran(capsys, "train", "spec.toml", "--seed", str(2**64), code=2)


def test_a_run_that_is_interrupted_says_so_in_one_line(place, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    ran(capsys, "init", "cases.csv", "--target", "label")
    monkeypatch.setattr("graphfuse.study.train", interrupted)
    assert ran(capsys, "train", "spec.toml", code=130) == "graphfuse: stopped\n"


def test_too_little_memory_is_one_sentence(place, capsys):
    ran(capsys, "init", "cases.csv", "--target", "label")
    said = ran(capsys, "train", "spec.toml", "--fusion", "concat", "--set", f"fusion.dim={2**40}", code=2)
    assert said.startswith("graphfuse: not enough memory (")
    assert not said.removesuffix("\n").count("\n")


def test_problems_of_a_table_end_a_check_with_two(place, capsys):
    ran(capsys, "init", "cases.csv", "--target", "label")
    text = (place / "cases.csv").read_text().replace("p7,", "p8,", 1)
    (place / "cases.csv").write_text(text)
    assert run(["check", "spec.toml"]) == 2
    assert "problem: " in capsys.readouterr().out


def test_init_says_an_encoding_that_it_guessed(place, capsys):
    (place / "cases.csv").write_bytes((place / "cases.csv").read_bytes().replace(b"p7,", b"p\xe9,"))
    assert run(["init", "cases.csv"]) == 0
    assert "cases.csv: is not UTF-8 (line 9) and was read as cp1252" in capsys.readouterr().err


def test_a_run_can_be_written_here_and_another_fusion_leaves_options_of_the_specs_own(place, capsys):
    ran(capsys, "init", "cases.csv", "--out", "in/spec.toml")
    spec = (place / "in/spec.toml").read_text().replace('name = "hgt"', 'name = "hgt"\nheads = 2')
    (place / "in/spec.toml").write_text(spec)
    ran(capsys, "train", "in/spec.toml", "--fusion", "concat", "--set", "training.epochs=1", "--out", ".")
    assert (place / "run.json").is_file()
    assert not (place / "runs").exists()
