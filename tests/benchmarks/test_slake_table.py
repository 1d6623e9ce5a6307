"""The section on SLAKE under rules: a line a method, a column a share of the labels, and the picture of it."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import rows, slake_table
from benchmarks.markdown import UNKNOWN
from benchmarks.slake_en_rules import TRUTH, of_share


def made(method, metric, mean, seeds=(0, 1, 2)):
    return rows.row(
        task="slake_en_rules", method=method, metric=metric, mean=mean, std=0.012, seeds=list(seeds), split="test",
        tuned_on="validation", seconds=12.4, parameters=12, command="python -m benchmarks.run slake_en_rules",
    )  # fmt: skip


ROWS = [
    *(made("none", of_share("accuracy", share), mean, seeds)
      for share, mean, seeds in ((0.05, 0.5, range(5)), (1.0, 0.8, range(3)))),
    *(made("exact", of_share(metric, 1.0), mean) for metric, mean in (("accuracy", 0.82), ("gain, accuracy", 0.02))),
    made("loss", of_share("accuracy", 0.05), 0.6), made("loss", of_share("gain, accuracy", 0.05), 0.1),
    made(TRUTH, "rules_broken", 0.001),
]  # fmt: skip


def test_a_metric_has_a_line_a_method_and_a_column_a_share():
    found = slake_table.cells(ROWS)
    assert slake_table.lines(found["accuracy"], ["none", "exact", "loss"], "accuracy").splitlines() == [
        "| accuracy, labels: | 5% | 100% |",
        "| --- | ---: | ---: |",
        "| none | 50.0 ± 1.2 | 80.0 ± 1.2 |",
        "| exact |  | 82.0 ± 1.2 |",
        "| loss | 60.0 ± 1.2 |  |",
    ]
    assert found["gain, accuracy"]["exact"][1.0]["mean"] == 0.02


def test_the_section_says_seeds_by_share_and_how_many_own_answers_break_a_rule():
    page = slake_table.slake_rules(ROWS)
    assert "5 seeds at 5%; 3 seeds at 100%" in page
    assert "0.1 % of the test answers do" in page
    assert "| none |" not in page.split(slake_table.GAINS)[1]
    assert slake_table.slake_rules([]) == UNKNOWN


@pytest.mark.parametrize("left_out", ["none", "exact", "loss"])
def test_each_method_is_in_the_picture(left_out, tmp_path):
    whole = slake_table.draw(ROWS, tmp_path)
    every = np.asarray(Image.open(whole).convert("RGB"))
    fewer = slake_table.draw([row for row in ROWS if row["method"] != left_out], tmp_path)
    assert fewer == whole == tmp_path / slake_table.PICTURE
    assert not np.array_equal(every, np.asarray(Image.open(fewer).convert("RGB")))


def test_without_rows_there_is_no_picture(tmp_path):
    assert slake_table.draw([], tmp_path) is None
    assert list(tmp_path.iterdir()) == []
