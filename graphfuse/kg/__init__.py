"""Knowledge graphs: read, searched, linked to text, and cut into the sub-graph that a question needs."""

from graphfuse.kg.graph import KnowledgeGraph
from graphfuse.kg.link import Link
from graphfuse.kg.paths import evidence
from graphfuse.kg.subgraph import Subgraph

__all__ = ["KnowledgeGraph", "Link", "Subgraph", "evidence"]
