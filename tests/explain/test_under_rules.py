"""What rules change in a model's own answers, sample by sample."""

from dataclasses import replace

import pytest
import torch

import graphfuse as gf
from graphfuse.explain import under_rules

TOPICS, CITES = ("AI", "DB"), ("paper", "cites", "paper")
SCHEMA = gf.Schema({"paper": 4}, [gf.Linked(*CITES)])
RULES = gf.RuleSet.parse("hard cite[t in labels]: forall x, y. cites(x, y) & t(x) -> t(y)", TOPICS)


def sample(seed: int) -> gf.Sample:
    rng = torch.Generator().manual_seed(seed)
    pairs = torch.randint(6, (2, 4), generator=rng)
    titles = {"paper": {"title": [f"t{i}" for i in range(6)]}}
    return gf.Sample(f"g/{seed}", {"paper": torch.randn(6, 4, generator=rng)}, {CITES: pairs}, node_facts=titles)


@pytest.mark.parametrize("each", [gf.heads.Classify(TOPICS), gf.heads.MultiLabel(TOPICS)])
def test_the_explained_answer_is_what_the_model_predicts(each):
    with gf.seeded(0):
        model = gf.FusionModel(SCHEMA, gf.heads.Tag("paper", each), "sage", 8, 1, RULES)
        model.readout.requires_grad_(False)
        for weight in model.readout.parameters():
            weight.mul_(3)
    changed = 0
    for own in map(sample, range(6)):
        found, (answer,) = under_rules(model, replace(own, target="no matter"), "title"), model.predict([own])
        listed = {row.name: row for row in found.rows}
        for at, said in enumerate(answer.value):
            if f"t{at}" in listed:
                assert listed[f"t{at}"].after == (said if isinstance(said, tuple) else (said,))
        changed += len(found.flipped)
        assert len(found.rows) + found.others == 6
    assert changed
    assert not any(rule.after.count for rule in found.rules)


def test_a_sample_is_told_as_ever_and_a_model_without_rules_has_nothing_to_tell():
    rules = gf.RuleSet.parse("hard x: AI -> DB", TOPICS)
    model = gf.FusionModel(SCHEMA, gf.heads.MultiLabel(TOPICS), "sage", 8, 1, rules)
    (answer,) = model.predict([sample(0)])
    assert under_rules(model, sample(0)).answer == answer.value
    plain = gf.FusionModel(SCHEMA, gf.heads.MultiLabel(TOPICS), "sage", 8, 1)
    with pytest.raises(gf.InputError, match="The model has no rules that could explain an answer"):
        under_rules(plain, sample(0))
