"""Questions answered in a knowledge graph, with the path that is the evidence, about towns never asked about before."""

import torch

import graphfuse as gf

# A made-up valley: towns along a road, each with a mayor and a river.
TOWNS = [f"{a}{b}" for a in ("Al", "Bor", "Cal", "Dun", "El", "Fen") for b in ("ham", "ton", "wick", "mouth", "field")]
triples = [("road", TOWNS[i], TOWNS[i + 1]) for i in range(len(TOWNS) - 1)]
triples += [("mayor", town, f"mayor of {town}") for town in TOWNS]
triples += [("river", town, f"river {i % 7}") for i, town in enumerate(TOWNS)]
kg = gf.KnowledgeGraph.from_triples((head, relation, tail) for relation, head, tail in triples)

ASKED = {
    "who leads {}": lambda i: f"mayor of {TOWNS[i]}",
    "which river does {} drink from": lambda i: f"river {i % 7}",
    "who leads the town after {}": lambda i: f"mayor of {TOWNS[i + 1]}",
}
words = gf.ENCODERS["ngrams"](width=64, nodes="words")
features = torch.ones(len(kg), 1)  # nothing but the links tells the entities apart: facts are looked up, not learned


def make(asked: str, town: int) -> tuple[gf.Sample, gf.Subgraph]:
    """One question as a sample: its words, the part of the graph around what they name, and links between the two."""
    text = asked.format(TOWNS[town])
    named = [link.entity for link in kg.link(text)]  # exact names and aliases, the longest first
    sub = kg.retrieve(named, hops=2, max_nodes=50)  # says in ``sub.truncated`` if the budget left something out
    nodes, links = sub.sample_nodes(features)  # one node an entity, one relation a relation
    (nodes["text"],) = words.encode([asked.format("")], cache=False)
    rows = torch.tensor([sub.index(name) for name in named])
    links["text", "mentions", "entity"] = torch.stack([torch.zeros_like(rows), rows])
    return gf.Sample(text, nodes, links, target=torch.tensor([sub.index(ASKED[asked](town))])), sub


cases = {town: [make(asked, town) for asked in ASKED] for town in range(len(TOWNS) - 1)}
train, valid, test = ([s for t in part for s, _ in cases[t]] for part in (range(18), range(18, 22), range(22, 29)))
edges = [gf.Linked("entity", relation, "entity", direction="both") for relation in kg.relations]
schema = gf.Schema({"text": 64, "entity": 1}, [*edges, gf.Linked("text", "mentions", "entity")])

with gf.seeded(0):  # ``Choose`` answers with one of the sample's own nodes
    model = gf.FusionModel(schema, gf.heads.Choose("entity"), "relation_gate", dim=32, layers=3)
gf.fit(model, train, valid, epochs=12, batch_size=8, learning_rate=1e-2)
print(f"accuracy on towns never asked about: {gf.evaluate(model, test)['accuracy']:.2f}")

for sample, sub in cases[25]:
    (answer,) = model.predict([sample])
    said = sub.entities[answer.value]
    path = gf.kg.evidence(sub, said, sub.seeds)  # ids of edges of the whole graph
    print(f"{sample.name}? {said}, because {kg.path_triples(path)}")
