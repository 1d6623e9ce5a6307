"""Rules over several tasks at once: against all answers of small samples one by one, in training; what is refused."""

import itertools
import warnings
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.heads import Choose, Classify, MultiLabel, MultiTask, Regress, Tag
from graphfuse.model import Ruled
from graphfuse.rules import RuleWarning
from graphfuse.training import look

NEAR, SEEN = ("region", "near", "region"), ("note", "names", "region")
PLAN = gf.Schema({"region": 4, "note": 3}, [gf.Linked(*NEAR), gf.Linked(*SEEN), gf.AllPairs("note", "region", "both")])
HEAD = MultiTask({
    "finding": Tag("region", MultiLabel(["opacity", "mass"])),
    "diagnosis": Classify(["pneumonia", "tumour", "well"]),
    "sign": MultiLabel(["fever", "cough"]),
    "dose": Regress(),
    "worst": Choose("region"),
    "pair": Tag(NEAR, MultiLabel(["touching"])),
}, {"diagnosis": 2.0})  # fmt: skip
TEXT = """
hard sign: forall r, s. opacity(r) -> pneumonia(s)
hard mass: exists r, s. tumour(s) -> mass(r)
hard hot: forall s. temp(s) >= 39 -> fever(s)
hard flu: pneumonia & cough -> fever
hard spread: forall x, y. near(x, y) & mass(x) -> mass(y) | opacity(y)
hard shown: forall x, s. answer(x) & ~well(s) -> opacity(x) | mass(x)
hard touch: forall l, x. source(l, x) & touching(l) -> opacity(x)
hard named: forall n, x. names(n, x) & says(n) = "mass" -> mass(x)
soft 0.5 rare: forall r. mass(r) -> ~opacity(r)
"""
RULES = gf.RuleSet.parse(TEXT)


def allowed(sample: gf.Sample, y: dict) -> bool:
    """Every hard rule by hand: labels of each region and link, the diagnosis, the signs and the worst region."""
    opacity, mass = ([own[place] for own in y["finding"]] for place in (0, 1))
    pneumonia, tumour, well = (y["diagnosis"] == place for place in range(3))
    fever, cough = y["sign"]
    near, seen = (
        sample.links.get(NEAR, torch.zeros(2, 0)).T.tolist(),
        sample.links.get(SEEN, torch.zeros(2, 0)).T.tolist(),
    )
    return all([
        not any(opacity) or pneumonia,
        not tumour or any(mass) or not mass,  # nothing is said where there is no region
        not sample.facts.get("temp", 0) >= 39 or fever,
        not (pneumonia and cough) or fever,
        all(not mass[a] or mass[b] or opacity[b] for a, b in near),
        y["worst"] is None or well or opacity[y["worst"]] or mass[y["worst"]],
        all(not own[0] or opacity[a] for own, (a, _) in zip(y["pair"], near)),
        all(mass[b] for a, b in seen if sample.node_facts["note"]["says"][a] == "mass"),
    ])  # fmt: skip


def answers(regions: int, links: int):
    """All there are."""
    bits = (False, True)
    for finding, diagnosis, sign, worst, pair in itertools.product(
        itertools.product(itertools.product(bits, repeat=2), repeat=regions), range(3),
        itertools.product(bits, repeat=2), range(regions) if regions else [None],
        itertools.product(itertools.product(bits, repeat=1), repeat=links),
    ):  # fmt: skip
        yield {"finding": finding, "diagnosis": diagnosis, "sign": sign, "worst": worst, "pair": pair}


def sample(seed: int, known: bool = True) -> gf.Sample:
    """Two regions at most, links among them, and labels that keep the rules; half of the targets are known."""
    rng = torch.Generator().manual_seed(seed)
    many = seed % 3
    nodes = {"region": torch.randn(many, 4, generator=rng), "note": torch.randn(1, 3, generator=rng)}
    links = {NEAR: torch.randint(many, (2, 1 + seed % 2), generator=rng),
             SEEN: torch.tensor([[0], [0]])} if many else {}  # fmt: skip
    one = gf.Sample(f"s/{seed}", nodes, links, facts={"temp": 37.0 + 3 * (seed % 2)},
                    node_facts={"note": {"says": ["mass" if seed % 4 == 1 else None]}})  # fmt: skip
    every = [y for y in answers(many, links[NEAR].shape[1] if many else 0) if allowed(one, y)]
    y = every[int(torch.randint(len(every), (), generator=rng))]
    finding = [tuple(label for label, own in zip(("opacity", "mass"), row) if own) for row in y["finding"]]
    target = {
        "finding": [None if (seed + row) % 3 == 1 else own for row, own in enumerate(finding)],
        "diagnosis": ("pneumonia", "tumour", "well")[y["diagnosis"]],
        "sign": tuple(label for label, own in zip(("fever", "cough"), y["sign"]) if own),
        "dose": 0.5 * seed,
        "worst": None if y["worst"] is None else torch.tensor([y["worst"]]),
        "pair": [("touching",) if own[0] else () for own in y["pair"]],
    }
    gone = list(target)[seed % 6] if known else None
    return replace(one, target={name: own for name, own in target.items() if name != gone})


SAMPLES = [sample(seed) for seed in range(10)]
BATCH = gf.collate(SAMPLES, PLAN)


def scores(seed: int = 0) -> torch.Tensor:
    rows = (2 * len(BATCH.nodes["region"]), 3 * len(BATCH), 2 * len(BATCH), len(BATCH), len(BATCH.nodes["region"]),
            BATCH.links[NEAR].shape[1])  # fmt: skip
    return 2 * torch.randn(sum(rows), generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def of_sample(x: torch.Tensor, place: int) -> dict[str, torch.Tensor]:
    """The scores of one sample by part."""
    parts = HEAD.split(x, BATCH)
    sizes = {"finding": [len(s.nodes["region"]) for s in SAMPLES],
             "pair": [s.links[NEAR].shape[1] if s.links else 0 for s in SAMPLES]}  # fmt: skip
    sizes["worst"] = sizes["finding"]
    return {name: own.split(sizes[name])[place] if name in sizes else own[place] for name, own in parts.items()}


@cache
def possible(place: int) -> tuple[list[dict], torch.Tensor]:
    """All answers to a sample that the rules allow, and of which scores, in their order, each is the sum."""
    one = SAMPLES[place]
    rows = len(one.nodes["region"]), one.links[NEAR].shape[1] if one.links else 0
    every = [y for y in answers(*rows) if allowed(one, y)]
    summed = []
    for y in every:
        worst, ill = ([float(row == y[name]) for row in range(many)]
                      for name, many in (("worst", rows[0]), ("diagnosis", 3)))  # fmt: skip
        bits = {name: [float(on) for own in y[name] for on in own] for name in ("finding", "pair")}
        summed.append([*bits["finding"], *ill, *map(float, y["sign"]), 0.0, *worst, *bits["pair"]])
    return every, torch.tensor(summed, dtype=torch.double)


def fits(y: dict, name: str, target) -> bool:
    """Whether an answer is what is known of a part."""
    if target is None:
        return True
    labels = {"finding": ("opacity", "mass"), "pair": ("touching",), "sign": ("fever", "cough")}
    if name == "diagnosis":
        return ("pneumonia", "tumour", "well")[y[name]] == target
    if name == "worst":
        return y[name] in target.tolist()
    rows = zip(y[name], target) if name != "sign" else [(y[name], target)]
    return all(own is None or {label for label, on in zip(labels[name], row) if on} == set(own) for row, own in rows)


def by_hand(place: int, x: torch.Tensor) -> tuple[list[dict], torch.Tensor]:
    """The answers to a sample that the rules allow, and the sum of the scores of what is true of each."""
    every, summed = possible(place)
    return every, summed @ torch.cat([own.reshape(-1) for own in of_sample(x, place).values()])


@pytest.mark.parametrize("seed", range(6))
def test_the_answer_is_the_best_of_all_that_the_rules_allow(seed):
    head, x = Ruled.of(HEAD, RULES), scores(seed)
    said = head.answers(x, BATCH)
    changed = 0
    for place, answer in enumerate(said):
        every, weights = by_hand(place, x)
        y = every[int(weights.argmax())]
        found = answer.value
        assert found["finding"] == tuple(
            tuple(label for label, on in zip(("opacity", "mass"), row) if on) for row in y["finding"]
        )
        assert found["diagnosis"] == ("pneumonia", "tumour", "well")[y["diagnosis"]]
        assert found["sign"] == tuple(label for label, on in zip(("fever", "cough"), y["sign"]) if on)
        assert found["worst"] == y["worst"]
        assert found["pair"] == tuple(("touching",) if row[0] else () for row in y["pair"])
        assert found["dose"] == HEAD.answers(x, BATCH)[place].value["dose"]
        p = weights.softmax(0)
        assert answer.parts["diagnosis"].score == pytest.approx(
            float(sum(q for q, own in zip(p, every) if own["diagnosis"] == y["diagnosis"]))
        )
        if y["worst"] is not None:
            assert answer.parts["worst"].score == pytest.approx(
                float(sum(q for q, own in zip(p, every) if own["worst"] == y["worst"]))
            )
        changed += HEAD.answers(x, BATCH)[place].value != found
    assert changed >= 3
    before, after = head.broken(x, BATCH)
    assert not after[:, :8].any()
    assert before[:, :8].any(0).sum() >= 4


def test_each_hard_rule_is_broken_without_rules_and_none_with_them():
    head = Ruled.of(HEAD, RULES)
    told = [head.broken(scores(seed), BATCH) for seed in range(12)]
    assert torch.cat([before for before, _ in told])[:, :8].any(0).all()
    assert not torch.cat([after for _, after in told])[:, :8].any()


def test_each_part_learns_the_probability_of_what_is_known_of_it_given_the_rules():
    head, x = Ruled.of(HEAD, RULES), scores().requires_grad_()
    weigh = {"diagnosis": 2.0}
    total, many = x.new_zeros(()), 0
    for name in ("finding", "diagnosis", "sign", "worst", "pair"):
        lost = x.new_zeros(())
        for place, one in enumerate(SAMPLES):
            target = one.target.get(name)
            rows = 0 if target is None else 1
            if name in ("finding", "pair"):
                rows = sum(own is not None for own in target or ()) * len(HEAD.parts[name].labels)
            every, weights = by_hand(place, x)
            right = torch.tensor([fits(y, name, target) for y in every])
            lost = lost + weights.logsumexp(0) - weights[right].logsumexp(0)
            many += rows * (2 if name == "sign" else 1)
        total = total + weigh.get(name, 1.0) * lost
    total = total / many + HEAD.parts["dose"].loss(*HEAD.known(x, BATCH)["dose"][1:])
    loss = head.loss(x, BATCH)
    assert_close(loss, total, rtol=1e-8, atol=1e-8)
    slopes = torch.autograd.grad(loss, x, retain_graph=True)[0], torch.autograd.grad(total, x)[0]
    assert_close(*slopes, rtol=1e-7, atol=1e-8)
    sums = head.log_loss(x, BATCH)
    assert sums.min() > -1e-9
    assert sums.max() > 1


def test_metrics_of_a_set_are_of_marginals():
    head, x = Ruled.of(HEAD, RULES), scores()
    found, lost = head.summary([x], [BATCH]), []
    for place, one in enumerate(SAMPLES):
        if "diagnosis" in one.target:
            every, weights = by_hand(place, x)
            right = torch.tensor([fits(y, "diagnosis", one.target["diagnosis"]) for y in every])
            lost.append(weights.logsumexp(0) - weights[right].logsumexp(0))
    assert found["diagnosis: log_loss"] == pytest.approx(float(torch.stack(lost).mean()))
    assert set(found) | set(head.measure(x, BATCH)) <= set(head.metrics)


def test_a_sample_is_answered_and_taught_alike_alone_and_in_a_batch():
    head, x = Ruled.of(HEAD, RULES), scores()
    for place, one in enumerate(SAMPLES):
        own = torch.cat([part.reshape(-1) for part in of_sample(x, place).values()])
        alone = gf.collate([one], PLAN)
        (said,), wanted = head.answers(own, alone), head.answers(x, BATCH)[place]
        assert said.value == wanted.value
        assert said.score == pytest.approx(wanted.score)
        assert head.broken(own, alone)[0][0].tolist() == head.broken(x, BATCH)[0][place].tolist()


def test_what_no_hard_rule_speaks_of_is_as_without_rules():
    rules, x = gf.RuleSet.parse("hard sign: forall r, s. opacity(r) -> pneumonia(s)"), scores()
    head = Ruled.of(HEAD, rules)
    plain, found = HEAD.measure(x, BATCH), head.measure(x, BATCH)
    for name in ("sign", "dose", "worst", "pair"):
        assert [a.parts[name] for a in head.answers(x, BATCH)] == [a.parts[name] for a in HEAD.answers(x, BATCH)]
        for metric in (metric for metric in plain if metric.startswith(f"{name}: ")):
            assert_close(found[metric], plain[metric], equal_nan=True)
    assert any(a.value != b.value for a, b in zip(head.answers(x, BATCH), HEAD.answers(x, BATCH)))


def test_what_rules_cost_is_of_the_rows_that_their_variables_stand_for():
    x, rules = scores(), gf.RuleSet.parse("soft 2 sign: forall r, s. opacity(r) -> pneumonia(s)")
    parts, owner = HEAD.split(x, BATCH), BATCH.owner("region")
    no = parts["finding"][:, 0].sigmoid() * (1 - parts["diagnosis"].softmax(1)[owner, 0])
    found = Ruled.of(HEAD, rules, "loss", 0.3).loss(x, BATCH) - HEAD.loss(x, BATCH)
    assert_close(found, 0.3 * 2 * -(1 - no).log().mean())


def test_rules_push_scores_of_the_rows_that_they_speak_of():
    text = "soft learn sign: forall r, s. opacity(r) -> pneumonia(s)\nsoft 1 one: forall x. mass(x) -> opacity(x)"
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, HEAD, "sage", 8, 1, gf.RuleSet.parse(text), rule_mode="refine").eval()
    output = model(BATCH)
    before, after = (HEAD.split(x, BATCH) for x in (output.before, output.scores))
    for name in ("sign", "dose", "worst", "pair"):
        assert torch.equal(before[name], after[name])
    owner, weights = BATCH.owner("region"), model.refine.weights[0]()
    opacity, pneumonia = before["finding"][:, 0], before["diagnosis"][:, 0]
    share = torch.stack([-opacity, pneumonia[owner]]).softmax(0)
    wanted = pneumonia.index_add(0, owner, weights[0] * share[1])
    assert_close(after["diagnosis"][:, 0], wanted)
    assert torch.equal(before["diagnosis"][:, 1:], after["diagnosis"][:, 1:])
    assert not torch.equal(before["finding"][:, 1], after["finding"][:, 1])


@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_a_model_of_several_tasks_is_trained_under_rules_saved_and_opened(mode, tmp_path):
    text = TEXT if mode != "refine" else "\n".join(line for line in TEXT.splitlines() if "exists" not in line)
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, HEAD, "sage", 8, 1, gf.RuleSet.parse(text), rule_mode=mode)
    valid = [replace(sample(seed), name=f"v/{seed}") for seed in range(20, 32)]
    with warnings.catch_warnings(action="ignore", category=RuleWarning):
        history = gf.fit(model, [sample(seed) for seed in range(30, 54)], valid, tmp_path / "run", epochs=2)
    opened = gf.FusionModel.from_pretrained(tmp_path / "run")
    assert opened.head.head == HEAD
    assert str(opened.rules) == str(model.rules)
    assert [a.value for a in opened.predict(SAMPLES)] == [a.value for a in model.predict(SAMPLES)]
    found = look(model, valid)
    assert set(found.rules) == {rule.name for rule in model.rules.rules}
    assert {"rules_broken", "rules_broken_before"} <= set(history.metrics)
    if mode == "exact":
        assert found.metrics["rules_broken"] == 0
    assert len(gf.explain.looked_at(model, SAMPLES[1:3])) == 2


def one_sample(regions: int = 2, **more) -> gf.Sample:
    nodes = {"region": torch.zeros(regions, 4), "note": torch.zeros(1, 3)}
    return gf.Sample("case/7", nodes, **more)


def test_facts_that_leave_no_answer_name_the_sample():
    rules = gf.RuleSet.parse("hard a: forall s. temp(s) >= 39 -> well(s)\nhard b: forall s. temp(s) >= 40 -> ~well(s)")
    head, batch = Ruled.of(HEAD, rules), gf.collate([one_sample(facts={"temp": 41.0})], PLAN)
    with pytest.raises(gf.InputError, match=r"^Sample 'case/7': .*a.*b.*cannot hold at once for the facts"):
        head.answers(torch.zeros(12), batch)
    with pytest.raises(gf.InputError, match=r"^Sample 'case/7': fact 'temp' is 'hot', and rules compare it with num"):
        head.answers(torch.zeros(12), gf.collate([one_sample(facts={"temp": "hot"})], PLAN))


@pytest.mark.parametrize(("text", "says"), [
    ("hard a: forall x. opacity(x) -> well(x)",
     r"rule 'a': 'x' is said to be 'opacity', of a node of kind 'region', and 'well', of a sample; give each"),
    ("hard a: opacity -> well", r"rule 'a': it speaks of 'opacity', of a node of kind 'region', and 'well', of a sam"),
    ("hard a: forall x, y. near(x, y) & well(x) -> opacity(y)", r"rule 'a': 'x' is related to others and said to be "),
    ("hard a: forall x, y. far(x, y) & mass(x) -> mass(y)",
     r"speaks of 'far\(x, y\)', and between a node of kind 'region' and a node of kind 'region' there is no such rel"),
    ("hard a: forall x, y. names(x, y) & mass(x) -> mass(y)", r"speaks of 'names\(x, y\)', and between a node of ki"),
    ("hard a: forall l, m. next(l, m) & touching(l) -> mass(m)", r"speaks of 'next\(l, m\)', and between a link "),
    ("hard a: forall x. blob(x) -> mass(x)", r"their label 'blob' is not a label of the head"),
])  # fmt: skip
def test_rules_that_mix_what_labels_are_of_are_refused(text, says):
    with pytest.raises(gf.InputError, match=says):
        gf.FusionModel(PLAN, HEAD, "concat", 8, 1, gf.RuleSet.parse(text))


def test_a_class_weight_has_no_place_where_hard_rules_join_and_has_one_elsewhere():
    head = MultiTask({"finding": Tag("region", MultiLabel(["opacity"])), "diagnosis": Classify("xy", (1.0, 2.0))})
    rules = gf.RuleSet.parse("hard a: forall r, s. opacity(r) -> x(s)")
    with pytest.raises(gf.InputError, match=r"^Part 'diagnosis': Classify has weights"):
        Ruled.of(head, rules)
    Ruled.of(head, rules, "loss")
    Ruled.of(head, gf.RuleSet.parse("hard a: exists r. opacity(r)"))
    with pytest.raises(gf.InputError, match="the head is MultiTask of numbers alone"):
        Ruled.of(MultiTask({"dose": Regress()}), rules)


def test_a_label_of_several_parts_is_called_by_its_part_and_a_part_is_a_group(tmp_path):
    head = MultiTask({"region": Tag("region", Classify(["yes", "no"])), "whole": Classify(["yes", "no"])})
    assert head.labels == ("region.yes", "region.no", "whole.yes", "whole.no")
    text = """hard up[t in region]: forall r, q. near(r, q) & t(r) -> t(q)
              hard no: forall r, s. "whole.no"(s) -> ~"region.yes"(r)"""
    (tmp_path / "own.rules").write_text(text, "utf-8")
    ruled = Ruled.of(head, tmp_path / "own.rules")
    assert [rule.name for rule in ruled.rules.rules] == ["up[region.yes]", "up[region.no]", "no"]
    one = one_sample(links={NEAR: torch.tensor([[0], [1]])})
    (said,) = ruled.answers(torch.tensor([0.0, 3, 5, 0, 0, 1]), gf.collate([one], PLAN))
    assert said.value == {"region": ("yes", "yes"), "whole": "yes"}  # 5 against 3 + 1


def test_labels_that_break_a_rule_stop_training_name_it_and_teach_nothing_where_allowed():
    rules = gf.RuleSet.parse(
        "hard sign: forall r, s. opacity(r) -> pneumonia(s)\nhard odd: forall x. mass(x) -> opacity(x)"
    )
    good = one_sample(target={"finding": [("opacity",), None], "diagnosis": "pneumonia"})
    half = replace(good, name="half", target={"finding": [("opacity",), None]})
    across = replace(good, name="across", target={"finding": [("opacity",), None], "diagnosis": "well"})
    alone = replace(good, name="alone", target={"finding": [("mass",), None], "diagnosis": "well"})
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, HEAD, "concat", 8, 1, rules)
    says = r"2 of 4 training samples have labels that break a hard rule: 'across' breaks 'sign', 'alone' breaks 'odd' "
    with pytest.raises(gf.InputError, match=says):
        gf.fit(model, [good, half, across, alone], [replace(good, name="v")], epochs=1)
    with pytest.warns(
        RuleWarning,
        match=r"2 of 4 training samples .*a part whose labels break one by themselves",
    ):
        gf.fit(model, [good, half, across, alone], [replace(good, name="v")], epochs=1, allow_broken_labels=True)
    head, batch = model.head, gf.collate([alone], PLAN)
    x = torch.linspace(-1, 1, 12, requires_grad=True)
    taught = [head.loss(x, gf.collate([one], PLAN)) for one in (alone, replace(alone, target={"diagnosis": "well"}))]
    assert_close(*(torch.autograd.grad(loss, x)[0] for loss in taught))
    assert taught[0] > 0
    assert {name.split(": ")[0] for name in head.summary([x.detach()], [batch])} == {"diagnosis"}


def test_a_rule_that_fires_on_no_training_sample_is_told():
    rules = gf.RuleSet.parse("hard a: forall r, s. opacity(r) & tumour(s) -> fever(s)")
    good = one_sample(target={"finding": [("opacity",), None], "diagnosis": "pneumonia"})
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, HEAD, "concat", 8, 1, rules)
    with pytest.warns(RuleWarning, match="1 of 1 rules that say 'if' never fire"):
        gf.fit(model, [good], [replace(good, name="v")], epochs=1)


def test_what_exists_is_said_of_samples_that_have_such_rows():
    rules = gf.RuleSet.parse("hard some: exists r. opacity(r)")
    head, batch = Ruled.of(HEAD, rules), gf.collate([one_sample(), replace(one_sample(0), name="none")], PLAN)
    x = torch.full((4 + 6 + 4 + 2 + 2,), -1.0)
    first, none = head.answers(x, batch)
    assert sum(own == ("opacity",) for own in first.value["finding"]) == 1
    assert none.value["finding"] == ()
    assert not head.broken(x, batch)[1].any()
    assert head.broken(x, batch)[0].tolist() == [[True], [False]]


def sized(name: str, facts: dict, *sizes: float, notes: int = 1) -> gf.Sample:
    """Regions of these sizes, and what is known of the sample."""
    nodes = {"region": torch.zeros(len(sizes), 4), "note": torch.zeros(notes, 3)}
    return gf.Sample(name, nodes, facts=facts, node_facts={"region": {"size": torch.tensor(sizes)}} if sizes else {})


@pytest.mark.parametrize(("says", "tumour"), [
    ("forall r, s. size(r) >= 3 -> tumour(s)", [True, False, True, False]),
    ("forall r, s. ~(size(r) < 3) -> tumour(s)", [True, False, True, True]),
    ("exists r, s. size(r) < 3 | tumour(s)", [False, False, True, True]),
])  # fmt: skip
def test_what_is_only_compared_is_a_node_with_the_fact_or_the_sample_where_none_has_it(says, tumour):
    head = MultiTask({"finding": HEAD.parts["finding"], "diagnosis": HEAD.parts["diagnosis"]})
    ruled = Ruled.of(head, gf.RuleSet.parse(f"hard big: {says}", head.labels))
    samples = [sized("nodes", {}, 1, 4, 2), sized("small", {}, 1, torch.nan), sized("itself", {"size": 5.0}, 1, 1),
               sized("nothing", {})]  # fmt: skip
    if says.startswith("exists"):
        samples[2] = sized("itself", {"size": 5.0})
    batch = gf.collate(samples, PLAN)
    places = sum(2 * len(own.nodes["region"]) for own in samples)
    scores = torch.cat([torch.zeros(places), torch.tensor([1.0, 0.0, 0.5] * len(samples))])
    found = [answer.value["diagnosis"] == "tumour" for answer in ruled.answers(scores, batch)]
    assert found == tumour


def test_a_fact_of_nodes_without_labels_is_seen_too():
    head = MultiTask({"finding": HEAD.parts["finding"], "diagnosis": HEAD.parts["diagnosis"]})
    ruled = Ruled.of(head, gf.RuleSet.parse('hard told: forall n, s. says(n) = "t" -> tumour(s)', head.labels))
    batch = gf.collate([replace(sized(word, {}, 1), node_facts={"note": {"says": [word]}}) for word in "tp"], PLAN)
    scores = torch.tensor([0.0] * 4 + [1.0, 0.0, 0.5] * 2)
    assert [own.value["diagnosis"] for own in ruled.answers(scores, batch)] == ["tumour", "pneumonia"]


def test_many_nodes_have_one_answer_without_a_rule_for_each_pair():
    rules, many = gf.RuleSet.parse("hard a: forall x, s. answer(x) & opacity(x) -> ~well(s)"), 120
    head = MultiTask({"worst": Choose("region"), "finding": Tag("region", MultiLabel(["opacity"])),
                      "diagnosis": Classify(["ill", "well"])})  # fmt: skip
    rng = torch.Generator().manual_seed(0)
    x, batch = torch.randn(2 * many + 2, generator=rng), gf.collate([one_sample(many)], PLAN)
    (said,) = Ruled.of(head, rules).answers(x, batch)
    worst, finding, diagnosis = head.split(x, batch).values()
    on = finding[:, 0] > 0
    best = max((float(worst[row] + finding[on].sum() + ((-finding[row, 0]) if ill == 1 and on[row] else 0)
                      + diagnosis[0, ill]), row, ill) for row in range(many) for ill in range(2))  # fmt: skip
    assert (said.value["worst"], said.value["diagnosis"]) == (best[1], ["ill", "well"][best[2]])
