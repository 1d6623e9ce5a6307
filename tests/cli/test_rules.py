"""``graphfuse rules``: what a file of rules comes to, what a table of labels says of it, and what is refused."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

from graphfuse.cli import run
from graphfuse.rules import Budget

DATA = Path(__file__).parents[3] / "shared" / "data" / "rules" / "ccn"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the rule data folder is not beside this checkout")

WARD = """# What any nurse of the ward would say.
hard fever_is_sign: fever -> sign
hard one_place: exactly_one(chest, head, abdomen)
soft 2.0 cough_flu: cough & fever -> flu
hard again: fever & cough -> sign
"""
VISITS = """name,fever,sign,chest,head,abdomen,cough,flu
a,1,1,1,0,0,0,0
b,0,1,0,1,0,1,0
c,1,0,0,0,1,0,0
d,0,0,1,1,0,0,0
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ward.rules").write_text(WARD)
    (tmp_path / "visits.csv").write_text(VISITS)
    (tmp_path / "tags.csv").write_text("case;tags\n1;fever,sign,chest\n2;sign, head,cough,rash\n")
    (tmp_path / "two.cnf").write_text("p cnf 3 2\n1 -2 0\n-1 2 3 0\n")
    (tmp_path / "names.txt").write_text("a\r\nb\r\n\r\nc")
    return tmp_path


def test_a_file_is_read_and_what_it_comes_to_is_said(capsys):
    assert run(["rules", "check", "ward.rules"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ward.rules: 4 rules (3 hard, 1 soft) over 7 labels",
        "warning: ward.rules:5: rule 'again' says nothing that 'fever_is_sign' does not say.",
        "",
        "  labels  answered by  nodes  allowed",
        "       3  count            -        3  chest, head, abdomen",
        "       2  tree             -        3  fever, sign",
        "in no hard rule: cough, flu",
        "satisfiable: 36 of 128 label sets are allowed",
    ]


def test_a_table_says_how_often_each_rule_had_something_to_say_and_was_broken(capsys):
    assert run(["rules", "check", "ward.rules", "--labels", "visits.csv"]) == 2
    shown = capsys.readouterr()
    assert shown.out.split("\n\n")[-1].splitlines() == [
        "visits.csv: 4 rows, of which 2 break a hard rule",
        "  rule           kind  support  broken  first in",
        "  fever_is_sign  hard        2       1  row 4",
        "  one_place      hard        -       1  row 5",
        "  cough_flu      soft        0       0",
        "  again          hard        0       0",
        "warning: in no row is the left side true of: cough_flu, again",
        "warning: no row has the label: flu",
    ]
    assert shown.err == ""


def test_a_column_of_names_is_a_table_of_labels_too(capsys):
    assert run(["rules", "check", "ward.rules", "--labels", "tags.csv", "--column", "tags", "--separator", ","]) == 0
    shown = capsys.readouterr().out
    assert "tags.csv: 2 rows, of which 0 break a hard rule" in shown
    assert shown.endswith("warning: no row has the label: abdomen, flu\nof names in the table no rule speaks: rash\n")


def test_all_of_it_is_one_object_for_programs(capsys):
    assert run(["rules", "check", "ward.rules", "--labels", "visits.csv", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    table = found.pop("table")
    assert found == {
        "file": "ward.rules", "rules": 4, "hard": 3, "satisfiable": True, "allowed": 36, "trivial": [],
        "labels": ["fever", "sign", "chest", "head", "abdomen", "cough", "flu"], "free": ["cough", "flu"],
        "warnings": ["ward.rules:5: rule 'again' says nothing that 'fever_is_sign' does not say."],
        "components": [
            {"method": "count", "labels": ["chest", "head", "abdomen"], "nodes": None, "allowed": 3},
            {"method": "tree", "labels": ["fever", "sign"], "nodes": None, "allowed": 3}],
    }  # fmt: skip
    assert table["rules"][0] == {"name": "fever_is_sign", "hard": True, "support": 2, "broken": 1, "first": "row 4"}
    assert (table["rows"], table["breaking"], table["never"], table["other"]) == (4, 2, ["flu"], {})


@pytest.mark.parametrize(("text", "said"), [
    ("hard a: fever -> sign\nsoft b: sign -> flu", "none or all"), ("soft a: fever -> sign\nsoft b: flu", "all"),
    ("soft a: ~(fever & sign)", "none"), ("hard a: fever -> sign\nsoft b: exactly_one(fever, flu)", ""), ("", ""),
])  # fmt: skip
def test_rules_that_hold_where_no_label_is_true_or_all_are_noted(text, said, capsys, place):
    (place / "bare.rules").write_text(text)
    assert run(["rules", "check", "bare.rules"]) == 0
    noted = re.findall(r"^note: every rule holds where (.+) of the labels are true of all rows; trained by rules alone",
                       capsys.readouterr().out, re.MULTILINE)  # fmt: skip
    assert noted == [said] * bool(said)
    assert run(["rules", "check", "bare.rules", "--json"]) == 0
    assert " or ".join(json.loads(capsys.readouterr().out)["trivial"]) == said


def test_a_soft_rule_that_is_broken_is_no_problem(capsys, place):
    (place / "soft.rules").write_text("soft a: fever -> sign")
    assert run(["rules", "check", "soft.rules", "--labels", "visits.csv"]) == 0
    assert "  a     soft        2       1  row 4\n" in capsys.readouterr().out


@pytest.mark.parametrize("names", ["names.txt", "a, b,c"])
def test_files_of_others_have_their_labels_named(names, capsys):
    assert run(["rules", "check", "two.cnf", "--form", "dimacs", "--names", names]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("two.cnf: 2 rules (2 hard, 0 soft) over 3 labels\n")
    assert "satisfiable: 5 of 8 label sets are allowed" in shown


def test_numbers_beyond_all_measure_are_said_by_their_size(capsys, place):
    (place / "many.txt").write_text("\n".join(f"label {i}" for i in range(15_000)))
    (place / "one.rules").write_text('hard a: "label 0"')
    assert run(["rules", "check", "one.rules", "--names", "many.txt"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("satisfiable: about 10^4515 of about 10^4515 label sets are allowed\n")
    assert re.search(r'^in no hard rule: "label 1", .* and 14,\d+ more$', shown, re.MULTILINE)
    assert run(["rules", "check", "one.rules", "--names", "many.txt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["allowed"] is None


def test_rules_over_what_is_observed_are_counted_as_far_as_labels_go(capsys, place):
    (place / "seen.rules").write_text("hard hot: forall x. temp(x) >= 39 -> fever(x)\nsoft sick: fever -> sign\n")
    assert run(["rules", "check", "seen.rules", "--labels", "visits.csv"]) == 0
    shown = capsys.readouterr().out
    assert '  fever, "temp(x) >= 39"\n' in shown
    assert "satisfiable; how many label sets are allowed depends on what is observed\n" in shown
    assert "  hot   hard        -       -\n  sick  soft        2       1  row 4\n" in shown


def test_a_hierarchy_of_which_too_much_is_allowed_to_count_is_checked_all_the_same(capsys, place, monkeypatch):
    monkeypatch.setattr(Budget.__new__, "__defaults__", (1000, *Budget()[1:]))  # what a set may take by itself
    rng = random.Random(0)
    pairs = [f"l{label},l{parent}" for label in range(1, 150) for parent in rng.sample(range(label), min(label, 3))]
    (place / "many.txt").write_text("\n".join(pairs))
    assert run(["rules", "check", "many.txt", "--form", "hierarchy"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^     150  implications +-        -  l", shown, re.MULTILINE)
    assert shown.endswith("\nsatisfiable; how many label sets are allowed is beyond the budget\n")


def test_a_file_without_a_rule_has_nothing_to_say(capsys, place):
    (place / "none.rules").write_text("# nothing yet\n")
    assert run(["rules", "check", "none.rules", "--labels", "visits.csv"]) == 0
    assert capsys.readouterr().out == (
        "none.rules: 0 rules (0 hard, 0 soft) over 0 labels\nsatisfiable: 1 of 1 label sets are allowed\n\n"
        "visits.csv: 4 rows, of which 0 break a hard rule\n")  # fmt: skip


@needs_data
@pytest.mark.parametrize(("name", "allowed", "never", "idle"), [("genbase", 804816, 50, 10), ("yeast", 1668, 5, 5)])
def test_published_rules_have_the_support_that_their_file_says_and_no_row_breaks_one(
    name, allowed, never, idle, capsys
):
    file, truth = DATA / f"{name}_rules.txt", np.load(DATA / f"{name}.npz", allow_pickle=False)["Y"].astype(int)
    names = [f"l{i}" for i in range(truth.shape[1])]
    Path("truth.csv").write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in truth.tolist())]))
    words = ["--form", "heads", "--names", ",".join(names), "--labels", "truth.csv", "--json"]
    assert run(["rules", "check", str(file), *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["allowed"], len(found["warnings"]), found["table"]["breaking"]) == (allowed, idle, 0)
    said = [float(line.split()[0]) for line in file.read_text().splitlines() if line.strip()]
    shares = [rule["support"] / len(truth) for rule in found["table"]["rules"]]
    assert max(abs(a - b) for a, b in zip(said, shares) if a <= 1) < 0.0006  # 2.000 marks rules without support
    assert sum(share == 0 for share in shares) == never


@pytest.mark.parametrize(("words", "said"), [
    (["nowhere.rules"], r"nowhere\.rules: the rules cannot be read: No such file or directory\."),
    (["bad.rules"], r"bad\.rules:1:9: there is no label 'fevr'\. Did you mean 'fever'\?.*"),
    (["clash.rules"], r"clash\.rules: hard rules 'a' \(line 1\), 'c' \(line 3\) contradict each other; leave one .*"),
    (["ward.rules", "--form", "cnf"], r"There is no form of rules called 'cnf'\. .*"),
    (["two.cnf", "--form", "dimacs"], r"two\.cnf: dimacs numbers its labels; name them in their order with --names\."),
    (["two.cnf", "--form", "dimacs", "--names", "a,b"], r"two\.cnf:3: '3' is beyond the 2 labels, 1 to 2\."),
    (["two.cnf", "--form", "dimacs", "--names", "none.txt"],
     r"--names none\.txt: a list with commas or a file is needed, and this is no file .*No such file or directory\)\."),
    (["ward.rules", "--names", "fever,sign,sign"], r".*there is no label 'chest'.*"),
    (["ward.rules", "--labels", "tags.csv"], r"tags\.csv: there is no column for the label 'fever' \(nor for 6 .*"),
    (["ward.rules", "--labels", "none.csv"], r"none\.csv: there is no such file\."),
    (["ward.rules", "--labels", "tags.csv", "--column", "tag"], r"tags\.csv: there is no column 'tag'\. .*"),
    (["ward.rules", "--column", "tags"], r"--column and --separator are about a table of known labels; .*"),
    (["ward.rules", "--labels", "tags.csv", "--column", "tags", "--separator", " "], r"--separator ' ': a mark .*"),
    ([], r"Missing argument 'file'; see graphfuse rules check --help\."),
])  # fmt: skip
def test_what_the_user_can_mend_is_one_sentence_and_exit_code_2(words, said, capsys, place):
    (place / "bad.rules").write_text("hard a: fevr\n")
    (place / "clash.rules").write_text("hard a: fever\nhard b: sign\nhard c: ~fever\n")
    words = [*words, "--names", "fever,sign"] if words == ["bad.rules"] else words
    assert run(["rules", "check", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(f"graphfuse: {said}\n", shown.err), shown.err


def test_the_group_explains_itself(capsys):
    for words in (["rules"], ["rules", "--help"]):
        assert run(words) == 0
        assert {"check", "explain"} <= set(capsys.readouterr().out.split())
    assert run(["rules", "chek"]) == 2
    assert re.fullmatch(r"graphfuse: No such command 'chek'.*; see graphfuse rules --help\.\n", capsys.readouterr().err)
    assert run(["rules", "check", "--help"]) == 0
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    for said in ("--labels", "--form", "--names", "--column", "--separator", "--json", "support", "exit code 2"):
        assert said in shown
