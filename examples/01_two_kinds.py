"""From samples to answers: words say the shape, pixels say the colour, and only both together name the thing."""

import random

import torch

import graphfuse as gf

SHAPES = {"ball": ["something round", "it rolls away", "round as the moon"],
          "box": ["something with corners", "it has six sides", "square as a brick"]}  # fmt: skip
COLOURS = {"red": (0.9, 0.1, 0.1), "blue": (0.1, 0.1, 0.9)}
LABELS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

words = gf.ENCODERS["ngrams"](width=64, nodes="words")  # needs no model: hashed character n-grams, one node a word


def make(number: int) -> gf.Sample:
    """One sample: a few word nodes, four pixel nodes, and the label that is to be learned."""
    draw = random.Random(number)
    shape, colour = draw.choice(list(SHAPES)), draw.choice(list(COLOURS))
    (text,) = words.encode([draw.choice(SHAPES[shape])], cache=False)  # [n words, 64]
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(number))
    pixels = torch.tensor(COLOURS[colour]) + 0.3 * noise  # [4, 3]
    return gf.Sample(f"thing/{number}", {"text": text, "image": pixels}, target=f"{colour} {shape}")


samples = [make(number) for number in range(160)]
train, valid, test = samples[:96], samples[96:128], samples[128:]

# The schema fixes kinds, widths and relations. Here every word meets every pixel of its sample, and back.
schema = gf.Schema({"text": 64, "image": 3}, [gf.AllPairs("text", "image", direction="both")])

with gf.seeded(0):  # the initial weights; randomness comes from a seed that you give
    model = gf.FusionModel(schema, gf.heads.Classify(LABELS), fusion="hgt", dim=32)
history = gf.fit(model, train, valid, epochs=5, learning_rate=1e-2, seed=0)
print(f"best epoch {history.best_epoch}, validation {history.metrics}")

print(f"words and pixels: {gf.evaluate(model, test)['accuracy']:.2f}")
print(f"words alone:      {gf.evaluate(model, [s.without('image') for s in test])['accuracy']:.2f}")
print(f"pixels alone:     {gf.evaluate(model, [s.without('text') for s in test])['accuracy']:.2f}")

# An answer says what, and how sure; the target is not looked at.
for sample, answer in zip(test[:3], model.predict(test[:3])):
    print(f"{sample.name}: {answer.value} ({answer.score:.2f}), truth: {sample.target}")
