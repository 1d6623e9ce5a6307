"""Labels of each node of a kind and of each link of a relation: against plain loops, and from end to end."""

import json
from dataclasses import replace

import contract
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.heads import Classify, MultiLabel, Tag
from graphfuse.report import write_report
from graphfuse.training import measure

NODES = Tag("entity", Classify("ab"))
LINKS = Tag(contract.NEXT, Classify("ab"))
SIZES = (3, 0, 2, 4)
TARGETS = (["a", None, ("a", "b")], [], ["b", "b"], [None, None, (), "a"])  # either is right, and none is


def batch() -> gf.Batch:
    samples = []
    for i, (size, target) in enumerate(zip(SIZES, TARGETS)):
        pairs = torch.arange(size).repeat(2, 1)
        nodes = {"text": torch.zeros(1, 6), "entity": torch.zeros(size, 3)}
        samples.append(gf.Sample(f"s/{i}", nodes, {contract.NEXT: pairs}, target=target))
    return gf.collate(samples, contract.schema())


def scores() -> torch.Tensor:
    return torch.randn(sum(SIZES), 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))


both = pytest.mark.parametrize("head", [NODES, LINKS])


@both
def test_the_loss_is_the_mean_over_known_rows_and_the_others_teach_nothing(head):
    x = scores().requires_grad_()
    p = x.log_softmax(1)
    known = [p[0, 0], p[2].logsumexp(0), p[3, 1], p[4, 1], p[8, 0]]
    loss = head.loss(x, batch())
    assert_close(loss, -torch.stack(known).mean(), rtol=1e-10, atol=1e-12)
    loss.backward()
    assert (x.grad.abs().sum(1) > 1e-6).tolist() == [True, False, False, True, True, False, False, False, True]
    assert_close(head.log_loss(x, batch()).mean(), loss, rtol=1e-10, atol=1e-12)


@both
def test_what_is_measured_of_a_sample_is_the_mean_over_its_known_rows(head):
    x = torch.tensor([[1.0, 0], [0, 1], [0, 1], [1, 0], [0, 1], [0, 1], [1, 0], [1, 0], [1, 0]])
    assert head.measure(x, batch())["accuracy"].tolist() == [1.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize("each", [Classify("ab"), MultiLabel("ab")])
def test_metrics_of_a_whole_set_are_those_of_its_known_rows(each):
    head, x = Tag("entity", each), scores()
    targets = (["a", None, "b"], [], ["b", "b"], [None, None, "b", "a"])
    own = replace(batch(), targets=tuple([t and tuple(t) if isinstance(each, MultiLabel) else t for t in ts]
                                         for ts in targets))  # fmt: skip
    rows = [t for ts in own.targets for t in ts]
    known = [i for i, t in enumerate(rows) if t is not None]
    flat = gf.Batch(("",) * len(known), {}, {}, targets=tuple(rows[i] for i in known))
    assert head.summary([x, x], [own, own]) == pytest.approx(each.summary([x[known]] * 2, [flat] * 2))
    assert head.loss(x, own) == each.loss(x[known], flat)


@both
def test_answers_have_an_entry_a_row_and_the_mean_of_their_confidences(head):
    x = scores()
    answers = head.answers(x, replace(batch(), targets=(None,) * 4))
    p, words = x.softmax(1).amax(1), ["ab"[i] for i in x.argmax(1)]
    assert [a.value for a in answers] == [tuple(words[:3]), (), tuple(words[3:5]), tuple(words[5:])]
    assert answers[1].score is None
    assert [answers[i].score for i in (0, 2, 3)] == pytest.approx([float(q.mean()) for q in (p[:3], p[3:5], p[5:])])


@both
def test_rows_are_samples_of_their_own(head):
    called = {NODES: "entity", LINKS: "entity next entity"}[head]
    own = replace(batch(), facts=({"year": 1.0}, {}, {}, {}))
    rows = head.rows(own)
    assert rows.names[:4] == (f"s/0, {called} 0", f"s/0, {called} 1", f"s/0, {called} 2", f"s/2, {called} 0")
    assert tuple(rows.targets) == ("a", None, ("a", "b"), "b", "b", None, None, (), "a")
    assert tuple(rows.facts) == ({"year": 1.0},) * 3 + ({},) * 6
    assert head.owner(own).tolist() == [0, 0, 0, 2, 2, 3, 3, 3, 3]
    assert head.known(own).tolist() == [1, 0, 1, 1, 1, 0, 0, 1, 1]
    assert not head.known(replace(own, targets=(None,) * 4)).any()


def test_facts_of_a_node_stand_before_those_of_its_sample_also_where_they_are_not_known():
    of_nodes = {
        "entity": {"is": ["river", None, "town"], "size": torch.tensor([1, torch.nan, 3])},
        "text": {"is": ["x"]},
    }
    own = replace(
        batch(), facts=({"is": "place", "year": 7.0}, {}, {}, {"year": 8.0}), node_facts=(of_nodes, {}, {}, {})
    )
    assert NODES.rows(own).facts[:6] == (
        {"is": "river", "size": 1.0, "year": 7.0}, {"year": 7.0},
        {"is": "town", "size": 3.0, "year": 7.0}, {}, {}, {"year": 8.0},
    )  # fmt: skip
    assert LINKS.rows(own).facts[0] == {"is": "place", "year": 7.0}


@pytest.mark.parametrize("of", ["entity", contract.MENTIONS])
def test_a_row_is_scored_by_the_states_of_its_own_nodes_and_its_samples_vector(of):
    """One at a time: each row alone, by a graph of its own."""
    plan = contract.schema()
    samples = [s for s in contract.samples() if contract.MENTIONS in s.links]
    graph, vector = contract.graph_of(samples, plan), torch.randn(len(samples), 8)
    with gf.seeded(0):
        readout = contract.perturbed(Tag(of, Classify("ab")).build(8, plan), by=0.5)
    found = readout(gf.Fused(graph, vector))
    rows = contract.row_numbers(samples, plan)
    own = Tag(of, Classify("ab")).owner(gf.collate(samples, plan)).tolist()
    ends = [[(of, b, i)] for b, s in enumerate(samples) for i in range(len(s.nodes["entity"]))] if of == "entity" else [
        [("text", b, int(i)), ("entity", b, int(j))] for b, s in enumerate(samples) for i, j in s.links[of].T
    ]  # fmt: skip
    assert len(found) == len(ends) == len(own)
    for row, nodes in enumerate(ends):
        assert own[row] == nodes[0][1]
        parts = [norm(graph.x[rows[node]]) for norm, node in zip(readout.rows.norms, nodes)]
        parts.append(readout.rows.norms[-1](vector[own[row]]))
        alone = readout.rows.plain(torch.cat([graph.x[rows[node]] for node in nodes]))
        alone = alone + readout.rows.score(torch.cat([*parts, parts[0] * parts[1]]))
        assert_close(found[row], readout.scores(gf.Fused(graph, alone[None]))[0], rtol=1e-4, atol=1e-5)


def test_links_of_a_batch_in_any_order_are_told_sample_after_sample():
    plan = contract.schema()
    samples = contract.taught("tag:links", [s for s in contract.samples() if contract.MENTIONS in s.links])
    model = contract.model_of("hgt", plan, contract.head_of("tag:links"))
    own = gf.collate(samples, plan)
    links = own.links[contract.MENTIONS]
    sizes = own.owner("text")[links[0]].bincount().tolist()
    by_turns = torch.cat([torch.arange(size) for size in sizes]).sort(stable=True).indices
    mixed = replace(own, links={**own.links, contract.MENTIONS: links[:, by_turns]})
    assert not mixed.links[contract.MENTIONS].equal(links)
    assert_close(model(mixed).scores, model(own).scores, rtol=1e-4, atol=1e-5)
    assert model.head.answers(model(mixed).scores, mixed) == [
        replace(a, score=pytest.approx(a.score)) for a in model.head.answers(model(own).scores, own)
    ]
    assert model.head.owner(mixed).equal(model.head.owner(own))


OF = "Sample 'case/7'"


@pytest.mark.parametrize(("head", "target", "text"), [
    (NODES, None, rf"{OF}: target None is not a sequence with an entry for each of its nodes of kind 'entity'"),
    (NODES, "ab", rf"{OF}: target 'ab' is not a sequence"),
    (NODES, torch.zeros(2), rf"{OF}: target tensor\(.* is not a sequence"),
    (NODES, ["a"], rf"{OF}: the target has 1 entries; the sample has 2 nodes of kind 'entity'\."),
    (LINKS, ["a", "b"], rf"{OF}: the target has 2 entries; the sample has 3 links \('entity', 'next', 'entity'\)\."),
    (NODES, [None, None], rf"{OF}: of its 2 nodes of kind 'entity' the target of none is known"),
    (NODES, ["a", "c"], "Sample 'case/7, entity 1': target 'c' is not a label of the head"),
    (LINKS, [None, "a", "c"], "Sample 'case/7, entity next entity 2': target 'c' is not a label of the head"),
    (Tag("entity", MultiLabel("ab")), [("a",), "ab"], "Sample 'case/7, entity 1': target 'ab' is not a collection"),
])  # fmt: skip
def test_a_wrong_target_is_named_with_its_sample_and_row(head, target, text):
    links = {contract.NEXT: torch.tensor([[0, 0, 1], [1, 0, 1]])}
    with pytest.raises(gf.InputError, match=text):
        head.check([gf.Sample("case/7", {"entity": torch.zeros(2, 3)}, links, target=target)])


@pytest.mark.parametrize(("lacks", "head"), [("entity", NODES), ("text", Tag(contract.MENTIONS, Classify("ab")))])
def test_a_sample_without_any_row_is_not_learned_from_but_answered(lacks, head):
    one = replace(contract.sample(1, (lacks,)), target=())
    with pytest.raises(gf.InputError, match=r"Sample 's/1': of its 0 .* the target of none is known"):
        head.check([one])
    assert contract.model_of("sage", contract.schema(), head).predict([one]) == [gf.Answer("s/1", (), None)]


@pytest.mark.parametrize(("options", "text"), [
    ({"of": ("text", "mentions"), "each": Classify("ab")}, r"Tag: of is \('text', 'mentions'\); a kind is needed"),
    ({"of": 3, "each": Classify("ab")}, "Tag: of is 3; a kind is needed, or a relation"),
    ({"of": "x", "each": gf.heads.Regress()}, "Tag: each is a Regress; Classify or MultiLabel is needed"),
    ({"of": "x", "each": {"head": "clasify", "labels": "ab"}}, "called 'clasify'. Did you mean 'classify'"),
    ({"of": "x", "each": {"head": "classify", "labels": "a"}}, "Classify needs at least two different labels"),
])  # fmt: skip
def test_wrong_options_are_named(options, text):
    with pytest.raises(gf.InputError, match=text):
        Tag(**options)


@pytest.mark.parametrize(("of", "text"), [
    ("entiti", "Tag: the schema has no kind 'entiti'. Did you mean 'entity'"),
    ("hub", "Tag: the schema has no kind 'hub'"),
    (("entity", "nxt", "entity"), r"no gf.Linked\('entity', 'nxt', 'entity'\).* Did you mean .*'next'"),
    (("text", "all_pairs", "image"), r"no gf.Linked\('text', 'all_pairs', 'image'\)"),
])  # fmt: skip
def test_a_kind_or_relation_that_the_schema_lacks_is_refused(of, text):
    with pytest.raises(gf.InputError, match=text):
        gf.FusionModel(contract.schema(), Tag(of, Classify("ab")))


class Halved(nn.Module):
    """An encoder that makes one node of two rows."""

    width = raw_width = 6

    def forward(self, rows: torch.Tensor, offsets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return rows[::2] + rows[1::2], offsets // 2


def test_an_encoder_that_gives_other_nodes_than_rows_is_refused():
    samples = [gf.Sample("s", {"text": torch.ones(4, 6)}, target=["a"] * 4)]
    model = gf.FusionModel(gf.Schema({"text": 6}), Tag("text", Classify("ab")), "concat", encoders={"text": Halved()})
    for use in (lambda: gf.fit(model, samples, [replace(samples[0], name="v")]), lambda: model.predict(samples)):
        with pytest.raises(gf.InputError, match="Tag: 2 rows are scored, and the samples have 4 nodes of kind 'text'"):
            use()


def test_labels_of_like_meaning_share_scores_in_each_row_and_are_saved(tmp_path):
    meaning = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    head = Tag("text", Classify("abc", features=meaning))
    model = contract.model_of("sage", gf.Schema({"text": 6}), head)
    nn.init.zeros_(model.readout.scores.out.weight)
    nn.init.zeros_(model.readout.scores.out.bias)
    own = model.collate([gf.Sample("s", {"text": torch.randn(3, 6)})])
    model.eval()
    found = model(own).scores
    assert found[:, 0].equal(found[:, 1])
    assert not found[:, 0].isclose(found[:, 2]).any()
    model.save_pretrained(tmp_path)
    again = gf.FusionModel.from_pretrained(tmp_path)
    assert again(own).scores.equal(found)


PLAN = gf.Schema({"person": 4}, [gf.Linked("person", "knows", "person", direction="both")])
KNOWS = ("person", "knows", "person")


def people(name: str, seed: int, known: float = 1.0) -> gf.Sample:
    """People of two sorts; a link is ``like`` where it joins two of one sort; some labels are known."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 4, generator=rng)
    x[:, 0] = torch.where(x[:, 1] > 0, 1.0, -1.0) * (1 + x[:, 0].abs())
    links = torch.randint(40, (2, 120), generator=rng)
    told = torch.rand(120, generator=rng) < known
    like = (x[links[0], 0] > 0) == (x[links[1], 0] > 0)
    target = [("unlike", "like")[int(same)] if seen else None for same, seen in zip(like, told)]
    return gf.Sample(name, {"person": x}, {KNOWS: links}, target=target)


def models(fusion: str = "sage"):
    return lambda: gf.FusionModel(PLAN, Tag(KNOWS, Classify(("like", "unlike"))), fusion, dim=8, layers=1)


def model() -> gf.FusionModel:
    with gf.seeded(0):
        return models()()


def test_links_are_told_by_both_of_their_ends():
    own = model()
    gf.fit(
        own,
        [people(f"train/{i}", i) for i in range(8)],
        [people("valid", 8)],
        epochs=25,
        batch_size=2,
        learning_rate=0.02,
    )
    assert gf.evaluate(own, [people("test", 9)])["accuracy"] > 0.9


def test_one_graph_is_trained_measured_saved_taken_up_and_reported(tmp_path):
    """The same graph thrice, with other labels known."""
    whole = people("test", 1)
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0)).tolist()
    train, valid, test = (
        replace(whole, name=name, target=[t if i in part else None for i, t in enumerate(whole.target)])
        for name, part in (("train", order[:40]), ("valid", order[40:60]), ("test", order[60:]))
    )
    short, once = model(), model()
    options = {"epochs": 4, "learning_rate": 0.02}
    gf.fit(once, [train], [valid], tmp_path / "once", **options)
    assert once.temperature != 1
    gf.fit(short, [train], [valid], tmp_path / "once", **options)  # finished already: nothing is trained
    assert {k: v.tolist() for k, v in short.state_dict().items()} == {
        k: v.tolist() for k, v in once.state_dict().items()
    }
    (said,) = map(json.loads, (tmp_path / "once" / "predictions.jsonl").read_text().splitlines())
    (answer,) = once.predict([valid])
    assert said == {"name": "valid", "value": list(answer.value), "score": pytest.approx(answer.score)}
    assert len(answer.value) == 120
    again = gf.FusionModel.from_pretrained(tmp_path / "once")
    assert again.head == once.head
    assert again.predict([test]) == once.predict([test])

    found = gf.evaluate(again, [test])
    right = [s == t for s, t in zip(again.predict([test])[0].value, test.target) if t is not None]
    assert found["accuracy"] == pytest.approx(sum(right) / len(right))
    assert set(found) == {*Classify("ab").metrics, "loss"}

    methods = {"sage": models(), "concat": models("concat")}
    done = gf.compare(methods, [train], [valid], [test], seeds=(0, 1), out=tmp_path / "both", **options)
    assert done.table().loc["sage", "mean"] == pytest.approx(
        sum(r.scores["test"] for r in done.runs if r.method == "sage") / 2
    )
    assert not (tmp_path / "both" / "answers.jsonl").exists()  # which are of one label a sample
    assert write_report(tmp_path / "both").read_text().count("concat") > 1


def test_a_training_step_in_which_the_tagged_kind_is_hidden_teaches_nothing_of_it():
    samples = [s for s in contract.targeted("tag") if "text" in s.nodes]
    own = contract.model_of("sage", contract.schema(), contract.head_of("tag"))
    named = [replace(s, name=f"v/{i}") for i, s in enumerate(samples)]
    history = gf.fit(own, samples, named, epochs=2, batch_size=1, modality_dropout=0.9)
    assert history.metrics == pytest.approx(gf.evaluate(own, named), rel=1e-4)
    hidden = own.collate([samples[0].without("entity")])
    assert own.head.loss(own(hidden).scores, hidden) == 0


def test_targets_of_rows_come_back_from_a_store(tmp_path):
    samples = [*contract.targeted("tag"), replace(contract.sample(9), target=[None, "a"])]
    stored = gf.SampleStore.write(tmp_path / "store", samples)
    assert [s.target for s in stored] == [s.target for s in samples]


def test_a_row_is_measured_alike_with_other_rows_known():
    samples = contract.targeted("tag")
    own = contract.model_of("hgt", contract.schema(), contract.head_of("tag"))
    for s in samples:
        each = [replace(s, target=[t if i == row else None for i, t in enumerate(s.target)])
                for row, x in enumerate(s.target) if x is not None]  # fmt: skip
        assert_close(measure(own, each)["accuracy"].mean(), measure(own, [s])["accuracy"][0])


def test_what_is_measured_in_inference_mode_can_be_learned_from_afterwards():
    head = Tag("paper", Classify(["a", "b"]))
    samples = [gf.Sample("s", {"paper": torch.zeros(2, 1)}, target=["a", None])]
    batch = gf.collate(samples, gf.Schema({"paper": 1}, []))
    scores = torch.zeros(2, 2, requires_grad=True)
    with torch.inference_mode():
        head.measure(scores, batch)
        head.log_loss(scores, batch)
    (grad,) = torch.autograd.grad(head.loss(scores, batch), scores)
    assert grad.tolist() == [[-0.5, 0.5], [0, 0]]


def test_answers_do_not_look_at_targets():
    head = Tag("paper", Classify(["a", "b"]))
    batch = gf.collate([gf.Sample("s", {"paper": torch.zeros(2, 1)}, target="dx")], gf.Schema({"paper": 1}, []))
    assert head.answers(torch.tensor([[1.0, 0], [0, 1]]), batch)[0].value == ("a", "b")
    assert head.said(torch.tensor([[1.0, 0], [0, 1]]), batch).tolist() == [2]
    with pytest.raises(gf.InputError, match="is not a sequence"):
        head.loss(torch.zeros(2, 2), batch)
