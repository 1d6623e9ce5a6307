"""Every number on the page is that of a plain loop over the saved rows."""

import json
import math

import pytest
from report_data import METHODS, Page, runs_of

from graphfuse.report import write_report
from graphfuse.report.axis import Axis
from graphfuse.report.figures import Curves
from graphfuse.report.numbers import Numbers
from graphfuse.training.comparison import Comparison


def loop(folder, method, names=None):
    """Mean over seeds of the mean over samples, and the spread, from the JSON file alone."""
    means, alone = [], []
    for run in json.loads((folder / "comparison.json").read_text("utf-8"))["runs"]:
        if run["method"] == method:
            alone = [value for name, value in run["scores"].items() if names is None or name in names]
            means.append(sum(alone) / len(alone))
    mean = sum(means) / len(means)
    if len(means) == 1:
        return mean, math.sqrt(mean * (1 - mean) / len(alone))
    return mean, math.sqrt(sum((x - mean) ** 2 for x in means) / (len(means) - 1))


def shown(mean, error):
    return f"{100 * mean:.1f} ± {100 * error:.1f}"


@pytest.mark.parametrize("seeds", [1, 3])
def test_tables_hold_the_numbers_of_a_plain_loop(folder, seeds):
    Comparison(runs_of(METHODS, seeds)).save(folder)
    page = Page(write_report(folder))
    story = json.loads((folder / "report.json").read_text("utf-8"))
    comparison = Comparison.open(folder)
    for method in METHODS:
        every, gap, p, *slices, valid, count, seconds, parameters = page.row(method)
        assert every == shown(*loop(folder, method))
        narrow = next(iter(story["slices"].values()))
        assert slices == [shown(*loop(folder, method, set(names))) for names in narrow.values()]
        wide = [f"{100 * loop(folder, method, set(names))[0]:.1f}" for names in story["slices"]["type"].values()]
        assert page.row(method, 1) == wide
        difference, value = comparison.paired(method, "gate")
        assert gap == ("–" if method == "gate" else f"{100 * difference:+.1f}".replace("-", "−"))
        assert p == ("–" if method == "gate" else "< 0.001" if value < 0.001 else f"{value:.3f}")
        assert (valid, count, seconds, parameters) == (f"{100 * METHODS[method]:.1f}", str(seeds), "5.5", "1,234")


def test_the_mean_and_spread_are_those_of_the_comparison():
    comparison = Comparison(runs_of(METHODS, 3))
    table = comparison.table()
    for row in Numbers(comparison, {}).rows:
        assert row.value.mean == pytest.approx(100 * table["mean"][row.method])
        assert row.value.error == pytest.approx(100 * table["std"][row.method])
        assert row.difference == pytest.approx(100 * table["difference"][row.method])


def test_the_best_stands_first_and_the_choice_is_made_on_validation():
    high = Numbers(Comparison(runs_of({"a": 0.2, "b": 0.9}, 2)), {})
    low = Numbers(Comparison(runs_of({"a": 0.2, "b": 0.9}, 2, "error", "min")), {})
    assert [row.method for row in high.rows] == ["b", "a"]
    assert [row.method for row in low.rows] == ["a", "b"]
    assert (high.chosen, low.chosen) == ("b", "a")


def test_curves_average_the_seeds_that_still_train():
    numbers = Numbers(Comparison(runs_of({"a": 0.8}, 3)), {})
    curve = Curves.of(numbers).panels[0]
    epochs = {}
    for run in numbers.comparison.runs:
        for row in run.history:
            epochs.setdefault(row["epoch"], []).append(100 * row["valid_accuracy"])
    means = {epoch: sum(values) / len(values) for epoch, values in epochs.items()}
    assert curve.epochs == len(means) == 5
    assert (curve.first, curve.last) == pytest.approx((means[1], means[5]))
    assert (curve.best_epoch, curve.best) == (5, pytest.approx(max(means.values())))
    assert curve.line.count("L") == 4


@pytest.mark.parametrize(
    "values", [[0.0], [5.0], [-3.0, 2.0], [1e-7, 3e-7], [71.3, 99.9], [1e9, 3e9], [float("nan")], []]
)
@pytest.mark.parametrize("zero", [False, True])
def test_an_axis_holds_its_values_between_round_ticks(values, zero):
    axis = Axis.over(values, zero)
    finite = [x for x in values if math.isfinite(x)] + [0.0] * zero
    assert 2 <= len(axis.ticks) <= 7
    assert all(axis.ticks[0] <= x * (1 + 1e-9) and x <= axis.ticks[-1] * (1 + 1e-9) for x in finite)
    assert axis.at(axis.ticks[0]) == 0
    assert axis.at(axis.ticks[-1]) == 100
    assert len(set(axis.labels)) == len(axis.ticks)


def test_percentages_never_need_more_than_a_hundred():
    assert Axis.over([99.0, 104.0], zero=True, most=100).ticks[-1] == 100
