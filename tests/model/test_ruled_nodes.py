"""Rules over nodes and links inside a model: against every node one by one, alone and in a batch, folders, mistakes."""

import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.model import Ruled
from graphfuse.model.one_node import alone
from graphfuse.rules import RuleWarning
from graphfuse.training import look

NEAR = ("thing", "near", "thing")
PLAN = gf.Schema({"words": 3, "thing": 4}, [gf.AllPairs("words", "thing", "both"), gf.Linked(*NEAR)])
TEXT = """
hard is_it: forall x. asks(x) = "red" & answer(x) -> is(x) = "red"
hard not_itself: forall x. named(x) = "yes" -> ~answer(x)
hard near_it: forall x, y. asks(x) = "near" & named(y) = "yes" & answer(x) -> near(x, y)
hard some: exists x. answer(x) & size(x) > -0.5
soft 2.0 larger: forall x, y. near(x, y) & size(x) >= 1 & answer(y) -> answer(x)
"""
NAMES = ("is_it", "not_itself", "near_it", "some", "larger")


def sample(seed: int) -> gf.Sample:
    """A question about up to six things; those of seed 3 have none, those of seed 4 know nothing."""
    rng = torch.Generator().manual_seed(seed)
    many = 0 if seed == 3 else int(torch.randint(2, 7, (), generator=rng))
    pairs = torch.randint(max(many, 1), (2, 6 if many else 0), generator=rng)
    named = [["yes", None][int(i)] for i in torch.randint(2, (many,), generator=rng)]
    nodes = {"words": torch.randn(2, 3, generator=rng), "thing": torch.randn(many, 4, generator=rng)}
    known = {"is": [["red", "blue", None][int(i)] for i in torch.randint(3, (many,), generator=rng)], "named": named,
             "size": torch.randn(many, generator=rng).round(decimals=1)}  # fmt: skip
    asks = {"asks": ["red", "near", "none"][int(torch.randint(3, (), generator=rng))]}
    target = torch.randperm(many, generator=rng)[: int(torch.randint(0, 3, (), generator=rng))]
    return gf.Sample(f"q/{seed}", nodes, {NEAR: pairs}, target=target, facts={} if seed == 4 else asks,
                     node_facts={} if seed == 4 else {"thing": known})  # fmt: skip


SAMPLES = [sample(seed) for seed in range(24)]
TOTAL = sum(len(s.nodes["thing"]) for s in SAMPLES)
SCORES = 2 * torch.randn(TOTAL, generator=torch.Generator().manual_seed(9), dtype=torch.double)


def breaks(own: gf.Sample, k: int) -> list[bool]:
    """Which rules node ``k`` breaks as the only answer, by a plain look."""
    known, asks, many = own.node_facts.get("thing", {}), own.facts.get("asks"), len(own.nodes["thing"])
    is_, named = known.get("is", [None] * many), known.get("named", [None] * many)
    size, pairs = known.get("size", torch.full((many,), math.nan)), own.links[NEAR].t().tolist()
    others = [x for x in range(many) if [x, k] in pairs and size[x] >= 1 and x != k]
    return [asks == "red" and is_[k] != "red", named[k] == "yes",
            asks == "near" and any(named[y] == "yes" and [k, y] not in pairs for y in range(many)),
            not size[k] > -0.5, bool(others)]  # fmt: skip


def allowed(own: gf.Sample) -> list[int]:
    return [k for k in range(len(own.nodes["thing"])) if not any(breaks(own, k)[:4])]


def head(mode: str = "exact", text: str = TEXT, **options: float) -> Ruled:
    return Ruled.of(gf.heads.Choose("thing"), gf.RuleSet.parse(text), mode, **options)


def scores_of() -> list[torch.Tensor]:
    return list(SCORES.split([len(s.nodes["thing"]) for s in SAMPLES]))


def test_what_a_node_would_break_as_the_only_answer_is_what_a_plain_look_finds():
    found = alone(head().over.among, gf.collate(SAMPLES, PLAN))
    wanted = [breaks(own, k) for own in SAMPLES for k in range(len(own.nodes["thing"]))]
    assert found.tolist() == wanted
    assert found.any(0).all()
    assert not found.all(0).any()


def test_exact_answers_with_the_best_node_that_the_rules_allow_and_its_probability_given_them():
    answers, nothing = head().answers(SCORES, gf.collate(SAMPLES, PLAN)), 0
    for own, scores, answer in zip(SAMPLES, scores_of(), answers):
        rows = allowed(own)
        assert answer.value == (max(rows, key=lambda k: scores[k]) if rows else None)
        nothing += not rows
        if rows:
            assert answer.score == pytest.approx(float(scores[rows].softmax(0).max()), abs=1e-9)
    assert 0 < nothing < len(SAMPLES)


def test_exact_learns_by_the_probability_of_the_right_nodes_among_those_allowed():
    losses = []
    for own, scores in zip(SAMPLES, scores_of()):
        rows = allowed(own)
        right = [k for k in own.target.tolist() if k in rows]
        if right:
            losses.append(scores[rows].logsumexp(0) - scores[right].logsumexp(0))
    scores = SCORES.clone().requires_grad_()
    loss = head().loss(scores, gf.collate(SAMPLES, PLAN))
    assert_close(loss, torch.stack(losses).mean())
    loss.backward()
    free = torch.tensor([k in allowed(own) for own in SAMPLES for k in range(len(own.nodes["thing"]))])
    assert not scores.grad[~free].any()
    assert scores.grad[free].any()


def test_loss_is_how_improbable_it_is_that_the_node_that_answers_breaks_none():
    costs = [[] for _ in NAMES]
    for own, scores in zip(SAMPLES, scores_of()):
        broken = torch.tensor([breaks(own, k) for k in range(len(scores))]).view(len(scores), len(NAMES))
        for cost, mine in zip(costs, broken.t()):
            if mine.any() and not mine.all():
                cost.append(-(scores.softmax(0)[~mine].sum()).log())
    each = torch.stack([torch.stack(cost).mean() for cost in costs]) * torch.tensor([1.0, 1, 1, 1, 2]).double()
    batch, plain = gf.collate(SAMPLES, PLAN), gf.heads.Choose("thing")
    found = head("loss", weight=0.5).loss(SCORES, batch)
    assert_close(found, plain.loss(SCORES, batch) + 0.5 * each.mean())
    assert [a.value for a in head("loss").answers(SCORES, batch)] == [a.value for a in plain.answers(SCORES, batch)]


def test_broken_is_told_of_each_sample_before_the_rules_and_after():
    before, after = head().broken(SCORES, gf.collate(SAMPLES, PLAN))
    for own, scores, raw, said in zip(SAMPLES, scores_of(), before.tolist(), after.tolist()):
        if not len(scores):
            assert raw == said == [False] * 5  # nothing is there that a rule could speak of
            continue
        assert raw == breaks(own, int(scores.argmax()))
        rows = allowed(own)
        if rows:
            assert said == breaks(own, max(rows, key=lambda k: scores[k]))
            assert not any(said[:4])


def test_refining_pushes_scores_by_what_the_rules_say_of_a_sample_alone():
    rules = gf.RuleSet.parse("\n".join(TEXT.splitlines()[:4]))
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, gf.heads.Choose("thing"), "sage", 8, 1, rules, rule_mode="refine").double().eval()
    batch = gf.collate([replace(s, nodes={k: x.double() for k, x in s.nodes.items()}) for s in SAMPLES], PLAN)
    output, begin = model(batch), 0
    change = (output.scores - output.before) * model.temperature
    for own in SAMPLES:
        by_itself = model(gf.collate([replace(own, nodes={k: x.double() for k, x in own.nodes.items()})], PLAN)).scores
        assert_close(by_itself, output.scores[begin : begin + len(by_itself)])
        begin += len(by_itself)
    names = [s.node_facts.get("thing", {}).get("named", [None] * len(s.nodes["thing"])) for s in SAMPLES]
    named = [name == "yes" for own in names for name in own]
    assert (change[torch.tensor(named)] < 0).all()
    assert not (change > 0).any()


@pytest.mark.parametrize("mode", ["exact", "loss"])
def test_a_sample_is_answered_alone_as_in_a_batch(mode):
    every = head(mode).answers(SCORES, gf.collate(SAMPLES, PLAN))
    for own, scores, answer in zip(SAMPLES, scores_of(), every):
        (by_itself,) = head(mode).answers(scores, gf.collate([own], PLAN))
        assert by_itself.value == answer.value
        assert by_itself.score == (None if answer.score is None else pytest.approx(answer.score, abs=1e-12))


TAUGHT = [replace(own, target=torch.tensor(allowed(own)[:1])) for own in SAMPLES if allowed(own)]


@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_a_model_is_trained_measured_saved_and_opened_again(mode, tmp_path):
    text = TEXT.replace("hard some: exists x. answer(x) & size(x) > -0.5\n", "")
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, gf.heads.Choose("thing"), "relation_gate", dim=8, layers=1,
                               rules=gf.RuleSet.parse(text), rule_mode=mode)  # fmt: skip
    valid = [replace(own, name=f"v/{own.name}") for own in TAUGHT]
    history = gf.fit(model, TAUGHT, valid, out=tmp_path / "run", epochs=2, seed=0)
    opened = gf.FusionModel.from_pretrained(tmp_path / "run")
    assert opened.head.mode == mode
    assert str(opened.rules) == str(model.rules)
    assert opened.predict(SAMPLES) == model.predict(SAMPLES)
    found = look(model, SAMPLES)
    assert set(found.rules) == {"is_it", "not_itself", "near_it", "larger"}
    assert found.metrics["rules_broken_before"] > 0
    if mode == "exact":
        assert found.metrics["rules_broken"] == 0
        assert history.metrics["rules_broken"] == 0


def test_a_run_with_other_facts_of_nodes_is_another_run_and_with_the_same_it_goes_on(tmp_path):
    rules = gf.RuleSet.parse("\n".join(TEXT.splitlines()[:4]))
    known = {"thing": {**TAUGHT[0].node_facts["thing"], "size": torch.full((len(TAUGHT[0].nodes["thing"]),), math.nan)}}
    train, valid = [replace(TAUGHT[0], node_facts=known)], [replace(own, name=f"v/{own.name}") for own in TAUGHT[1:3]]
    for own, says in [(train, None), (train, None), (TAUGHT[:1], "holds another run")]:
        with gf.seeded(0):
            model = gf.FusionModel(PLAN, gf.heads.Choose("thing"), "sage", 8, 1, rules, rule_mode="loss")
        if says is None:
            gf.fit(model, own, valid, out=tmp_path / "run", epochs=1)
            continue
        with pytest.raises(gf.InputError, match=says):
            gf.fit(model, own, valid, out=tmp_path / "run", epochs=1)


def test_a_sample_whose_nodes_are_hidden_is_as_one_without_candidates():
    own = TAUGHT[0]
    hidden = gf.collate([own.without("thing"), own], PLAN)
    scores = torch.randn(len(own.nodes["thing"]), dtype=torch.double)
    assert_close(head().loss(scores, hidden), head().loss(scores, gf.collate([own], PLAN)))
    assert head().answers(scores, hidden)[0].value is None
    last = gf.collate([own, own.without("thing")], PLAN)
    assert_close(head().loss(scores, last), head().loss(scores, gf.collate([own], PLAN)))
    mixed = replace(last, targets=(own.target, None))  # of which an answer takes nothing
    assert head().answers(scores, mixed) == head().answers(scores, last)


def test_of_several_right_nodes_one_may_break_a_rule():
    at = next(own for own in TAUGHT if len(allowed(own)) < len(own.nodes["thing"]))
    wrong = next(k for k in range(len(at.nodes["thing"])) if k not in allowed(at))
    both, bad = (replace(at, target=torch.tensor(own)) for own in ([wrong, allowed(at)[0]], [wrong]))
    over = head().over
    assert not over.of_right(gf.collate([both], PLAN), over.rules)[0, :4].any()
    assert over.of_right(gf.collate([bad], PLAN), over.rules)[0].tolist() == breaks(at, wrong)


def test_labels_that_break_a_rule_stop_training_and_rules_that_never_fire_are_told():
    rows = [k for own in SAMPLES for k in range(len(own.nodes["thing"])) if breaks(own, k)[1]]
    assert rows
    bad = next((own, k) for own in SAMPLES for k in range(len(own.nodes["thing"]))
               if breaks(own, k)[1] and not breaks(own, k)[0] and not breaks(own, k)[2])  # fmt: skip
    text = """
hard not_itself: forall x. named(x) = "yes" -> ~answer(x)
soft odd: forall x. named(x) = "no" & answer(x) -> is(x) = "red"
"""
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, gf.heads.Choose("thing"), "sage", dim=8, layers=1, rules=gf.RuleSet.parse(text))
    train, valid = [replace(bad[0], target=torch.tensor([bad[1]])), *TAUGHT[:3]], [replace(TAUGHT[4], name="v")]
    train[1:] = [own for own in train[1:] if own.name != bad[0].name]
    with pytest.raises(gf.InputError, match=f"1 of .* training samples .*'{bad[0].name}' breaks 'not_itself'"):
        gf.fit(model, train, valid, epochs=1)
    with pytest.warns(RuleWarning) as caught:
        gf.fit(model, train, valid, epochs=1, allow_broken_labels=True)
    told = " ".join(str(each.message) for each in caught)
    assert "breaks 'not_itself'" in told
    assert "1 of 2 rules that say 'if' never fire" in told
    assert "'odd'" in told


@pytest.mark.parametrize(
    ("rules", "mode", "says"),
    [
        ("hard a: forall x, y. nere(x, y) & answer(x) -> answer(y)", "exact",
         r"rules speak of links \('thing', 'nere', 'thing'\), which the schema does not give\. Did you mean 'near'"),
        ("hard a: forall x. anwser(x) -> is(x) = \"red\"", "exact", r"label 'anwser' is not a label of"),
        ("soft a: exists x. answer(x) & is(x) = \"red\"", "refine", r"says that something exists, which cannot refine"),
        ("soft a: forall x. answer(x) -> is(x) = \"red\"", "exact", r"of hard rules, and here is none"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(rules, mode, says):
    with pytest.raises(gf.InputError, match=says):
        gf.FusionModel(PLAN, gf.heads.Choose("thing"), "sage", 8, 1, gf.RuleSet.parse(rules), rule_mode=mode)


@pytest.mark.parametrize(
    ("facts", "of_nodes", "says"),
    [
        ({"asks": 3.0}, {}, r"Sample 'q/0': fact 'asks' is 3\.0, and rules compare it with words"),
        ({}, {"thing": {"size": ["large"] * len(SAMPLES[0].nodes["thing"])}},
         r"Sample 'q/0': fact 'size' of nodes of kind 'thing' is words, and rules compare it with numbers"),
    ],
)  # fmt: skip
def test_facts_of_another_sort_name_their_sample(facts, of_nodes, says):
    batch = gf.collate([replace(SAMPLES[0], facts=facts, node_facts=of_nodes)], PLAN)
    with pytest.raises(gf.InputError, match=says):
        head().loss(torch.zeros(len(SAMPLES[0].nodes["thing"])), batch)
