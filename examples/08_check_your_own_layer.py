"""A layer of your own: checked against what all fusions promise, named, and compared with ``hgt``."""

import tempfile
from functools import partial

import torch
from torch import nn

import graphfuse as gf


class Loudest(nn.Module):
    """Each node adds the largest value, feature by feature, of what it hears.

    Shape: ``FusionGraph x [N, d] -> FusionGraph x [N, d]``.
    """

    def __init__(self, dim: int, schema: gf.Schema):
        super().__init__()
        self.own, self.heard = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, graph: gf.FusionGraph) -> gf.FusionGraph:
        """Passes messages once, over dense and sparse relations alike."""
        heard = gf.aggregate(graph, self.heard(graph.x), reduce="max")  # [N, d]
        return graph.replace(x=self.own(graph.x) + heard)


class Forgetful(Loudest):
    """The same with a fault: it takes off the mean over all samples of the batch."""

    def forward(self, graph: gf.FusionGraph) -> gf.FusionGraph:
        """Passes messages once."""
        return super().forward(graph.replace(x=graph.x - graph.x.mean(0)))


report = gf.testing.check_fusion(Loudest)
print(report)
report.raise_if_failed()
print("Forgetful:", ", ".join(finding.name for finding in gf.testing.check_fusion(Forgetful).failed[:2]))

COLOURS = ("red", "green", "blue")


def scene(number: int) -> gf.Sample:
    """Four coloured things, of which a word means one."""
    rng = torch.Generator().manual_seed(number)
    colour, meant = torch.randint(3, (4,), generator=rng), int(torch.randint(4, (), generator=rng))
    nodes = {"text": torch.randn(3, 6, generator=rng), "entity": torch.eye(3)[colour]}
    links = {("text", "mentions", "entity"): torch.tensor([[0], [meant]])}
    return gf.Sample(f"scene/{number}", nodes, links, target=COLOURS[colour[meant]])


gf.FUSIONS["loudest"] = Loudest  # the one entry: from here on the name is as any other
schema = gf.Schema({"text": 6, "entity": 3}, [gf.Linked("text", "mentions", "entity", direction="both")])
train, valid, test = ([scene(i) for i in part] for part in (range(160), range(160, 220), range(220, 320)))
head, names = gf.heads.Classify(COLOURS), ("loudest", "hgt", "concat")
methods = {name: partial(gf.FusionModel, schema, head, name, dim=16) for name in names}
with tempfile.TemporaryDirectory() as folder:
    found = gf.compare(methods, train, valid, test, seeds=range(1), out=folder, epochs=8, learning_rate=1e-2)
print(found.table()["mean"])
