"""What is drawn for few labels, which part measures what, and how rules are told on the page."""

import pytest

pytest.importorskip("countryinfo", reason="needs the extra demo")

from benchmarks import atlas_rules, atlas_table, rows
from benchmarks.atlas import part_of
from benchmarks.run import ATLAS, main
from graphfuse.demo.methods import AFTER, EXACT, LOSS, METHODS, PLAIN, REFINE


def made(method, metric, mean, seeds=(0, 1)):
    return rows.row(
        task="atlas", method=method, metric=metric, mean=mean, std=0.01, seeds=list(seeds), split="test",
        tuned_on="validation", seconds=1.0, parameters=1, command="python -m benchmarks.run atlas --parts rules",
    )  # fmt: skip


RULED = [
    made(PLAIN, atlas_rules.SAME, 0.8), made(PLAIN, "broken: one", 0.02), made(PLAIN, "broken: two", 0.0),
    made(EXACT, "broken: one", 0.03), made(EXACT, "broken: two", 0.0), made(EXACT, "accuracy", 0.81),
    made(EXACT, "gain", 0.01), made(EXACT, "p of the gain", 0.25), made(AFTER, "accuracy", 0.79),
    made(AFTER, "gain", -0.01), made(AFTER, "gain of one: one", -0.01), made(AFTER, "gain of one: two", 0.0),
    made(AFTER, "questions without an answer", 0.0025), made(atlas_rules.ASKED, "told", 0.9),
    made(atlas_rules.ASKED, "right where told", 0.99),
]  # fmt: skip


def test_a_smaller_share_lies_inside_a_larger_and_each_seed_draws_its_own():
    small, large = (atlas_rules.drawn(200, share, "0 train") for share in (0.05, 0.5))
    assert len(small) == 10
    assert len(large) == 100
    assert set(small) < set(large)
    assert large == sorted(large)
    assert atlas_rules.drawn(200, 0.5, "1 train") != large
    assert atlas_rules.drawn(3, 0.01, "0 train") == sorted(atlas_rules.drawn(3, 0.01, "0 train"))
    assert len(atlas_rules.drawn(3, 0.01, "0 train")) == 1


def test_each_row_is_of_one_part():
    assert {part_of(method) for method in METHODS} == {"plain", "rules", "modes"}
    assert part_of(LOSS) == part_of(REFINE, "gain") == "modes"
    assert part_of(PLAIN) == part_of(PLAIN, "accuracy: seen") == "plain"
    assert (
        part_of(PLAIN, atlas_rules.SAME)
        == part_of(atlas_rules.ASKED, "told")
        == part_of(AFTER, "gain of one: one")
        == "rules"
    )
    assert {part_of(method, "accuracy with 5% of labels") for method in (PLAIN, EXACT)} == {"labels"}
    assert {part_of(row["method"], row["metric"]) for row in rows.read("atlas")} <= set(ATLAS)


def test_the_page_tells_gains_and_each_rule_that_is_broken():
    text = "\n\n".join(atlas_table.rules(RULED))
    assert "of 90.0 % of the test" in " ".join(text.split())
    assert f"| {PLAIN} | 2 | 80.0 ± 1.0 |  |  |" in text
    assert f"| {AFTER} | 2 | 79.0 ± 1.0 | -1.0 ± 1.0 |  |" in text
    assert f"| {EXACT} | 2 | 81.0 ± 1.0 | +1.0 ± 1.0 | 0.25 |" in text
    assert "| rule | relation_gate | exact | gain of it alone |" in text
    assert "| one | 2.0 ± 1.0 | 3.0 ± 1.0 | -1.0 ± 1.0 |" in text
    assert "left out: two." in text
    assert "few labels" not in text
    assert atlas_table.rules([made("hgt", "accuracy", 0.8)]) == []


def test_the_page_tells_what_few_labels_give():
    shares = [
        made(method, f"accuracy with {share:.0%} of labels", share)
        for method in (PLAIN, AFTER, EXACT)
        for share in atlas_rules.SHARES
    ]
    text = "\n\n".join(atlas_table.rules(RULED + shares))
    assert "| 100 % | 80.0 ± 1.0 | 79.0 ± 1.0 | 81.0 ± 1.0 | 90.0 ± 1.0 | 99.0 ± 1.0 |" in text
    assert "| 5 % | 5.0 ± 1.0 | 5.0 ± 1.0 | 5.0 ± 1.0 |  |  |" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["atlas", "--parts", "labels,rule"], "There is no part of atlas called 'rule'. Did you mean 'rules'?"),
        (["vqa_rad", "--parts", "rules"], "--parts: vqa_rad has none"),
    ],
)
def test_parts_are_those_of_the_benchmark(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err
