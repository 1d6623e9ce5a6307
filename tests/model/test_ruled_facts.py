"""Rules inside a model that ask for facts of a sample: against every answer one by one, lacking facts, mistakes."""

import itertools
import warnings
from dataclasses import replace

import pytest
import torch
import ward
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.model import Ruled
from graphfuse.model.explained import explained
from graphfuse.rules import Facts, RuleWarning

SEVERAL = """
hard one_place: exactly_one(chest, head, abdomen)
hard asked: forall p. asks(p) = "head" -> head(p)
hard fever: forall p. temp(p) >= 39 & asks(p) != "none" -> sign(p) & ~seizure(p)
soft 2.0 warm: forall p. temp(p) > 37.5 -> cough(p) | sign(p)
soft 0.5 signs: cough | seizure -> sign
"""
ONE = """
hard asked: forall q. asks(q) = "head" -> brain(q)
hard cool: forall q. temp(q) < 37 -> ~bowel(q) & ~rib(q)
soft 3.0 warm: forall q. temp(q) >= 39 -> lung(q)
soft known: bowel | brain | lung
"""
KNOWN = ({"asks": "head", "temp": 36.5}, {"asks": "none", "temp": 40.0}, {"temp": 39.0}, {"asks": "chest"}, {},
         {"asks": "head", "temp": 40}, {"temp": 37.2, "other": "word"}, {"temp": 36.0}, {"asks": "heads"})  # fmt: skip
SCORES = 2 * torch.randn(9, 6, generator=torch.Generator().manual_seed(4), dtype=torch.double)
LACKS = float("nan")


def visits(single: bool = False, known: tuple[dict, ...] = KNOWN) -> list[gf.Sample]:
    """With facts, and targets that the hard rules allow."""
    found = []
    for i, facts in enumerate(known):
        kind = "brain" if facts.get("asks") == "head" else "lung"
        place = ("head",) if facts.get("asks") == "head" else ("chest",)
        temp = facts.get("temp")
        sign = ("sign",) if isinstance(temp, float | int) and temp >= 39 else ()
        nodes = ward.TEST[i % 200].nodes
        found.append(gf.Sample(f"v/{i}", nodes, target=kind if single else (*place, *sign), facts=facts))
    return found


def head(single: bool, mode: str = "exact", text: str = "", **options: float) -> Ruled:
    plain = gf.heads.Classify(ward.KINDS) if single else gf.heads.MultiLabel(ward.LABELS)
    return Ruled.of(plain, ward.rules(text or (ONE if single else SEVERAL), tuple(plain.labels)), mode, **options)


def allowed(facts: dict, row: tuple[bool, ...]) -> bool:
    """Of ``SEVERAL``, by a plain look."""
    chest, head, abdomen, _, seizure, sign = row
    hot = facts.get("temp", LACKS) >= 39 and facts.get("asks") != "none"
    return sum((chest, head, abdomen)) == 1 and (head or facts.get("asks") != "head") and (
        not hot or (sign and not seizure))  # fmt: skip


def allowed_kinds(facts: dict) -> list[bool]:
    """Of ``ONE``, by a plain look."""
    asked, cool = facts.get("asks") == "head", facts.get("temp", LACKS) < 37
    return [(kind == "brain" or not asked) and (kind not in ("bowel", "rib") or not cool) for kind in ward.KINDS]


def facts_of(known: tuple[dict, ...] = KNOWN) -> Facts:
    return Facts(features={"asks": [own.get("asks") for own in known],
                           "temp": torch.tensor([own.get("temp", LACKS) for own in known])})  # fmt: skip


def test_of_several_labels_exact_gives_the_most_probable_set_that_the_facts_allow():
    samples, sets, total = visits(), list(itertools.product([False, True], repeat=6)), 0.0
    batch = ward.batch_of(samples)
    for scores, sample, answer in zip(SCORES, samples, head(False).answers(SCORES, batch)):
        own = [row for row in sets if allowed(sample.facts, row)]
        signs = 2 * torch.tensor(own, dtype=torch.double) - 1
        weights = torch.nn.functional.logsigmoid(signs * scores).sum(1)
        assert answer.value == tuple(label for label, on in zip(ward.LABELS, own[int(weights.argmax())]) if on)
        assert answer.score == pytest.approx(float(weights.softmax(0).max()), abs=1e-9)
        right = own.index(tuple(label in sample.target for label in ward.LABELS))
        total -= float(weights.log_softmax(0)[right]) / 6
    assert float(head(False).loss(SCORES, batch)) == pytest.approx(total / 9, abs=1e-12)
    assert len({tuple(row for row in sets if allowed(known, row)) for known in KNOWN}) == 4  # facts do decide


def test_of_one_label_exact_is_the_softmax_over_those_that_the_facts_allow():
    samples, scores = visits(single=True), SCORES[:, :4]
    batch, mask = ward.batch_of(samples), torch.tensor([allowed_kinds(own) for own in KNOWN])
    p = scores.masked_fill(~mask, -torch.inf).softmax(1)
    answers = head(True).answers(scores, batch)
    assert [a.value for a in answers] == [ward.KINDS[i] for i in p.argmax(1).tolist()]
    assert [a.score for a in answers] == pytest.approx(p.amax(1).tolist())
    right = torch.tensor([[ward.KINDS.index(s.target)] for s in samples])
    assert_close(head(True).loss(scores, batch), -p.gather(1, right).log().mean())
    before, after = head(True).broken(scores, batch)
    raw = torch.nn.functional.one_hot(scores.argmax(1), 4).bool()
    assert before[:, :2].any(1).tolist() == [not mask[i, j] for i, j in enumerate(scores.argmax(1).tolist())]
    assert_close(before, head(True).rules.violations(raw, facts_of()))
    assert before[:, :2].sum() > 0 == after[:, :2].sum()


def test_a_sample_is_answered_alike_alone_and_in_company():
    for single in (False, True):
        own, samples = head(single), visits(single)
        scores = SCORES[:, :4] if single else SCORES
        alone = [own.answers(scores[i : i + 1], ward.batch_of([sample]))[0] for i, sample in enumerate(samples)]
        together = own.answers(scores, ward.batch_of(samples))
        assert [a.value for a in alone] == [a.value for a in together]
        assert [a.score for a in alone] == pytest.approx([a.score for a in together])


def test_the_loss_of_rules_is_over_the_samples_that_they_speak_of():
    batch, plain = ward.batch_of(visits()), gf.heads.MultiLabel(ward.LABELS)
    own = head(False, "loss", weight=3.0)
    assert_close(own.loss(SCORES, batch), plain.loss(SCORES, batch) + 3 * own.rules.loss(SCORES, facts_of()))
    assert own.answers(SCORES, batch) == plain.answers(SCORES, batch)
    batch, p = ward.batch_of(visits(single=True)), SCORES[:, :4].softmax(1)
    asked, cool, warm = [0, 5], [0, 7], [1, 2, 5]
    wanted = -(p[asked, 1].log().mean() + p[cool][:, [1, 2]].sum(1).log().mean() + 3 * p[warm, 2].log().mean()
               + p[:, :3].sum(1).log().mean()) / 4  # fmt: skip
    base = gf.heads.Classify(ward.KINDS).loss(SCORES[:, :4], batch)
    assert_close(head(True, "loss", weight=0.5).loss(SCORES[:, :4], batch), base + 0.5 * wanted)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_gradients_are_right(single, mode):
    batch, scores = ward.batch_of(visits(single)[:6]), SCORES[:6, : 4 if single else 6].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: head(single, mode).loss(x, batch), scores)


@pytest.mark.parametrize("single", [False, True])
def test_scores_are_refined_by_the_facts_of_each_sample(single):
    made = ward.single if single else ward.model
    rules = head(single).rules
    plain, model = made().eval(), made(rules=rules, rule_mode="refine").eval()
    batch = plain.collate(visits(single))
    raw, output = plain(batch).scores, model(batch)
    assert_close(output.scores, rules.refine(raw, facts_of()))
    assert not torch.equal(output.scores, rules.refine(raw, facts_of(({},) * 9)))


def test_measures_and_summaries_are_those_of_the_facts_batch_by_batch():
    for single, name in ((False, "exact_match"), (True, "accuracy")):
        samples, scores, own = visits(single), SCORES[:, : 4 if single else 6], head(single)
        batch = ward.batch_of(samples)
        right = [answer.value == sample.target for answer, sample in zip(own.answers(scores, batch), samples)]
        assert own.measure(scores, batch)[name].tolist() == [float(x) for x in right]
        parts = own.summary([scores[:4], scores[4:]], [ward.batch_of(samples[:4]), ward.batch_of(samples[4:])])
        assert parts == pytest.approx(own.summary([scores], [batch]))
        assert parts["log_loss"] == pytest.approx(float(own.log_loss(scores, batch).mean()))


def decided(name: str, count: int, seed: int, single: bool) -> list[gf.Sample]:
    """Nodes are noise alone; the facts say which answers there may be, and where they say nothing it is always one."""
    rng = torch.Generator().manual_seed(seed)
    found = []
    for i, draw in enumerate(torch.randint(3, (count,), generator=rng).tolist()):
        facts = ({"asks": "head"}, {"asks": "chest", "temp": 40.0}, {"asks": "chest"})[draw]
        kinds, sets = ("brain", "lung", "bowel"), (("head",), ("chest", "sign"), ("abdomen",))
        nodes = {"note": torch.randn(1, 6, generator=rng), "scan": torch.randn(1, 6, generator=rng)}
        found.append(gf.Sample(f"{name}/{i}", nodes, target=kinds[draw] if single else sets[draw], facts=facts))
    return found


DECIDE_ONE = """
hard head: forall q. asks(q) = "head" -> brain(q)
hard other: forall q. asks(q) != "head" -> ~brain(q)
hard hot: forall q. temp(q) >= 39 -> lung(q)
hard cool: forall q. asks(q) = "chest" & ~(temp(q) >= 39) -> bowel(q)
"""
DECIDE = """
hard one: exactly_one(chest, head, abdomen)
hard head: forall q. asks(q) = "head" <-> head(q)
hard hot: forall q. temp(q) >= 39 <-> chest(q)
hard sign: chest <-> sign
hard none: ~cough & ~seizure
"""


@pytest.mark.parametrize("single", [False, True])
def test_where_facts_decide_a_model_with_rules_is_right_and_one_without_cannot_be(single):
    train, valid, test = (decided(n, c, s, single) for n, c, s in (("a", 48, 1), ("b", 24, 2), ("c", 60, 3)))
    made, metric = (ward.single, "accuracy") if single else (ward.model, "exact_match")
    rules = ward.rules(DECIDE_ONE if single else DECIDE, ward.KINDS if single else ward.LABELS)
    found = {}
    for mode in (None, "exact", "refine"):
        model = made(rules=rules, rule_mode=mode) if mode else made()
        gf.fit(model, train, valid, epochs=10, batch_size=16, learning_rate=0.02)
        found[mode] = gf.evaluate(model, test)
    assert found["exact"][metric] == 1 > 0.6 > found[None][metric]
    assert found["exact"]["rules_broken"] == 0 < found["exact"]["rules_broken_before"]
    assert found["refine"]["rules_broken"] < found["refine"]["rules_broken_before"]


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("mode", ["exact", "refine"])
def test_rules_with_facts_are_saved_and_the_model_answers_as_before(single, mode, tmp_path):
    made, samples = (ward.single if single else ward.model), visits(single)
    model = made(rules=head(single).rules, rule_mode=mode).eval()
    model.save_pretrained(tmp_path)
    assert 'asks(p) = "head"' in (tmp_path / "rules.txt").read_text("utf-8") or single
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert again.predict(samples) == model.predict(samples)
    bare = [gf.Sample(s.name, s.nodes) for s in samples]
    assert [a.value for a in again.predict(bare)] != [a.value for a in again.predict(samples)]


def test_what_rules_make_of_a_sample_is_explained_with_its_facts():
    for single in (False, True):
        own, scores, batch = head(single), SCORES[:, : 4 if single else 6], ward.batch_of(visits(single))
        for row, answer, sample in zip(scores, own.answers(scores, batch), visits(single)):
            found = explained(own, row, ward.batch_of([sample]))
            assert found.answer == (answer.value if not single else (answer.value,))


@pytest.mark.parametrize("single", [False, True])
def test_facts_that_leave_no_answer_name_the_sample(single):
    text = ('hard a: forall q. t(q) >= 39 -> lung(q)\nhard b: forall q. asks(q) = "head" -> brain(q)' if single else
            'hard a: forall q. t(q) >= 39 -> sign(q)\nhard b: forall q. asks(q) = "head" -> ~sign(q)')  # fmt: skip
    made = ward.single if single else ward.model
    rules = ward.rules(text, ward.KINDS if single else ward.LABELS)
    known = ({"t": 38.0, "asks": "head"}, {"t": 40.0, "asks": "head", "x": 1.0})
    good = [gf.Sample(s.name, s.nodes, target=s.target, facts={}) for s in visits(single)]
    what = "none of the labels satisfies every hard rule" if single else "no set of labels satisfies every hard rule"
    message = rf"Rules: sample 'v/1': {what}.*, given the facts that they ask for \(t = 40\.0, asks = 'head'\)\."
    with pytest.raises(gf.InputError, match=message):
        made(rules=rules).predict(visits(single, known))
    with pytest.raises(gf.InputError, match=message):
        gf.fit(made(rules=rules), visits(single, known), good[2:], epochs=1)


def test_facts_for_which_a_rule_holds_for_no_label_alone_name_the_sample():
    rules = ward.rules("soft c: forall q. t(q) < 39 -> rib(q) & lung(q)", ward.KINDS)
    model, samples = ward.single(rules=rules, rule_mode="loss"), visits(True, ({"t": 40.0}, {"t": 38.0}))
    with pytest.raises(gf.InputError, match=r"sample 'v/1': rule 'c' holds for no label that alone is true"):
        gf.fit(model, samples, visits(True)[2:], epochs=1)


@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_a_fact_of_another_sort_names_the_sample(mode):
    samples = visits(known=({"temp": 38.0}, {"temp": "high"}))
    model = ward.model(rules=head(False).rules, rule_mode=mode)
    message = r"Sample 'v/1': fact 'temp' is 'high', and rules compare it with numbers\."
    with pytest.raises(gf.InputError, match=message):
        gf.evaluate(model, samples)
    with pytest.raises(gf.InputError, match=message):
        gf.fit(model, samples, visits(known=KNOWN[2:4]), epochs=1)
    with pytest.raises(gf.InputError, match=r"Sample 'v/0': fact 'asks' is 3, and rules compare it with words\."):
        gf.evaluate(model, visits(known=({"asks": 3},)))


def test_labels_are_held_against_rules_with_the_facts_of_their_sample():
    odd = visits()[0]
    wrong = [gf.Sample("x/1", odd.nodes, target=("chest",), facts={"asks": "head"}),
             gf.Sample("x/2", odd.nodes, target=("chest",), facts={"temp": 41.0}),
             gf.Sample("x/3", odd.nodes, target=("chest",), facts={"temp": 38.0})]  # fmt: skip
    message = r"2 of 9 training samples have .*'x/1' breaks 'asked', 'x/2' breaks 'fever' \(by rule: asked 1, fever 1\)"
    with pytest.raises(gf.InputError, match=message):
        gf.fit(ward.model(rules=head(False).rules), [*visits()[:6], *wrong], visits()[6:], epochs=1)
    one = [gf.Sample("x/1", odd.nodes, target="lung", facts={"asks": "head"})]
    with pytest.raises(gf.InputError, match=r"1 of 4 training samples have .*'x/1' breaks 'asked'"):
        gf.fit(ward.single(rules=head(True).rules), [*visits(True)[:3], *one], visits(True)[6:], epochs=1)


def test_a_fact_that_no_training_sample_has_is_warned_of_with_near_names():
    text = 'hard a: forall q. asks(q) = "head" -> head(q)\nsoft b: forall q. tmp(q) != 1 -> sign(q)'
    model = ward.model(rules=ward.rules(text))
    with pytest.warns(RuleWarning) as caught:
        gf.fit(model, visits()[:6], visits()[6:], epochs=1)
    assert [str(each.message) for each in caught if each.category is RuleWarning] == [
        "No training sample has a fact that rules ask for: 'tmp'. Did you mean 'temp'? Known: asks, temp."
    ]
    with pytest.warns(RuleWarning) as caught:
        gf.fit(ward.model(rules=ward.rules(text)), ward.TRAIN, ward.VALID, epochs=1)
    told = [str(each.message) for each in caught if each.category is RuleWarning]
    assert told[0].startswith("1 of 2 rules that say 'if' never fire")
    assert told[1:] == [f"No training sample has a fact that rules ask for: '{name}'." for name in ("asks", "tmp")]
    with warnings.catch_warnings(action="error", category=RuleWarning):
        gf.fit(ward.model(rules=ward.rules(text.replace("tmp", "temp"))), visits()[:6], visits()[6:], epochs=1)


def test_a_run_with_other_facts_is_another_run(tmp_path):
    first, *others = visits()[:6]
    rules = ward.rules('hard asked: forall p. asks(p) = "head" -> head(p)')
    gf.fit(ward.model(rules=rules), [first, *others], visits()[6:], tmp_path, epochs=1)
    changed = replace(first, facts={"asks": "heart", "temp": 36.5})
    with pytest.raises(gf.InputError, match="holds another run"):
        gf.fit(ward.model(rules=rules), [changed, *others], visits()[6:], tmp_path, epochs=1)


def test_a_rule_that_cannot_refine_in_some_case_is_refused_before_training():
    some = ", ".join(f"l{i}(q)" for i in range(30))
    labels = tuple(f"l{i}" for i in range(30))
    rules = gf.RuleSet.parse(f'hard a: forall q. asks(q) = "many" & temp(q) > 3 -> at_most(15, {some})', labels)
    with pytest.raises(gf.InputError, match="is more clauses than can refine"):
        Ruled.of(gf.heads.MultiLabel(labels), rules, "refine")
    assert Ruled.of(gf.heads.MultiLabel(labels), rules, "exact").sorts == {"asks": str, "temp": float}


def test_a_label_that_breaks_a_rule_for_the_facts_of_its_sample_teaches_nothing():
    for single in (False, True):
        samples, own = visits(single), head(single)
        scores = SCORES[:, : 4 if single else 6].clone().requires_grad_()
        wrong = replace(samples[0], target="lung" if single else ("chest",))
        (slope,) = torch.autograd.grad(own.loss(scores, ward.batch_of([wrong, *samples[1:]])), scores)
        assert not slope[0].any()
        assert slope[1:].any(1).any()
        free = replace(wrong, facts={})
        (slope,) = torch.autograd.grad(own.loss(scores, ward.batch_of([free, *samples[1:]])), scores)
        assert slope[0].any()
    several = ward.batch_of([replace(visits(True)[0], target=("lung", "brain"))])
    only = ward.batch_of(visits(True)[:1])
    assert_close(head(True).loss(SCORES[:1, :4], several), head(True).loss(SCORES[:1, :4], only))
