"""Rules that every answer has to satisfy: a small network with them and without, and a model that has them inside."""

import torch
from torch import nn

import graphfuse as gf

RULES = """
hard one_place: exactly_one(chest, head, abdomen)
hard cough_is_chest: cough -> chest
hard seizure_is_head: seizure -> head
hard signs: cough | seizure -> sign
"""
LABELS = ["chest", "head", "abdomen", "cough", "seizure", "sign"]
rules = gf.RuleSet.parse(RULES, LABELS)
print(f"{rules.allowed()} of {2 ** len(LABELS)} answers satisfy all rules")


def clinic(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Made-up visits: six labels that satisfy the rules, seen through noise."""
    g = torch.Generator().manual_seed(seed)
    y = rules.answer(2 * torch.randn(count, len(LABELS), generator=g)).float()
    mix = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
    return y @ mix + 1.5 * torch.randn(count, 12, generator=g), y


def train(with_rules: bool) -> nn.Module:
    """A small network on 40 visits."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, len(LABELS)))
    step = torch.optim.Adam(network.parameters(), 0.01)
    x, y = clinic(40, seed=1)
    for _ in range(150):
        logits = network(x)
        # labels cross entropy, and what is lost to answers that no rule allows: together, likelihood given the rules
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none").sum(1)
        loss = (loss + rules.log_partition(logits) if with_rules else loss).mean()
        step.zero_grad()
        loss.backward()
        step.step()
    return network


x, y = clinic(2000, seed=2)
for name, with_rules in (("without", False), ("with rules", True)):
    logits = train(with_rules)(x).detach()
    said = rules.answer(logits) if with_rules else logits > 0
    right, broken = (said == y.bool()).all(1).float().mean(), int(rules.violations(said).any(1).sum())
    print(f"{name:<10} all labels right: {right:.3f}, answers that break a rule: {broken} of {len(x)}")


def visits(name: str, count: int, seed: int) -> list[gf.Sample]:
    told = [tuple(label for label, on in zip(LABELS, own) if on) for own in clinic(count, seed)[1]]
    return [gf.Sample(f"{name}/{i}", {"v": row[None]}, target=told[i]) for i, row in enumerate(clinic(count, seed)[0])]


model = gf.FusionModel(gf.Schema({"v": 12}), gf.heads.MultiLabel(LABELS), "concat", dim=32, rules=rules)
gf.fit(model, visits("train", 40, 1), visits("valid", 200, 3), epochs=30, batch_size=20, learning_rate=0.02)
found = {name: f"{value:.3f}" for name, value in gf.evaluate(model, visits("test", 2000, 2)).items()}
print("FusionModel", *(f"{name}: {found[name]}" for name in ("exact_match", "rules_broken_before", "rules_broken")))
