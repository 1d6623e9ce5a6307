"""What decided an answer."""

from graphfuse.explain.looked import Look, looked_at
from graphfuse.explain.ruled import under_rules

__all__ = ["Look", "looked_at", "under_rules"]
