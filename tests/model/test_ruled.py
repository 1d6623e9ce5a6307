"""Rules inside a model: conditioning checked against every answer one by one, mapping by name, folders, mistakes."""

import itertools
import json
import math
import warnings

import pytest
import torch
import ward
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.model import Ruled
from graphfuse.rules import Label, Rule, RuleWarning, exactly_one
from graphfuse.training import measure

SCORES = 2 * torch.randn(9, 6, generator=torch.Generator().manual_seed(4), dtype=torch.double)
ONE = 2 * torch.randn(9, 4, generator=torch.Generator().manual_seed(5), dtype=torch.double)


def several(mode: str = "exact", text: str = ward.RULES, **options: float) -> Ruled:
    return Ruled.of(gf.heads.MultiLabel(ward.LABELS), ward.rules(text), mode, **options)


def one(mode: str = "exact", text: str = ward.SINGLE, **options: float) -> Ruled:
    return Ruled.of(gf.heads.Classify(ward.KINDS), ward.rules(text, ward.KINDS), mode, **options)


def allowed_sets() -> list[tuple[bool, ...]]:
    """By a plain look at every set of labels."""
    found = []
    for row in itertools.product([False, True], repeat=6):
        chest, head, abdomen, cough, seizure, _ = row
        if sum((chest, head, abdomen)) == 1 and (chest or not cough) and (head or not seizure):
            found.append(row)
    return found


def log_weight(scores: torch.Tensor, row: tuple[bool, ...]) -> torch.Tensor:
    return torch.stack([torch.nn.functional.logsigmoid(s if on else -s) for s, on in zip(scores, row)]).sum()


def test_exact_gives_the_most_probable_allowed_set_and_its_probability():
    batch = ward.batch_of(ward.TEST[:9])
    for scores, answer in zip(SCORES, several().answers(SCORES, batch)):
        weights = torch.stack([log_weight(scores, row) for row in allowed_sets()])
        best = allowed_sets()[int(weights.argmax())]
        assert answer.value == tuple(label for label, on in zip(ward.LABELS, best) if on)
        assert answer.score == pytest.approx(float(weights.softmax(0).max()), abs=1e-9)


def test_exact_learns_by_the_probability_of_the_labels_given_the_rules():
    batch, total = ward.batch_of(ward.TEST[:9]), 0.0
    for scores, sample in zip(SCORES, ward.TEST):
        right = tuple(label in sample.target for label in ward.LABELS)
        weights = torch.stack([log_weight(scores, row) for row in allowed_sets()])
        total -= float(log_weight(scores, right) - weights.logsumexp(0)) / 6
    assert float(several().loss(SCORES, batch)) == pytest.approx(total / 9, abs=1e-12)


def test_the_gradient_of_exact_is_the_marginal_minus_the_label():
    batch, scores = ward.batch_of(ward.TEST[:9]), SCORES.clone().requires_grad_()
    right = gf.heads.MultiLabel(ward.LABELS).right(batch, scores.device).double()
    (slope,) = torch.autograd.grad(several().loss(scores, batch), scores)
    assert_close(slope * 9 * 6, ward.rules().marginals(SCORES) - right, rtol=0, atol=1e-12)


def test_one_label_given_rules_is_the_set_with_exactly_one_among_them():
    """The softmax over allowed labels is what independent outputs become given the rules and ``exactly_one``."""
    whole = ward.rules(f"hard one: exactly_one({', '.join(ward.KINDS)})\n{ward.SINGLE}", ward.KINDS)
    samples = ward.visits("one", 9, 3, single=True)
    answers = one().answers(ONE, ward.batch_of(samples))
    shares = ONE[:, [0, 1, 2]].softmax(1)  # a rib it never is
    assert_close(whole.marginals(ONE)[:, :3], shares, rtol=0, atol=1e-12)
    assert [a.value for a in answers] == [ward.KINDS[i] for i in shares.argmax(1).tolist()]
    assert [a.score for a in answers] == pytest.approx(shares.amax(1).tolist())
    assert not whole.violations(whole.answer(ONE)).any(0)[:3].any()
    right = torch.tensor([ward.KINDS.index(s.target) for s in samples])
    wanted = -shares.log().gather(1, right[:, None]).mean()
    assert_close(one().loss(ONE, ward.batch_of(samples)), wanted)


def test_the_loss_of_rules_is_added_with_its_weight():
    batch, plain = ward.batch_of(ward.TEST[:9]), gf.heads.MultiLabel(ward.LABELS)
    wanted = plain.loss(SCORES, batch) + 3 * ward.rules().loss(SCORES)
    assert_close(several("loss", weight=3.0).loss(SCORES, batch), wanted)
    assert several("loss").answers(SCORES, batch) == plain.answers(SCORES, batch)


def test_the_loss_of_rules_over_one_label_takes_the_probabilities_of_the_softmax():
    batch, p = ward.batch_of(ward.visits("one", 9, 3, single=True)), ONE.softmax(1)
    sums = [p[:, :3].sum(1), p.sum(1), 1.0 * (p[:, 2] + p[:, 1])]
    wanted = gf.heads.Classify(ward.KINDS).loss(ONE, batch) - 0.5 * torch.stack(sums).log().mean()
    assert_close(one("loss", weight=0.5).loss(ONE, batch), wanted)


@pytest.mark.parametrize("made", [several, one])
@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_gradients_are_right(made, mode):
    samples = ward.TEST[:4] if made is several else ward.visits("one", 4, 3, single=True)
    batch, scores = ward.batch_of(samples), (SCORES if made is several else ONE)[:4].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: made(mode).loss(x, batch), scores)


@pytest.mark.parametrize("made", [several, one])
def test_what_is_broken_is_counted_before_the_rules_and_after(made):
    head, scores = made(), SCORES if made is several else ONE
    batch = ward.batch_of(ward.TEST[:9])
    before, after = head.broken(scores, batch)
    raw = scores > 0 if made is several else torch.nn.functional.one_hot(scores.argmax(1), 4).bool()
    assert_close(before, head.rules.violations(raw))
    assert before[:, head.hard].any(1).sum() > 0 == after[:, head.hard].sum()
    plain_before, plain_after = made("loss").broken(scores, batch)
    assert plain_before.tolist() == plain_after.tolist() == before.tolist()


@pytest.mark.parametrize("made", [several, one])
def test_measures_are_of_what_is_answered(made):
    samples = ward.TEST[:9] if made is several else ward.visits("one", 9, 3, single=True)
    head, batch, scores = made(), ward.batch_of(samples), SCORES if made is several else ONE
    right = [answer.value == sample.target for answer, sample in zip(head.answers(scores, batch), samples)]
    name = "exact_match" if made is several else "accuracy"
    assert head.measure(scores, batch)[name].tolist() == [float(x) for x in right]
    parts = [ward.batch_of(samples[:4]), ward.batch_of(samples[4:])]
    found = head.summary([scores[:4], scores[4:]], parts)
    assert found["log_loss"] == pytest.approx(float(head.log_loss(scores, batch).mean()))
    assert found.keys() <= head.metrics.keys()
    assert {"rules_broken", "rules_broken_before"} <= head.metrics.keys()


def test_a_temperature_changes_no_answer():
    batch = ward.batch_of(ward.TEST[:9])
    for tau in (0.1, 7.0):
        values = [a.value for a in several().answers(SCORES / tau, batch)]
        assert values == [a.value for a in several().answers(SCORES, batch)]


def test_a_label_that_breaks_a_hard_rule_teaches_nothing_and_counts_as_wrong():
    good = ward.TEST[:8]
    batch = ward.batch_of([*good, gf.Sample("bad", ward.TEST[8].nodes, target=("chest", "head"))])
    scores = SCORES.clone().requires_grad_()
    (slope,) = torch.autograd.grad(several().loss(scores, batch), scores)
    assert not slope[8].any()
    assert_close(several().loss(SCORES, batch), several().loss(SCORES[:8], ward.batch_of(good)))
    assert several().measure(SCORES, batch)["exact_match"][8] == 0
    samples = ward.visits("one", 8, 3, single=True)
    batch = ward.batch_of([*samples, gf.Sample("bad", samples[0].nodes, target="rib")])
    assert_close(one().loss(ONE, batch), one().loss(ONE[:8], ward.batch_of(samples)))
    assert one().measure(ONE, batch)["accuracy"][8] == 0
    assert math.isfinite(one().summary([ONE], [batch])["log_loss"])
    only = ward.batch_of([gf.Sample("bad", samples[0].nodes, target="rib")])
    assert float(one().loss(ONE[:1], only)) == 0


def test_scores_that_are_not_finite_give_a_loss_that_is_not():
    batch = ward.batch_of(ward.TEST[:9])
    assert several().loss(torch.full_like(SCORES, torch.nan), batch).isnan()


@pytest.mark.parametrize("made", [ward.model, ward.single])
def test_refined_scores_are_those_that_rules_pushed_and_the_others_are_kept(made):
    text, labels = (ward.RULES, ward.LABELS) if made is ward.model else (ward.SINGLE, ward.KINDS)
    rules = ward.rules(text, labels)
    plain, model = made(), made(rules=rules, rule_mode="refine")
    plain.temperature.fill_(2.0)
    model.temperature.fill_(2.0)
    samples = ward.TEST if made is ward.model else ward.visits("one", 200, 3, single=True)
    batch = plain.collate(samples)
    raw, output = plain.eval()(batch), model.eval()(batch)
    assert raw.before is None
    assert_close(output.before, raw.scores, rtol=0, atol=0)
    assert_close(output.scores, rules.refine(2 * raw.scores) / 2)
    answers = model.head.head.answers(output.scores, batch)
    assert [a.value for a in model.predict(samples)] == [a.value for a in answers]
    found = gf.evaluate(model, samples)
    assert found["rules_broken_before"] != found["rules_broken"]
    before, after = model.head.broken(output.scores, batch, output.before)
    hard = model.head.hard
    shares = [float(broken[:, hard].any(1).double().mean()) for broken in (before, after)]
    assert [found["rules_broken_before"], found["rules_broken"]] == pytest.approx(shares)


def test_learned_weights_are_trained_saved_and_never_shared(tmp_path):
    rules = ward.rules(ward.RULES.replace("soft 2.0", "soft learn"))
    head = Ruled.of(gf.heads.MultiLabel(ward.LABELS), rules, "refine")
    model, other = ward.model(head=head), ward.model(head=head)
    assert {name for name, _ in model.named_parameters()} - {name for name, _ in ward.model().named_parameters()} == {
        "refine.weights.0.raw"
    }
    batch = model.collate(ward.TEST)
    model.head.loss(model(batch).scores, batch).backward()
    slope = model.refine.weights[0].raw.grad
    assert slope.shape == (1,)
    assert slope.abs() > 0
    assert other.refine.weights[0].raw.grad is None
    with torch.no_grad():
        model.refine.weights[0].raw.add_(1)
    model.eval().save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert_close(again.refine.weights[0]()[3], model.refine.weights[0]()[3], rtol=0, atol=0)
    assert again.predict(ward.TEST) == model.predict(ward.TEST)


def test_rules_are_mapped_by_name():
    turned = ward.rules(ward.RULES, ward.LABELS[::-1])
    batch = ward.batch_of(ward.TEST[:9])
    head = Ruled.of(gf.heads.MultiLabel(ward.LABELS), turned)
    assert head.rules.labels == ward.LABELS
    assert head.answers(SCORES, batch) == several().answers(SCORES, batch)
    some = gf.RuleSet.parse("hard cough_is_chest: cough -> chest")  # of two labels
    assert Ruled.of(gf.heads.MultiLabel(ward.LABELS), some).rules.labels == ward.LABELS


def test_a_rule_of_all_things_may_be_over_the_labels_of_a_sample():
    rules = gf.RuleSet.parse("hard a: forall p. cough(p) -> sign(p)")
    scores = torch.tensor([[2.0, -1.0]])
    head = Ruled.of(gf.heads.MultiLabel(rules.labels), rules)
    assert head.broken(scores, ward.batch_of(ward.TEST[:1]))[0].tolist() == [[True]]
    assert head.answers(scores, ward.batch_of(ward.TEST[:1]))[0].value == ("cough", "sign")


def test_rules_may_be_a_path(tmp_path):
    (tmp_path / "ward.rules").write_text(ward.RULES, "utf-8")
    for path in (tmp_path / "ward.rules", str(tmp_path / "ward.rules")):
        assert str(ward.model(rules=path).rules) == str(ward.rules())
    with pytest.raises(gf.InputError, match=r"none\.rules: the rules cannot be read"):
        ward.model(rules=tmp_path / "none.rules")
    (tmp_path / "ward.rules").write_text("\nhard a: cugh -> chest", "utf-8")
    with pytest.raises(gf.InputError, match=r"ward\.rules:2.*'cugh'.* Did you mean 'cough'"):
        ward.model(rules=tmp_path / "ward.rules")


@pytest.mark.parametrize(("options", "message"), [
    ({"rules": gf.RuleSet.parse("hard a: cough -> chst")},
     r"Rules: their label 'chst' is not a label of the head\. Did you mean 'chest'"),
    ({"rules": ward.rules(), "rule_mode": "exakt"}, r"There is no rule_mode 'exakt'\. Did you mean 'exact'"),
    ({"rules": ward.rules(), "rule_mode": "loss", "rule_weight": 0.0}, r"rule_weight is 0\.0; it must be above 0"),
    ({"rules": ward.rules(), "rule_mode": "loss", "rule_weight": "1"}, r"rule_weight is '1'; it must be above 0"),
    ({"rules": None, "rule_mode": "loss"}, r"rule_mode or rule_weight is given, and no rules are"),
    ({"rules": None, "rule_weight": 2.0}, r"rule_mode or rule_weight is given, and no rules are"),
    ({"rules": ward.rules(), "rule_weight": 2.0}, r"rule_weight is 2\.0, but it is of rule_mode 'loss' only"),
    ({"rules": ward.rules("soft a: cough -> chest")}, r"rule_mode 'exact' is of hard rules, and here is none"),
    ({"rules": ["cough -> chest"]}, r"rules is a list; a gf\.RuleSet or the path of a rule file is needed"),
    ({"rules": ward.rules(), "head": gf.heads.Regress()}, r"rules speak of the labels of .*; the head is Regress\."),
    ({"rules": ward.rules("hard a: cough & sign"), "head": gf.heads.Classify(ward.LABELS)},
     r"none of the labels satisfies every hard rule where it alone is true"),
    ({"rules": ward.rules("soft a: cough & sign"), "head": gf.heads.Classify(ward.LABELS), "rule_mode": "loss"},
     r"rule 'a' holds for no label that alone is true"),
    ({"rules": gf.RuleSet.parse("soft a: forall x, y. near(x, y) & cough(x) -> cough(y)"), "rule_mode": "loss"},
     r"rule 'a' speaks of several things or of how they are related"),
    ({"rules": gf.RuleSet.parse('hard a: forall p. t(p) >= 39 -> sign(p)\nhard b: forall q. t(q) = "hi" -> sign(q)')},
     r"rule 'b' compares 't' with a word, and a rule before it with a number"),
    ({"rules": gf.RuleSet.parse("soft a: exists p. sign(p)"), "rule_mode": "refine"}, r"rule 'a' speaks of several"),
    ({"rules": ward.rules("soft learn a: cough -> sign"), "rule_mode": "loss"},
     r"rule 'a': its weight is to be learned, which rule_mode 'refine' does; for 'loss' give it a number"),
])  # fmt: skip
def test_mistakes_are_one_sentence(options, message):
    with pytest.raises(gf.InputError, match=message):
        ward.model(**options)


def test_a_model_without_rules_is_the_same_to_the_bit():
    plain, ruled = ward.model(rules=None), ward.model(rules=ward.rules())
    assert plain.rules is None
    assert plain.head == gf.heads.MultiLabel(ward.LABELS)
    assert plain.state_dict().keys() == ruled.state_dict().keys()
    assert_close(plain.state_dict(), ruled.state_dict(), rtol=0, atol=0)
    batch = plain.eval().collate(ward.TEST)
    assert_close(plain(batch).scores, ruled.eval()(batch).scores, rtol=0, atol=0)


@pytest.mark.parametrize("made", [ward.model, ward.single])
@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_rules_are_saved_with_the_model(made, mode, tmp_path):
    rules = ward.rules() if made is ward.model else ward.rules(ward.SINGLE, ward.KINDS)
    options = {"rule_weight": 2.5} if mode == "loss" else {}
    model = made(rules=rules, rule_mode=mode, **options).eval()
    model.save_pretrained(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors", "rules.txt"]
    assert (tmp_path / "rules.txt").read_text("utf-8") == f"{rules}\n"
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["head"]["head"] == ("multilabel" if made is ward.model else "classify")
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert (again.head.mode, again.head.weight, again.head.head) == (mode, model.head.weight, model.head.head)
    assert str(again.rules) == str(rules)
    assert again.predict(ward.TEST) == model.predict(ward.TEST)
    again.save_pretrained(tmp_path / "again")
    for name in ("config.json", "rules.txt", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_labels_of_any_writing_and_the_budget_are_saved(tmp_path):
    labels, budget = ("发烧", "two words", 'a "quote"', "hard"), gf.RuleSet((), ()).budget._replace(nodes=77)
    says = Label(labels[0]) >> Label(labels[2])
    rules = gf.RuleSet(labels, (Rule("有", says), Rule("other", Label("hard") | Label("two words"))), "", budget)
    model = ward.model(head=gf.heads.MultiLabel(labels), rules=rules)
    model.save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path).rules
    assert [rule.says for rule in again.rules] == [rule.says for rule in rules.rules]
    assert again.budget == budget


def test_rules_that_no_text_can_say_are_refused_before_training():
    labels = [f"l{i}" for i in range(10_001)]
    rules = gf.RuleSet(tuple(labels), (Rule("one", exactly_one(*map(Label, labels))),))
    with pytest.raises(gf.InputError, match=r"saved with a model as text, and these do not read back: .*10,?000"):
        Ruled.of(gf.heads.MultiLabel(labels), rules)


def test_a_rule_that_says_nothing_is_warned_of_once_and_not_when_the_model_is_opened(tmp_path):
    with pytest.warns(RuleWarning, match="'again' says nothing"):
        rules = ward.rules(ward.RULES + "hard again: cough -> chest", ward.LABELS[::-1])
    with warnings.catch_warnings(action="error"):
        ward.model(rules=rules).save_pretrained(tmp_path)
        gf.FusionModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("spoil", [
    lambda path: path.write_text(path.read_text("utf-8").replace("cough -> chest", "cough -> head"), "utf-8"),
    lambda path: path.write_text(path.read_text("utf-8") + "hard more: ~sign\n", "utf-8"),
    lambda path: path.write_text("", "utf-8"),
])  # fmt: skip
def test_altered_rules_are_noticed(spoil, tmp_path):
    ward.model(rules=ward.rules()).save_pretrained(tmp_path)
    spoil(tmp_path / "rules.txt")
    with pytest.raises(gf.InputError, match=r"rules\.txt: the file was altered after it was saved"):
        gf.FusionModel.from_pretrained(tmp_path)


def test_missing_rules_are_noticed(tmp_path):
    ward.model(rules=ward.rules()).save_pretrained(tmp_path)
    (tmp_path / "rules.txt").unlink()
    with pytest.raises(gf.InputError, match=r"rules\.txt: cannot be read"):
        gf.FusionModel.from_pretrained(tmp_path)


def test_another_process_opens_it_and_gives_the_same_answers(tmp_path, run_python):
    model = ward.model(rules=ward.rules()).eval()
    model.save_pretrained(tmp_path)
    code = "import sys, ward, graphfuse as gf; print(gf.FusionModel.from_pretrained(sys.argv[1]).predict(ward.TEST))"
    done = run_python(code, tmp_path)
    assert done.stdout.strip() == str(model.predict(ward.TEST)), done.stderr


def test_evaluate_says_how_many_answers_break_a_hard_rule():
    raw, model = ward.model(rules=ward.rules(), rule_mode="loss"), ward.model(rules=ward.rules())
    share = ward.rules().violations(raw.eval()(raw.collate(ward.TEST)).scores > 0)[:, :3].any(1).double().mean()
    for each, after in ((raw, float(share)), (model, 0.0)):
        found = gf.evaluate(each, ward.TEST)
        assert (found["rules_broken_before"], found["rules_broken"]) == pytest.approx((float(share), after))
        assert measure(each, ward.TEST)["rules_broken"].shape == (len(ward.TEST),)
    assert share > 0
    assert "rules_broken" not in gf.evaluate(ward.model(), ward.TEST)
    soft = ward.model(rules=ward.rules("soft a: cough -> chest"), rule_mode="loss")
    assert "rules_broken" not in gf.evaluate(soft, ward.TEST)


def test_a_head_with_rules_has_all_that_a_head_has():
    for head in (gf.heads.MultiLabel, gf.heads.Classify):
        own = {"right", "marks", "weights"}  # which its own methods use
        used = {name for name in dir(head) if name[0] != "_"} - own
        assert used <= {*dir(Ruled), "head"}
    batch = ward.batch_of(ward.TEST[:9])
    assert several().said(SCORES, batch).shape == (9,)
    with pytest.raises(gf.InputError, match="Sample 'x': target 'cough' is not a collection"):
        several().check([gf.Sample("x", ward.TEST[0].nodes, target="cough")])


def test_rules_whose_totals_are_beyond_the_budget_are_refused_in_mode_exact_at_once():
    labels = [f"l{i}" for i in range(60)]
    pairs = [(i, j) for i in range(1, 60) for j in {i // 2, i // 3}]
    text = "\n".join(f"hard h{i}_{j}: l{i} -> l{j}" for i, j in pairs)
    made = gf.RuleSet.parse(text, labels)
    rules = gf.RuleSet(made.labels, made.rules, budget=gf.rules.Budget(nodes=50))
    with pytest.raises(gf.InputError, match="rule_mode 'exact' needs totals, which are beyond the budget"):
        ward.model(rules=rules, head=gf.heads.MultiLabel(labels))
    ward.model(rules=rules, head=gf.heads.MultiLabel(labels), rule_mode="loss")


def test_the_loss_of_large_scores_is_no_difference_of_what_is_lost():
    rules, labels = gf.RuleSet.parse("hard r: a <-> b"), ("a", "b")
    head = Ruled.of(gf.heads.MultiLabel(labels), rules)
    batch = gf.Batch(("x",), {}, {}, targets=(("a", "b"),))
    for size in (1e2, 1e6, 1e8):
        assert float(head.loss(torch.tensor([[size, -size]]), batch)) == pytest.approx(math.log(2) / 2)


def test_a_checksum_that_is_lacking_is_noticed_where_there_are_rules(tmp_path):
    ward.model(rules=ward.rules()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["sha256"]["rules.txt"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(gf.InputError, match=r"rules\.txt"):
        gf.FusionModel.from_pretrained(tmp_path)


def test_a_model_without_rules_leaves_none_in_its_folder(tmp_path):
    ward.model(rules=ward.rules()).save_pretrained(tmp_path)
    ward.model().save_pretrained(tmp_path)
    assert not (tmp_path / "rules.txt").exists()


def test_a_network_that_ends_in_nan_is_told_so_in_mode_refine_too():
    model = ward.model(rules=ward.rules(), rule_mode="refine")
    with torch.no_grad():
        model.readout.out.bias.fill_(torch.nan)
    with pytest.raises(gf.InputError, match="the training loss is nan; lower learning_rate"):
        gf.fit(model, ward.TRAIN, ward.VALID, epochs=1, seed=0)
