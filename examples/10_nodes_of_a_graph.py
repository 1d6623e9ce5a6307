"""One graph is all there is: the topics of a tenth of its papers are known, and those of the others are told."""

import torch

import graphfuse as gf

TOPICS = ("graphs", "pictures", "speech", "text")
rng = torch.Generator().manual_seed(0)
COUNT, WORDS, CITED = 800, 30, 4

# Made-up papers: words that hint at the topic, and citations, four in five of which stay within it.
topic = torch.randint(len(TOPICS), (COUNT,), generator=rng)
words = torch.randn(COUNT, WORDS, generator=rng)
words[:, : len(TOPICS)] += 1.2 * torch.nn.functional.one_hot(topic, len(TOPICS))
near = torch.stack([
    members[torch.randint(len(members), (CITED,), generator=rng)]
    for members in ((topic == own).nonzero()[:, 0] for own in topic)
])  # fmt: skip
anyone = torch.randint(COUNT, (COUNT, CITED), generator=rng)
cited = torch.where(torch.rand(COUNT, CITED, generator=rng) < 0.8, near, anyone)
cites = torch.stack([torch.arange(COUNT).repeat_interleave(CITED), cited.flatten()])


def graph(name: str, known: torch.Tensor) -> gf.Sample:
    """The whole graph under a name, with the topics of some papers; ``None`` where one is not known."""
    told = set(known.tolist())
    target = [TOPICS[own] if paper in told else None for paper, own in enumerate(topic.tolist())]
    return gf.Sample(name, {"paper": words}, {("paper", "cites", "paper"): cites}, target=target)


order = torch.randperm(COUNT, generator=rng)
train, valid, test = (graph(name, part) for name, part in zip(("train", "valid", "test"), order.split([80, 120, 600])))

# ``Tag`` answers each node of a kind; ``each`` may be ``MultiLabel`` too, and ``of`` a relation, to answer its links.
head = gf.heads.Tag("paper", gf.heads.Classify(TOPICS))
schema = gf.Schema({"paper": WORDS}, [gf.Linked("paper", "cites", "paper", direction="both")])
rule = gf.RuleSet.parse("soft learn cite[t in labels]: forall x, y. cites(x, y) & t(x) -> t(y)", TOPICS)
ways = {"words alone": ("concat", None), "words and a rule": ("concat", rule), "words and citations": ("sage", None)}
for name, (fusion, rules) in ways.items():
    with gf.seeded(0):
        how = {} if rules is None else {"rules": rules, "rule_mode": "refine"}
        model = gf.FusionModel(schema, head, fusion, dim=32, **how)
    gf.fit(model, [train], [valid], epochs=30, learning_rate=1e-2)
    print(f"{name}: {gf.evaluate(model, [test])['accuracy']:.2f}")

(answer,) = model.predict([test])  # a topic for every paper of the graph
print(f"{len(answer.value)} papers, the first one of {answer.value[0]}; sure to {answer.score:.2f} on average")
