"""Several tasks over one fusion: each as alone, where a sample knows it; from end to end; what is refused."""

import json
import math
from dataclasses import replace

import contract
import pytest
import torch
from torch.testing import assert_close

import graphfuse as gf
from graphfuse.core.store import SampleStore
from graphfuse.heads import Choose, Classify, MultiLabel, MultiTask, Regress, Tag
from graphfuse.report import write_report
from graphfuse.training import Measured, look, measure

TOPIC, SIGNS, SIZE, ONE = Classify("xy"), MultiLabel("pq"), Regress(2.0, 3.0), Choose("entity")
KNOWN = Tag("entity", Classify("ab"))
HEAD = MultiTask(
    {"topic": TOPIC, "signs": SIGNS, "size": SIZE, "one": ONE, "entities": KNOWN}, {"signs": 0.5, "one": 3.0}
)
SIZES = (3, 0, 2, 4)
TARGETS = (
    {"topic": "x", "signs": ["p"], "size": 4.0, "one": torch.tensor([0]), "entities": ["a", None, "b"]},
    {"topic": "y", "signs": None},
    {"signs": [], "size": 1.0, "entities": [None, None]},
    {"topic": "x", "one": torch.tensor([1, 3]), "entities": ["b", "a", "b", "a"]},
)
WHO = {"topic": [0, 1, 3], "signs": [0, 2], "size": [0, 2], "one": [0, 3], "entities": [0, 3]}


def batch(which: tuple[int, ...] = (0, 1, 2, 3)) -> gf.Batch:
    nodes = [{"text": torch.zeros(1, 6), "entity": torch.zeros(size, 3)} for size in SIZES]
    return gf.collate([gf.Sample(f"s/{i}", nodes[i], target=TARGETS[i]) for i in which], contract.schema())


def scores() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    shapes = {"topic": (4, 2), "signs": (4, 2), "size": (4, 1), "one": (9,), "entities": (9, 2)}
    return {name: torch.randn(shape, generator=rng, dtype=torch.double) for name, shape in shapes.items()}


def flat(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([x.flatten() for x in parts.values()])


def alone(name: str, x: torch.Tensor) -> tuple[torch.Tensor, gf.Batch]:
    """The scores of a part, and the samples that know it, with its targets: by hand."""
    which = WHO[name]
    own = batch(tuple(which))
    if name in ("one", "entities"):
        x = torch.cat([part for i, part in enumerate(x.split(SIZES)) if i in which])
    else:
        x = x[which]
    return x, replace(own, targets=tuple(TARGETS[i][name] for i in which))


def test_scores_are_those_of_the_parts_end_to_end():
    parts = scores()
    for name, x in HEAD.split(flat(parts), batch()).items():
        assert torch.equal(x, parts[name])
    with pytest.raises(gf.InputError, match="there are 5 scores, and the samples with their nodes and links need 47"):
        HEAD.split(torch.zeros(5), batch())


def test_the_loss_is_the_weighted_sum_over_the_samples_that_know_each_part():
    parts = scores()
    weights = {"topic": 1.0, "signs": 0.5, "size": 1.0, "one": 3.0, "entities": 1.0}
    wanted = sum(weights[name] * HEAD.parts[name].loss(*alone(name, x)) for name, x in parts.items())
    x = flat(parts).requires_grad_()
    loss = HEAD.loss(x, batch())
    assert_close(loss, wanted)
    loss.backward()
    taught = {name: own.flatten(1).abs().sum(1) if own.ndim > 1 else own.abs()
              for name, own in HEAD.split(x.grad, batch()).items()}  # fmt: skip
    for name in ("topic", "signs", "size"):
        assert [i for i, slope in enumerate(taught[name]) if slope > 0] == WHO[name]
    assert (taught["one"] > 0).tolist() == [True] * 3 + [False] * 2 + [True] * 4
    assert (taught["entities"] > 0).tolist() == [True, False, True] + [False] * 2 + [True] * 4


def test_a_batch_in_which_a_part_is_not_known_teaches_the_others_alone():
    x = torch.randn(2 + 2 + 1, generator=torch.Generator().manual_seed(1)).requires_grad_()
    own = batch((1,))
    loss = HEAD.loss(x, own)
    assert_close(loss, TOPIC.loss(x[None, :2], replace(own, targets=("y",))))
    loss.backward()
    assert x.grad[2:].eq(0).all()
    assert torch.isfinite(x.grad).all()
    assert HEAD.loss(x, replace(own, targets=(None,))) == 0


def test_measures_and_metrics_of_a_part_are_over_the_samples_that_know_it():
    parts, found = scores(), HEAD.measure(flat(scores()), batch())
    told = HEAD.summary([flat(parts)] * 2, [batch()] * 2)
    for name, part in HEAD.parts.items():
        x, own = alone(name, parts[name])
        for metric, values in part.measure(x, own).items():
            here = found[f"{name}: {metric}"]
            assert here.shape == (4,)
            assert [i for i in range(4) if not here[i].isnan()] == WHO[name]
            assert_close(here[WHO[name]], values)
        assert {m.removeprefix(f"{name}: "): v for m, v in told.items() if m.startswith(f"{name}: ")} == pytest.approx(
            part.summary([x] * 2, [own] * 2)
        )
    assert set(found) | set(told) <= set(HEAD.metrics)


def test_the_mean_decides_where_every_part_is_best_at_its_greatest_and_else_the_first_part():
    assert HEAD.metric == "topic: accuracy"
    assert "mean" not in HEAD.metrics
    assert MultiTask({"size": SIZE, "topic": TOPIC}).metric == "size: absolute_error"
    assert MultiTask({"topic": TOPIC, "size": SIZE}, metric="size: absolute_error").metric == "size: absolute_error"
    head = MultiTask({"topic": TOPIC, "signs": SIGNS})
    assert head.metric == "mean"
    x = torch.tensor([[1.0, 0]] * 4 + [[1.0, -1]] * 4).flatten()  # x and p of each
    found = head.measure(x, batch())
    assert found["topic: accuracy"].nan_to_num(9).tolist() == [1, 0, 9, 1]
    assert found["signs: f1"].nan_to_num(9).tolist() == [1, 9, 0, 9]
    assert found["mean"].tolist() == [1, 0, 0, 1]


def test_answers_are_those_of_the_parts_and_the_mean_of_their_confidences():
    parts, blind = scores(), replace(batch(), targets=(None,) * 4)
    each = {name: HEAD.parts[name].answers(x, blind) for name, x in parts.items()}
    for i, answer in enumerate(HEAD.answers(flat(parts), blind)):
        assert answer.value == {name: own[i].value for name, own in each.items()}
        assert answer.parts == {name: own[i] for name, own in each.items()}
        sure = [own[i].score for own in each.values() if own[i].score is not None]
        assert answer.score == pytest.approx(sum(sure) / len(sure))
    assert HEAD.answers(flat(parts), blind)[1].value["entities"] == ()
    said = torch.stack([HEAD.parts[name].said(x, blind) for name, x in parts.items()]).sum(0)
    assert_close(HEAD.said(flat(parts), blind), said)


def test_a_temperature_leaves_numbers_as_they_are_and_changes_no_answer():
    x = flat(scores())
    cool = HEAD.split(HEAD.tempered(x, batch(), 4.0), batch())
    for name, own in scores().items():
        assert_close(cool[name], own if name == "size" else own / 4)
    before, after = (HEAD.answers(own, batch()) for own in (x, HEAD.tempered(x, batch(), 4.0)))
    assert [a.value for a in before] == [a.value for a in after]
    assert before[0].score > after[0].score


def test_a_head_of_several_tasks_is_read_back_from_json():
    again = MultiTask(**json.loads(json.dumps(HEAD.config())))
    assert again == HEAD
    assert list(again.parts) == list(HEAD.parts)
    assert MultiTask({"t": Classify("xy", features=torch.ones(2, 3))}).features.shape == (6,)


@pytest.mark.parametrize(("options", "says"), [
    ({"parts": {}}, "parts is {}; a mapping"),
    ({"parts": [TOPIC]}, "parts is .*; a mapping"),
    ({"parts": {"a": HEAD}}, "part 'a' is a MultiTask; a part is one of Classify, MultiLabel"),
    ({"parts": {"a": {"head": "clasify"}}}, "no head of a part .*'clasify'.*'classify'"),
    ({"parts": {"": TOPIC}}, "a part is called ''"),
    ({"parts": {"topic": TOPIC}, "weights": {"topics": 1}}, "'topics', which is no part.*'topic'"),
    ({"parts": {"topic": TOPIC}, "weights": {"topic": 0}}, "weight of part 'topic' is 0; it must be above 0"),
    ({"parts": {"topic": TOPIC, "size": SIZE}, "metric": "mean"}, "metric is 'mean'; it is one of 'topic: accuracy', "),
])  # fmt: skip
def test_options_that_cannot_be_are_refused(options, says):
    with pytest.raises(gf.InputError, match=says):
        MultiTask(**options)


@pytest.mark.parametrize(("target", "says"), [
    ("x", r"^Sample 's/9': target 'x' is not a mapping, part -> what is right; the parts are 'topic', "),
    ({"topics": "x"}, r"^Sample 's/9': the target has a part 'topics', which the head has not.*'topic'"),
    ({"topic": "z"}, r"^Part 'topic': Sample 's/9': target 'z' is not a label"),
    ({"topic": "x", "entities": ["a"]}, r"^Part 'entities': Sample 's/9': the target has 1 entries; the sample has 2"),
    ({"topic": None, "entities": [None, None]}, r"^Sample 's/9': the target of no part is known"),
    ({}, r"^Sample 's/9': the target of no part is known"),
])  # fmt: skip
def test_a_target_that_teaches_nothing_is_named_with_its_part(target, says):
    one = gf.Sample("s/9", {"entity": torch.zeros(2, 3)}, target=target)
    with pytest.raises(gf.InputError, match=says):
        HEAD.check([one])


def test_a_part_that_the_schema_does_not_suit_is_named():
    with pytest.raises(gf.InputError, match=r"^Part 'one': Choose: the schema has no kind 'entity'"):
        gf.FusionModel(gf.Schema({"text": 6}), HEAD, dim=8)


def test_targets_of_several_tasks_go_through_pyg_and_back():
    own = replace(batch(), targets=tuple({k: x for k, x in t.items() if k != "one"} for t in TARGETS))
    assert gf.Batch.from_hetero_data(own.to_hetero_data()).targets == own.targets
    one = replace(batch((0,)), targets=own.targets[:1])
    assert gf.Batch.from_hetero_data(one.to_hetero_data()).targets == own.targets[:1]


def test_a_store_keeps_targets_of_several_tasks(tmp_path):
    made = [s for s in batch().samples() if s.target]
    for one, other in zip(made, SampleStore.write(tmp_path / "store", made)):
        assert list(one.target) == list(other.target)
        for name, own in one.target.items():
            assert torch.equal(own, other.target[name]) if isinstance(own, torch.Tensor) else own == other.target[name]
    with pytest.raises(gf.InputError, match=r"^Sample 'case/7': the target has a part 3; a text is needed"):
        SampleStore.write(tmp_path / "other", [gf.Sample("case/7", {}, target={3: "a"})])


# From end to end: regions whose findings are in their features, and a diagnosis that follows from these.
PLAN = gf.Schema({"region": 4, "note": 3}, [gf.AllPairs("region", "region"), gf.AllPairs("note", "region", "both")])
FOUND, ILL = ("opacity", "clear"), ("ill", "well")
SCAN = MultiTask({"finding": Tag("region", Classify(FOUND)), "diagnosis": Classify(ILL), "dose": Regress(1.0, 2.0)},
                 metric="diagnosis: accuracy")  # fmt: skip


def scan(name: str, seed: int, known: tuple[str, ...] = ("finding", "diagnosis", "dose")) -> gf.Sample:
    rng = torch.Generator().manual_seed(seed)
    dark = torch.rand(int(torch.randint(1, 5, (), generator=rng)), generator=rng) < 0.3
    regions = torch.randn(len(dark), 4, generator=rng)
    regions[:, 0] += torch.where(dark, 2.0, -2.0)
    target = {"finding": [FOUND[0] if own else FOUND[1] for own in dark.tolist()],
              "diagnosis": ILL[0] if dark.any() else ILL[1], "dose": float(dark.sum())}  # fmt: skip
    return gf.Sample(name, {"region": regions, "note": torch.randn(1, 3, generator=rng)},
                     target={part: own for part, own in target.items() if part in known})  # fmt: skip


def part_of(name: str, count: int, first: int) -> list[gf.Sample]:
    """Of a third of the samples all is known, of others the findings or the diagnosis alone."""
    ways = (("finding", "diagnosis", "dose"), ("finding",), ("diagnosis", "dose"))
    return [scan(f"{name}/{i}", first + i, ways[i % 3]) for i in range(count)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("scans") / "run"
    with gf.seeded(0):
        model = gf.FusionModel(PLAN, SCAN, "sage", dim=16, layers=1)
    train, valid = part_of("train", 150, 0), part_of("valid", 45, 1000)
    return model, gf.fit(model, train, valid, out, epochs=12, learning_rate=1e-2), out, valid


def test_all_tasks_are_learned_from_samples_that_know_some_of_them(trained):
    model, history, out, _ = trained
    found = gf.evaluate(model, [scan(f"test/{i}", 5000 + i) for i in range(80)])
    assert found["finding: accuracy"] > 0.93
    assert found["diagnosis: accuracy"] > 0.85
    assert found["dose: absolute_error"] < 0.5
    assert history.metrics["diagnosis: accuracy"] == max(row["valid_diagnosis: accuracy"] for row in history.rows)
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert set(rows[0]["value"]) == set(rows[0]["scores"]) == set(SCAN.parts)
    assert rows[0]["scores"]["dose"] is None


def test_a_model_of_several_tasks_is_calibrated_and_opened_as_it_was(trained):
    model, _, out, valid = trained
    assert model.temperature != 1
    opened = gf.FusionModel.from_pretrained(out)
    assert opened.head == model.head
    assert opened.predict(valid) == model.predict(valid)
    found, own = look(model, valid), look(opened, valid)
    assert found.metrics == own.metrics
    model.temperature, kept = torch.ones(()), model.temperature
    raw = look(model, valid)
    model.temperature = kept
    lost = [torch.cat([SCAN.log_loss(*part) for part in each.scored]).sum() for each in (found, raw)]
    assert lost[0] < lost[1]
    assert_close(found.values["dose: absolute_error"], raw.values["dose: absolute_error"], equal_nan=True)


def test_a_run_of_several_tasks_is_known_again_by_its_targets(trained, tmp_path):
    samples = part_of("a", 6, 0)

    def run(train: list[gf.Sample], epochs: int = 1) -> gf.training.History:
        with gf.seeded(0):
            model = gf.FusionModel(PLAN, SCAN, "concat", dim=8, layers=1)
        return gf.fit(model, train, part_of("v", 6, 50), tmp_path / "run", epochs=epochs)

    first = run(samples)
    assert run(samples).rows == first.rows
    changed = [replace(samples[0], target={**samples[0].target, "dose": 9.0}), *samples[1:]]
    with pytest.raises(gf.InputError, match="another run"):
        run(changed)


def test_methods_are_compared_over_the_samples_that_know_the_deciding_part(tmp_path):
    train, valid, test = part_of("train", 24, 0), part_of("valid", 9, 100), part_of("test", 9, 200)
    methods = {name: lambda name=name: gf.FusionModel(PLAN, SCAN, name, dim=8, layers=1) for name in ("sage", "concat")}
    found = gf.compare(methods, train, valid, test, [0, 1], tmp_path, epochs=1)
    know = {s.name for s in test if "diagnosis" in s.target}
    assert {frozenset(run.scores) for run in found.runs} == {frozenset(know)}
    table = found.table()
    assert table["mean"].between(0, 1).all()
    assert not math.isnan(found.paired("sage", "concat")[1])
    again = type(found).open(tmp_path)
    assert again.table().equals(table)
    assert "finding: accuracy" in (tmp_path / "metrics.jsonl").read_text()
    assert write_report(tmp_path).stat().st_size > 1000


def test_a_split_on_which_a_part_is_not_known_has_none_of_its_metrics(trained):
    model, *_ = trained
    few = [scan("f/0", 7000, ("finding",)), scan("f/1", 7001, ("finding",))]
    found = gf.evaluate(model, few)
    assert {name.split(": ")[0] for name in found} == {"finding", "loss"}
    assert measure(model, few)["diagnosis: accuracy"].isnan().all()
    with pytest.raises(gf.InputError, match="diagnosis: accuracy is not defined on the validation split"):
        gf.fit(model, part_of("t", 6, 0), few, epochs=1)


def test_what_an_answer_rests_on_is_told_for_all_tasks_together(trained):
    model, _, _, valid = trained
    assert len(gf.explain.looked_at(model, valid[:3])) == 3


def test_what_fails_is_not_taken_for_what_is_not_known():
    head = MultiTask({"dose": Regress(), "kind": Classify(["a", "b"])})
    targets = ({"dose": 1.0, "kind": "a"}, {"kind": "a"}, {"dose": 2.0})
    batch = gf.Batch(("r", "s", "t"), {}, {}, targets=targets)
    scores = torch.tensor([1.0, 0.0, torch.nan, 3.0, 0.0, 3.0, 0.0, 3.0, 0.0])
    assert Measured(head, [(scores[[0, 1, 1, *range(3, 9)]], batch)]).metrics["dose: absolute_error"] == 1.0
    assert math.isnan(Measured(head, [(scores, batch)]).metrics["dose: absolute_error"])


def test_two_labels_that_would_have_one_name_are_refused():
    with pytest.raises(gf.InputError, match=r"two labels would be called 'a\.yes'"):
        MultiTask({"a": Classify(["yes", "no"]), "b": Classify(["a.yes", "yes"])})


def test_answers_of_any_head_go_into_sets():
    assert len({gf.Answer("a", "b", 0.5), gf.Answer("a", "b", 0.5)}) == 1
