"""What rules over nodes and links make of scores is what the head answers, with names, costs and margins by hand."""

import json
import math
from dataclasses import replace

import pytest
import test_ruled_nodes as chosen_of
import torch

import graphfuse as gf
from graphfuse.model import Ruled
from graphfuse.model.explained import explained, names_of
from graphfuse.rules import JointExplanation

CITES, SIGNS = ("paper", "cites", "paper"), ("AI", "DB", "IR")
PLAN = gf.Schema({"paper": 2, "person": 1}, [gf.Linked(*CITES), gf.Linked("person", "wrote", "paper")])
TEXT = """
hard cite[t in labels]: forall x, y. cites(x, y) & t(x) -> t(y)
hard old: forall x. year(x) <= 1970 -> ~AI(x)
soft near: forall x, y. cites(x, y) & cites(y, x) -> (DB(x) <-> DB(y))
"""
ALONE = (
    "hard old: forall x. year(x) <= 1970 -> ~AI(x)\nhard pick: forall x. IR(x) -> ~DB(x)\nsoft ai: forall x. AI(x)\n"
)
TITLES = ["Nets", None, "Nets", "Trees", "paper 1"]


def sample(seed: int, many: int = 5) -> gf.Sample:
    rng = torch.Generator().manual_seed(seed)
    facts = {"year": torch.randint(1960, 1990, (many,), generator=rng).double(), "title": TITLES[:many]}
    wrote = torch.tensor([[1, 0, 1, 1], [0, 1, 2, 0]])
    links = {CITES: torch.randint(many, (2, 4), generator=rng), ("person", "wrote", "paper"): wrote}
    nodes = {"paper": torch.randn(many, 2, generator=rng), "person": torch.zeros(2, 1)}
    return gf.Sample(f"g/{seed}", nodes, links, node_facts={"paper": facts, "person": {"name": ["Ann", "Bo"]}})


def batch_of(own: gf.Sample) -> gf.Batch:
    return gf.collate([own], PLAN)


def scores_of(seed: int, many: int = 5, labels: int = 3) -> torch.Tensor:
    return 2 * torch.randn(many, labels, generator=torch.Generator().manual_seed(100 + seed))


def after(found: JointExplanation, raw: torch.Tensor, names: list[str]) -> torch.Tensor:
    """The answer: the raw scores with what was flipped."""
    answer = raw.clone()
    for flip in found.flipped:
        answer[names.index(flip.row), SIGNS.index(flip.label)] = flip.after
    return answer


PLACES = [f"paper {row}" for row in range(5)]


@pytest.mark.parametrize("text", [TEXT, ALONE])
@pytest.mark.parametrize("seed", range(8))
def test_of_several_labels_a_node_the_answer_is_the_heads_and_the_rules_hold(seed, text):
    head = Ruled.of(gf.heads.Tag("paper", gf.heads.MultiLabel(SIGNS)), gf.RuleSet.parse(text, SIGNS))
    scores, batch = scores_of(seed), batch_of(sample(seed))
    found, said = explained(head, scores, batch), head.chosen(scores, batch)
    assert torch.equal(after(found, scores > 0, PLACES), said)
    assert found.cost == pytest.approx(float(scores[said != (scores > 0)].abs().sum()), abs=1e-5)
    broken = head.rules.violations(scores > 0, head.over.among.facts(batch)).any(0)
    assert [bool(rule.before.count) for rule in found.rules] == broken.tolist()
    assert not any(rule.after.count for rule in found.rules if rule.hard)
    assert all(flip.because for flip in found.flipped)
    assert all(rule.margin <= 0 if rule.before.count else rule.margin >= 0 for rule in found.rules)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("text", [TEXT, ALONE])
@pytest.mark.parametrize("seed", range(8))
def test_of_one_label_a_node_the_answer_is_the_heads_and_costs_what_lies_below_the_highest(seed, text):
    head = Ruled.of(gf.heads.Tag("paper", gf.heads.Classify(SIGNS)), gf.RuleSet.parse(text, SIGNS))
    scores, batch = scores_of(seed), batch_of(sample(seed))
    raw = torch.zeros(5, 3, dtype=torch.bool).scatter_(1, scores.argmax(1, keepdim=True), True)
    try:
        said = head.chosen(scores, batch)
    except gf.InputError:
        with pytest.raises(gf.InputError, match=rf"Sample 'g/{seed}'"):
            explained(head, scores, batch)
        return
    found, values = explained(head, scores, batch), head.answers(scores, batch)[0].value
    answer = after(found, raw, PLACES)
    assert torch.equal(answer, said)
    assert tuple(SIGNS[int(row.int().argmax())] for row in answer) == values
    assert found.cost == pytest.approx(float(scores.amax(1).sum() - scores[said].sum()), abs=1e-5)
    assert all(flip.because for flip in found.flipped)
    assert {flip.row for flip in found.flipped} == {PLACES[n] for n in (said != raw).any(1).nonzero()[:, 0].tolist()}


def test_one_label_a_node_by_hand():
    text = "hard cite[t in labels]: forall x, y. cites(x, y) & t(x) -> t(y)"
    own = gf.Sample("g", {"paper": torch.zeros(3, 2)}, {CITES: torch.tensor([[0, 1], [1, 2]])},
                    node_facts={"paper": {"title": ["Nets", "Joins", "Trees"]}})  # fmt: skip
    scores = torch.tensor([[4.0, 1, 0], [2, 3, 0], [1, 0, 1.5]])
    head = Ruled.of(gf.heads.Tag("paper", gf.heads.Classify(SIGNS)), gf.RuleSet.parse(text, SIGNS))
    found = explained(head, scores, batch_of(own), "title")
    assert found.cost == 1.5
    assert {(f.row, f.label, f.after) for f in found.flipped} == {
        ("Joins", "DB", False), ("Joins", "AI", True), ("Trees", "IR", False), ("Trees", "AI", True)}  # fmt: skip
    for flip in found.flipped:
        broken = {"Joins": {"cite[AI]": ("Nets", "Joins"), "cite[DB]": ("Joins", "Trees")},
                  "Trees": {"cite[AI]": ("Joins", "Trees")}}[flip.row]  # fmt: skip
        assert {name: own.first for name, own in flip.because.items()} == {n: (x,) for n, x in broken.items()}
    # Of answers with one label each: Joins and Trees have AI too; Joins has it; Joins has IR and Trees has not.
    assert [(r.name, r.before.first, r.margin) for r in found.rules] == [
        ("cite[AI]", (("Nets", "Joins"),), -1.5),
        ("cite[DB]", (("Joins", "Trees"),), -1.0),
        ("cite[IR]", (), 3.5),
    ]
    assert "  Joins  AI     -0.5   false  true    " in str(found)


@pytest.mark.parametrize("mode", ["exact", "loss", "refine"])
def test_the_node_that_answers_is_the_heads_where_it_is_exact_and_what_hard_rules_make_of_the_scores_else(mode):
    head = chosen_of.head(mode, chosen_of.TEXT if mode != "refine" else without_some(chosen_of.TEXT))
    nothing, changed = 0, 0
    for own, scores in zip(chosen_of.SAMPLES, chosen_of.scores_of()):
        batch = gf.collate([own], chosen_of.PLAN)
        found = explained(head, scores, batch)
        names = [f"thing {row}" for row in range(len(scores))]
        if not len(scores):
            assert (found.flipped, found.rows, found.others, found.cost) == ((), (), 0, 0)
            continue
        breaks = [chosen_of.breaks(own, k) for k in range(len(scores))]
        breaks = [[x for x, name in zip(row, chosen_of.NAMES) if mode != "refine" or name != "some"] for row in breaks]
        hard = [rule.hard for rule in head.rules.rules]
        allowed = [k for k, row in enumerate(breaks) if not any(x for x, h in zip(row, hard) if h)]
        best, said = int(scores.argmax()), max(allowed, key=lambda k: scores[k], default=None)
        if mode == "exact":
            assert head.answers(scores, batch)[0].value == said
        assert {(f.row, f.after) for f in found.flipped} == (
            set() if said == best else {(names[best], False), *([] if said is None else [(names[said], True)])}
        )
        assert found.cost == pytest.approx(math.inf if said is None else float(scores[best] - scores[said]))
        for place, rule in enumerate(found.rules):
            assert bool(rule.before.count) == breaks[best][place]
            other = [float(scores[best] - s) for s, row in zip(scores, breaks) if row[place] != breaks[best][place]]
            wanted = min(other, default=math.inf)
            assert rule.margin == pytest.approx(-wanted if breaks[best][place] else wanted)
        for flip in found.flipped:
            forced = {r.name for r, x in zip(found.rules, breaks[best]) if x and r.hard}
            assert set(flip.because) == forced
        nothing += said is None
        changed += said not in (None, best)
    assert nothing
    assert changed


def without_some(text: str) -> str:
    """``refine`` takes no ``exists``."""
    return "\n".join(line for line in text.splitlines() if "exists" not in line)


def test_rules_that_were_a_loss_or_refined_are_told_with_what_hard_ones_would_answer():
    rules, scores, batch = gf.RuleSet.parse(TEXT, SIGNS), scores_of(0), batch_of(sample(0))
    for each in (gf.heads.MultiLabel(SIGNS), gf.heads.Classify(SIGNS)):
        exact, loss, refine = (
            Ruled.of(gf.heads.Tag("paper", each), rules, mode) for mode in ("exact", "loss", "refine")
        )
        found = explained(exact, scores, batch)
        assert found.flipped
        assert explained(loss, scores, batch) == explained(refine, scores, batch) == found
    weighed = gf.heads.Tag("paper", gf.heads.Classify(SIGNS, weights=(1.0, 2.0, 3.0)))
    assert explained(Ruled.of(weighed, rules, "loss"), scores, batch) == found
    soft = gf.RuleSet.parse(TEXT.replace("hard", "soft"), SIGNS)
    found = explained(Ruled.of(weighed, soft, "loss"), scores, batch)
    assert not found.flipped
    assert [rule.before for rule in found.rules] == [rule.after for rule in found.rules]
    assert any(rule.before.count for rule in found.rules)


def test_nodes_are_called_by_a_fact_and_each_once():
    batch = batch_of(sample(0))
    assert names_of("paper", batch, 5) == PLACES
    assert names_of("paper", batch, 5, "title") == [
        "Nets (paper 0)", "paper 1", "Nets (paper 2)", "Trees (paper 3)", "paper 1 (paper 4)"]  # fmt: skip
    other = replace(sample(0), node_facts={"paper": {"title": ["Nets", None, "Nets", "Trees", "Sets"]}})
    assert names_of("paper", batch_of(other), 5, "title") == [
        "Nets (paper 0)", "paper 1", "Nets (paper 2)", "Trees", "Sets"]  # fmt: skip


def test_a_link_is_called_by_its_ends():
    wrote = ("person", "wrote", "paper")
    own = sample(0)
    assert names_of(wrote, batch_of(own), 4) == [
        "person 1 wrote paper 0 (link 0)", "person 0 wrote paper 1", "person 1 wrote paper 2",
        "person 1 wrote paper 0 (link 3)"]  # fmt: skip
    assert names_of(wrote, batch_of(own), 4, "name")[1] == "Ann wrote paper 1"
    rules = gf.RuleSet.parse("hard on: forall p, q. next(p, q) & AI(p) -> AI(q)\nhard some: exists p. DB(p)", SIGNS)
    head = Ruled.of(gf.heads.Tag(CITES, gf.heads.MultiLabel(SIGNS)), rules)
    one = replace(own, links={**own.links, CITES: torch.tensor([[0, 1], [1, 2]])})
    scores = torch.tensor([[2.0, -1, -1], [-0.5, -2, -1]])
    found = explained(head, scores, batch_of(one), "title")
    first, second = "Nets (paper 0) cites paper 1", "paper 1 cites Nets (paper 2)"
    assert [(f.row, f.label, f.after) for f in found.flipped] == [(first, "DB", True), (second, "AI", True)]
    assert found.flipped[1].because["on"].first == ((first, second),)
    assert found.flipped[0].because["some"].count == 1
    assert [rule.margin for rule in found.rules] == [-0.5, -1.0]
    assert after(found, scores > 0, [first, second]).equal(head.chosen(scores, batch_of(one)))


def test_what_cannot_name_nodes_is_refused():
    head = Ruled.of(gf.heads.Tag("paper", gf.heads.MultiLabel(SIGNS)), gf.RuleSet.parse(TEXT, SIGNS))
    scores, batch = scores_of(0), batch_of(sample(0))
    with pytest.raises(gf.InputError, match=r"Sample 'g/0': nodes of kind 'paper' have no fact 'titel' that could name "
                                            r"them\. Did you mean 'title'"):  # fmt: skip
        explained(head, scores, batch, "titel")
    with pytest.raises(gf.InputError, match="fact 'year' of nodes of kind 'paper' is numbers; nodes are named"):
        explained(head, scores, batch, "year")
    with pytest.raises(gf.InputError, match="The batch has 2 samples; one is explained at a time"):
        explained(head, scores, gf.collate([sample(0), sample(1)], PLAN))
    alone = Ruled.of(gf.heads.MultiLabel(SIGNS), gf.RuleSet.parse("hard x: AI -> DB", SIGNS))
    with pytest.raises(gf.InputError, match="names='title' is of nodes, and MultiLabel answers of a sample"):
        explained(alone, scores[0], batch, "title")
