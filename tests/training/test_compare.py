"""Comparing: one budget, no look at the test split, tables and tests as computed by hand."""

import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tasks
import torch
from scipy.stats import ttest_rel

import graphfuse as gf
from graphfuse.core.jobs import at_a_time
from graphfuse.training import compare_missing
from graphfuse.training.comparison import Run

METHODS = {"sage": tasks.maker("sage"), "concat": tasks.maker("concat")}
BUDGET = {"epochs": 2, "batch_size": 16, "learning_rate": 0.02}
NAMES = [f"t/{i}" for i in range(6)]


def run(method: str, seed: int, values: list[float], valid: float, best: str = "max") -> Run:
    return Run(method, seed, "accuracy", best, {"accuracy": valid}, dict(zip(NAMES, values)), 10, 1.0, ({"epoch": 1},))


def by_hand() -> gf.Comparison:
    return gf.Comparison((
        run("a", 0, [1, 1, 0, 1, 0, 1], 0.5), run("b", 0, [0, 1, 0, 1, 0, 0], 0.9),
        run("a", 1, [1, 0, 1, 1, 0, 1], 0.7), run("b", 1, [0, 0, 0, 1, 1, 0], 0.8),
    ))  # fmt: skip


def test_the_table_is_what_is_computed_by_hand():
    table = by_hand().table()
    assert list(table.index) == ["a", "b"]
    assert table.loc["a", "mean"] == pytest.approx(statistics.mean([4 / 6, 4 / 6]))
    assert table.loc["b", "mean"] == pytest.approx(2 / 6)
    assert table.loc["a", "std"] == pytest.approx(0.0)
    assert table.loc["a", "valid"] == pytest.approx(0.6)
    assert table.loc["b", "valid"] == pytest.approx(0.85)
    assert table["seeds"].tolist() == [2, 2]
    assert table["parameters"].tolist() == [10, 10]
    assert table["seconds"].tolist() == [1.0, 1.0]
    assert table.loc["a", "difference"] == pytest.approx(2 / 6)
    assert table.loc["b", "difference"] == 0
    assert table.loc["b", "p"] == 1


def test_the_standard_deviation_is_over_seeds():
    made = gf.Comparison((run("a", 0, [1] * 6, 0.5), run("a", 1, [0] * 6, 0.5), run("a", 2, [1, 1, 1, 0, 0, 0], 0.5)))
    assert made.table().loc["a", "std"] == pytest.approx(statistics.stdev([1, 0, 0.5]))


def test_the_paired_test_is_scipys_over_samples_averaged_over_seeds():
    a, b = [1, 0.5, 0.5, 1, 0, 1], [0, 0.5, 0, 1, 0.5, 0]
    difference, p = by_hand().paired("a", "b")
    assert difference == pytest.approx(statistics.mean(a) - statistics.mean(b))
    assert p == pytest.approx(ttest_rel(a, b).pvalue)
    assert by_hand().paired("b", "a") == pytest.approx((-difference, p))


def test_the_table_of_some_samples_counts_only_them():
    some = NAMES[:3]
    a, b = [1, 0.5, 0.5], [0, 0.5, 0]
    table = by_hand().table(some)
    assert table.loc["a", "mean"] == pytest.approx(statistics.mean(a))
    assert table.loc["a", "p"] == pytest.approx(ttest_rel(a, b).pvalue)


def test_methods_that_never_differ_have_p_one():
    made = gf.Comparison((run("a", 0, [1, 0] * 3, 0.5), run("b", 0, [1, 0] * 3, 0.5)))
    assert made.paired("a", "b") == (0.0, 1.0)


def test_methods_that_always_differ_by_the_same_are_not_called_equal():
    made = gf.Comparison((run("a", 0, [1] * 6, 0.5), run("b", 0, [0] * 6, 0.5)))
    difference, p = made.paired("a", "b")
    assert difference == 1
    assert p < 0.05


def test_the_choice_is_made_on_validation():
    assert by_hand().chosen() == "b"
    lower = [replace(each, best="min") for each in by_hand().runs]
    assert gf.Comparison(tuple(lower)).chosen() == "a"


def test_an_unknown_method_is_named():
    with pytest.raises(gf.InputError, match=r"There is no method in this comparison called 'c'\. Known: a, b\."):
        by_hand().paired("a", "c")


def test_samples_that_no_run_has_are_refused_in_one_sentence():
    with pytest.raises(gf.InputError, match=r"^No test sample of this comparison is called 'gone'\.$"):
        by_hand().table(["gone"])


def test_a_comparison_is_saved_and_opened_as_it_was(tmp_path):
    by_hand().save(tmp_path)
    again = gf.Comparison.open(tmp_path)
    assert again == by_hand()
    assert again.table().equals(by_hand().table())
    (tmp_path / "comparison.json").write_text("[]")
    with pytest.raises(gf.InputError, match=r"comparison\.json: is not a comparison"):
        gf.Comparison.open(tmp_path)
    with pytest.raises(gf.InputError, match=r"comparison\.json: there is no such file"):
        gf.Comparison.open(tmp_path / "gone")


def test_two_comparisons_add_up():
    first, second = by_hand().runs[:2], by_hand().runs[2:]
    assert (gf.Comparison(first) + gf.Comparison(second)).table().equals(by_hand().table())


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    folder = tmp_path_factory.mktemp("compared")
    return gf.compare(METHODS, tasks.TRAIN, tasks.VALID, tasks.TEST, seeds=[0, 1], out=folder, **BUDGET), folder


def test_every_method_runs_with_every_seed(compared):
    made, folder = compared
    assert sorted((r.method, r.seed) for r in made.runs) == [(m, s) for m in ("concat", "sage") for s in (0, 1)]
    assert made.methods == list(METHODS)
    assert list(made.scores()["name"].unique()) == [s.name for s in tasks.TEST]
    assert gf.Comparison.open(folder) == made
    for one in made.runs:
        model = gf.FusionModel.from_pretrained(folder / one.method / f"seed-{one.seed}")
        told = {a.name: float(a.value == s.target) for a, s in zip(model.predict(tasks.TEST), tasks.TEST)}
        assert one.scores == told
        assert one.parameters == sum(p.numel() for p in model.parameters())


def test_a_run_of_a_comparison_is_the_run_that_fit_makes(compared):
    _, folder = compared
    model = tasks.model("concat", seed=1)
    gf.fit(model, tasks.TRAIN, tasks.VALID, seed=1, **BUDGET)
    again = gf.FusionModel.from_pretrained(folder / "concat" / "seed-1")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))


LOADED = """
import sys, torch
import tasks
from graphfuse.training.compare import run_all, run_of
def work():
    before = set(sys.modules)
    run_of("sage", tasks.maker("sage"), (tasks.TRAIN, tasks.VALID, tasks.TEST), 0, None, {"epochs": 1})
    return sorted(set(sys.modules) - before)
print(list(run_all([("a", work), ("b", work)], 2)))
"""


@pytest.mark.skipif(at_a_time(2) == 1, reason="processes are forked on Linux without accelerator")
def test_what_training_needs_is_loaded_once_for_all_jobs():
    said = subprocess.run([sys.executable, "-c", LOADED], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert said.stdout.strip() == "[[], []]", said.stderr


def test_a_seed_or_share_that_is_named_twice_is_run_once(tmp_path):
    one = {"concat": METHODS["concat"]}
    assert len(gf.compare(one, tasks.TRAIN, tasks.VALID, tasks.TEST, [0, 0], tmp_path, **BUDGET).runs) == 1
    splits = tasks.TRAIN, tasks.VALID, tasks.TEST
    assert len(compare_missing(one, *splits, [0.5, 0.5], [0, 0], tmp_path, jobs=2, **BUDGET)) == 1


def test_a_wrong_share_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(gf.InputError, match=r"1\.5"):
        compare_missing(METHODS, tasks.TRAIN, tasks.VALID, tasks.TEST, [0, 1.5], [0], tmp_path, **BUDGET)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(at_a_time(2) == 1, reason="processes are forked on Linux without accelerator")
def test_two_jobs_find_what_one_thread_finds_one_after_another(compared, tmp_path):
    made, _ = compared
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = gf.compare(METHODS, tasks.TRAIN, tasks.VALID, tasks.TEST, [0, 1], tmp_path / "alone", **BUDGET)
    finally:
        torch.set_num_threads(threads)
    two = gf.compare(METHODS, tasks.TRAIN, tasks.VALID, tasks.TEST, [0, 1], tmp_path / "two", jobs=2, **BUDGET)
    assert two.methods == made.methods
    assert [run.scores for run in two.runs] == [run.scores for run in alone.runs]
    for name in ("concat/seed-0", "sage/seed-1"):
        a, b = (gf.FusionModel.from_pretrained(tmp_path / each / name).state_dict() for each in ("alone", "two"))
        assert all(torch.equal(a[key], b[key]) for key in a)
    for file in ("answers.jsonl", "metrics.jsonl"):
        assert (tmp_path / "two" / file).read_text("utf-8") == (tmp_path / "alone" / file).read_text("utf-8")


def test_noise_for_test_labels_changes_no_choice_and_no_weight(compared, tmp_path):
    made, folder = compared
    noise = tasks.split("test", 24, 3, noisy=True)
    assert [s.target for s in noise] != [s.target for s in tasks.TEST]
    other = gf.compare(METHODS, tasks.TRAIN, tasks.VALID, noise, seeds=[0, 1], out=tmp_path, **BUDGET)
    assert other.chosen() == made.chosen()
    assert [r.valid for r in other.runs] == [r.valid for r in made.runs]
    assert [r.scores for r in other.runs] != [r.scores for r in made.runs], "the check would prove nothing"
    for one in made.runs:
        file = f"{one.method}/seed-{one.seed}/model.safetensors"
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_finished_runs_are_not_trained_again(compared):
    made, folder = compared
    again = gf.compare(METHODS, tasks.TRAIN, tasks.VALID, tasks.TEST, seeds=[0, 1], out=folder, **BUDGET)
    assert again == made  # the seconds of each epoch included


def test_a_comparison_without_a_folder_gives_the_same(compared):
    made, _ = compared
    other = gf.compare(METHODS, tasks.TRAIN, tasks.VALID, tasks.TEST, seeds=[0, 1], **BUDGET)
    assert [(r.method, r.seed, r.valid, r.scores) for r in other.runs] == [
        (r.method, r.seed, r.valid, r.scores) for r in made.runs
    ]


@pytest.mark.parametrize(("methods", "seeds", "test", "text"), [
    ({}, [0], tasks.TEST, "compare needs at least one method and one seed"),
    (METHODS, [], tasks.TEST, "compare needs at least one method and one seed"),
    (METHODS, [0], [], "The test split is empty"),
    (METHODS, [0], tasks.TRAIN[:1], "Sample name 'train/0' occurs twice, in the training split and in the test split"),
])  # fmt: skip
def test_what_cannot_be_compared_is_named_before_anything_is_trained(methods, seeds, test, text, tmp_path):
    with pytest.raises(gf.InputError, match=text):
        gf.compare(methods, tasks.TRAIN, tasks.VALID, test, seeds=seeds, out=tmp_path / "out", **BUDGET)
    assert not (tmp_path / "out").exists()
