"""What rules make of scores is what the head answers, and costs what the scores say."""

import pytest
import torch
import ward

import graphfuse as gf
from graphfuse.model import Ruled
from graphfuse.model.explained import ONE, explained

SCORES = 2 * torch.randn(40, 6, generator=torch.Generator().manual_seed(4))


def test_of_several_labels_the_explained_answer_is_the_heads():
    head = Ruled.of(gf.heads.MultiLabel(ward.LABELS), ward.rules())
    for scores, answer, sample in zip(SCORES, head.answers(SCORES, ward.batch_of(ward.TEST[:40])), ward.TEST):
        found = explained(head, scores, ward.batch_of([sample]))
        assert found.answer == answer.value


@pytest.mark.parametrize("text", [ward.SINGLE, ward.SINGLE + 'soft "one answer": lung | bowel\n'])
def test_of_one_label_it_is_the_heads_and_costs_the_difference_to_the_highest_score(text):
    scores = SCORES[:, :4]
    head = Ruled.of(gf.heads.Classify(ward.KINDS), ward.rules(text, ward.KINDS))
    changed = 0
    for row, answer in zip(scores, head.answers(scores, ward.batch_of(ward.TEST[:40]))):
        found = explained(head, row, ward.batch_of(ward.TEST[:1]))
        assert found.answer == (answer.value,)
        highest, at = float(row.max()), ward.KINDS.index(answer.value)
        assert found.cost == pytest.approx(highest - float(row[at]), abs=1e-5)
        assert len(found.flipped) == (0 if row[at] == highest else 2)
        assert len(found.rules) == len(head.rules.rules) + 1
        assert found.rules[-1].name.startswith(ONE)
        assert not found.rules[-1].broken_before
        changed += bool(found.flipped)
    assert changed
    assert "never" in str(explained(head, torch.tensor([0.0, 1.0, 2.0, 3.0]), ward.batch_of(ward.TEST[:1])))


def test_of_equal_scores_the_explained_answer_is_the_heads_too():
    head = Ruled.of(gf.heads.Classify(("a", "b", "c", "d")), gf.RuleSet.parse("hard n: a -> b"))
    batch = gf.Batch(("x",), {}, {})
    for scores in ([0.0] * 4, [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 2.0], [3.0, 1.0, 1.0, 1.0]):
        (answer,) = head.answers(torch.tensor([scores]), batch)
        assert explained(head, torch.tensor(scores), batch).answer == (answer.value,)


def test_hard_rules_that_no_label_satisfies_alone_have_nothing_to_explain():
    rules = gf.RuleSet.parse("hard x: a -> b\nhard y: b -> a")
    head = Ruled.of(gf.heads.Classify(("a", "b")), rules, "loss")
    with pytest.raises(gf.InputError, match="No label alone satisfies all hard rules"):
        explained(head, torch.tensor([1.0, 0.0]), gf.Batch(("x",), {}, {}))
