"""What each edge builder lays: the pairs of nodes that meet, for one small sample."""

import torch

import graphfuse as gf

sample = gf.Sample(
    "film/1",
    nodes={
        "text": torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),  # three words
        "image": torch.tensor([[0.9, 0.1], [0.1, 0.8]]),  # two pictures
    },
    links={("text", "describes", "image"): torch.tensor([[0, 2], [0, 1]])},  # word 0 -> picture 0, word 2 -> picture 1
    spans={
        "text": torch.tensor([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]),  # when each word is said, in seconds
        "image": torch.tensor([[0.0, 1.5], [1.5, 3.0]]),  # when each picture is shown
    },
)

BUILDERS = {
    "every word meets every picture (dense: never listed)": gf.AllPairs("text", "image"),
    "each word meets the picture that is most like it": gf.Nearest("image", "text", k=1),
    "a word meets the next one; backward would be the one before": gf.Window("text", 1),
    "what is said meets what is shown at that time": gf.Overlap("text", "image"),
    "the links that the sample brings": gf.Linked("text", "describes", "image"),
    "every word meets one global node of the sample": gf.Hub("text"),
}
given = gf.Linked("text", "describes", "image")  # a schema has to name every link that its samples bring

for what, builder in BUILDERS.items():
    edges = [builder] if builder == given else [builder, given]
    schema = gf.Schema({"text": 2, "image": 2}, edges)
    batch = gf.collate([sample], schema)
    # ``lay`` wants states of one width, as a model's projections give; these features have the same width already.
    graph = gf.lay(batch, schema, batch.nodes)
    laid = graph.relations[0]
    source, name, target = laid.relation
    rows = graph.edges(laid).t().tolist()  # rows of graph.x; also lists a dense relation
    pairs = [(a - graph.rows(source).start, b - graph.rows(target).start) for a, b in rows]
    print(f"{what}\n  {source} -{name}-> {target}: {pairs}")

# direction="both" lays two relations, so that a fusion can treat the way back as something else.
both = gf.Schema({"text": 2, "image": 2}, [gf.AllPairs("text", "image", direction="both")])
print(f"both ways: {both.relations}")
