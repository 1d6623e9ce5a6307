"""The section of ``docs/benchmarks.md`` on speed, and its picture, from the rows of ``benchmarks.speed``."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.markdown import UNKNOWN, command, table
from benchmarks.speed import BUILT, KEPT, LAYER

PICTURE = "speed.png"
TEXT = """\
Batches of 32 samples (kinds of about 20, 49, 30 and 10 nodes, half more or less), width 128, 4 heads, 2 layers, 2
threads; `complete` is every pair of nodes of all 16 ordered pairs of kinds, `8 nearest` the 8 most like by cosine in
each of them. Layers stand in a plain chain on both sides, with the same weights. Milliseconds are medians of runs in
turn in one process, after a warm-up, mean ± standard deviation over draws; `least` is the quickest run. In the same run
states and gradients to the inputs were found equal within 1e-4 of the largest, built edges one by one, and of the epoch
the first loss; `hgt blocks and padding` is other mathematics (both with norms, residuals and a feed-forward of `2d`),
compared in time alone. PyG's edge lists are made beforehand and not timed, our plans of blocks are made in every run.
The script of the epoch is `benchmarks/pyg_script.py`. Building is measured twice: each way right after the other one,
which has driven its data out of the caches, and `batch after batch`, as a background worker does it, where each way has
just gone three times.

Memory is the system's default, as a user's own script has it: each measure runs in a process of its own without the
settings that `graphfuse` commands make. Under it about half of PyG's time at this size is page faults, for glibc gives
large freed blocks back and asks for them again; in the lines `freed memory kept` neither side pays for that, as in the
processes of the command."""
PEAK = """\
Main memory (on an accelerator, its own) that forward and backward take at their most, beyond what the process held
before, each side in a process of its own."""
SINGLE = """\
Ours alone: `twice the nodes` against once, one sample of 2,000 nodes among 31 of 20 against the large one and the small
ones apart, and the multiply-adds that a forward pass needs at least (projections with the relations' transforms folded
in, attention, output) a second, against those of a product of two 2048 x 2048 float32 matrices."""
SCALED = """\
HGT over complete relations, forward and backward, 8 samples a batch: PyG is left out where it would take more than
about 3 GB."""
STOCKS = {
    **dict.fromkeys(
        (LAYER, f"{LAYER}{KEPT}", "hgt, complete, forward", "hgt, 8 nearest, forward + backward"), "HGTConv"
    ),
    "sage, complete, forward + backward": "HeteroConv of SAGEConv",
    "rgcn, complete, forward + backward": "RGCNConv",
    "gcn, complete, forward + backward": "GCNConv",
    "graph_transformer, complete, forward + backward": "HeteroConv of TransformerConv",
    "gatv2, complete, forward + backward": "HeteroConv of GATv2Conv",
    "hgt, complete, peak memory": "HGTConv",
    "gatv2, complete, peak memory": "HeteroConv of GATv2Conv",
    **{
        f"building, {name}{often}": "HeteroData and Batch"
        for often in ("", ", batch after batch", f", batch after batch{KEPT}")
        for name in BUILT
    },
    "one epoch, end to end": "PyG's DataLoader and HGTConv",
    "hgt blocks and padding": "nn.TransformerEncoder",
}
"""What a measure is against."""
FASTER = ("milliseconds, ours", "milliseconds, stock", "least milliseconds, ours", "least milliseconds, stock",
          "times faster than stock")  # fmt: skip
SMALLER = ("megabytes, ours", "megabytes, stock", "share of stock's peak memory")
ALONE = ("times the milliseconds", "times the peak memory", "times the milliseconds apart",
         "share of the matrix-product peak")  # fmt: skip
NODES = "nodes a sample"
SIDES = {"ours": ("graphfuse", "#1f77b4"), "stock": ("PyG", "#d62728")}


def speed(rows: Sequence[dict], cuda: Sequence[dict]) -> str:
    """Tables of the processor and, where there are rows, of the accelerator."""
    if not rows and not cuda:
        return UNKNOWN
    parts = [TEXT]
    for title, found in (("On the processor", rows), ("On an accelerator", cuda)):
        if found:
            parts += [f"### {title}", command(found), *tables(found)]
    return "\n\n".join(parts)


def tables(found: Sequence[dict]) -> list[str]:
    """Times, memory, and what is measured of ours alone."""
    cell = {(r["method"], r["metric"]): f"{r['mean']:.4g} ± {r['std']:.2g}" for r in found}
    parts = []
    for text, metrics in (("", FASTER), (PEAK, SMALLER)):
        methods = [r["method"] for r in found if r["metric"] == metrics[-1]]
        lines = [[method, STOCKS[method], *(cell[method, metric] for metric in metrics)] for method in methods]
        if lines:
            parts += [*([text] if text else []), table(["measure", "stock", *metrics], lines)]
    alone = [[r["method"], r["metric"], cell[r["method"], r["metric"]]] for r in found if r["metric"] in ALONE]
    if alone:
        parts += [SINGLE, table(["measure", "metric", "value"], alone)]
    if found[0]["task"] == "speed" and any(r["metric"] == NODES for r in found):
        parts += [SCALED, f"![Time and memory of HGT by the nodes of a sample, ours and PyG's]({PICTURE})"]
    return parts


def lines_of(found: Sequence[dict], metric: str) -> dict[str, list[tuple[float, float]]]:
    """Points of the picture by side: nodes a sample, and what was measured there."""
    cell = {(r["method"], r["metric"]): r["mean"] for r in found}
    sizes = sorted((r["mean"], r["method"]) for r in found if r["metric"] == NODES)
    return {
        side: [(n, cell[own, f"{metric}, {side}"]) for n, own in sizes if (own, f"{metric}, {side}") in cell]
        for side in SIDES
    }


def draw(found: Sequence[dict], folder: Path) -> Path | None:
    """The picture, where there are rows for it."""
    if not any(row["metric"] == NODES for row in found):
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle("HGT over complete relations, forward and backward")
    FigureCanvasAgg(figure)
    for axes, metric in zip(figure.subplots(1, 2), ("milliseconds", "megabytes")):
        for side, points in lines_of(found, metric).items():
            name, colour = SIDES[side]
            axes.loglog(*zip(*points), marker="o", color=colour, label=name)
        nodes = [n for n, _ in lines_of(found, metric)["ours"]]
        axes.set_xticks(nodes, [f"{n:.0f}" for n in nodes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.set(xlabel="nodes a sample", ylabel=metric)
        axes.grid(True, which="both", alpha=0.25)
        axes.legend()
    path = folder / PICTURE
    figure.savefig(path, dpi=130)
    return path
