"""Findings of image regions and the diagnosis of the patient by one model: with rules, findings teach the diagnosis."""

from collections.abc import Sequence

import torch

import graphfuse as gf

FINDINGS, DIAGNOSES = ("opacity", "mass"), ("pneumonia", "tumour", "well")
RULES = """
hard opacity_is: forall r, s. opacity(r) -> pneumonia(s)
hard mass_is: forall r, s. mass(r) -> tumour(s)
hard seen: exists r, s. ~well(s) -> opacity(r) | mass(r)   # who is not well shows it in some region
"""


def scan(name: str, seed: int, known: Sequence[str] = ("finding", "diagnosis")) -> gf.Sample:
    """A made-up scan of 3 to 6 regions, a third of them with the finding of the diagnosis; the note says little."""
    rng = torch.Generator().manual_seed(seed)
    ill = int(torch.randint(3, (), generator=rng))
    shown = torch.rand(int(torch.randint(3, 7, (), generator=rng)), generator=rng) < 1 / 3
    shown[0] |= True
    regions = torch.randn(len(shown), 8, generator=rng)
    if ill < 2:
        regions[:, ill] += 1.5 * shown
    note = torch.randn(1, 4, generator=rng)
    note[0, ill] += 0.5
    found = [(FINDINGS[ill],) if ill < 2 and own else () for own in shown.tolist()]
    target = {"finding": found, "diagnosis": DIAGNOSES[ill]}  # a part that is not there is not known
    return gf.Sample(name, {"region": regions, "note": note}, target={part: target[part] for part in known})


# Of all training scans the findings are known, and of one in twelve the diagnosis.
train = [scan(f"train/{i}", i, ("finding",) if i % 12 else ("finding", "diagnosis")) for i in range(180)]
valid = [scan(f"valid/{i}", 10_000 + i) for i in range(60)]
test = [scan(f"test/{i}", 20_000 + i) for i in range(300)]

# Each part is a head by itself, and scores are those of all parts; ``Tag`` answers each node of a kind.
head = gf.heads.MultiTask({
    "finding": gf.heads.Tag("region", gf.heads.MultiLabel(FINDINGS)),
    "diagnosis": gf.heads.Classify(DIAGNOSES),
})  # fmt: skip
schema = gf.Schema({"region": 8, "note": 4}, [gf.AllPairs("note", "region", "both")])
rules = gf.RuleSet.parse(RULES, head.labels)
for name, how in {"without": {}, "with rules": {"rules": rules}}.items():
    with gf.seeded(0):
        model = gf.FusionModel(schema, head, "sage", dim=32, layers=1, **how)
    gf.fit(model, train, valid, epochs=8, learning_rate=5e-3)
    found = gf.evaluate(model, test)
    told = f"diagnosis {found['diagnosis: accuracy']:.2f}, findings {found['finding: exact_match']:.2f}"
    if "rules" in how:
        before, after = found["rules_broken_before"], found["rules_broken"]
        told += f"; scans that break a rule: {before:.2f} by the scores alone, {after:.2f} as answered"
    print(f"{name:10}  right: {told}")

(answer,) = model.predict(test[:1])
print(answer.value, {part: round(own.score, 2) for part, own in answer.parts.items()})
