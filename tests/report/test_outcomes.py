"""What the rows beside a comparison say is what plain loops over them say, and damaged rows name their line."""

import itertools
import json
import math
import statistics

import pytest
from report_data import METHODS, answers_of, metrics_of, missing_of, rules_of, write_lines

from graphfuse.core.errors import InputError
from graphfuse.report import Answered, BrokenRules, Confusion, MissingCurve, MoreMetrics, Reliability

FILES = {Answered: "answers.jsonl", Confusion: "answers.jsonl", Reliability: "answers.jsonl",
         MissingCurve: "missing.jsonl", MoreMetrics: "metrics.jsonl",
         BrokenRules: "rules.jsonl"}  # fmt: skip
ANSWER = {"method": "a", "seed": 0, "name": "x", "said": "yes", "truth": ["yes"], "confidence": 0.5, "right": True}
MISSING = {"method": "a", "seed": 0, "train": 0.0, "test": 0.5, "metric": "accuracy", "value": 0.5}
METRIC = {"method": "a", "seed": 0, "metric": "auc", "value": 0.5}
RULE = {"method": "a", "seed": 0, "rule": "one", "hard": True, "says": "a | b", "before": 0.5, "after": 0.0}


def answers(*rows):
    """One method and seed; rows of (said, truth, confidence), right where said is a truth."""
    return [
        {**ANSWER, "name": str(i), "said": said, "truth": list(truth), "confidence": c, "right": said in truth}
        for i, (said, truth, c) in enumerate(rows)
    ]


@pytest.mark.parametrize("kind", FILES)
def test_nothing_comes_of_no_file_nor_of_an_empty_one(kind, tmp_path):
    assert kind.open(tmp_path) is None
    (tmp_path / FILES[kind]).write_text("\n \n")
    assert kind.open(tmp_path) is None


def test_calibration_error_is_that_of_a_plain_loop(tmp_path):
    rows = answers_of(METHODS, 3, ["a", "b", "c"])
    write_lines(tmp_path / "answers.jsonl", rows)
    found = Reliability.open(tmp_path)
    assert list(found) == list(METHODS)
    for method, reliability in found.items():
        own = [row for row in rows if row["method"] == method]
        assert reliability.error == pytest.approx(_error(own))
        assert reliability.accuracy == pytest.approx(sum(row["right"] for row in own) / len(own))
        assert reliability.confidence == pytest.approx(sum(row["confidence"] for row in own) / len(own))
        assert reliability.answers == len(own)
        seeds = [_error([row for row in own if row["seed"] == seed]) for seed in range(3)]
        assert reliability.spread.mean == pytest.approx(sum(seeds) / 3)
        assert reliability.spread.error == pytest.approx(statistics.stdev(seeds))


def _error(rows):
    total = 0.0
    for number in range(10):
        low, high = number / 10, (number + 1) / 10
        within = [r for r in rows if low <= r["confidence"] < high or (number == 9 and r["confidence"] == 1)]
        if within:
            accuracy = sum(row["right"] for row in within) / len(within)
            confidence = sum(row["confidence"] for row in within) / len(within)
            total += len(within) / len(rows) * abs(accuracy - confidence)
    return total


def test_calibration_error_by_hand(tmp_path):
    rows = answers(("a", "a", 0.91), ("a", "b", 0.99), ("b", "b", 0.55), ("b", "b", 0.0), ("b", "b", 1.0))
    write_lines(tmp_path / "answers.jsonl", rows)
    (found,) = Reliability.open(tmp_path).values()
    assert [each.answers for each in found.bins] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    last = found.bins[-1]
    assert (last.confidence, last.accuracy) == pytest.approx((2.9 / 3, 2 / 3))
    assert found.error == pytest.approx((1.0 + 0.45 + 3 * (2.9 / 3 - 2 / 3)) / 5)
    assert math.isnan(found.bins[1].accuracy)
    assert math.isnan(found.spread.error)


def test_a_confusion_matrix_by_hand(tmp_path):
    rows = answers(("a", "a", 1), ("b", "a", 1), ("b", "a", 1), ("b", "b", 1), ("c", (), 1), ("b", "cb", 1),
                   ("a", "cb", 1))  # fmt: skip
    rows.append({**ANSWER, "name": "other words", "said": "B.", "truth": ["b"], "right": True})
    write_lines(tmp_path / "answers.jsonl", rows)
    found = Confusion.open(tmp_path)
    assert found.names == ("a", "b", "c", "never in training")
    assert found.counts == ((1, 2, 0), (0, 3, 0), (1, 0, 0), (0, 0, 1))
    assert found.right == (1, 3, 0, 0)
    assert (found.columns, found.others, found.several) == (3, 0, True)
    assert found.frequent == (("a", "b", 2), ("c", "a", 1))
    assert Confusion.open(tmp_path, "a") == found
    assert Confusion.open(tmp_path, "b") is None


def test_many_labels_are_eleven_and_the_rest(tmp_path):
    labels = [f"label {i:02}" for i in range(40)]
    rows = answers_of({"a": 0.5}, 2, labels, samples=500)
    write_lines(tmp_path / "answers.jsonl", rows)
    found = Confusion.open(tmp_path)
    often = {label: sum(row["truth"] == [label] for row in rows) for label in labels}
    most = sorted(labels, key=lambda label: (-often[label], label))[:11]
    assert found.names == (*most, "29 other labels", "never in training")
    for i, truth in enumerate(most):
        for j, said in enumerate(most):
            assert found.counts[i][j] == sum(row["truth"] == [truth] and row["said"] == said for row in rows)
        rest = sum(row["truth"] == [truth] and row["said"] not in most for row in rows)
        assert found.counts[i][11] == rest
        assert sum(found.counts[i]) == often[truth]
    assert sum(map(sum, found.counts)) == len(rows)
    assert sum(found.right) == sum(row["right"] for row in rows)
    pairs = {}
    for row in rows:
        for truth in row["truth"]:
            if truth != row["said"]:
                pairs[truth, row["said"]] = pairs.get((truth, row["said"]), 0) + 1
    assert [n for _, _, n in found.frequent] == sorted(pairs.values(), reverse=True)[:10]
    assert all(pairs[truth, said] == n for truth, said, n in found.frequent)


@pytest.mark.parametrize(("labels", "rows"), [(12, 12), (13, 12)])
def test_a_dozen_labels_need_no_rest(labels, rows, tmp_path):
    write_lines(tmp_path / "answers.jsonl", answers(*((str(i), [str(i)], 0.5) for i in range(labels))))
    found = Confusion.open(tmp_path)
    assert len(found.names) == rows
    assert found.others == (2 if labels == 13 else 0)


def test_curves_and_metrics_are_means_over_seeds(tmp_path):
    rows, more = missing_of(METHODS, 3), metrics_of(METHODS, 3)
    write_lines(tmp_path / "missing.jsonl", rows)
    write_lines(tmp_path / "metrics.jsonl", more)
    curve, table = MissingCurve.open(tmp_path), MoreMetrics.open(tmp_path)
    assert (curve.metric, curve.train, curve.test) == ("accuracy", [0.0, 0.3], [0.0, 0.25, 0.5])
    assert table.methods == curve.values.keys() == METHODS.keys()
    for method in METHODS:
        for (train, test), value in curve.values[method].items():
            own = [r["value"] for r in rows if (r["method"], r["train"], r["test"]) == (method, train, test)]
            assert (value.mean, value.error, value.samples) == pytest.approx((sum(own) / 3, statistics.stdev(own), 3))
        own = [row["value"] for row in more if (row["method"], row["metric"]) == (method, "auc")]
        value = table.values["auc"][method]
        assert (value.mean, value.error) == pytest.approx((sum(own) / 3, statistics.stdev(own)))
    assert table.best("auc") == table.values["auc"]["gate"].mean
    assert table.best("log_loss") == table.values["log_loss"]["text"].mean


def test_shares_of_broken_rules_are_means_over_seeds(tmp_path):
    rows = rules_of(METHODS, 3)
    write_lines(tmp_path / "rules.jsonl", rows)
    found = BrokenRules.open(tmp_path)
    assert found.methods == set(list(METHODS)[-2:])
    assert list(found.rules) == list(dict.fromkeys(row["rule"] for row in rows))
    for side, values in (("before", found.before), ("after", found.after)):
        for rule, method in itertools.product(found.rules, found.methods):
            own = [row[side] for row in rows if (row["rule"], row["method"]) == (rule, method)]
            value = values[rule][method]
            assert (value.mean, value.error) == pytest.approx((sum(own) / 3, statistics.stdev(own)))


def test_texts_may_hold_any_line_break_that_json_leaves_as_it_is(tmp_path):
    write_lines(tmp_path / "answers.jsonl", [{**ANSWER, "said": "a\u2028b\x85c\nd"}])
    assert Answered.open(tmp_path).rows[0].said == "a\u2028b\x85c\nd"


@pytest.mark.parametrize(
    ("file", "good", "damage", "message"),
    [
        ("answers", ANSWER, {"confidence": 1.5}, r"2: confidence is 1\.5; expected 0 to 1"),
        ("answers", ANSWER, {"confidence": math.nan}, r"2: confidence is nan; expected 0 to 1"),
        ("answers", ANSWER, {"confidence": "high"}, r"2\.confidence: expected a number, got 'high'"),
        ("answers", ANSWER, {"confidence": True}, r"2\.confidence: expected a number, got True"),
        ("answers", ANSWER, {"truth": "yes"}, r"2\.truth: expected a list, got 'yes'"),
        ("answers", ANSWER, {"truth": [3]}, r"2\.truth\[0\]: expected text, got 3"),
        ("answers", ANSWER, {"right": 1}, r"2\.right: expected true or false, got 1"),
        ("answers", ANSWER, {"seed": 0.5}, r"2\.seed: expected a whole number, got 0\.5"),
        ("answers", ANSWER, {"rigth": True}, r"2: there is no field 'rigth'\. Did you mean 'right'"),
        ("answers", ANSWER, {}, r"2: \('a', 0, 'x'\) is already in line 1; one row of each"),
        ("missing", MISSING, {"train": -0.1}, r"2: train is -0\.1; expected 0 to 1"),
        ("missing", MISSING, {"test": 20}, r"2: test is 20; expected 0 to 1"),
        ("missing", MISSING, {"metric": "f1"}, r"2: its metric is 'f1'; that of the first row is 'accuracy'"),
        ("missing", MISSING, {}, r"2: \('a', 0, 0\.0, 0\.5, 'accuracy'\) is already in line 1"),
        ("metrics", METRIC, {"value": None}, r"2\.value: expected a number, got None"),
        ("metrics", METRIC, {}, r"2: \('a', 0, 'auc'\) is already in line 1"),
        ("rules", RULE, {"after": 2.0}, r"2: after is 2; expected 0 to 1"),
        ("rules", RULE, {}, r"2: \('a', 0, 'one'\) is already in line 1"),
    ],
)
def test_a_damaged_row_names_its_file_and_line(file, good, damage, message, tmp_path):
    path = tmp_path / f"{file}.jsonl"
    write_lines(path, [good, {**good, **damage}])
    kind = next(kind for kind, name in FILES.items() if name == path.name)
    with pytest.raises(InputError, match=rf"{file}\.jsonl:{message}"):
        kind.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(METRIC) + "\n\n{oops\n", r"metrics\.jsonl:3: not valid JSON"),
        ('{"method": "a", "seed": 0, "metric": "auc"}', r"metrics\.jsonl:1: lacks the field 'value'"),
        ("[]", r"metrics\.jsonl:1: expected an object, got \[\]"),
        ("\udcff", r"metrics\.jsonl: cannot be read"),
    ],
)
def test_a_file_that_holds_something_else_is_named(text, message, tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=message):
        MoreMetrics.open(tmp_path)
