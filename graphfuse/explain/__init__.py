"""What decided an answer."""

from graphfuse.explain.looked import Look, looked_at

__all__ = ["Look", "looked_at"]
