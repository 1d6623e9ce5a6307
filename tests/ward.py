"""A ward: visits of six labels that rules join, seen through noise; used by the tests of models with rules."""

import torch

import graphfuse as gf

LABELS = ("chest", "head", "abdomen", "cough", "seizure", "sign")
RULES = """
hard one_place: exactly_one(chest, head, abdomen)
hard cough_is_chest: cough -> chest
hard seizure_is_head: seizure -> head
soft 2.0 signs: cough | seizure -> sign
"""
KINDS = ("bowel", "brain", "lung", "rib")
SINGLE = """
hard never: ~rib
hard known: bowel | brain | lung | rib
soft mostly: lung | brain
"""


def rules(text: str = RULES, labels: tuple[str, ...] = LABELS) -> gf.RuleSet:
    return gf.RuleSet.parse(text, labels)


def visits(name: str, count: int, seed: int, single: bool = False) -> list[gf.Sample]:
    """``single``: one label of ``KINDS``, never a rib; else a set of ``LABELS`` that the hard rules allow."""
    rng = torch.Generator().manual_seed(seed)
    if single:
        y = torch.nn.functional.one_hot(torch.randint(3, (count,), generator=rng), 4).bool()
    else:
        y = rules().answer(2 * torch.randn(count, len(LABELS), generator=rng))
    mix = torch.randn(len(LABELS), 12, generator=torch.Generator().manual_seed(0))[: y.shape[1]]
    x = y.float() @ mix + 1.5 * torch.randn(count, 12, generator=rng)
    made = []
    for i, row in enumerate(y.tolist()):
        said = tuple(label for label, true in zip(KINDS if single else LABELS, row) if true)
        nodes = {"note": x[i : i + 1, :6], "scan": x[i : i + 1, 6:]}
        made.append(gf.Sample(f"{name}/{i}", nodes, target=said[0] if single else said))
    return made


PLAN = gf.Schema({"note": 6, "scan": 6}, [gf.AllPairs("note", "scan", direction="both")])
TRAIN, VALID, TEST = visits("train", 48, 1), visits("valid", 64, 2), visits("test", 200, 3)


def model(seed: int = 0, head: object = None, **settings: object) -> gf.FusionModel:
    """An untrained one; the same weights for the same seed."""
    with gf.seeded(seed):
        return gf.FusionModel(PLAN, head or gf.heads.MultiLabel(LABELS), "concat", dim=16, layers=1, **settings)


def single(**settings: object) -> gf.FusionModel:
    """As ``model``, of one label a visit."""
    return model(head=gf.heads.Classify(KINDS), **settings)


def batch_of(samples: list[gf.Sample]) -> gf.Batch:
    return gf.collate(samples, PLAN)
