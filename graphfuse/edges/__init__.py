"""Edge builders: which nodes meet. Adding one: a file here, a line in ``EDGES``, see ``CONTRIBUTING.md``."""

from graphfuse.core.relations import AllPairs, Linked
from graphfuse.edges.hub import Hub
from graphfuse.edges.learned import Learned
from graphfuse.edges.nearest import Nearest
from graphfuse.edges.overlap import Overlap
from graphfuse.edges.window import Window

EDGES = {
    "all_pairs": AllPairs,
    "nearest": Nearest,
    "window": Window,
    "overlap": Overlap,
    "linked": Linked,
    "hub": Hub,
    "learned": Learned,
}
