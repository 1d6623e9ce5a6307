from collections import Counter

import pytest

from graphfuse.tables.read import Row
from graphfuse.tables.splits import SPLITS, drawn, told

SHARES = (0.7, 0.15, 0.15)


def rows(cells):
    return [Row({"split": cell, "group": cell}, i, "t.csv") for i, cell in enumerate(cells, 2)]


def test_split_words_have_aliases_in_any_case():
    words = ["train", "Training", "VALID", "validation", "val", "dev", " test "]
    assert told(rows(words), "split") == ({"train": [0, 1], "valid": [2, 3, 4, 5], "test": [6]}, [])


def test_a_word_that_is_no_split_is_named_with_the_nearest_and_an_empty_cell_too():
    splits, problems = told(rows(["train", "validd", None]), "split")
    assert splits == {"train": [0], "valid": [], "test": []}
    assert "t.csv row 3, column split: 'validd' is no split. Did you mean 'valid'" in problems[0]
    assert problems[1] == "t.csv row 4, column split: the cell is empty; train, valid or test is needed."


@pytest.mark.parametrize("count", [3, 5, 40, 1000])
def test_drawn_splits_share_all_rows_as_asked_and_none_is_empty(count):
    splits = drawn(rows("x" * count), SHARES, 0, None, None)
    assert sorted(i for part in splits.values() for i in part) == list(range(count))
    assert all(splits.values())
    if count >= 40:
        assert [len(splits[name]) for name in SPLITS] == pytest.approx([count * share for share in SHARES], abs=1)


def test_drawing_depends_on_the_seed_alone():
    made = [drawn(rows("x" * 50), SHARES, seed, None, None) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]


def test_labels_are_spread_alike_and_the_first_of_each_is_for_training():
    labels = ["often"] * 70 + ["less"] * 20 + [f"once {i}" for i in range(9)]
    splits = drawn(rows(labels), SHARES, 0, None, labels)
    counts = {name: Counter(labels[i] for i in splits[name]) for name in SPLITS}
    assert all(counts["train"][f"once {i}"] for i in range(9))
    for label, count in (("often", 70), ("less", 20)):
        assert [counts[name][label] for name in SPLITS] == pytest.approx([count * s for s in SHARES], abs=1.5)


def test_rows_of_a_group_stay_together_and_a_row_without_one_is_alone():
    cells = [f"p{i // 5}" for i in range(100)] + [None] * 20
    splits = drawn(rows(cells), SHARES, 3, "group", None)
    found = [{cells[i] for i in splits[name]} - {None} for name in SPLITS]
    assert not found[0] & found[1] | found[0] & found[2] | found[1] & found[2]
    assert [len(splits[name]) for name in SPLITS] == pytest.approx([120 * share for share in SHARES], abs=5)
    assert all(drawn(rows("aaabbbbcc"), SHARES, 0, "group", None).values())
