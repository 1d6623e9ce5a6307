"""Rules over what ``Tag`` says of nodes and links: as of rows by themselves, over relations, by hand, in training."""

import itertools
import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core.lazy import Lazy
from graphfuse.model import Ruled
from graphfuse.model.among import Among
from graphfuse.rules import Facts, RuleWarning
from graphfuse.training import look

SIGNS, CITES = ("fever", "cough", "flu"), ("person", "meets", "person")
PLAN = gf.Schema({"person": 5, "note": 3}, [gf.Linked(*CITES), gf.AllPairs("note", "person", "both")])
ALONE = """
hard hot: forall x. temp(x) >= 39 -> fever(x)
hard flu_is: forall x. flu(x) -> fever(x) & cough(x)
hard ward: forall x. ward(x) = "lung" -> cough(x)
soft caught: forall x, y. meets(x, y) & flu(x) -> flu(y)
"""


def sample(seed: int, single: bool = False) -> gf.Sample:
    rng = torch.Generator().manual_seed(seed)
    many = int(torch.randint(2, 6, (), generator=rng))
    nodes = {"person": torch.randn(many, 5, generator=rng), "note": torch.randn(1, 3, generator=rng)}
    temp = (38 + 1.5 * torch.randn(many, generator=rng)).masked_fill(torch.rand(many, generator=rng) < 0.2, math.nan)
    ward = ["lung", "heart"][seed % 2]
    said = [{"fever"} if t >= 39 else set() for t in temp.tolist()]
    for own in said if ward == "lung" else []:
        own.add("cough")
    target = [SIGNS[seed % 3] if single else tuple(sorted(own)) for own in said]
    target[0] = None
    return gf.Sample(f"s/{seed}", nodes, {CITES: torch.randint(many, (2, 7), generator=rng)}, target=target,
                     facts={"ward": ward}, node_facts={"person": {"temp": temp}})  # fmt: skip


SAMPLES = [sample(seed) for seed in range(9)]
TAG = gf.heads.Tag("person", gf.heads.MultiLabel(SIGNS))
TOPIC = gf.heads.Tag("person", gf.heads.Classify(SIGNS))
BATCH = gf.collate(SAMPLES, PLAN)
SCORES = 2 * torch.randn(len(BATCH.nodes["person"]), 3, generator=torch.Generator().manual_seed(1), dtype=torch.double)


def test_exact_is_for_each_node_what_it_is_for_a_sample():
    known, rows = TAG.known(BATCH), TAG.rows(BATCH)
    taught = replace(rows, names=pick(rows.names, known), targets=pick(rows.targets, known),
                     facts=pick(rows.facts, known))  # fmt: skip
    alone = gf.RuleSet.parse("\n".join(ALONE.splitlines()[:4]), SIGNS)
    nodes, each = Ruled.of(TAG, gf.RuleSet.parse(ALONE)), Ruled.of(TAG.each, alone)
    assert_close(nodes.loss(SCORES, BATCH), each.loss(SCORES[known], taught))
    assert_close(nodes.log_loss(SCORES, BATCH), each.log_loss(SCORES[known], taught))
    assert nodes.summary([SCORES], [BATCH]) == each.summary([SCORES[known]], [taught])
    said, owner, begin = each.answers(SCORES, rows), TAG.owner(BATCH), 0
    for number, answer in enumerate(nodes.answers(SCORES, BATCH)):
        own = said[begin : begin + int((owner == number).sum())]
        assert answer.value == tuple(row.value for row in own)
        assert answer.score == pytest.approx(sum(row.score for row in own) / len(own))
        begin += len(own)
    found = each.measure(SCORES[known], taught)["f1"]
    for number, f1 in enumerate(nodes.measure(SCORES, BATCH)["f1"]):
        assert_close(f1, found[owner[known] == number].mean())
    said = each.said(SCORES, rows)
    assert_close(nodes.said(SCORES, BATCH), torch.stack([said[owner == i].sum() for i in range(len(SAMPLES))]))
    assert not nodes.broken(SCORES, BATCH)[1][:, :3].any()
    assert nodes.broken(SCORES, BATCH)[0][:, :3].any(0).all()


@pytest.mark.parametrize("head", [TAG, TOPIC])
def test_targets_and_facts_of_rows_are_read_once_a_batch_and_no_name_is_made(head, monkeypatch):
    text = 'hard hot: forall x. temp(x) >= 39 -> ~flu(x)\nhard ward: forall x. ward(x) = "lung" -> ~cough(x)'
    ruled, read, target = Ruled.of(head, gf.RuleSet.parse(text, SIGNS)), [], "flu" if head is TOPIC else ("flu",)
    samples = [replace(own, target=[None, *[target] * (len(own.target) - 1)]) for own in SAMPLES]
    batch, marks, facts = gf.collate(samples, PLAN), type(head.each).marks, ruled.over.among._facts
    monkeypatch.setattr(type(head.each), "marks", lambda each, own: read.append(type(own)) or marks(each, own))
    monkeypatch.setattr(Among, "_facts", lambda among, own: read.append("facts") or facts(own))
    unnamed = lambda names, called, sizes: Lazy(sum(sizes), lambda row: pytest.fail("a name is made"))  # noqa: E731
    monkeypatch.setattr("graphfuse.heads.tag.named", unnamed)
    for each in (ruled.loss, ruled.measure, ruled.log_loss, ruled.loss, ruled.measure, ruled.said):
        each(SCORES, batch)
    assert read.count(list) == read.count("facts") == 1


def pick(values: tuple, which: torch.Tensor) -> tuple:
    return tuple(value for value, own in zip(values, which.tolist()) if own)


def by_hand() -> Facts:
    temp = torch.cat([own.node_facts["person"]["temp"] for own in SAMPLES])
    owner = BATCH.owner("person")
    return Facts({"meets": BATCH.links[CITES]}, {"temp": temp, "ward": [SAMPLES[i].facts["ward"] for i in owner]})


def test_loss_is_over_the_links_and_facts_of_all_samples():
    rules = gf.RuleSet.parse(ALONE, SIGNS)
    found = Ruled.of(TAG, rules, "loss", 0.3).loss(SCORES, BATCH)
    assert_close(found, TAG.loss(SCORES, BATCH) + 0.3 * rules.loss(SCORES, by_hand()))


def test_loss_of_one_label_a_node_takes_its_probabilities():
    rules = gf.RuleSet.parse("soft caught: forall x, y. meets(x, y) & x != y & flu(x) -> flu(y)", SIGNS)
    one = gf.Sample("a", {"person": torch.zeros(2, 5)}, {CITES: torch.tensor([[0, 0], [1, 0]])}, target=["flu", None])
    scores = torch.tensor([[0.3, -1.0, 2.0], [0.5, 0.5, -4.0]], dtype=torch.double)
    (x, y), batch = scores.softmax(1)[:, 2], gf.collate([one], PLAN)
    found = Ruled.of(TOPIC, rules, "loss").loss(scores, batch) - TOPIC.loss(scores, batch)
    assert_close(found, -torch.log(1 - x * (1 - y)))


def test_a_sample_is_refined_alone_as_in_a_batch():
    text = ALONE.replace("soft caught", "soft learn caught")
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, TAG, "sage", 8, 1, gf.RuleSet.parse(text), rule_mode="refine").eval()
    output = model(BATCH)
    assert not torch.equal(output.before, output.scores)
    for place, own in enumerate(SAMPLES):
        assert_close(model(gf.collate([own], PLAN)).scores, output.scores[BATCH.owner("person") == place])
    alone = gf.RuleSet.parse(text, SIGNS)
    weights = torch.tensor([1, 1, 1, float(model.refine.weights[0]()[-1].detach())])
    wanted = alone.refine(output.before * model.temperature, by_hand(), weights)
    assert_close(output.scores * model.temperature, wanted)


@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
@pytest.mark.parametrize("head", [TAG, TOPIC], ids=["several", "one"])
def test_a_model_is_trained_measured_saved_and_opened_again(mode, head, tmp_path):
    single = head is TOPIC
    text = 'hard ward: forall x. ward(x) = "lung" -> ~flu(x)\nsoft caught: forall x, y. meets(x, y) & flu(x) -> flu(y)'
    taught = [sample(seed, single) for seed in range(8) if not single or (seed % 2 or seed % 3 != 2)]
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, head, "sage", 8, 1, gf.RuleSet.parse(text), rule_mode=mode)
    history = gf.fit(model, taught, [replace(s, name=f"v{s.name}") for s in taught], out=tmp_path / "run", epochs=2)
    opened = gf.FusionModel.from_pretrained(tmp_path / "run")
    assert opened.predict(SAMPLES) == model.predict(SAMPLES)
    assert str(opened.rules) == str(model.rules)
    found = look(model, taught)
    assert set(found.rules) == {"ward", "caught"}
    assert "rules_broken" in history.metrics
    if mode == "exact":
        assert found.metrics["rules_broken"] == 0


def test_known_labels_that_break_a_rule_stop_training_and_unknown_ones_do_not():
    rules = gf.RuleSet.parse("hard caught: forall x, y. meets(x, y) & flu(x) -> flu(y)", SIGNS)
    pairs = {CITES: torch.tensor([[0, 1], [1, 2]])}
    good = gf.Sample("good", {"person": torch.zeros(3, 5)}, pairs, target=[("flu",), None, ("cough",)])
    bad = replace(good, name="bad", target=[("flu",), ("fever",), None])
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, TAG, "sage", 8, 1, rules, rule_mode="loss")
    with pytest.raises(gf.InputError, match=r"1 of 2 training samples have labels .*: 'bad' breaks 'caught'"):
        gf.fit(model, [good, bad], [replace(good, name="v")], epochs=1)
    never = gf.RuleSet.parse("hard odd: forall x, y. meets(x, y) & flu(x) & fever(x) -> flu(y)", SIGNS)
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, TAG, "sage", 8, 1, never, rule_mode="loss")
    with pytest.warns(RuleWarning, match="1 of 1 rules that say 'if' never fire"):
        gf.fit(model, [good], [replace(good, name="v")], epochs=1)
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, TAG, "sage", 8, 1, rules, rule_mode="loss")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuleWarning)  # its left side is true of 0 and 1, though 1 is not known
        gf.fit(model, [good], [replace(good, name="v")], epochs=1)


TOGETHER = """
hard caught: forall x, y. meets(x, y) & flu(x) -> flu(y) | fever(y)
hard hot: forall x. temp(x) >= 39 -> fever(x) | flu(x)
soft kept: forall x. cough(x) -> flu(x)
"""
KNOWN = {"one": ["flu", None, "fever"], "several": [("flu",), None, ("fever", "flu")]}


def person(name: str, target: list, pairs: list[list[int]]) -> gf.Sample:
    return gf.Sample(name, {"person": torch.zeros(len(target), 5)}, {CITES: torch.tensor(pairs)}, target=target,
                     node_facts={"person": {"temp": torch.tensor([38.0, 37.0, 39.5][: len(target)])}})  # fmt: skip


def worlds(own: gf.Sample, one: bool) -> list[tuple[frozenset[str], ...]]:
    """What all persons of a sample may have together, by a plain look."""
    each = [frozenset(s) for n in range(4) for s in itertools.combinations(SIGNS, n) if n == 1 or not one]
    found = []
    for world in itertools.product(each, repeat=len(own.target)):
        pairs = own.links[CITES].t().tolist()
        caught = all("flu" not in world[x] or world[y] & {"flu", "fever"} for x, y in pairs)
        temp = own.node_facts["person"]["temp"].tolist()
        if caught and all(t < 39 or w & {"fever", "flu"} for t, w in zip(temp, world)):
            found.append(world)
    return found


@pytest.mark.parametrize("kind", ["one", "several"])
def test_hard_rules_that_join_nodes_are_kept_and_learned_by_exactly(kind):
    head, one = TOPIC if kind == "one" else TAG, kind == "one"
    samples = [person("a", KNOWN[kind], [[0, 1], [1, 2]]), person("b", [*KNOWN[kind][:1], None], [[0], [1]])]
    batch = gf.collate(samples, PLAN)
    scores = 2 * torch.randn(5, 3, generator=torch.Generator().manual_seed(27), dtype=torch.double)
    ruled, losses, begin = Ruled.of(head, gf.RuleSet.parse(TOGETHER)), [], 0
    for own, answer in zip(samples, ruled.answers(scores, batch)):
        mine, begin = scores[begin : begin + len(own.target)], begin + len(own.target)
        every = worlds(own, one)
        signs = torch.tensor([[[1.0 if s in w else -1.0 for s in SIGNS] for w in world] for world in every]).double()
        weight = torch.nn.functional.logsigmoid(signs * mine).sum((1, 2))
        best, p = every[int(weight.argmax())], weight.softmax(0)
        assert [frozenset([v] if one else v) for v in answer.value] == list(best)
        fits = torch.tensor([all(t is None or w == frozenset([t] if one else t) for t, w in zip(own.target, world))
                             for world in every])  # fmt: skip
        losses.append(weight.logsumexp(0) - weight[fits].logsumexp(0))
        sure = []
        for row, w in enumerate(best):
            on = (p[:, None] * (signs[:, row] > 0)).sum(0)
            chosen = torch.tensor([s in w for s in SIGNS])
            sure.append(float(torch.where(chosen, on, 1.0 if one else 1 - on).prod()))
        assert answer.score == pytest.approx(sum(sure) / len(sure))
    assert_close(ruled.loss(scores, batch), torch.stack(losses).sum() / (3 if one else 9))
    assert_close(ruled.log_loss(scores, batch), torch.stack(losses))
    assert not ruled.broken(scores, batch)[1][:, :2].any()
    assert ruled.broken(scores, batch)[0][:, :2].any()
    assert ruled.measure(scores, batch)[head.metric].shape == (2,)
    chosen, rules = ruled.chosen(scores, batch), ruled.over.answering.rules
    signs = chosen.double() if one else 2 * chosen.double() - 1
    assert_close(ruled.said(scores, batch), torch.stack([(signs * scores)[:3].sum(), (signs * scores)[3:].sum()]))
    sure = rules.marginals(scores, ruled.over.among.facts(batch)).clamp(1e-12, 1 - 1e-12)
    assert ruled.summary([scores], [batch]) == head.summary([sure.log() if one else sure.logit()], [batch])


def test_known_labels_that_break_a_joining_rule_teach_nothing_where_they_are_joined_and_something_elsewhere():
    rules = gf.RuleSet.parse("hard on: forall x, y. meets(x, y) & flu(x) -> flu(y)", SIGNS)
    target = [("flu",), None, (), ("cough",), ("flu",)]  # 0 says flu of 1, and 1 of 2, which has none
    own = gf.Sample("a", {"person": torch.zeros(5, 5)}, {CITES: torch.tensor([[0, 1], [1, 2]])}, target=target)
    scores = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.double).requires_grad_()
    batch = gf.collate([own], PLAN)
    loss = Ruled.of(TAG, rules).loss(scores, batch)
    loss.backward()
    assert not scores.grad[:3, 2].any()
    assert scores.grad[3:].all()
    taught = replace(TAG.rows(batch), names=("", ""), targets=(("cough",), ("flu",)), facts=())
    assert_close(loss, TAG.each.loss(scores[3:], taught) + free(scores) / 6)
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, TAG, "sage", 8, 1, rules)
    gf.fit(model, [own], [replace(own, name="v")], epochs=1)
    assert look(model, [own]).metrics["rules_broken"] == 0


def free(scores: torch.Tensor) -> torch.Tensor:
    """What the labels of 0 and 2 that no rule joins cost."""
    wrong = torch.tensor([[False, False], [False, False]])
    return torch.nn.functional.binary_cross_entropy_with_logits(scores[[0, 2], :2], wrong.double(), reduction="sum")


def test_what_breaks_a_rule_is_left_out_of_the_log_loss_of_a_whole_set():
    rules = gf.RuleSet.parse("hard on: forall x, y. meets(x, y) & flu(x) -> flu(y)", SIGNS)
    good = gf.Sample("a", {"person": torch.zeros(2, 5)}, {CITES: torch.tensor([[0], [1]])}, target=[(), ("flu",)])
    bad = replace(good, name="b", target=[("flu",), ()])
    ruled, scores = Ruled.of(TAG, rules), torch.randn(4, 3, generator=torch.Generator().manual_seed(1)).double()
    alone = ruled.summary([scores[:2]], [gf.collate([good], PLAN)])
    assert ruled.summary([scores], [gf.collate([good, bad], PLAN)])["log_loss"] == pytest.approx(alone["log_loss"])


def test_that_something_exists_is_held_against_labels_where_all_are_known():
    rules = gf.RuleSet.parse("hard some: exists x. flu(x)", SIGNS)
    partly = gf.Sample("a", {"person": torch.zeros(2, 5)}, target=[("cough",), None])
    whole = replace(partly, name="b", target=[("cough",), ()])
    over = Ruled.of(TAG, rules).over
    assert over.of_right(gf.collate([partly, whole], PLAN), rules)[:, 0].tolist() == [False, True]


def test_a_rule_of_ones_own_may_have_the_name_of_the_one_that_is_added():
    rules = gf.RuleSet.parse('hard "one label": forall x, y. meets(x, y) & flu(x) -> flu(y)', SIGNS)
    assert [rule.name for rule in Ruled.of(TOPIC, rules).over.answering.rules.rules] == ["one label", "one label*"]


def test_of_several_right_labels_of_a_node_one_is():
    rules = gf.RuleSet.parse("hard on: forall x, y. meets(x, y) & flu(x) -> ~flu(y)", SIGNS)
    own = gf.Sample("a", {"person": torch.zeros(3, 5)}, {CITES: torch.tensor([[0], [1]])},
                    target=[("flu", "cough"), "fever", ()])  # fmt: skip
    scores = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    p, batch = scores.softmax(1), gf.collate([own], PLAN)
    keeps = 1 - p[0, 2] * p[1, 2]
    wanted = -torch.log((p[0, 1] + p[0, 2]) * p[1, 0] / keeps)
    assert_close(Ruled.of(TOPIC, rules).loss(scores, batch), wanted / 2)
    never = gf.RuleSet.parse("hard odd: forall x. ~(flu(x) & cough(x))", SIGNS)
    assert not Ruled.of(TOPIC, never).over.of_right(batch, never).any()
    weighed = gf.heads.Tag("person", gf.heads.Classify(SIGNS, weights=(1, 2, 3)))
    with pytest.raises(gf.InputError, match="Classify has weights, for which"):
        Ruled.of(weighed, rules)


def test_a_node_that_is_wholly_sure_is_still_taught_by_rules():
    rules = gf.RuleSet.parse("soft never: forall x. ~flu(x)", SIGNS)
    for sure in (1.0, 36.0, 60.0, 800.0):
        scores = torch.tensor([[0.0, 0.0, sure]], dtype=torch.double, requires_grad=True)
        batch = gf.collate([gf.Sample("a", {"person": torch.zeros(1, 5)}, target=["flu"])], PLAN)
        cost = Ruled.of(TOPIC, rules, "loss").over.cost(scores, batch)
        assert_close(cost, torch.nn.functional.softplus(torch.tensor(sure - math.log(2), dtype=torch.double)))
        cost.backward()
        assert scores.grad[0, 2] > 0.5


def test_facts_that_leave_joined_nodes_no_answer_name_the_sample():
    text = "hard on: forall x, y. meets(x, y) & flu(x) -> flu(y)\nhard hot: forall x. temp(x) >= 39 -> flu(x) & ~flu(x)"
    good, bad = (person(name, [("flu",), ("flu",)], [[0], [1]]) for name in "ab")
    bad = replace(bad, node_facts={"person": {"temp": torch.tensor([38.0, 40.0])}})
    with pytest.raises(gf.InputError, match=r"^Sample 'b': .*'hot': cannot hold for the facts of row 3"):
        Ruled.of(TAG, gf.RuleSet.parse(text, SIGNS)).answers(torch.zeros(4, 3), gf.collate([good, bad], PLAN))


def test_a_model_whose_hard_rules_join_nodes_is_trained_and_breaks_none():
    taught = [replace(s, target=[None if t is None else tuple({*t, "fever"}) for t in s.target]) for s in SAMPLES]
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, TAG, "sage", 8, 1, gf.RuleSet.parse(TOGETHER))
    gf.fit(model, taught, [replace(s, name=f"v{s.name}") for s in taught], epochs=2)
    found = look(model, taught)
    assert found.metrics["rules_broken"] == 0


KNOWS = ("person", "knows", "person")
PAIRS = torch.tensor([[0, 1, 1, 2, 0, 2], [1, 0, 2, 0, 0, 2]])


def test_links_meet_where_one_ends_and_another_begins_and_where_they_join_the_same_the_other_way():
    plan = gf.Schema({"person": 5}, [gf.Linked(*KNOWS)])
    head = gf.heads.Tag(KNOWS, gf.heads.MultiLabel(("friend", "family")))
    text = """
soft back: forall p, q. reverse(p, q) & friend(p) -> friend(q)
soft on: forall p, q. next(p, q) & p != q & family(p) -> family(q)
"""
    one = gf.Sample("a", {"person": torch.zeros(3, 5)}, {KNOWS: PAIRS}, target=[("friend",)] + [None] * 5)
    batch = gf.collate([one, replace(one, name="b")], plan)
    scores = torch.randn(12, 2, generator=torch.Generator().manual_seed(3), dtype=torch.double)
    pairs = PAIRS.t().tolist()
    back = [(i, j) for i, (a, b) in enumerate(pairs) for j, (c, d) in enumerate(pairs) if (a, b) == (d, c)]
    on = [(i, j) for i, (_, b) in enumerate(pairs) for j, (c, _) in enumerate(pairs) if b == c]
    both = {name: torch.tensor([*own, *[(i + 6, j + 6) for i, j in own]]).t() for name, own in
            (("reverse", back), ("next", on))}  # fmt: skip
    rules = gf.RuleSet.parse(text, ("friend", "family"))
    mixed = replace(batch, links={KNOWS: batch.links[KNOWS][:, [6, 0, 7, 8, 1, 2, 9, 3, 4, 10, 5, 11]]})
    assert torch.equal(Ruled.of(head, rules, "loss").broken(scores, mixed)[0],
                       Ruled.of(head, rules, "loss").broken(scores, batch)[0])  # fmt: skip
    found = Ruled.of(head, rules, "loss").loss(scores, batch) - head.loss(scores, batch)
    assert_close(found, rules.loss(scores, Facts(both)))
    assert_close(Ruled.of(head, rules, "loss").broken(scores, batch)[0],
                 rules.violations(scores > 0, Facts(both)).view(2, 6, 2).any(1))  # fmt: skip
    with pytest.raises(gf.InputError, match=r"between links of .* there are the relations 'next' and 'reverse'"):
        Ruled.of(head, gf.RuleSet.parse("soft a: forall p, q. nxt(p, q) & friend(p) -> friend(q)"), "loss")
