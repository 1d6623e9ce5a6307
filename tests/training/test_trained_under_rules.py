"""Training with rules: no answer breaks one, the run folder says how often, labels are held against them."""

import json
import warnings

import pytest
import torch
import ward
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.report import write_report
from graphfuse.rules import RuleWarning

QUICK = {"epochs": 3, "batch_size": 16, "learning_rate": 0.02}
LONG = {**QUICK, "epochs": 20}


def bad(name: str, *labels: str) -> gf.Sample:
    return gf.Sample(name, ward.TRAIN[0].nodes, target=labels)


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The same model without rules and with, compared; where, and what was found."""
    out = tmp_path_factory.mktemp("compared")
    methods = {"concat": ward.model, "concat + rules": lambda: ward.model(rules=ward.rules())}
    return out, gf.compare(methods, ward.TRAIN, ward.VALID, ward.TEST, [0, 1], out, **LONG)


def test_no_answer_of_a_model_trained_with_exact_breaks_a_hard_rule_and_more_are_right(compared):
    out, comparison = compared
    found = {}
    for name in comparison.methods:
        models = [gf.FusionModel.from_pretrained(out / name / f"seed-{seed}") for seed in (0, 1)]
        answers = [set(answer.value) for model in models for answer in model.predict(ward.TEST)]
        said = torch.tensor([[label in own for label in ward.LABELS] for own in answers])
        right = sum(gf.evaluate(model, ward.TEST)["exact_match"] for model in models) / 2
        found[name] = int(ward.rules().violations(said)[:, :3].any(1).sum()), right
    assert found["concat"][0] > 0 == found["concat + rules"][0]
    assert found["concat + rules"][1] > found["concat"][1] + 0.03


def test_a_comparison_tells_how_often_each_rule_is_broken_and_draws_it(compared):
    out, _ = compared
    rows = lines(out / "rules.jsonl")
    assert {row["method"] for row in rows} == {"concat + rules"}
    assert [row["rule"] for row in rows] == [rule.name for rule in ward.rules().rules] * 2
    assert [row["hard"] for row in rows[:4]] == [True, True, True, False]
    assert rows[0]["says"] == "exactly_one(chest, head, abdomen)"
    model = gf.FusionModel.from_pretrained(out / "concat + rules/seed-0")
    raw = ward.rules().violations(model(model.collate(ward.TEST)).scores > 0).double().mean(0)
    assert [row["before"] for row in rows[:4]] == pytest.approx(raw.tolist())
    assert [row["after"] for row in rows[:3]] == [0, 0, 0]
    assert rows[0]["before"] > 0
    metrics = {(row["method"], row["metric"]) for row in lines(out / "metrics.jsonl")}
    assert {metric for method, metric in metrics if method == "concat + rules"} >= {
        "rules_broken_before",
        "rules_broken",
    }
    page = write_report(out).read_text("utf-8")
    assert "exactly_one(chest, head, abdomen)" in page
    assert 'href="#rules"' in page


def test_a_run_folder_says_what_is_broken_epoch_by_epoch(compared):
    run = compared[0] / "concat + rules/seed-0"
    assert (run / "rules.txt").read_text("utf-8") == f"{ward.rules()}\n"
    history = lines(run / "history.jsonl")
    for row in history:
        assert list(row["rules"]) == [rule.name for rule in ward.rules().rules]
        assert all(0 <= share <= 1 for own in row["rules"].values() for share in own.values())
        assert all(row["rules"][name]["after"] == 0 for name in ("one_place", "cough_is_chest", "seizure_is_head"))
        assert row["valid_rules_broken"] == 0
        assert row["valid_rules_broken_before"] >= row["rules"]["one_place"]["before"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["rules"] == history[metrics["best_epoch"] - 1]["rules"]
    assert "rules" not in lines(compared[0] / "concat/seed-0/history.jsonl")[0]
    assert "rules" not in json.loads((compared[0] / "concat/seed-0/metrics.json").read_text())


def test_training_under_a_rule_loss_breaks_fewer_rules_than_without():
    shares = {}
    for weight in (None, 1.0):
        model = ward.model(rules=ward.rules(), rule_mode="loss", rule_weight=weight or 1e-9)
        gf.fit(model, ward.TRAIN, ward.VALID, **LONG, metric="rules_broken")
        shares[weight] = gf.evaluate(model, ward.TEST)["rules_broken"]
    assert shares[1.0] < shares[None]


def test_refining_is_trained_and_breaks_fewer_rules_than_before_it():
    rules = ward.rules(ward.RULES.replace("soft 2.0", "soft learn"))
    model = ward.model(rules=rules, rule_mode="refine")
    start = model.refine.weights[0]().detach().clone()
    history = gf.fit(model, ward.TRAIN, ward.VALID, **LONG)
    assert (model.refine.weights[0]() != start).tolist() == [False, False, False, True]  # hard ones weigh 1
    found = gf.evaluate(model, ward.TEST)
    assert found["rules_broken"] < found["rules_broken_before"]
    assert found["exact_match"] > 0.3
    assert any(own["before"] != own["after"] for own in history.rows[-1]["rules"].values())
    assert history.metrics["rules_broken_before"] == history.rows[history.best_epoch - 1]["valid_rules_broken_before"]


@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_one_label_of_several_is_learned_with_rules(mode):
    train, valid, test = (
        ward.visits(name, n, s, single=True) for name, n, s in (("a", 48, 1), ("b", 24, 2), ("c", 60, 3))
    )
    model = ward.single(rules=ward.rules(ward.SINGLE, ward.KINDS), rule_mode=mode)
    gf.fit(model, train, valid, **LONG)
    found = gf.evaluate(model, test)
    assert found["accuracy"] > 0.6
    if mode == "exact":
        assert found["rules_broken"] == 0
        assert "rib" not in {answer.value for answer in model.predict(test)}


def test_without_rules_training_is_the_same_to_the_bit():
    first, second = ward.model(), ward.model(rules=None)
    rows = [gf.fit(model, ward.TRAIN, ward.VALID, **QUICK).rows for model in (first, second)]
    assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    assert rows[0][0].keys() == {"epoch", "train_loss", "learning_rate", "seconds", "valid_f1", "valid_exact_match",
                                 "valid_loss", "valid_macro_f1", "valid_auc", "valid_log_loss"}  # fmt: skip


def test_a_run_with_rules_is_taken_up_and_other_rules_are_another_run(tmp_path):
    whole, parts = ward.model(rules=ward.rules()), ward.model(rules=ward.rules())
    gf.fit(whole, ward.TRAIN, ward.VALID, **LONG)
    with pytest.MonkeyPatch.context() as patch:
        from graphfuse.training import checkpoint

        save = checkpoint.save

        def stop(folder, model, optimizer, progress, run):
            save(folder, model, optimizer, progress, run)
            if len(progress.rows) == 5:
                raise KeyboardInterrupt

        patch.setattr(checkpoint, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            gf.fit(parts, ward.TRAIN, ward.VALID, tmp_path, **LONG)
    fewer = ward.RULES.replace("hard seizure", "soft seizure")
    for options in ({}, {"rules": ward.rules(fewer)}, {"rules": ward.rules(), "rule_mode": "loss"}):
        with pytest.raises(gf.InputError, match=r"holds another run \(rule"):
            gf.fit(ward.model(**options), ward.TRAIN, ward.VALID, tmp_path, **LONG)
    again = ward.model(seed=1, rules=ward.rules())
    gf.fit(again, ward.TRAIN, ward.VALID, tmp_path, **LONG)
    assert_close(again.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_labels_that_break_a_hard_rule_stop_training_and_are_listed(tmp_path):
    train = [*ward.TRAIN, bad("x/1", "chest", "head"), bad("x/2", "head", "cough", "sign"), bad("x/3", "abdomen")]
    with pytest.raises(gf.InputError) as caught:
        gf.fit(ward.model(rules=ward.rules()), train, ward.VALID, tmp_path, **QUICK)
    assert str(caught.value) == (
        "2 of 51 training samples have labels that break a hard rule: 'x/1' breaks 'one_place', 'x/2' breaks "
        "'cough_is_chest' (by rule: one_place 1, cough_is_chest 1); mend the labels or make the rules soft, or give "
        "allow_broken_labels=True."
    )
    assert not list(tmp_path.iterdir())
    valid = [*ward.VALID, *(bad(f"y/{i}", "seizure") for i in range(7))]
    message = r"7 of 71 validation samples .* 'y/0' breaks 'one_place' and 'seizure_is_head', .*'y/4' .*, and 2 more"
    with pytest.raises(gf.InputError, match=message):
        gf.fit(ward.model(rules=ward.rules(), rule_mode="loss"), ward.TRAIN, valid, **QUICK)


def test_broken_labels_may_be_allowed():
    train = [*ward.TRAIN, bad("x/1", "chest", "head")]
    model = ward.model(rules=ward.rules())
    with pytest.warns(RuleWarning, match=r"1 of 49 training samples .* \(by rule: one_place 1\); they teach nothing\."):
        history = gf.fit(model, train, ward.VALID, **QUICK, allow_broken_labels=True)
    assert all(0 < row["train_loss"] < 1 for row in history.rows)


def test_one_of_several_right_labels_that_is_allowed_is_enough():
    samples = ward.visits("one", 24, 1, single=True)
    several = [gf.Sample(s.name, s.nodes, target=(s.target, "rib")) for s in samples]
    model = ward.single(rules=ward.rules(ward.SINGLE, ward.KINDS))
    gf.fit(model, several, ward.visits("v", 12, 2, single=True), **QUICK)
    never = [gf.Sample("x/1", samples[0].nodes, target=("rib",)), gf.Sample("x/2", samples[0].nodes, target=())]
    with pytest.raises(gf.InputError, match=r"1 of 25 training samples .*: 'x/1' breaks 'never' \("):
        gf.fit(model, [*several, *never], ward.visits("v", 12, 2, single=True), **QUICK)


def test_a_rule_that_never_fires_is_warned_of():
    silent = (
        "hard rare: sign & seizure & cough -> abdomen\nsoft nested: cough -> (seizure -> sign)\nhard count: at_most(6, "
    )
    text = f"{ward.RULES}{silent}{', '.join(ward.LABELS)})"
    with warnings.catch_warnings(action="ignore", category=RuleWarning):
        rules = ward.rules(text)  # of which one is always true
    message = r"2 of 5 rules that say 'if' never fire, .* 0 of 48 training samples: 'rare', 'nested'\.$"
    with pytest.warns(RuleWarning, match=message):
        gf.fit(ward.model(rules=rules), ward.TRAIN, ward.VALID, **QUICK)
    with warnings.catch_warnings(action="error"):
        gf.fit(ward.model(rules=ward.rules()), ward.TRAIN, ward.VALID, **QUICK)


def test_where_rules_alone_teach_an_answer_that_all_may_have_is_warned_of():
    bare = [gf.Sample(s.name, s.nodes, target=()) for s in ward.visits("bare", 12, 1, single=True)]
    valid = ward.visits("v", 12, 2, single=True)

    def trained(train, text=ward.SINGLE, **settings):
        model = ward.single(rules=ward.rules(text, ward.KINDS), **settings)
        with warnings.catch_warnings(record=True, action="always") as caught:
            gf.fit(model, train, valid, **QUICK)
        return [str(each.message) for each in caught if each.category is RuleWarning]

    assert trained(bare, rule_mode="loss") == [
        "No training sample has a label, and every rule holds where all have the same one, 'brain' or 'lung': trained "
        "by rules alone, a model may say that of all."
    ]
    assert trained(bare, f"{ward.SINGLE}soft both: bowel\nsoft no: brain | rib", rule_mode="loss") == []
    assert trained([*bare[1:], ward.visits("one", 1, 1, single=True)[0]], rule_mode="loss") == []
    assert trained(bare, rule_mode="exact") == []
