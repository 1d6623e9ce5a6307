"""graphfuse: any mix of modalities fused in one heterogeneous graph.

Names are loaded when they are first used, so that importing the package is quick and loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "graphfuse.core.answer": ("Answer",),
    "graphfuse.core.errors": ("InputError",),
    "graphfuse.core.fused": ("Fused",),
    "graphfuse.core.graph": ("FusionGraph",),
    "graphfuse.core.lay": ("lay",),
    "graphfuse.core.schema": ("Schema",),
    "graphfuse.core.attention": ("attend",),
    "graphfuse.core.message": ("aggregate",),
    "graphfuse.core.collate": ("collate",),
    "graphfuse.core.sample": ("Batch", "Sample"),
    "graphfuse.core.store": ("SampleStore",),
    "graphfuse.core.seed": ("seeded",),
    "graphfuse.edges": ("EDGES", "AllPairs", "Hub", "Learned", "Linked", "Nearest", "Overlap", "Window"),
    "graphfuse.encoders": ("ENCODERS",),
    "graphfuse.fusion": ("FUSIONS", "Stack"),
    "graphfuse.heads": ("HEADS",),
    "graphfuse.kg": ("KnowledgeGraph", "Link", "Subgraph"),
    "graphfuse.model": ("FusionModel", "Output"),
    "graphfuse.rules": ("RuleSet",),
    "graphfuse.training": ("Comparison", "History", "compare", "evaluate", "fit"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_ROOMS = ("core", "edges", "encoders", "explain", "fusion", "heads", "kg", "report", "rules", "study", "tables",
          "testing", "training")  # fmt: skip

__all__ = sorted([*_HOME, *_ROOMS])

if TYPE_CHECKING:
    from graphfuse import (
        core,
        edges,
        encoders,
        explain,
        fusion,
        heads,
        kg,
        report,
        rules,
        study,
        tables,
        testing,
        training,
    )
    from graphfuse.core.answer import Answer
    from graphfuse.core.attention import attend
    from graphfuse.core.collate import collate
    from graphfuse.core.errors import InputError
    from graphfuse.core.fused import Fused
    from graphfuse.core.graph import FusionGraph
    from graphfuse.core.lay import lay
    from graphfuse.core.message import aggregate
    from graphfuse.core.sample import Batch, Sample
    from graphfuse.core.schema import Schema
    from graphfuse.core.seed import seeded
    from graphfuse.core.store import SampleStore
    from graphfuse.edges import EDGES, AllPairs, Hub, Learned, Linked, Nearest, Overlap, Window
    from graphfuse.encoders import ENCODERS
    from graphfuse.fusion import FUSIONS, Stack
    from graphfuse.heads import HEADS
    from graphfuse.kg import KnowledgeGraph, Link, Subgraph
    from graphfuse.model import FusionModel, Output
    from graphfuse.rules import RuleSet
    from graphfuse.training import Comparison, History, compare, evaluate, fit


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"graphfuse.{name}")
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'graphfuse' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
