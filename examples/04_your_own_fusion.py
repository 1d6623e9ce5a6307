"""A fusion of your own: a class with the signature of all others, given instead of a name."""

import tempfile

import torch
from torch import nn

import graphfuse as gf

LABELS = ("dark", "bright")


class Gossip(nn.Module):
    """Each node adds what it hears, the mean over all its in-edges; a sample is the mean of its nodes.

    Shape: ``FusionGraph x [N, d] -> Fused(graph.x [N, d], vector [B, d])``.
    """

    def __init__(self, dim: int, schema: gf.Schema, layers: int = 2):
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(dim, dim) for _ in range(layers))

    def forward(self, graph: gf.FusionGraph) -> gf.Fused:
        """Fuses a graph."""
        for own in self.maps:
            heard = gf.aggregate(graph, own(graph.x), reduce="mean")  # [N, d], dense and sparse relations alike
            graph = graph.replace(x=graph.x + heard.tanh())  # graphs are frozen: a step gives a new one
        owner = torch.cat([graph.owner(kind) for kind in graph.schema.all_kinds])  # [N]
        total = graph.x.new_zeros(len(graph), graph.x.shape[1]).index_add(0, owner, graph.x)
        return gf.Fused(graph, total / torch.bincount(owner, minlength=len(graph))[:, None])  # [B, d]


def make(number: int) -> gf.Sample:
    """Two words that say nothing, and four pictures that are dark or bright."""
    rng = torch.Generator().manual_seed(number)
    bright = number % 2
    nodes = {"text": torch.randn(2, 3, generator=rng), "image": torch.randn(4, 3, generator=rng) + bright}
    return gf.Sample(f"scene/{number}", nodes, target=LABELS[bright])


samples = [make(number) for number in range(200)]
schema = gf.Schema({"text": 3, "image": 3}, [gf.AllPairs("image", "text"), gf.Hub("image", direction="both")])

with gf.seeded(0):
    model = gf.FusionModel(schema, gf.heads.Classify(LABELS), fusion=Gossip, dim=16, layers=2)
gf.fit(model, samples[:120], samples[120:160], epochs=5, learning_rate=1e-2)
print(f"accuracy: {gf.evaluate(model, samples[160:])['accuracy']:.2f}")

# A saved model records a part of your own by its name alone: code is never read from a folder, so give it again.
with tempfile.TemporaryDirectory() as folder:
    model.save_pretrained(folder)
    again = gf.FusionModel.from_pretrained(folder, fusion=Gossip)
print(f"opened again, same answers: {again.predict(samples[160:]) == model.predict(samples[160:])}")
