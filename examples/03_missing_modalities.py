"""Samples that lack a kind: nothing is filled in, nothing shifts, and what is hidden costs what it should."""

import torch

import graphfuse as gf

LABELS = ("ill", "well")


def visit(number: int) -> gf.Sample:
    """A made-up visit: notes, a scan, a blood test, each a noisy sign of the same thing; two in five lack a kind."""
    rng = torch.Generator().manual_seed(number)
    ill = number % 2
    nodes = {
        "notes": torch.randn(3, 4, generator=rng) + 0.5 * ill,
        "scan": torch.randn(2, 6, generator=rng) + 0.5 * ill,
        "blood": torch.randn(1, 3, generator=rng) + 1.2 * ill,
    }
    sample = gf.Sample(f"visit/{number}", nodes, target=LABELS[1 - ill])
    lacking = {3: ["scan"], 4: ["notes", "blood"]}.get(number % 5, [])
    return sample.without(*lacking)  # absent from ``nodes``; not a block of zeros


samples = [visit(number) for number in range(500)]
train, valid, test = samples[:300], samples[300:350], samples[350:]

# ``infer`` reads all samples: the kinds and widths as found, all pairs between and within all kinds.
schema = gf.Schema.infer(samples)
with gf.seeded(0):
    model = gf.FusionModel(schema, gf.heads.Classify(LABELS), "attention", dim=16)
gf.fit(model, train, valid, epochs=4, learning_rate=1e-2)

print(f"as they come: {gf.evaluate(model, test)['accuracy']:.2f}")
for kind in schema.kinds:
    left = [s.without(kind) for s in test if set(s.nodes) != {kind}]
    print(f"without {kind}: {gf.evaluate(model, left)['accuracy']:.2f}")

# A sample's answer does not depend on who else is in the batch, whatever those lack.
(alone,) = model.predict(test[:1])
among = model.predict(test)[0]
print(f"alone and in company alike: {alone.value == among.value and abs(alone.score - among.score) < 1e-5}")

# With nothing left there is nothing to go by: one clear sentence.
try:
    model.predict([test[0].without(*schema.kinds)])
except gf.InputError as error:
    print(error)
